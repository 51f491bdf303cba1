//! Random operations through the ring, and the plain system calls on a copy of the file.

use std::{
    fs::File,
    io,
    os::{fd::AsRawFd, unix::fs::FileExt},
};

use testing::Random;
use uring::{At, Position, Ring, op};

use crate::util::{self, Mode, Temp};

/// What a plain call returns: its count, or its errno.
fn plain(count: isize) -> Result<usize, i32> {
    usize::try_from(count).map_err(|_| io::Error::last_os_error().raw_os_error().expect("errno"))
}

/// The bits stay: impossible offsets are negative for the plain calls.
fn signed(offset: u64) -> i64 {
    i64::from_ne_bytes(offset.to_ne_bytes())
}

fn ours(result: io::Result<usize>) -> Result<usize, i32> {
    result.map_err(|error| error.raw_os_error().expect("errno"))
}

fn iovecs(bufs: &mut [Vec<u8>]) -> Vec<libc::iovec> {
    let iovec =
        |buf: &mut Vec<u8>| libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    bufs.iter_mut().map(iovec).collect()
}

struct Twins {
    ring: Ring<op::Nop>,
    /// What the plain calls have the kernel count.
    position: Position,
    ours: Temp,
    theirs: Temp,
    random: Random,
}

/// Offsets are mostly inside of the file, sometimes at its end, beyond it, or impossible.
fn offset(random: &mut Random, length: usize) -> Option<u64> {
    match random.below(10) {
        0..=3 => None,
        4..=7 => Some(random.below(length + 1) as u64),
        8 => Some((length + random.below(5000)) as u64),
        _ => Some(i64::MAX.unsigned_abs() - random.below(3) as u64 + 1),
    }
}

impl Twins {
    fn read(&mut self, at: Option<u64>, length: usize) {
        let (fd, mut copy) = (self.theirs.file().as_raw_fd(), vec![0x77; length]);
        let start = copy.as_mut_ptr().cast();
        let expected = plain(match at {
            // SAFETY: the call writes at most `length` bytes into the vector.
            None => unsafe { libc::read(fd, start, length) },
            // SAFETY: as above.
            Some(at) => unsafe { libc::pread64(fd, start, length, signed(at)) },
        });
        let mut buf = vec![0x77; length];
        let (result, ..) = match at {
            None => self.ring.run(op::Read::new(self.ours.file(), &mut buf[..], &self.position)),
            Some(at) => self.ring.run(op::Read::new(self.ours.file(), &mut buf[..], At(at))),
        };
        self.check(at, result, expected, &format!("read {length} at {at:?}"));
        assert!(buf == copy, "read {length} at {at:?}: other bytes");
    }

    fn write(&mut self, at: Option<u64>, length: usize) {
        let (fd, bytes) = (self.theirs.file().as_raw_fd(), self.random.bytes(length));
        let start = bytes.as_ptr().cast();
        let expected = plain(match at {
            // SAFETY: the call reads `length` bytes of the vector.
            None => unsafe { libc::write(fd, start, length) },
            // SAFETY: as above.
            Some(at) => unsafe { libc::pwrite64(fd, start, length, signed(at)) },
        });
        let (result, ..) = match at {
            None => self.ring.run(op::Write::new(self.ours.file(), &bytes[..], &self.position)),
            Some(at) => self.ring.run(op::Write::new(self.ours.file(), &bytes[..], At(at))),
        };
        self.check(at, result, expected, &format!("write {length} at {at:?}"));
    }

    fn readv(&mut self, at: Option<u64>, lengths: &[usize]) {
        let mut copies: Vec<_> = lengths.iter().map(|length| vec![0x77; *length]).collect();
        let vectors = iovecs(&mut copies);
        let (fd, count) = (self.theirs.file().as_raw_fd(), i32::try_from(vectors.len()).unwrap());
        let expected = plain(match at {
            // SAFETY: the vectors name memory of `copies`.
            None => unsafe { libc::readv(fd, vectors.as_ptr(), count) },
            // SAFETY: as above.
            Some(at) => unsafe { libc::preadv(fd, vectors.as_ptr(), count, signed(at)) },
        });
        let bufs: Vec<Box<[u8]>> = lengths.iter().map(|n| vec![0x77; *n].into()).collect();
        let (result, _, bufs) = match at {
            None => self.ring.run(op::Readv::new(self.ours.file(), bufs, &self.position)),
            Some(at) => self.ring.run(op::Readv::new(self.ours.file(), bufs, At(at))),
        };
        self.check(at, result, expected, &format!("readv {lengths:?} at {at:?}"));
        assert!(bufs.iter().map(|b| &b[..]).eq(copies.iter().map(|b| &b[..])), "readv: bytes");
    }

    fn writev(&mut self, at: Option<u64>, lengths: &[usize]) {
        let mut copies: Vec<_> = lengths.iter().map(|length| self.random.bytes(*length)).collect();
        let bufs = copies.clone();
        let vectors = iovecs(&mut copies);
        let (fd, count) = (self.theirs.file().as_raw_fd(), i32::try_from(vectors.len()).unwrap());
        let expected = plain(match at {
            // SAFETY: the vectors name memory of `copies`.
            None => unsafe { libc::writev(fd, vectors.as_ptr(), count) },
            // SAFETY: as above.
            Some(at) => unsafe { libc::pwritev(fd, vectors.as_ptr(), count, signed(at)) },
        });
        let (result, ..) = match at {
            None => self.ring.run(op::Writev::new(self.ours.file(), bufs, &self.position)),
            Some(at) => self.ring.run(op::Writev::new(self.ours.file(), bufs, At(at))),
        };
        self.check(at, result, expected, &format!("writev {lengths:?} at {at:?}"));
    }

