//! `cat` against what the standard library reads.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::util::{CAT, noise, run, spawn};

/// A folder of files, gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // leftovers of a test are no failure
    }
}

#[test]
fn files_of_all_sizes_come_in_their_order() {
    need_ring!();
    let folder = Folder::new("sizes");
    let chunk = 128 << 10; // what one read asks for
    let sizes = [3_000_000, 0, 1, chunk - 1, chunk, chunk + 1, 8 * chunk, 5];
    let mut wanted = Vec::new();
    let mut names = Vec::new();
    for (number, size) in sizes.into_iter().enumerate() {
        let bytes = noise(size + number)[number..].to_vec();
        names.push(folder.file(&number.to_string(), &bytes));
        let ended = run(Command::new(CAT).arg(&names[number]), b"");
        assert!(ended.status.success() && ended.stdout == bytes, "{size} bytes alone");
        wanted.extend(bytes);
    }
    let ended = run(Command::new(CAT).args(&names), b"");
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(ended.stdout == wanted, "{} bytes of {}", ended.stdout.len(), wanted.len());
}

#[test]
fn more_files_than_are_open_at_once_come_in_their_order() {
    need_ring!();
    let folder = Folder::new("many");
    let text = |number: u32| format!("this is file {number}\n");
    let names = (0..300).map(|n| folder.file(&n.to_string(), text(n).as_bytes()));
    let ended = run(Command::new(CAT).args(names), b"");
    assert_eq!(ended.text(), (0..300).map(text).collect::<String>());
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_written() {
    need_ring!();
    let folder = Folder::new("missing");
    let (first, last) = (folder.file("first", b"first\n"), folder.file("last", b"last\n"));
    let directory = folder.0.to_str().unwrap();
    let ended = run(Command::new(CAT).args([&first, "/no/such/file", directory, &last]), b"");
    assert_eq!(ended.text(), "first\nlast\n");
    assert_eq!(ended.code(), Some(1));
    assert!(ended.stderr.contains("/no/such/file: No such file"), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("{directory}: Is a directory")), "{}", ended.stderr);
}

#[test]
fn proc_files_and_pipes_are_read_to_their_end() {
    need_ring!();
    let ended = run(Command::new(CAT).args(["/proc/version", "/proc/filesystems"]), b"");
    let wanted = ["/proc/version", "/proc/filesystems"].map(|name| fs::read(name).unwrap());
    assert_eq!(ended.stdout, wanted.concat());

    let input = noise(1 << 20);
    for args in [&["-"][..], &[]] {
        let ended = run(Command::new(CAT).args(args), &input);
        assert!(ended.status.success() && ended.stdout == input, "{args:?}");
    }
    let ended = run(Command::new(CAT).args(["/proc/version", "-"]), b"and the pipe");
    assert_eq!(ended.stdout, [&wanted[0][..], b"and the pipe"].concat());
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    need_ring!();
    let folder = Folder::new("closed");
    let big = folder.file("big", &noise(4 << 20));
    let mut child = spawn(Command::new(CAT).arg(big).stdin(Stdio::null()));
    drop(child.0.stdout.take());
    let mut told = String::new();
    std::io::Read::read_to_string(&mut child.0.stderr.take().unwrap(), &mut told).unwrap();
    assert_eq!(told, "");
    assert!(child.0.wait().unwrap().success());
}

#[test]
fn it_does_not_feed_a_file_to_itself() {
    need_ring!();
    let folder = Folder::new("itself");
    let name = folder.file("itself", b"once\n");
    let output = fs::OpenOptions::new().append(true).open(&name).unwrap();
    let status = Command::new(CAT).arg(&name).stdout(output).stderr(Stdio::null()).status();
    assert_eq!(status.unwrap().code(), Some(1));
    assert_eq!(fs::read(&name).unwrap(), b"once\n");
}

#[test]
fn a_signal_ends_a_read_that_waits() {
    need_ring!();
    let mut child = spawn(Command::new(CAT).args(["/proc/version", "-"]).stdin(Stdio::piped()));
    // its first bytes say that it runs; now it waits for a pipe that stays open
    let mut first = [0; 1];
    std::io::Read::read_exact(child.0.stdout.as_mut().unwrap(), &mut first).unwrap();
    child.signal(libc::SIGTERM);
    let mut told = String::new();
    std::io::Read::read_to_string(&mut child.0.stderr.take().unwrap(), &mut told).unwrap();
    assert!(told.contains("stopped by SIGTERM"), "{told}");
    assert_eq!(child.0.wait().unwrap().code(), Some(1));
}
