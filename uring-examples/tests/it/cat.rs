//! What `cat` writes: all bytes, in order, as GNU's `cat` writes them.

use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    process::{Command, Stdio},
};

use crate::{
    twin::{Folder, outcome, same},
    util::{CAT, noise, run, spawn},
};

const CHUNK: usize = 128 << 10; // what one read asks for
const ROUND: usize = 8 * CHUNK; // what is read at once of a large file

#[test]
fn files_of_all_sizes_come_in_their_order() {
    need_ring!();
    let folder = Folder::new("sizes");
    let sizes = [3_000_000, 0, 1, CHUNK - 1, CHUNK, CHUNK + 1, ROUND - 1, ROUND, ROUND + 1, 5];
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
fn more_files_than_descriptors_come_in_their_order() {
    need_twin!();
    let files: Vec<_> = (0..40).map(|n| (format!("{n:02}"), format!("file {n}\n"))).collect();
    let files: Vec<_> = files.iter().map(|(name, text)| (&name[..], text.as_bytes())).collect();
    let ended = same("descriptors", "ulimit -n 20; $CAT *", &files);
    assert_eq!(ended.stdout, files.iter().map(|(_, text)| *text).collect::<Vec<_>>().concat());
}

#[test]
fn operands_and_errors_are_those_of_gnu() {
    need_twin!();
    let files = [("a", &b"first\n"[..]), ("b", b"last\n"), ("-u", b"dash\n")];
    for script in [
        "$CAT a missing . b also-missing",
        "printf in | $CAT a - b",
        "printf in | $CAT - a -",
        "printf in | $CAT",
        "$CAT -- -u",
        "$CAT -u a",
        "$CAT '' 'no such' 'a:b' 'why?' ./no-such_1.txt",
        "$CAT a > missing/out",
        "$CAT a b > /dev/full",
        "$CAT missing a > /dev/full",
        "$CAT /proc/version /proc/filesystems /sys/class/net/lo/mtu a",
        "$CAT a b > /dev/null",
    ] {
        same("operands", script, &files);
    }
}

#[test]
fn it_does_not_feed_a_file_to_itself() {
    need_twin!();
    for script in [
        "$CAT a b > b",
        "$CAT a b >> b",
        "$CAT b a > b",
        "$CAT b a b > b",
        "$CAT b a >> b",
        "$CAT < b >> b",
        "$CAT a - < b >> b",
        "$CAT - a < b >> b",
        "$CAT empty >> empty",
        "$CAT empty a empty >> empty",
        "ln b c; $CAT b >> c",
        "ln -s b c; $CAT a b c b >> c",
        "$CAT /dev/stdin a < b >> b",
        // at its end nothing is left to read, and before it there is
        "{ dd bs=1 count=6 of=/dev/null 2> /dev/null; $CAT; } < b >> b",
        "{ dd bs=1 count=3 of=/dev/null 2> /dev/null; $CAT a -; } < b >> b",
        "{ dd bs=1 count=6 of=/dev/null 2> /dev/null; $CAT a -; } < b >> b",
    ] {
        same("itself", script, &[("a", b"hello\n"), ("b", b"world\n"), ("empty", b"")]);
    }
}

#[test]
fn positions_are_left_where_others_go_on() {
    need_twin!();
    let long = noise(3 * ROUND + 77);
    let files = [("a", &b"aaa\n"[..]), ("long", &long)];
    for script in [
        "{ printf head; $CAT a long; $CAT a; printf tail; } > out",
        "{ printf head; $CAT a long; $CAT a; printf tail; } >> out",
        "printf 0123456789 > out; { printf xy; $CAT a; printf z; } 1<> out",
        "{ dd bs=1 count=3 of=/dev/null 2> /dev/null; $CAT; $CAT; printf end; } < long > out",
        "{ dd bs=1 count=3 of=/dev/null 2> /dev/null; $CAT - a -; } < long",
        "{ $CAT missing a; $CAT a /; printf tail; } > out",
    ] {
        same("positions", script, &files);
    }
}

/// What a write that is cut short loses, or writes twice, shows in the file.
#[test]
fn what_a_limit_lets_through_is_in_the_file() {
    need_twin!();
    let (a, b) = (noise(300_000), noise(500_000)[200_000..].to_vec());
    let files = [("a", &a[..]), ("b", &b), ("out", &[7; 600])];
    // by how much the limit cuts: a part of a chunk, of a round, of the second file
    for blocks in [2, 100, 256, 300, 700] {
        for redirect in ["> out", ">> out", "1<> out"] {
            for ignored in [true, false] {
                let trap = if ignored { "trap '' XFSZ;" } else { "" };
                let script = format!("{trap} ulimit -f {blocks}; exec $CAT a b {redirect}");
                let [ours, theirs] = [CAT, "cat"].map(|cat| outcome("limit", cat, &script, &files));
                // GNU's names the input if it let the kernel copy, so the words differ
                assert_eq!(ours.status, theirs.status, "{script}: {}", ours.stderr);
                assert!(ours.files == theirs.files, "{script}: {} bytes", ours.files["out"].len());
                let told = ours.stderr == "cat: write error: File too large\n";
                assert_eq!(told, ignored, "{script}: {}", ours.stderr);
            }
        }
    }
}

#[test]
fn what_a_full_disk_takes_is_in_the_file() {
    need_twin!();
    let big = noise(2 * ROUND);
    let mount = "mkdir disk && mount -t tmpfs -o size=300k none disk";
    let tried = outcome("disk", CAT, &format!("unshare -m sh -c '{mount}'"), &[]);
    if !tried.status.success() {
        skip!("no small disk can be mounted: {}", tried.stderr.trim());
    }
    for redirect in ["> disk/out", ">> disk/out"] {
        let script = format!(
            "unshare -m sh -c '{mount}; printf head > disk/out; $CAT big {redirect}; echo $?; \
             cp disk/out out'"
        );
        let [ours, theirs] =
            [CAT, "cat"].map(|cat| outcome("disk", cat, &script, &[("big", &big)]));
        assert_eq!(ours.stdout, b"1\n", "{}", ours.stderr);
        assert_eq!(ours.stderr, "cat: write error: No space left on device\n");
        assert!(ours.files == theirs.files, "{script}: {} bytes", ours.files["out"].len());
    }
}

#[test]
fn a_file_that_grows_is_read_to_its_end() {
    need_ring!();
    let folder = Folder::new("grows");
    // the last whole chunk and the last whole round end where the file ended at first, or not
    for size in [3 * ROUND, 3 * ROUND + CHUNK, 3 * ROUND + 1] {
        let mut bytes = noise(size);
        let name = folder.file("log", &bytes);
        let mut child = spawn(Command::new(CAT).arg(&name).stdin(Stdio::null()));
        let mut stdout = child.0.stdout.take().unwrap();
        let mut came = vec![0; 1];
        stdout.read_exact(&mut came).unwrap();
        // It runs, and the pipe holds far less than there is: it has not come to the end.
        let more = noise(ROUND + 5);
        OpenOptions::new().append(true).open(&name).unwrap().write_all(&more).unwrap();
        bytes.extend(more);
        stdout.read_to_end(&mut came).unwrap();
        assert!(came == bytes, "{} bytes of {}", came.len(), bytes.len());
        assert!(child.0.wait().unwrap().success());
    }
}

#[test]
fn a_file_that_shrinks_is_no_error() {
    need_ring!();
    let folder = Folder::new("shrinks");
    let bytes = noise(4 * ROUND);
    let name = folder.file("log", &bytes);
    let mut child = spawn(Command::new(CAT).arg(&name).stdin(Stdio::null()));
    let mut stdout = child.0.stdout.take().unwrap();
    let mut came = vec![0; 1];
    stdout.read_exact(&mut came).unwrap();
    let left = 3 * ROUND + 1000; // it is read by now up to the second round at most
    OpenOptions::new().write(true).open(&name).unwrap().set_len(left as u64).unwrap();
    stdout.read_to_end(&mut came).unwrap();
    assert!(came == bytes[..left], "{} bytes of {left}", came.len());
    assert!(child.0.wait().unwrap().success());
}

#[test]
fn direct_input_of_any_size_is_read() {
    need_ring!();
    let folder = Folder::new("direct");
    for size in [0, 1, 4096, 5000, CHUNK, CHUNK + 1, ROUND, ROUND + 1, 3 * ROUND + 512] {
        let bytes = noise(size);
        let name = folder.file("input", &bytes);
        let open = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(&name);
        let input = match open {
            Ok(input) => input,
            Err(error) => skip!("no O_DIRECT on this disk: {error}"),
        };
        let output = Command::new(CAT).stdin(input).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{size}: {told}");
        assert!(output.stdout == bytes, "{size}: {} bytes", output.stdout.len());
    }
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
