//! The servers: where they are, how they are started, and what they say.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use crate::host;

/// Whose a server is: the table compares ours with each of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Built by the main workspace.
    Ours,
    /// `c/NAME.c`.
    C,
    /// `src/bin/NAME.rs`.
    Rust,
}

/// A server with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The name in the table: what was asked for, options included.
    pub label: String,
    /// Whose it is.
    pub origin: Origin,
    /// The name of the executable.
    pub program: String,
    /// Its options, without the address.
    pub args: Vec<String>,
}

/// The C server that ratios start from.
pub const EPOLL: &str = "epoll";
/// The C server that is the practical ceiling.
pub const CEILING: &str = "liburing";

/// Names, whose they are, and the program behind each.
const KNOWN: [(&str, Origin, &str); 12] = [
    (EPOLL, Origin::C, "epoll"),
    (CEILING, Origin::C, "liburing"),
    ("echo_ring", Origin::Ours, "echo_ring"),
    ("callback", Origin::Ours, "echo_server --mode callback --loops 1"),
    ("blocking", Origin::Ours, "echo_server --mode blocking --loops 1"),
    ("io_uring", Origin::Rust, "io_uring"),
    ("monoio", Origin::Rust, "monoio"),
    ("compio", Origin::Rust, "compio"),
    ("tokio_uring", Origin::Rust, "tokio_uring"),
    ("glommio", Origin::Rust, "glommio"),
    ("tokio", Origin::Rust, "tokio"),
    ("std_threads", Origin::Rust, "std_threads"),
];

/// The groups; `ablations` changes one thing at a time from the ceiling.
const GROUPS: [(&str, &str); 5] = [
    (
        "all",
        "epoll,liburing,liburing --direct,liburing --skip --direct,echo_ring,callback,blocking,\
         io_uring,monoio,compio,tokio_uring,glommio,tokio,std_threads",
    ),
    ("ours", "epoll,liburing,echo_ring,callback,blocking"),
    ("c", "epoll,liburing,liburing --direct,liburing --skip --direct"),
    ("rust", "epoll,liburing,io_uring,monoio,compio,tokio_uring,glommio,tokio,std_threads"),
    (
        "ablations",
        "epoll,liburing,liburing --direct,liburing --oneshot,liburing --skip,\
         liburing --no-sqarray,liburing --no-ring-fd,liburing --no-defer,liburing --buffers 64,\
         liburing --buffers 256,liburing --buffers 4096,liburing --buffer-size 1024,\
         liburing --buffer-size 16384",
    ),
];

/// The servers of a comma-separated list, each once.
///
/// # Errors
///
/// The message for the user, if a name is not known.
pub fn select(list: &str) -> Result<Vec<Server>, String> {
    let mut servers: Vec<Server> = Vec::new();
    for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let found = match GROUPS.iter().find(|group| group.0 == item) {
            Some((_, members)) => select(members)?,
            None => vec![server(item)?],
        };
        for server in found {
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
    }
    Ok(servers)
}

fn server(item: &str) -> Result<Server, String> {
    let mut words = item.split_whitespace();
    let name = words.next().unwrap_or_default();
    let Some(&(_, origin, command)) = KNOWN.iter().find(|known| known.0 == name) else {
        return Err(format!("there is no server {name:?}; these are:\n{}", list()));
    };
    let mut command = command.split_whitespace().map(str::to_owned);
    let program = command.next().unwrap_or_default();
    let args = command.chain(words.map(str::to_owned)).collect();
    let label = item.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(Server { label, origin, program, args })
}

/// What `--list` prints.
#[must_use]
pub fn list() -> String {
    let mut text = String::from("servers:\n");
    for (name, _, command) in KNOWN {
        text += &format!("  {name:<12} {command}\n");
    }
    text += "groups:\n";
    for (name, members) in GROUPS {
        text += &format!("  {name:<12} {members}\n");
    }
    text
}

/// The folder of the main workspace.
#[must_use]
pub fn root() -> PathBuf {
    here().ancestors().nth(2).unwrap_or(&here()).to_owned()
}

/// The folder of the peers' workspace.
#[must_use]
pub fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Where the main workspace's release build puts a program, be it a binary or an example.
#[must_use]
pub fn ours(program: &str) -> PathBuf {
    let folder = root().join("target/release");
    let example = folder.join("examples").join(program);
    if example.exists() { example } else { folder.join(program) }
}

