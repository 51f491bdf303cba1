//! What users do wrong, and what machines lack: each has its message and its exit code.

use std::{
    fs::OpenOptions,
    io::{Read, Write},
    net::TcpListener,
    os::unix::process::ExitStatusExt,
    process::{Command, Output, Stdio},
};

use testing::Test;

use crate::{
    twin::Folder,
    util::{CAT, ECHO_LOAD, ECHO_RING, ECHO_SERVER, Server, URING_CHECK, has_ring, run},
};

const PROGRAMS: [&str; 5] = [CAT, ECHO_LOAD, ECHO_RING, ECHO_SERVER, URING_CHECK];

#[test]
fn every_program_explains_itself() {
    for program in PROGRAMS {
        for flag in ["--help", "-h"] {
            let ended = run(Command::new(program).arg(flag), b"");
            assert!(ended.status.success(), "{program}: {}", ended.stderr);
            assert!(ended.text().contains("Usage: "), "{program}: {}", ended.text());
            assert!(ended.text().contains("\n  --version"), "{program}: {}", ended.text());
        }
        let ended = run(Command::new(program).arg("--version"), b"");
        assert!(ended.status.success(), "{program}: {}", ended.stderr);
        let name = program.rsplit('/').next().unwrap();
        let version = format!("{name} (uring-examples) {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(ended.text(), version);
    }
}

/// Each program, asked for what it prints and ends.
fn printers(test: Test) -> Vec<Command> {
    let mut printers: Vec<_> = ["--help", "--version"]
        .into_iter()
        .flat_map(|flag| PROGRAMS.map(|program| (program, flag)))
        .map(|(program, flag)| {
            let mut command = Command::new(program);
            command.arg(flag);
            command
        })
        .collect();
    if has_ring(test) {
        printers.push(Command::new(URING_CHECK));
        let mut cat = Command::new(CAT);
        cat.arg("/proc/version");
        printers.push(cat);
    }
    printers
}

fn output_into(command: &mut Command, stdout: impl Into<Stdio>) -> Output {
    command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn what_cannot_be_printed_is_an_error() {
    for mut command in printers(this_test!()) {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap(); // full(4): ENOSPC
        let ended = output_into(&mut command, full);
        let told = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{command:?}: {told}");
        assert!(told.ends_with(": write error: No space left on device\n"), "{command:?}: {told}");
    }
}

#[test]
fn what_nobody_reads_ends_a_program_as_any_other() {
    // the other end of a program that is gone
    let unread = || {
        let mut gone = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        let pipe = gone.stdin.take().unwrap();
        gone.wait().unwrap();
        pipe
    };
    for mut command in printers(this_test!()) {
        let ended = output_into(&mut command, unread());
        // what a shell shows as 141, and nothing for people
        assert_eq!(ended.status.signal(), Some(libc::SIGPIPE), "{command:?}: {ended:?}");
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{command:?}");
    }
}

#[test]
fn unknown_flags_and_bad_values_are_named_with_exit_code_2() {
    let cases: [(&str, &[&str], &str); 10] = [
        (CAT, &["--frobnicate"], "--frobnicate"),
        (ECHO_LOAD, &["--frobnicate"], "--frobnicate"),
        (ECHO_RING, &["--frobnicate"], "--frobnicate"),
        (URING_CHECK, &["--frobnicate"], "--frobnicate"),
        (URING_CHECK, &["now"], "`now`"),
        (ECHO_RING, &["--listen", "not-an-address"], "`not-an-address`"),
        (ECHO_RING, &["--listen"], "--listen needs a value"),
        (ECHO_RING, &["--buffers", "1000"], "try 1024"),
        (ECHO_LOAD, &["--size", "0"], "from 1 to"),
        (ECHO_LOAD, &["--seconds", "soon"], "`soon`"),
    ];
    for (program, args, word) in cases {
        let ended = run(Command::new(program).args(args), b"");
        assert_eq!(ended.code(), Some(2), "{program} {args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(word), "{program} {args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("--help"), "{program} {args:?}: {}", ended.stderr);
        assert_eq!(ended.text(), "", "{program} {args:?}");
    }
}

#[test]
fn a_port_in_use_and_a_strange_address_are_named_with_the_way_out() {
    need_multishot!();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    for server in [ECHO_RING, ECHO_SERVER] {
        let ended = run(Command::new(server).args(["--listen", &address]), b"");
        assert_eq!(ended.code(), Some(1), "{server}: {}", ended.stderr);
        for word in [&address[..], "in use", "--listen"] {
            assert!(ended.stderr.contains(word), "{server}: {}", ended.stderr);
        }
        // 192.0.2.0/24 is for documentation: no machine has it
        let ended = run(Command::new(server).args(["--listen", "192.0.2.1:7878"]), b"");
        assert_eq!(ended.code(), Some(1), "{server}: {}", ended.stderr);
        for word in ["192.0.2.1:7878", "127.0.0.1"] {
            assert!(ended.stderr.contains(word), "{server}: {}", ended.stderr);
        }
    }
}

/// A command that knows one more name, `two-faced`, with two addresses.
fn with_two_addresses(folder: &Folder, args: &[&str]) -> Command {
    let hosts = folder.file("hosts", b"127.0.0.3 two-faced\n127.0.0.4 two-faced\n");
    let script = "mount --bind \"$HOSTS\" /etc/hosts && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script]).args(args).env("HOSTS", hosts);
    command
}

#[test]
fn all_addresses_of_a_name_are_tried() {
    need_multishot!();
    let folder = Folder::new("addresses");
    let names = with_two_addresses(&folder, &["getent", "ahosts", "two-faced"]).output();
    match names.map(|names| String::from_utf8(names.stdout).unwrap()) {
        Ok(text) if text.starts_with("127.0.0.3 ") && text.contains("\n127.0.0.4 ") => {}
        other => skip!("no name can be given two addresses: {other:?}"),
    }
    // somebody has the port on the first address, and does not accept
    let holder = TcpListener::bind("127.0.0.3:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let (name, second) = (format!("two-faced:{port}"), format!("127.0.0.4:{port}"));
    for server in [ECHO_SERVER, ECHO_RING] {
        let server = Server::start(&mut with_two_addresses(&folder, &[server, "--listen", &name]));
        assert_eq!(server.address.to_string(), second);
        assert!(server.stop().status.success()); // killed, it would keep the port for a moment
    }
    drop(holder); // now nobody is there
    let server = Server::start(Command::new(ECHO_RING).args(["--listen", &second]));
    let args = [ECHO_LOAD, "--connect", &name, "--connections", "200", "--messages", "1000"];
    let ended = run(&mut with_two_addresses(&folder, &args), b"");
    assert!(ended.status.success(), "{}", ended.stderr);
    let told = server.stop();
    assert!(told.text().contains("200 accepted"), "{}", told.text());
    // and if nobody is there at all, the last one is named
    let ended = run(&mut with_two_addresses(&folder, &args), b"");
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(&second), "{}", ended.stderr);
}

#[test]
fn without_descriptors_both_servers_say_what_to_raise() {
    need_multishot!();
    for server in [ECHO_RING, ECHO_SERVER] {
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -n 16; exec \"$0\" \"$@\"", server, "--listen", "127.0.0.1:0"]);
        let mut server = Server::start(&mut shell);
        let streams: Vec<_> = (0..20).map(|_| server.connect()).collect();
        server.until_told("ulimit -n"); // and nobody goes before
        // the last one is served when the first ones have gone
        for mut stream in streams {
            stream.write_all(b"x").unwrap();
            stream.read_exact(&mut [0]).unwrap();
        }
        let ended = server.stop();
        let lines: Vec<_> = ended.stderr.lines().collect();
        let [line] = lines[..] else { panic!("it tells once: {lines:?}") };
        assert!(line.contains("cannot accept") && line.contains("ulimit -n"), "{line}");
    }
}

#[test]
fn a_server_that_is_not_there_is_named() {
    need_multishot!();
    let gone = "127.0.0.1:1"; // tcpmux, which nobody runs
    let ended = run(Command::new(ECHO_LOAD).args(["--connect", gone]), b"");
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(gone), "{}", ended.stderr);
    assert!(ended.stderr.contains("nobody listens"), "{}", ended.stderr);
}

#[test]
fn without_io_uring_every_program_says_why_and_what_to_do() {
    for program in PROGRAMS {
        let ended = run(Command::new(program).env("URING_DISABLE", "1"), b"");
        assert_eq!(ended.code(), Some(1), "{program}: {}", ended.stderr);
        assert!(ended.stderr.contains("URING_DISABLE=1; unset it"), "{program}: {}", ended.stderr);
    }
}

#[test]
fn uring_check_tells_the_kernel_and_the_memory() {
    need_ring!();
    let ended = run(&mut Command::new(URING_CHECK), b"");
    assert!(ended.status.success(), "{}", ended.stderr);
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    for word in [release.trim(), "READV", "KiB", "locked:"] {
        assert!(ended.text().contains(word), "{}", ended.text());
    }
}
