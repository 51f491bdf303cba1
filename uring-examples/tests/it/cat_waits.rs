//! `cat` while it waits: for a pipe, a terminal, a reader, a worker thread; and what ends it.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{
            net::UnixStream,
            process::{CommandExt, ExitStatusExt},
        },
    },
    process::{Child, Command, Stdio},
    thread,
    time::Instant,
};

use crate::{
    terminal::{start_on, terminal},
    twin::Folder,
    util::{CAT, PATIENCE, Running, noise, spawn},
};

/// What ended it; a hang is a failure, and the child is killed.
fn ended_by(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.signal();
        }
        assert!(Instant::now() < deadline, "it does not end");
        thread::yield_now();
    }
}

#[test]
fn a_signal_ends_a_read_and_an_open_that_wait() {
    need_ring!();
    let folder = Folder::new("fifo");
    let first = folder.file("first", b"f");
    let fifo = folder.0.join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT] {
        for second in ["-", fifo.to_str().unwrap()] {
            let mut child = spawn(Command::new(CAT).args([&first, second]).stdin(Stdio::piped()));
            // its first byte says that it runs; then it waits for a writer that does not come
            child.0.stdout.as_mut().unwrap().read_exact(&mut [0; 1]).unwrap();
            child.signal(signal);
            assert_eq!(ended_by(&mut child.0), Some(signal), "cat {second}");
            let mut told = String::new();
            child.0.stderr.take().unwrap().read_to_string(&mut told).unwrap();
            assert_eq!(told, "");
        }
    }
}

#[test]
fn ctrl_c_ends_it_before_a_terminal_that_takes_no_more() {
    need_ring!();
    let folder = Folder::new("terminal");
    let big = folder.file("big", &b"0123456\n".repeat(100_000));
    for stopped in [false, true] {
        let (mut master, slave) = terminal();
        let mut cat = Command::new(CAT);
        cat.arg(&big).stdin(slave.try_clone().unwrap()).stderr(Stdio::piped());
        let mut child = start_on(cat.stdout(slave.try_clone().unwrap()), &slave);
        // what came says that it writes; it is far more than a terminal holds
        master.read_exact(&mut [0; 1]).unwrap();
        if stopped {
            master.write_all(b"\x13").unwrap(); // Ctrl-S
        }
        master.write_all(b"\x03").unwrap(); // Ctrl-C
        assert_eq!(ended_by(&mut child.0), Some(libc::SIGINT), "stopped: {stopped}");
    }
}

#[test]
fn a_terminal_is_read_line_by_line_to_ctrl_d() {
    need_ring!();
    let (mut master, slave) = terminal();
    let mut cat = Command::new(CAT);
    cat.stdin(slave.try_clone().unwrap()).stdout(Stdio::piped());
    let mut child = start_on(&mut cat, &slave);
    let mut stdout = child.0.stdout.take().unwrap();
    for line in [b"first\n", b"again\n"] {
        master.write_all(line).unwrap();
        let mut came = [0; 6];
        stdout.read_exact(&mut came).unwrap();
        assert_eq!(&came, line);
    }
    master.write_all(b"\x04").unwrap(); // Ctrl-D
    assert_eq!(stdout.read(&mut [0; 1]).unwrap(), 0);
    assert!(child.0.wait().unwrap().success());
}

