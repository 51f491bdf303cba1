//! Where transfers start and end: what the calls report is what is in the file.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _},
};

use uring::{At, Current, Offset, Operation, Position, Ring, op};

use crate::{
    refusals::own_mounts,
    util::{self, Mode, Temp},
};

#[test]
fn a_file_with_a_position_refuses_current_and_says_what_to_use() {
    let mut ring = util::ring::<op::Nop, ()>();
    let temp = Temp::new(64);
    let file = temp.file();
    let mut before = util::file(file);
    before.seek(std::io::SeekFrom::Start(5)).expect("a seek");
    let mut bytes = [0; 8];
    let results = [
        ring.run(op::Read::new(file, &mut bytes[..], Current)).0,
        ring.run(op::Write::new(file, &b"eight by"[..], Current)).0,
        ring.run(op::Readv::new(file, vec![vec![0; 4], vec![0; 4]], Current)).0,
        ring.run(op::Writev::new(file, vec![vec![1; 4], vec![1; 4]], Current)).0,
        ring.run(op::Write::new(file, &b""[..], Current)).0,
        ring.run(op::Write::new(file, &b"eight by"[..], Current).on_worker()).0,
    ];
    for result in results {
        let error = result.expect_err("the kernel does not keep it");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        let text = error.to_string();
        assert!(text.contains("`Position`") && text.contains("`At`"), "{text}");
    }
    assert_eq!(before.stream_position().expect("it"), 5, "nothing has moved");
    let mut content = Vec::new();
    before.rewind().expect("it has a start");
    before.read_to_end(&mut content).expect("a read");
    assert_eq!(content, util::content(0, 64), "nothing was written");
    // who says so himself gets the kernel's
    let (result, ..) = ring.run(op::Write::new(file, &b"x"[..], Offset::kernel_position()));
    assert_eq!(result.expect("a write"), 1);
}

#[test]
fn files_without_a_position_take_current_and_a_position_alike() {
    let mut ring = util::ring::<op::Nop, ()>();
    let (reader, writer) = testing::pipe();
    let (to, from) = (Position::of(&writer).expect("it"), Position::of(&reader).expect("it"));
    assert_eq!((to.bytes(), from.bytes()), (None, None));
    ring.run(op::Write::new(&writer, &b"one "[..], &to)).0.expect("a write");
    ring.run(op::Write::new(&writer, &b"two"[..], Current)).0.expect("a write");
    let (result, _, bytes) = ring.run(op::Read::new(&reader, vec![0; 64], &from));
    assert_eq!((result.expect("a read"), &bytes[..]), (7, &b"one two"[..]));
    from.publish(&reader).expect("there is nothing to tell");
    let zero = File::open("/dev/zero").expect("it");
    ring.run(op::Read::new(&zero, [0; 8], Current)).0.expect("a device of characters");
}

/// Writes all of `bytes` as a user does: what is left, until it is all or there is an error.
fn write_all(ring: &mut Ring<op::Nop>, file: &File, at: &mut Position, bytes: &[u8]) -> usize {
    let mut written = 0;
    while written < bytes.len() {
        match ring.run(op::Write::new(file, &bytes[written..], &*at)).0 {
            Ok(0) | Err(_) => break,
            Ok(more) => {
                at.advance(more);
                written += more;
            }
        }
    }
    written
}

/// The sum of what was reported is the length of the file, and its bytes are those that were sent.
#[track_caller]
fn adds_up(file: &File, reported: usize, what: &str) {
    let mut content = Vec::new();
    let mut again = file;
    again.rewind().expect("a seek");
    again.read_to_end(&mut content).expect("a read");
    assert_eq!(content.len(), reported, "{what}");
    assert!(content == util::content(0, reported), "{what}: the bytes are in order");
}

fn new_file(folder: &std::path::Path, name: &str) -> File {
    let path = folder.join(name);
    let file = File::options().read(true).write(true).create_new(true).open(&path);
    let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    fs::remove_file(&path).expect("it was made");
    file
}

