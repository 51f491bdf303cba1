//! The calls, against the running kernel.

use std::ffi::c_void;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use uring_sys as sys;

use testing::{Test, skip};

// errno(3)
const EPERM: i32 = 1;
const EBADF: i32 = 9;
const EFAULT: i32 = 14;
const EINVAL: i32 = 22;
const ENOSYS: i32 = 38;
const EOPNOTSUPP: i32 = 95;

/// A ring that is closed in the end, with what the kernel wrote about it.
struct Ring {
    fd: i32,
    params: sys::io_uring_params,
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: `close` wants a descriptor that is ours, which the kernel has just given us.
        unsafe { libc::close(self.fd) };
    }
}

fn setup(entries: u32, mut params: sys::io_uring_params) -> Result<Ring, i32> {
    // SAFETY: the operand is borrowed for us alone, and no test asks for memory of its own
    // (`NO_MMAP`); the descriptor gets an owner here.
    let fd = unsafe { sys::io_uring_setup(entries, &raw mut params) };
    if fd < 0 { Err(-fd) } else { Ok(Ring { fd, params }) }
}

fn ring_or_skip(test: Test) -> Option<Ring> {
    match setup(8, Default::default()) {
        Ok(ring) => Some(ring),
        Err(EPERM) => {
            skip(test, "no ring: EPERM; see sysctl kernel.io_uring_disabled, seccomp");
            None
        }
        Err(ENOSYS) => {
            skip(test, "no ring: ENOSYS; the kernel, or seccomp, has no io_uring");
            None
        }
        Err(errno) => panic!("no ring: errno {errno}"),
    }
}

/// `io_uring_register` for opcodes that take no memory beyond `arg`.
fn register<T>(fd: i32, opcode: u32, arg: Option<&mut T>, nr_args: u32) -> i32 {
    let arg: *mut c_void = arg.map_or(ptr::null_mut(), |arg| ptr::from_mut(arg).cast());
    // SAFETY: the operand is borrowed for us alone, is large enough for what the callers ask, and
    // nothing is registered that is used later.
    unsafe { sys::io_uring_register(fd, opcode, arg, nr_args) }
}

#[test]
fn setup_rejects_bad_arguments_with_negated_errno() {
    let Some(_) = ring_or_skip(this_test!()) else { return };
    assert_eq!(setup(0, Default::default()).err(), Some(EINVAL));
    let unknown = sys::io_uring_params { flags: 1 << 31, ..Default::default() };
    assert_eq!(setup(8, unknown).err(), Some(EINVAL));
    let reserved = sys::io_uring_params { resv: [0, 0, 1], ..Default::default() };
    assert_eq!(setup(8, reserved).err(), Some(EINVAL));

    // SAFETY: no memory is at the address 0, so that none is touched: the call fails.
    let result = unsafe { sys::io_uring_setup(8, ptr::null_mut()) };
    assert_eq!(result, -EFAULT);
}

#[test]
fn enter_rejects_bad_arguments_with_negated_errno() {
    let Some(ring) = ring_or_skip(this_test!()) else { return };
    let enter = |fd, flags| {
        // SAFETY: nothing is submitted, as the ring is empty, and there is no argument.
        unsafe { sys::io_uring_enter(fd, 0, 0, flags, ptr::null(), 0) }
    };
    assert_eq!(enter(ring.fd, 0), 0);
    assert_eq!(enter(-1, 0), -EBADF);
    assert_eq!(enter(ring.fd, 1 << 31), -EINVAL);
    let file = File::open("/dev/null").expect("a file that is no ring");
    assert_eq!(enter(file.as_raw_fd(), 0), -EOPNOTSUPP);
}

#[test]
fn register_rejects_an_unknown_opcode_with_a_ring_and_without() {
    let Some(ring) = ring_or_skip(this_test!()) else { return };
    let unknown = 0x7fff_0000;
    assert_eq!(register::<()>(ring.fd, unknown, None, 0), -EINVAL);
    // Kernels before 6.x look at the descriptor first.
    let result = register::<()>(-1, unknown, None, 0);
    assert!([-EINVAL, -EBADF].contains(&result), "{result}");
}

#[test]
fn errors_do_not_go_through_errno() {
    if cfg!(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))) {
        skip!("here the calls go through libc, and its errno");
    }
    // SAFETY: no precondition; the address of this thread's `errno`.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the address is aligned and valid, and no other thread writes there.
    unsafe { errno.write(77) };
    // SAFETY: no memory is at the address 0, so that none is touched: the call fails.
    let setup = unsafe { sys::io_uring_setup(8, ptr::null_mut()) };
    // SAFETY: nothing is submitted, as there is no ring.
    let enter = unsafe { sys::io_uring_enter(-1, 0, 0, 0, ptr::null(), 0) };
    let register = register::<()>(-1, 0x7fff_0000, None, 0);
    assert!([setup, enter, register].iter().all(|result| *result < 0));
    // SAFETY: as above.
    assert_eq!(unsafe { errno.read() }, 77);
}

fn probe(ring: &Ring) -> sys::io_uring_probe_with_ops<256> {
    let mut probe = sys::io_uring_probe_with_ops::<256>::default();
    assert_eq!(register(ring.fd, sys::IORING_REGISTER_PROBE, Some(&mut probe), 256), 0);
    probe
}

#[test]
fn a_probe_answers_for_each_opcode_at_its_index() {
    let Some(ring) = ring_or_skip(this_test!()) else { return };
    let probe = probe(&ring);
    assert_eq!(probe.probe.ops_len, probe.probe.last_op + 1);
    for (opcode, op) in (0..probe.probe.ops_len).zip(&probe.ops) {
        assert_eq!(op.op, opcode);
    }
    assert_eq!(probe.ops[0].flags, 1); // NOP is supported, and IO_URING_OP_SUPPORTED is bit 0
}

