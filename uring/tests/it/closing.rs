//! A close closes once, whatever it says; what nobody can know is left open and counted.

use std::{fs::File, os::fd::AsRawFd as _};

use uring::op;

use crate::{
    fuse::Fuse,
    refusals,
    util::{self, Mode},
};

/// Opens files until one has this number.
#[track_caller]
fn takes_the_number(number: i32, open: impl Fn() -> File) -> (File, Vec<File>) {
    let mut others = Vec::new();
    for _ in 0..100 {
        let file = open();
        if file.as_raw_fd() == number {
            return (file, others);
        }
        others.push(file);
    }
    panic!("the kernel took the descriptor, so its number is free");
}

fn is_open(fd: &File) -> bool {
    // SAFETY: the call takes no pointer.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) >= 0 }
}

#[test]
fn a_close_that_fails_closes_neither_twice_nor_who_got_the_number_meanwhile() {
    isolated!();
    let Some(fuse) = Fuse::mount() else {
        skip!("only root can mount, and it takes /dev/fuse");
    };
    // errors of the file itself, one of which looks like a cancel
    for errno in [libc::EIO, libc::ECANCELED, libc::EBADF, libc::EINTR] {
        for mode in Mode::ALL {
            for in_place in [false, true] {
                let what = format!("{mode:?}, in place: {in_place}, errno {errno}");
                let Some(mut ring) = mode.ring::<op::Close, ()>(8, 8) else { continue };
                let leaked = op::leaked_descriptors();
                let file = fuse.open();
                let number = file.as_raw_fd();
                let close = op::Close::new(file);
                ring.submit(if in_place { close.in_place() } else { close }, ()).expect("room");
                ring.wait(0, None).expect("the kernel takes it");
                testing::get(&fuse.closing);
                // the same file, so the same inode: nothing tells the two apart
                let (stranger, others) = takes_the_number(number, || fuse.open());
                fuse.errno.send(errno).expect("it listens");
                let result = util::done(&mut ring).1;
                assert_eq!(util::errno(&result), errno, "{what}");
                drop((result, ring));
                assert!(is_open(&stranger), "{what}: it is the stranger's");
                assert_eq!(op::leaked_descriptors(), leaked + 1, "{what}");
                for file in others.into_iter().chain([stranger]) {
                    fuse.errno.send(0).expect("it listens");
                    drop(file);
                    testing::get(&fuse.closing);
                }
            }
        }
    }
}

#[test]
fn a_close_that_succeeds_has_taken_the_descriptor_and_looks_at_nothing() {
    isolated!();
    // who cannot look must not need to
    let calls = [libc::SYS_statx, libc::SYS_newfstatat, libc::SYS_fstat];
    refusals::filter(&calls, libc::EPERM, true);
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Close, ()>(8, 8) else { continue };
        for _ in 0..3 {
            let open = || File::options().read(true).open("/dev/null").expect("it");
            let file = open();
            let number = file.as_raw_fd();
            ring.submit(op::Close::new(file), ()).expect("room");
            ring.wait(1, None).expect("a wait");
            let (stranger, others) = takes_the_number(number, open);
            util::done(&mut ring).1.expect("a close");
            assert!(is_open(&stranger), "{mode:?}: it is the stranger's");
            drop(others);
        }
    }
    assert_eq!(op::leaked_descriptors(), 0);
}
