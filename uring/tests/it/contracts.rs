//! What the engine does not leave to those who implement [`Operation`], [`Buf`] and [`BufMut`].

use std::{cell::Cell, io, io::Write as _, os::unix::net::UnixStream, rc::Rc, time::Duration};

use uring::{At, Buf, BufMut, Cqe, Operation, RingId, Sqe, SqeFlags, op};

use crate::util::{self, Fd, Mode};

/// Writes what it is told into fields that are not its own, as a tired author would.
struct Careless {
    flags: u8,
    user_data: u64,
    /// Fails in the kernel: it has no such opcode.
    fails: bool,
    found: Rc<Cell<Option<bool>>>,
}

// SAFETY: there are no operands. The rest is the engine's to decide, says the trait.
unsafe impl Operation for Careless {
    type Item = ();
    type Output = io::Result<u32>;

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let raw = sqe.raw();
        let words = [raw.off, raw.addr, raw.user_data, raw.addr3, raw.__pad2[0]];
        let halves = [raw.len, raw.op_flags, raw.file_index];
        let quarters = [raw.ioprio, raw.buf_index, raw.personality];
        let zeroes = words == [0; 5] && halves == [0; 3] && quarters == [0; 3];
        self.found.set(Some(zeroes && (raw.opcode, raw.flags, raw.fd) == (0, 0, 0)));
        // SAFETY: an entry without pointers.
        let raw = unsafe { sqe.raw_mut() };
        raw.opcode = if self.fails { 250 } else { 0 };
        raw.flags = self.flags;
        raw.user_data = self.user_data;
    }

    unsafe fn item(_: *mut Self, _: Cqe) {}

    unsafe fn finish(self, cqe: Cqe) -> Self::Output {
        cqe.result()
    }

    fn refuse(self, error: io::Error) -> Self::Output {
        Err(error)
    }

    fn ring(&self) -> Option<RingId> {
        None
    }
}

uring::operations! {
    enum Op, OpItem, OpOutput {
        Careless(Careless),
        Timeout(op::Timeout),
        Read(op::Read<Fd, Vec<u8>>),
    }
}

fn careless(flags: SqeFlags, user_data: u64, fails: bool, found: &Rc<Cell<Option<bool>>>) -> Op {
    Careless { flags: flags.bits(), user_data, fails, found: found.clone() }.into()
}

#[test]
fn links_and_names_that_an_operation_leaves_in_its_entry_are_replaced() {
    let found = Rc::new(Cell::new(None));
    let skip = SqeFlags::CQE_SKIP_SUCCESS;
    let all = [SqeFlags::LINK, SqeFlags::HARD_LINK, SqeFlags::DRAIN, skip, SqeFlags::LINK | skip];
    for mode in Mode::ALL {
        for (flags, fails) in all.into_iter().flat_map(|flags| [(flags, false), (flags, true)]) {
            let what = format!("{mode:?}, {flags:?}, fails: {fails}");
            let Some(mut ring) = mode.ring::<Op, ()>(8, 8) else { continue };
            // what would have to end before an entry with DRAIN starts
            let hour = op::Timeout::new(Duration::from_secs(3600));
            let hour = ring.submit(hour.into(), ()).expect("room");
            // the name of an operation that is alive
            let stolen = hour.user_data();
            let id = ring.submit(careless(flags, stolen, fails, &found), ()).expect("room");
            let next = ring.submit(careless(SqeFlags::empty(), 0, false, &found), ()).expect("it");
            let (first, OpOutput::Careless(result)) = util::done(&mut ring) else {
                panic!("{what}: the timeout")
            };
            assert_eq!((first, result.is_err()), (id, fails), "{what}");
            let (second, OpOutput::Careless(result)) = util::done(&mut ring) else {
                panic!("{what}: the timeout")
            };
            assert_eq!((second, result.is_ok()), (next, true), "{what}: it was not linked");
            assert!(ring.is_live(hour), "{what}");
            assert_eq!((ring.in_flight(), ring.stats().stale), (1, 0), "{what}");
        }
    }
}

#[test]
fn an_operation_finds_zeroes_whatever_was_in_the_place_before() {
    let temp = util::Temp::new(64);
    let file: Fd = Fd::new(temp.file().try_clone().expect("a descriptor").into());
    let mut ring = Mode::Best.ring::<Op, ()>(4, 8).expect("the best");
    for round in 0..20 {
        for _ in 0..1 + round % 3 {
            ring.submit(op::Read::new(file.clone(), vec![0; 8], At(8)).into(), ()).expect("room");
            util::done(&mut ring);
        }
        let found = Rc::new(Cell::new(None));
        let flags = SqeFlags::from_bits_retain(0xff) - SqeFlags::FIXED_FILE;
        ring.submit(careless(flags - SqeFlags::BUFFER_SELECT, u64::MAX, false, &found), ())
            .expect("room");
        assert_eq!(found.get(), Some(true), "round {round}");
        util::done(&mut ring);
    }
}

/// Says something else each time that it is asked, which is allowed from one borrow to the next.
struct Fickle {
    bytes: Vec<u8>,
    asked: Rc<Cell<u32>>,
    filled: Rc<Cell<usize>>,
}