#[test]
fn a_query_without_a_ring_agrees_with_a_probe() {
    let Some(ring) = ring_or_skip(this_test!()) else { return };
    let mut answer = sys::io_uring_query_opcode::default();
    let mut question = sys::io_uring_query_hdr {
        query_data: u64::try_from((&raw mut answer).expose_provenance()).expect("an address"),
        query_op: sys::IO_URING_QUERY_OPCODES,
        size: 48, // sizeof(struct io_uring_query_opcode)
        ..Default::default()
    };
    // `answer` is written by the kernel through its address; it is ours and is large enough.
    match register(-1, sys::IORING_REGISTER_QUERY, Some(&mut question), 0) {
        0 => {}
        error @ (-22 | -9) => skip!("no queries before Linux 6.18: {error}"),
        error => panic!("{error}"),
    }
    assert_eq!(question.result, 0);
    // SAFETY: the value is initialised, and the kernel writes integers only, before the call ends.
    let answer = unsafe { (&raw const answer).read_volatile() };

    let ops = u32::from(probe(&ring).probe.ops_len);
    assert_eq!(answer.nr_request_opcodes, ops);
    assert!(answer.nr_register_opcodes > 35); // it has at least the one just used
    let features = u64::from(ring.params.features);
    assert_eq!(answer.feature_flags & features, features);
    assert_eq!(answer.sqe_flags & 0x7f, 0x7f); // the seven flags up to Linux 5.17
    // The first flag that the kernel does not name is one that it does not take.
    let mut flags = (0..32).map(|bit| 1_u32 << bit);
    let unknown = flags.find(|flag| answer.ring_setup_flags & u64::from(*flag) == 0);
    let params = sys::io_uring_params { flags: unknown.expect("a flag"), ..Default::default() };
    assert_eq!(setup(8, params).err(), Some(EINVAL));
}

/// A shared mapping, unmapped in the end.
struct Map {
    start: *mut u8,
    length: usize,
}

impl Map {
    fn new(ring: &Ring, offset: u64, length: usize) -> Self {
        let (protection, offset) = (libc::PROT_READ | libc::PROT_WRITE, offset.try_into().unwrap());
        // SAFETY: a new mapping, where the kernel chooses, of a descriptor that is open.
        let start = unsafe {
            libc::mmap(ptr::null_mut(), length, protection, libc::MAP_SHARED, ring.fd, offset)
        };
        assert_ne!(start, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
        Self { start: start.cast(), length }
    }

    fn at<T>(&self, offset: u32) -> *mut T {
        let offset = usize::try_from(offset).unwrap();
        assert!(offset + size_of::<T>() <= self.length);
        self.start.wrapping_add(offset).cast()
    }

    fn word(&self, offset: u32) -> &AtomicU32 {
        // SAFETY: in bounds and, as the kernel aligns its offsets, aligned; mapped as long as
        // `self`; the kernel accesses it atomically, and so do we.
        unsafe { AtomicU32::from_ptr(self.at(offset)) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and what was borrowed from it is gone.
        unsafe { libc::munmap(self.start.cast(), self.length) };
    }
}

#[test]
fn a_nop_by_hand_completes_with_its_user_data() {
    let Some(ring) = ring_or_skip(this_test!()) else { return };
    let sys::io_uring_params { sq_entries, cq_entries, sq_off, cq_off, .. } = ring.params;
    let length = |offset: u32, entries: u32, size: u32| (offset + entries * size) as usize;
    let sq = Map::new(&ring, 0, length(sq_off.array, sq_entries, 4)); // IORING_OFF_SQ_RING
    let cq = Map::new(&ring, 0x800_0000, length(cq_off.cqes, cq_entries, 16)); // _CQ_RING
    let sqes = Map::new(&ring, 0x1000_0000, length(0, sq_entries, 64)); // IORING_OFF_SQES

    for round in 0..20_u64 {
        let user_data = 0x1234_5678_9abc_def0 + round;
        let tail = sq.word(sq_off.tail).load(Ordering::Relaxed);
        let index = tail & sq.word(sq_off.ring_mask).load(Ordering::Relaxed);
        let sqe = sys::io_uring_sqe { fd: -1, user_data, ..Default::default() };
        // SAFETY: the entry is in bounds and aligned, and ours until the tail is stored.
        unsafe { sqes.at::<sys::io_uring_sqe>(index * 64).write(sqe) };
        sq.word(sq_off.array + index * 4).store(index, Ordering::Relaxed);
        // Release pairs with the kernel's acquire of the tail: it must see the entry first.
        sq.word(sq_off.tail).store(tail.wrapping_add(1), Ordering::Release);

        // SAFETY: the one entry submitted is a no-op, which uses no memory; there is no argument.
        let result = unsafe { sys::io_uring_enter(ring.fd, 1, 1, 1, ptr::null(), 0) };
        assert_eq!(result, 1);

        let head = cq.word(cq_off.head).load(Ordering::Relaxed);
        // Acquire pairs with the kernel's release of the tail: we must see the entry.
        assert_eq!(cq.word(cq_off.tail).load(Ordering::Acquire), head.wrapping_add(1));
        let index = head & cq.word(cq_off.ring_mask).load(Ordering::Relaxed);
        // SAFETY: the entry is in bounds and aligned, and ours until the head is stored.
        let cqe = unsafe { cq.at::<sys::io_uring_cqe>(cq_off.cqes + index * 16).read() };
        assert_eq!(cqe, sys::io_uring_cqe { user_data, res: 0, flags: 0 });
        // Release: the kernel may write the entry again only after we have read it.
        cq.word(cq_off.head).store(head.wrapping_add(1), Ordering::Release);
    }
}
