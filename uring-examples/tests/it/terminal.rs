//! Terminals, and programs that are started on one; and how servers bear one that is stopped.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use testing::until;

use crate::{
    twin::Folder,
    util::{ECHO_RING, ECHO_SERVER, PATIENCE, Running},
};

/// A terminal: the side of a terminal emulator, and that of programs.
pub(crate) fn terminal() -> (File, OwnedFd) {
    let (mut master, mut slave) = (-1, -1);
    let null = std::ptr::null_mut();
    // SAFETY: the call writes two descriptors, and takes null for what is not wanted.
    let answer =
        unsafe { libc::openpty(&raw mut master, &raw mut slave, null, null.cast(), null.cast()) };
    assert_eq!(answer, 0, "{}", io::Error::last_os_error());
    // SAFETY: the descriptor is new, and nobody else knows its number.
    let master = unsafe { OwnedFd::from_raw_fd(master) };
    // SAFETY: as before.
    (File::from(master), unsafe { OwnedFd::from_raw_fd(slave) })
}

/// Starts a command in a session of its own, whose terminal this is.
pub(crate) fn start_on(command: &mut Command, terminal: &OwnedFd) -> Running {
    let fd = terminal.as_raw_fd();
    let own_session = move || {
        // SAFETY: the call takes no pointer.
        let session = unsafe { libc::setsid() };
        // SAFETY: the call takes a number here, and the terminal is open in the child.
        let taken = unsafe { libc::ioctl(fd, libc::TIOCSCTTY, 0) };
        if session < 0 || taken < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: between fork and exec it makes two system calls, and allocates nothing.
    unsafe { command.pre_exec(own_session) };
    Running(command.spawn().unwrap())
}

#[test]
fn a_server_does_not_wait_for_its_terminal() {
    need_multishot!();
    for server in [ECHO_RING, ECHO_SERVER] {
        let (mut master, slave) = terminal();
        let mut command = Command::new(server);
        command.args(["--listen", "127.0.0.1:0", "--stats"]).stdin(Stdio::null());
        command.stdout(slave.try_clone().unwrap()).stderr(slave.try_clone().unwrap());
        let mut child = start_on(&mut command, &slave);
        let mut told = Vec::new();
        while !(told.ends_with(b"\n") && told.windows(12).any(|part| part == b"listening on")) {
            let mut byte = [0];
            master.read_exact(&mut byte).unwrap();
            told.extend(byte);
        }
        let text = String::from_utf8(told).unwrap();
        let address: SocketAddr = text.rsplit(' ').next().unwrap().trim().parse().unwrap();
        // SAFETY: the call takes no pointer. It is what Ctrl-S does.
        assert_eq!(unsafe { libc::tcflow(slave.as_raw_fd(), libc::TCOOFF) }, 0);
        // it serves while it prints the counters twice
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(2500) {
            stream.write_all(b"x").unwrap();
            stream.read_exact(&mut [0]).unwrap();
        }
        // the first signal asks for the report, which has to wait; the next ends it
        loop {
            child.signal(libc::SIGTERM);
            if child.0.try_wait().unwrap().is_some() {
                break;
            }
            assert!(start.elapsed() < PATIENCE, "{server} does not end");
            thread::yield_now();
        }
    }
}

/// Who has an open file in common, also has its position.
#[test]
fn what_a_server_prints_into_a_file_stands_between_what_others_do() {
    need_multishot!();
    let folder = Folder::new("log");
    for server in [ECHO_RING, ECHO_SERVER] {
        let name = folder.file("log", b"");
        let mut log = File::options().write(true).open(&name).unwrap();
        log.write_all(b"before\n").unwrap();
        let mut command = Command::new(server);
        command.args(["--listen", "127.0.0.1:0"]).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log.try_clone().unwrap());
        let mut child = Running(command.spawn().unwrap());
        let text = || fs::read_to_string(&name).unwrap();
        until("it listens", || text().contains("\nlistening on "));
        child.signal(libc::SIGINT);
        assert!(child.0.wait().unwrap().success());
        log.write_all(b"after\n").unwrap();
        let text = text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!([lines[0], lines[lines.len() - 1]], ["before", "after"], "{text}");
        assert!(lines[1].starts_with("kernel ") && lines[2].starts_with("listening on "), "{text}");
        assert!(lines.len() > 4, "no report: {text}");
    }
}
