//! Programs as children: bounded in time, and ended by their own handle.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        OnceLock,
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

use testing::{Random, Test, skip};
use uring::{OpCode, Support};

/// Longer than anything here takes, also on a busy machine in debug mode.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const CAT: &str = env!("CARGO_BIN_EXE_cat");
pub(crate) const ECHO_LOAD: &str = env!("CARGO_BIN_EXE_echo_load");
pub(crate) const ECHO_RING: &str = env!("CARGO_BIN_EXE_echo_ring");
pub(crate) const ECHO_SERVER: &str = env!("CARGO_BIN_EXE_echo_server");
pub(crate) const URING_CHECK: &str = env!("CARGO_BIN_EXE_uring_check");

/// What this machine can do, asked once.
///
/// On a thread that ends: some time after a ring was closed, the kernel's cleaning up interrupts a
/// system call of the thread that had made it, and a `recv` with a timeout is not restarted.
fn support() -> &'static Result<Support, String> {
    static SUPPORT: OnceLock<Result<Support, String>> = OnceLock::new();
    SUPPORT.get_or_init(|| {
        let asked = thread::spawn(|| uring::check().map_err(|why| why.to_string()));
        asked.join().unwrap()
    })
}

/// Ends the test if there is no io_uring here.
macro_rules! need_ring {
    () => {
        if !$crate::util::has_ring(this_test!()) {
            return;
        }
    };
}

/// Ends the test if the echo programs cannot run here.
macro_rules! need_multishot {
    () => {
        if !$crate::util::has_multishot(this_test!()) {
            return;
        }
    };
}

pub(crate) fn has_ring(test: Test) -> bool {
    support().as_ref().map_err(|why| skip(test, why)).is_ok()
}

pub(crate) fn has_multishot(test: Test) -> bool {
    let had = match support() {
        Ok(support) if support.has(OpCode::SEND_ZC) => Ok(()),
        Ok(_) => Err("multishot receive needs Linux 6.0"),
        Err(why) => Err(why.as_str()),
    };
    had.map_err(|why| skip(test, why)).is_ok()
}

/// What a program printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The exit code; a panic has 101, a signal none.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

/// Reads on a thread of its own: what comes, as it comes.
fn read_parts(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            let _ = sender.send(bytes[..length].into()); // the test may have failed
        }
    });
    receiver
}

/// Reads to the end on a thread of its own.
fn read_all(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes); // what came until then is all there is
        let _ = sender.send(bytes);
    });
    receiver
}

/// Runs a program to its end, with these bytes on its standard input.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Ended {
    let mut child = spawn(command.stdin(Stdio::piped()));
    let stdout = read_all(child.0.stdout.take().unwrap());
    let stderr = read_all(child.0.stderr.take().unwrap());
    let mut stdin = child.0.stdin.take().unwrap();
    let input = input.to_vec();
    // a program that does not read its input breaks the pipe
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    // on a timeout the panic drops the child, which kills it
    let stdout = stdout.recv_timeout(PATIENCE).expect("the program does not end");
    let stderr = stderr.recv_timeout(PATIENCE).expect("the program does not end");
    let status = child.0.wait().unwrap();
    writer.join().unwrap();
    Ended { status, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() }
}

/// A child that does not outlive its test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it may have ended
        let _ = self.0.wait();
    }
}

pub(crate) fn spawn(command: &mut Command) -> Running {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Running(command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}")))
}

impl Running {
    pub(crate) fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.0.id()).unwrap();
        // SAFETY: the call takes no pointer; the child was not waited for, so the number is its.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.0.id())).unwrap().count()
    }

    /// Waits until it has no more than so many descriptors: what a peer has closed, it closes soon.
    pub(crate) fn settles_at(&self, descriptors: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.descriptors() > descriptors {
            let left = self.descriptors();
            assert!(Instant::now() < deadline, "{left} descriptors, not {descriptors}");
            thread::yield_now();
        }
    }
}

/// A server that listens.
pub(crate) struct Server {
    pub(crate) child: Running,
    pub(crate) address: SocketAddr,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
    told: Vec<u8>,
}

impl Server {
    /// Starts `echo_ring` on a free port of 127.0.0.1.
    pub(crate) fn echo_ring(args: &[&str]) -> Self {
        let mut command = Command::new(ECHO_RING);
        Self::start(command.args(["--listen", "127.0.0.1:0"]).args(args))
    }

    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = spawn(command.stdin(Stdio::null()));
        let mut stdout = BufReader::new(child.0.stdout.take().unwrap());
        let stderr = read_parts(child.0.stderr.take().unwrap());
        let (sender, receiver) = mpsc::channel();
        let reader = thread::spawn(move || {
            let mut line = String::new();
            while stdout.read_line(&mut line).unwrap() > 0 {
                if let Some(address) = line.trim_end().strip_prefix("listening on ") {
                    sender.send(address.parse().unwrap()).unwrap();
                    break;
                }
                line.clear();
            }
            stdout
        });
        let Ok(address) = receiver.recv_timeout(PATIENCE) else {
            drop(child);
            let told: Vec<_> = stderr.iter().flatten().collect();
            panic!("it does not listen: {}", String::from_utf8_lossy(&told));
        };
        let stdout = read_all(reader.join().unwrap());
        Self { child, address, stdout, stderr, told: Vec::new() }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn told(&self) -> String {
        String::from_utf8_lossy(&self.told).into_owned()
    }

    /// Waits until it has told this on standard error.
    pub(crate) fn until_told(&mut self, words: &str) {
        while !self.told().contains(words) {
            let part = self.stderr.recv_timeout(PATIENCE);
            self.told.extend(part.unwrap_or_else(|_| panic!("not told: {words}")));
        }
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn stop(mut self) -> Ended {
        self.child.signal(libc::SIGINT);
        let stdout = self.stdout.recv_timeout(PATIENCE).expect("the server does not end");
        let status = self.child.0.wait().unwrap();
        self.told.extend(self.stderr.iter().flatten());
        Ended { status, stdout, stderr: self.told() }
    }
}

/// Bytes without a short period.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    Random::new(0).bytes(length)
}