/// A worker thread of the kernel, which reads terminals for it, ignores `SIGTTIN` and `SIGTTOU`.
#[test]
fn in_the_background_a_terminal_stops_it() {
    need_ring!();
    // `set -m` gives it a process group of its own, which is not in the foreground
    for script in ["set -m; $CAT", "stty tostop; set -m; $CAT /proc/version"] {
        let (master, slave) = terminal();
        let script = format!("{script} <&3 & echo $! >&2; read wait");
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec 3<&0; {script}")]).env("CAT", CAT);
        shell.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap());
        let mut shell = start_on(shell.stderr(Stdio::piped()), &slave);
        let mut pid = Vec::new();
        let mut stderr = shell.0.stderr.take().unwrap();
        while pid.last() != Some(&b'\n') {
            let mut byte = [0];
            stderr.read_exact(&mut byte).unwrap();
            pid.extend(byte);
        }
        let stat = format!("/proc/{}/stat", String::from_utf8(pid).unwrap().trim());
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = fs::read_to_string(&stat).unwrap();
            let state = text.rsplit(") ").next().unwrap().chars().next();
            if state == Some('T') {
                break; // proc_pid_stat(5): stopped on a signal
            }
            assert_ne!(state, Some('Z'), "{script}: it ended");
            assert!(Instant::now() < deadline, "{script}: it is not stopped: {text}");
            thread::yield_now();
        }
        // the end of the session, here the terminal's, ends the stopped program too
        drop((master, shell));
    }
}

#[test]
fn a_reader_that_leaves_ends_it_as_any_other() {
    need_ring!();
    let folder = Folder::new("closed");
    let big = folder.file("big", &noise(4 << 20));
    let mut child = spawn(Command::new(CAT).arg(big).stdin(Stdio::null()));
    let mut stdout = child.0.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 1]).unwrap();
    drop(stdout);
    assert_eq!(ended_by(&mut child.0), Some(libc::SIGPIPE));
    let mut told = String::new();
    child.0.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(told, "");
}

/// Reads of `/proc`, and writes to most disks, need a worker thread of the kernel.
#[test]
fn without_threads_it_reads_and_writes_all_the_same() {
    need_ring!();
    let folder = Folder::new("threads");
    let output = folder.0.join("output");
    let mut cat = Command::new(CAT);
    cat.args(["/proc/self/status", "/proc/self/limits"]).stdout(File::create(&output).unwrap());
    cat.env("ASAN_OPTIONS", "detect_leaks=0"); // it looks for them in a process of its own
    // SAFETY: the call takes no pointer, and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        cat.uid(54_321).gid(54_321); // the limit does not hold for root
    }
    let no_threads = || {
        let limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
        // SAFETY: the call reads one `rlimit`, and that is what it gets.
        match unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec it makes one system call, and allocates nothing.
    unsafe { cat.pre_exec(no_threads) };
    let ended = match cat.output() {
        Ok(ended) => ended,
        Err(error) => skip!("another user cannot run programs: {error}"),
    };
    let told = String::from_utf8_lossy(&ended.stderr);
    if told.contains("io_uring is not available") {
        skip!("another user has no ring: {told}");
    }
    assert!(ended.status.success(), "{told}");
    let text = fs::read_to_string(&output).unwrap();
    assert!(text.contains("\nUid:\t") && text.contains("Max processes"), "{text}");
}

#[test]
fn what_others_made_non_blocking_is_waited_for() {
    need_ring!();
    let folder = Folder::new("nonblocking");
    let bytes = noise(4 << 20);
    let big = folder.file("big", &bytes);
    let [(mut input, stdin), (mut output, stdout)] = [(); 2].map(|()| UnixStream::pair().unwrap());
    for end in [&stdin, &stdout] {
        end.set_nonblocking(true).unwrap();
    }
    output.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut cat = Command::new(CAT);
    cat.args([&big, "-"]).stdin(OwnedFd::from(stdin)).stdout(OwnedFd::from(stdout));
    let mut child = Running(cat.spawn().unwrap());
    drop(cat); // and its ends
    // Small reads, so that the output is full most of the time; the input has nothing meanwhile.
    let mut came = vec![0; bytes.len()];
    for part in came.chunks_mut(1000) {
        output.read_exact(part).unwrap();
    }
    assert!(came == bytes);
    input.write_all(b"the rest").unwrap();
    drop(input);
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "the rest");
    assert!(child.0.wait().unwrap().success());
}