impl Fickle {
    fn region(&self) -> (*const u8, usize) {
        self.asked.set(self.asked.get() + 1);
        // 16 the first time, all the second
        let length = if self.asked.get() == 1 { 16 } else { self.bytes.len() };
        (self.bytes.as_ptr(), length)
    }
}

// SAFETY: each answer is a part of a vector that nobody else has and nobody changes.
unsafe impl Buf for Fickle {
    fn region(&self) -> *const [u8] {
        let (start, length) = self.region();
        std::ptr::slice_from_raw_parts(start, length)
    }
}

// SAFETY: as above, and `set_filled` takes any number.
unsafe impl BufMut for Fickle {
    fn region_mut(&mut self) -> *mut [u8] {
        let length = Self::region(self).1;
        std::ptr::slice_from_raw_parts_mut(self.bytes.as_mut_ptr(), length)
    }

    unsafe fn set_filled(&mut self, bytes: usize) {
        self.filled.set(self.filled.get() + bytes);
    }
}

#[test]
fn a_buffer_is_asked_once_for_its_start_and_length_together() {
    let temp = util::Temp::new(4096);
    let mut ring = util::ring::<op::Nop, ()>();
    let new = || {
        let (asked, filled) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let buf = Fickle { bytes: vec![7; 4096], asked: asked.clone(), filled: filled.clone() };
        (buf, asked, filled)
    };
    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    theirs.write_all(&[1; 4096]).expect("room");

    for kind in 0..6 {
        let (buf, asked, filled) = new();
        let (result, bytes, fills) = match kind {
            0 => {
                let (result, _, buf) = ring.run(op::Read::new(temp.file(), buf, At(0)));
                (result, buf.bytes, true)
            }
            1 => {
                let (result, _, buf) = ring.run(op::Recv::new(&ours, buf));
                (result, buf.bytes, true)
            }
            2 => {
                let (result, _, mut bufs) = ring.run(op::Readv::new(temp.file(), vec![buf], At(0)));
                (result, bufs.remove(0).bytes, true)
            }
            3 => {
                let (result, _, buf) = ring.run(op::Write::new(temp.file(), buf, At(0)));
                (result, buf.bytes, false)
            }
            4 => {
                let (result, _, mut bufs) =
                    ring.run(op::Writev::new(temp.file(), vec![buf], At(0)));
                (result, bufs.remove(0).bytes, false)
            }
            _ => {
                let (result, _, buf) = ring.run(op::Send::new(&ours, buf));
                (result, buf.bytes, false)
            }
        };
        assert_eq!((result.expect("16 bytes"), asked.get()), (16, 1), "kind {kind}");
        assert_eq!(filled.get(), if fills { 16 } else { 0 }, "kind {kind}");
        assert_eq!(bytes[16..], [7; 4080], "kind {kind}: no more than it was told");
    }
}

#[test]
fn an_operation_that_is_refused_gives_back_what_it_held_and_owns_nothing_new() {
    let refused = || io::Error::from_raw_os_error(libc::EBUSY);
    let (reader, writer) = testing::pipe();
    let (reader, writer) = (Fd::new(reader), Fd::new(writer));
    let held = |fd: &Fd, result: io::Result<()>| {
        assert_eq!(util::errno(&result), libc::EBUSY);
        assert_eq!(Fd::strong_count(fd), 2, "the descriptor has come back");
    };
    let buffer = || Vec::with_capacity(64);
    let (result, fd, buf) = op::Read::new(reader.clone(), buffer(), At(0)).refuse(refused());
    held(&fd, result.map(drop));
    assert_eq!((buf.len(), buf.capacity()), (0, 64));
    drop(fd);
    let (result, fd, bufs) =
        op::Readv::new(reader.clone(), vec![buffer()], At(0)).refuse(refused());
    held(&fd, result.map(drop));
    assert_eq!((bufs[0].len(), bufs[0].capacity()), (0, 64));
    drop(fd);
    let (result, fd, buf) = op::Recv::new(reader.clone(), buffer()).refuse(refused());
    held(&fd, result.map(drop));
    assert_eq!(buf.len(), 0);
    drop(fd);
    let (result, fd, buf) = op::Write::new(writer.clone(), vec![1; 9], At(0)).refuse(refused());
    held(&fd, result.map(drop));
    assert_eq!(buf, [1; 9]);
    drop(fd);
    let (result, fd) = op::Accept::new(reader.clone()).refuse(refused());
    held(&fd, result.map(drop));
    drop(fd);
    let (result, fd) = op::AcceptFrom::new(reader.clone()).refuse(refused());
    held(&fd, result.map(drop));
    drop(fd);
    let (result, fd) = op::AcceptMulti::new(reader.clone()).refuse(refused());
    held(&fd, result.map(drop));
    drop(fd);
    // through the wrappers, too
    type Accept = op::Accept<Fd>;
    let any = uring::AnyOperation::new(Accept::new(reader.clone()));
    let (result, fd) = any.refuse(refused()).downcast::<Accept>().expect("an accept");
    held(&fd, result.map(drop));
    drop(fd);
    let (result, fd) = Accept::new(reader.clone()).on_worker().refuse(refused());
    held(&fd, result.map(drop));
    drop(fd);
    assert_eq!((Fd::strong_count(&reader), Fd::strong_count(&writer)), (1, 1));
}