impl Server {
    /// The executable; nobody promises that it is there.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match self.origin {
            Origin::Ours => ours(&self.program),
            Origin::C => here().join("target/c").join(&self.program),
            Origin::Rust => here().join("target/release").join(&self.program),
        }
    }

    /// Starts it, pinned to a CPU, and waits until it listens.
    ///
    /// # Errors
    ///
    /// The message for the user, if it does not start or says nothing for 10 seconds.
    pub fn start(&self, address: SocketAddr, cpu: usize) -> Result<Running, String> {
        let mut command = Command::new(self.path());
        command.arg("--listen").arg(address.to_string()).args(&self.args);
        let child = spawn(command.stdout(Stdio::piped()), cpu)
            .map_err(|error| format!("{}: cannot start it: {error}", self.path().display()))?;
        let mut running = Running { lines: lines_of(child), said: Vec::new(), address };
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = running.lines.1.recv_timeout(left) else {
                return Err("it ended, or said nothing for 10 s, before it listened".to_owned());
            };
            if let Some(at) = line.split("listening on ").nth(1) {
                let at = at.split_whitespace().next().unwrap_or_default();
                running.address = at.parse().unwrap_or(address);
                return Ok(running);
            }
            running.said.push(line);
        }
    }
}

/// Starts a program on one CPU, which dies if we die.
///
/// # Errors
///
/// Those of `fork(2)` and `execve(2)`.
pub fn spawn(command: &mut Command, cpu: usize) -> io::Result<Child> {
    let prepare = move || {
        host::pin(cpu)?;
        // SAFETY: takes numbers, no pointers.
        match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec only system calls are made, on values on the stack: nothing
    // allocates and nothing locks.
    unsafe { command.pre_exec(prepare) };
    command.stdin(Stdio::null()).spawn()
}

/// Reads the lines of a child as they come, so that its pipe never fills.
fn lines_of(mut child: Child) -> (Child, Receiver<String>) {
    let (sender, receiver) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
    }
    (child, receiver)
}

/// A server that listens. Dropped without [`stop`](Self::stop), it is killed.
#[derive(Debug)]
pub struct Running {
    lines: (Child, Receiver<String>),
    /// What it said before it listened: its flags.
    pub said: Vec<String>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Running {
    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.lines.0.id()
    }

    /// Whether it runs still.
    pub fn alive(&mut self) -> bool {
        matches!(self.lines.0.try_wait(), Ok(None))
    }

    /// Asks it to end, and returns how often it says that it entered the kernel.
    #[must_use]
    pub fn stop(mut self) -> Option<u64> {
        if self.alive() {
            host::interrupt(self.pid());
        }
        let deadline = Instant::now() + Duration::from_secs(2);
        while self.alive() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.end();
        let last = Duration::from_millis(200);
        std::iter::from_fn(|| self.lines.1.recv_timeout(last).ok())
            .filter_map(|line| enters(&line))
            .last()
    }

    fn end(&mut self) {
        // Both fail only if it has ended and was waited for already.
        let _ = self.lines.0.kill();
        let _ = self.lines.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// The number after the word `enters`.
fn enters(line: &str) -> Option<u64> {
    let mut words = line.split_whitespace().skip_while(|word| *word != "enters");
    words.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_have_options_and_keeps_its_label() {
        let servers = select("liburing  --buffers 64,callback,liburing --buffers 64").unwrap();
        assert_eq!(servers.len(), 2);
        assert_eq!(servers[0].label, "liburing --buffers 64");
        assert_eq!(servers[0].args, ["--buffers", "64"]);
        assert_eq!(servers[1].program, "echo_server");
        assert_eq!(servers[1].args, ["--mode", "callback", "--loops", "1"]);
    }

    #[test]
    fn every_group_names_known_servers_only() {
        for (name, _) in GROUPS {
            assert!(!select(name).unwrap().is_empty());
        }
    }

    #[test]
    fn enters_are_read_from_the_last_line_of_a_server() {
        assert_eq!(enters("enters 12 messages 34"), Some(12));
        assert_eq!(enters("messages 34"), None);
    }
}