#[test]
fn what_was_reported_is_in_the_file_when_a_limit_cuts_a_write_short() {
    isolated!();
    const LIMIT: u64 = 10_000;
    // SAFETY: the call takes numbers.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    testing::limit(libc::RLIMIT_FSIZE, LIMIT);
    for mode in [Mode::Best, Mode::Plain] {
        let mut ring = mode.ring(8, 8).expect("always there");
        for piece in [1, 999, 4096, 7777, 20_000] {
            let what = format!("{mode:?}, pieces of {piece}");
            let file = new_file(&std::env::temp_dir(), &format!("uring-limit-{piece}"));
            let mut at = Position::of(&file).expect("it has one");
            let mut reported = 0;
            loop {
                let bytes = util::content(reported, piece);
                let written = write_all(&mut ring, &file, &mut at, &bytes);
                reported += written;
                if written < piece {
                    break;
                }
            }
            assert_eq!(reported as u64, LIMIT, "{what}: up to the limit");
            assert_eq!(at.bytes(), Some(LIMIT));
            adds_up(&file, reported, &what);
        }
    }
}

#[test]
fn what_was_reported_is_in_the_file_when_the_file_system_is_full() {
    isolated!();
    if !own_mounts() {
        skip!("only root can mount");
    }
    let folder = std::env::temp_dir().join(format!("uring-full-{}", std::process::id()));
    fs::create_dir(&folder).expect("a temporary folder");
    let target = std::ffi::CString::new(folder.to_str().expect("plain")).expect("no zero");
    let (kind, options) = (c"tmpfs".as_ptr(), c"size=64k".as_ptr());
    // SAFETY: the call reads four strings.
    let mounted = unsafe { libc::mount(kind, target.as_ptr(), kind, 0, options.cast()) };
    assert_eq!(mounted, 0, "mount: {}", std::io::Error::last_os_error());
    let mut ring = util::ring::<op::Nop, ()>();
    for piece in [1000, 4096, 5000, 100_000] {
        let file = new_file(&folder, "full");
        let mut at = Position::of(&file).expect("it has one");
        let mut reported = 0;
        loop {
            let bytes = util::content(reported, piece);
            let written = write_all(&mut ring, &file, &mut at, &bytes);
            reported += written;
            if written < piece {
                break;
            }
        }
        assert_eq!(reported, 64 << 10, "pieces of {piece}: all that there is");
        adds_up(&file, reported, &format!("pieces of {piece}"));
    }
    // SAFETY: the call reads a path.
    unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    fs::remove_dir(&folder).expect("nothing is in it");
}

#[test]
fn a_position_starts_where_the_file_is_and_goes_on_for_others_when_it_is_published() {
    let mut ring = util::ring::<op::Nop, ()>();
    let temp = Temp::new(1000);
    let mut file = temp.file();
    file.seek(std::io::SeekFrom::Start(100)).expect("a seek");
    let mut at = Position::of(file).expect("it has one");
    for _ in 0..3 {
        let (result, _, bytes) = ring.run(op::Readv::new(file, vec![vec![0; 7]; 3], &at));
        let length = result.expect("a read");
        assert_eq!(
            bytes.concat(),
            util::content(usize::try_from(at.bytes().expect("it")).expect("small"), length)
        );
        at.advance(length);
    }
    assert_eq!(at.bytes(), Some(163));
    assert_eq!(file.stream_position().expect("it"), 100, "the kernel was not told");
    at.publish(file).expect("a seek");
    let mut next = [0; 4];
    file.read_exact(&mut next).expect("a read");
    assert_eq!(next, util::content(163, 4)[..], "who shares the file goes on there");
}

#[test]
fn an_offset_beyond_all_files_is_einval_and_never_the_position() {
    let mut ring = util::ring::<op::Nop, ()>();
    let temp = Temp::new(10);
    let mut file = temp.file();
    file.seek(std::io::SeekFrom::Start(3)).expect("a seek");
    let mut far = Position::of(file).expect("it has one");
    far.advance(usize::MAX);
    far.advance(usize::MAX);
    assert_eq!(far.bytes(), Some(u64::MAX));
    for offset in [At(u64::MAX).into(), At(u64::MAX - 1).into(), At(1 << 63).into(), (&far).into()]
    {
        let offset: Offset = offset;
        assert_ne!(offset.raw(), u64::MAX, "-1 is the position, in pread(2)'s form");
        let write = op::Write::new(file, &b"x"[..], offset);
        assert_eq!(util::errno(&ring.run(write).0), libc::EINVAL);
    }
    assert_eq!(util::errno(&far.publish(file)), libc::EINVAL);
    assert_eq!(file.stream_position().expect("it"), 3);
}