    /// Compares the result, and counts it where the kernel counts the plain call's.
    fn check(
        &mut self,
        at: Option<u64>,
        result: io::Result<usize>,
        expected: Result<usize, i32>,
        what: &str,
    ) {
        let result = ours(result);
        assert_eq!(result, expected, "{what}");
        if at.is_none() {
            self.position.advance(result.unwrap_or(0));
        }
    }

    fn contents(file: &File) -> Vec<u8> {
        let length = file.metadata().expect("a file").len();
        let mut bytes = vec![0; usize::try_from(length).expect("it fits")];
        file.read_exact_at(&mut bytes, 0).expect("a plain read");
        bytes
    }

    fn step(&mut self) {
        let length = usize::try_from(self.theirs.file().metadata().expect("a file").len());
        let at = offset(&mut self.random, length.expect("it fits"));
        let size = |random: &mut Random| match random.below(4) {
            0 => 0,
            1 => random.below(16),
            _ => random.below(6000),
        };
        let one = size(&mut self.random);
        let many = self.random.below(5);
        let many: Vec<usize> = (0..many).map(|_| size(&mut self.random)).collect();
        match self.random.below(6) {
            0 | 1 => self.read(at, one),
            2 => self.write(at, one),
            3 | 4 => self.readv(at, &many),
            _ => self.writev(at, &many),
        }
        let position = |file: &File| {
            // SAFETY: the call takes no pointer.
            unsafe { libc::lseek(file.as_raw_fd(), 0, libc::SEEK_CUR) }
        };
        let theirs = position(self.theirs.file());
        assert_eq!(self.position.bytes(), u64::try_from(theirs).ok(), "the position");
        self.position.publish(self.ours.file()).expect("a position");
        assert_eq!(position(self.ours.file()), theirs, "the position, published");
    }
}

#[test]
fn reads_and_writes_do_what_the_system_calls_do() {
    for (seed, mode) in (1..).zip(Mode::ALL) {
        let Some(ring) = mode.ring(8, 8) else { continue };
        let (ours, theirs) = (Temp::new(20_000), Temp::new(20_000));
        let position = Position::of(ours.file()).expect("a position");
        let mut twins = Twins { ring, position, ours, theirs, random: Random::new(seed) };
        for step in 0..testing::rounds(400) {
            twins.step();
            if step % 50 == 0 {
                let both = [&twins.ours, &twins.theirs].map(|temp| Twins::contents(temp.file()));
                assert!(both[0] == both[1], "{mode:?}, step {step}: the files differ");
            }
        }
        let both = [&twins.ours, &twins.theirs].map(|temp| Twins::contents(temp.file()));
        assert!(both[0] == both[1], "{mode:?}: the files differ in the end");
    }
}

#[test]
fn a_vector_is_filled_to_its_capacity_and_holds_exactly_what_was_read() {
    let temp = Temp::new(1000);
    let mut ring = util::ring::<op::Nop, ()>();
    let mut buffer = Vec::with_capacity(64);
    buffer.extend_from_slice(b"what was there before");
    let capacity = buffer.capacity();
    let (result, _, buffer) = ring.run(op::Read::new(temp.file(), buffer, At(10)));
    assert_eq!(result.expect("a read"), capacity);
    assert_eq!(buffer, util::content(10, capacity));
    // a short read at the end of the file, and none behind it
    let (result, _, buffer) = ring.run(op::Read::new(temp.file(), buffer, At(990)));
    assert_eq!((result.expect("a read"), &buffer[..]), (10, &util::content(990, 10)[..]));
    let (result, _, buffer) = ring.run(op::Read::new(temp.file(), buffer, At(1000)));
    assert_eq!((result.expect("the end"), &buffer[..]), (0, &[][..]));
}

#[test]
fn a_vectored_read_tells_each_vector_how_much_of_it_was_filled() {
    let temp = Temp::new(100);
    let mut ring = util::ring::<op::Nop, ()>();
    let bufs = [16, 32, 64, 16].into_iter().map(Vec::with_capacity).collect();
    let (result, _, bufs) = ring.run(op::Readv::new(temp.file(), bufs, At(20)));
    assert_eq!(result.expect("a read"), 80);
    assert_eq!(bufs.concat(), util::content(20, 80));
    assert_eq!(bufs.iter().map(Vec::len).collect::<Vec<_>>(), [16, 32, 32, 0]);
}

#[test]
fn at_zero_is_the_start_and_not_the_position() {
    let temp = Temp::new(100);
    let mut ring = util::ring::<op::Nop, ()>();
    let mut buf = [0; 4];
    // SAFETY: the call takes no pointer.
    unsafe { libc::lseek(temp.file().as_raw_fd(), 50, libc::SEEK_SET) };
    let (result, ..) = ring.run(op::Read::new(temp.file(), &mut buf[..], At(0)));
    assert_eq!(result.expect("a read"), 4);
    assert_eq!(buf[..], util::content(0, 4));
    let position = Position::of(temp.file()).expect("a position");
    let (result, ..) = ring.run(op::Read::new(temp.file(), &mut buf[..], &position));
    assert_eq!(result.expect("a read"), 4);
    assert_eq!(buf[..], util::content(50, 4), "the position had not moved");
}
