//! The three system calls, with errors as negated `errno` values.

use core::ffi::c_void;

use crate::setup::io_uring_params;

// The numbers are the same on all architectures that got the calls after Linux 5.1 unified the
// tables; `libc` knows the exceptions, and the fallback below uses its numbers.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
mod number {
    pub(super) const SETUP: usize = 425;
    pub(super) const ENTER: usize = 426;
    pub(super) const REGISTER: usize = 427;
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
mod number {
    pub(super) const SETUP: libc::c_long = libc::SYS_io_uring_setup;
    pub(super) const ENTER: libc::c_long = libc::SYS_io_uring_enter;
    pub(super) const REGISTER: libc::c_long = libc::SYS_io_uring_register;
}

/// Creates a ring of at least `entries` submission entries.
///
/// The kernel reads `params`, and on success writes back the granted sizes, the features and the
/// offsets at which to map the ring. Returns the new descriptor (or, with
/// [`IORING_SETUP_REGISTERED_FD_ONLY`](crate::IORING_SETUP_REGISTERED_FD_ONLY), an index), or a
/// negated `errno`. Since Linux 5.1; see [`io_uring_setup(2)`].
///
/// [`io_uring_setup(2)`]: https://man7.org/linux/man-pages/man2/io_uring_setup.2.html
///
/// # Safety
///
/// - `params` may be any address: a bad one makes the call fail with `EFAULT`. But what it points
///   to is read and overwritten, so nothing else may use that memory during the call, and Rust
///   must be allowed to see it change (the pointer comes from a `&mut`, not from a `&`).
/// - With [`IORING_SETUP_NO_MMAP`](crate::IORING_SETUP_NO_MMAP), the memory at the two `user_addr`
///   belongs to the kernel from now on until the ring is closed and its mappings are gone.
/// - The returned descriptor has no owner yet; the caller closes it.
#[inline]
pub unsafe fn io_uring_setup(entries: u32, params: *mut io_uring_params) -> i32 {
    // SAFETY: `syscall6` wants the preconditions of the system call itself, which are those that
    // this function hands on to its caller, and arguments of the right kind: a count and an
    // address, as `io_uring_setup(2)` has them.
    unsafe { syscall6(number::SETUP, [entries as usize, params.expose_provenance(), 0, 0, 0, 0]) }
}

/// Submits up to `to_submit` entries, and waits for `min_complete` completions if `flags` say so.
///
/// `fd` is the ring's descriptor, or with
/// [`IORING_ENTER_REGISTERED_RING`](crate::IORING_ENTER_REGISTERED_RING) the index of one that was
/// registered. `arg` is a signal mask of `argsz` bytes (8 for the kernel, not `sizeof(sigset_t)`),
/// or null; with [`IORING_ENTER_EXT_ARG`](crate::IORING_ENTER_EXT_ARG) it points to an
/// [`io_uring_getevents_arg`](crate::io_uring_getevents_arg), and with
/// [`IORING_ENTER_EXT_ARG_REG`](crate::IORING_ENTER_EXT_ARG_REG) it is a byte offset into the
/// registered wait region. Returns how many entries the kernel consumed, or a negated `errno`.
/// Since Linux 5.1; see [`io_uring_enter(2)`].
///
/// [`io_uring_enter(2)`]: https://man7.org/linux/man-pages/man2/io_uring_enter.2.html
///
/// # Safety
///
/// - Each entry that is consumed starts an operation: until its last completion, the memory that
///   it points to stays valid, what the kernel writes is not touched, what it reads not changed.
/// - `arg`, and what an [`io_uring_getevents_arg`](crate::io_uring_getevents_arg) there points to,
///   is only read, and only during the call; a bad address fails with `EFAULT`.
#[inline]
pub unsafe fn io_uring_enter(
    fd: i32,
    to_submit: u32,
    min_complete: u32,
    flags: u32,
    arg: *const c_void,
    argsz: usize,
) -> i32 {
    let arguments = [
        descriptor(fd),
        to_submit as usize,
        min_complete as usize,
        flags as usize,
        arg.expose_provenance(),
        argsz,
    ];
    // SAFETY: `syscall6` wants the preconditions of the system call itself, which are those that
    // this function hands on to its caller, and arguments of the right kind: a descriptor, three
    // numbers, an address and a size, as `io_uring_enter(2)` has them.
    unsafe { syscall6(number::ENTER, arguments) }
}

/// Registers, changes, removes or asks for something that outlives one operation.
///
/// `opcode` is one of the `IORING_REGISTER_*` and `IORING_UNREGISTER_*`, and says what `arg` and
/// `nr_args` mean. `fd` is the ring's descriptor, an index if `opcode` carries
/// [`IORING_REGISTER_USE_REGISTERED_RING`](crate::IORING_REGISTER_USE_REGISTERED_RING), or -1 for
/// those that need no ring, such as [`IORING_REGISTER_QUERY`](crate::IORING_REGISTER_QUERY).
/// Returns 0 or what the opcode defines, or a negated `errno`. Since Linux 5.1; see
/// [`io_uring_register(2)`].
///
/// [`io_uring_register(2)`]: https://man7.org/linux/man-pages/man2/io_uring_register.2.html
///
/// # Safety
///
/// - `arg` is what `opcode` asks for: some opcodes write there (probe, status, query, sync
///   cancel's siblings), so the memory is writable and used by nobody else during the call.
/// - What is registered to be used later (buffers, buffer rings, memory regions) stays mapped, and
///   is shared with the kernel by the rules of that object, until it is unregistered or the ring
///   is gone.
/// - With [`IORING_REGISTER_RESIZE_RINGS`](crate::IORING_REGISTER_RESIZE_RINGS), the old mappings
///   no longer show the ring afterwards.
#[inline]
pub unsafe fn io_uring_register(fd: i32, opcode: u32, arg: *mut c_void, nr_args: u32) -> i32 {
    let arguments =
        [descriptor(fd), opcode as usize, arg.expose_provenance(), nr_args as usize, 0, 0];
    // SAFETY: `syscall6` wants the preconditions of the system call itself, which are those that
    // this function hands on to its caller, and arguments of the right kind: a descriptor, a
    // number, an address and a count, as `io_uring_register(2)` has them.
    unsafe { syscall6(number::REGISTER, arguments) }
}

/// A descriptor as it goes into a register: -1 has all bits set.
const fn descriptor(fd: i32) -> usize {
    #[expect(clippy::cast_sign_loss, reason = "the bits are meant; `cast_unsigned` is Rust 1.87")]
    {
        fd as isize as usize
    }
}

/// Does one system call; a result in `-4095..=-1` is a negated `errno`.
///
/// # Safety
///
/// Whatever the system call `number` asks for, with these arguments.
#[cfg(target_arch = "x86_64")]
#[inline]
unsafe fn syscall6(number: usize, [a, b, c, d, e, f]: [usize; 6]) -> i32 {
    let result: isize;
    // SAFETY: an `asm!` block must say all that it changes.
    // - Registers: the kernel's calling convention takes the number in rax and the arguments in
    //   these six, returns in rax, and changes rcx and r11 only (the System V ABI's supplement for
    //   AMD64, A.2.1 Calling Conventions).
    // - Flags: the kernel restores them; stack: it does not use ours.
    // - Memory: without `nomem` or `readonly`, the compiler expects any memory to be read and
    //   written that a pointer could reach whose provenance was exposed, as our callers did.
    // - What the call does otherwise is the caller's promise.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            in("r9") f,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack, preserves_flags),
        );
    }
    narrow(result)
}

/// Does one system call; a result in `-4095..=-1` is a negated `errno`.
///
/// # Safety
///
/// Whatever the system call `number` asks for, with these arguments.
#[cfg(target_arch = "aarch64")]
#[inline]
unsafe fn syscall6(number: usize, [a, b, c, d, e, f]: [usize; 6]) -> i32 {
    let result: isize;
    // SAFETY: an `asm!` block must say all that it changes.
    // - Registers: the kernel's calling convention takes the number in x8 and the arguments in
    //   x0 to x5, returns in x0, and keeps all others that every such processor has. Of those of
    //   SVE it zeroes the predicates, and the vectors beyond their first 128 bits
    //   (Documentation/arch/arm64/sve.rst, 3. System call behaviour). Code that the compiler made
    //   for SVE holds values there, so all are named; a v names the whole z, and there is no way
    //   to name only the upper part, so that d8 to d15 are saved without need elsewhere. FFR is
    //   lost too, but the compiler never keeps a value there, and warns in whatever code this is
    //   inlined into if it is named.
    // - Flags: the kernel restores them, NZCV and FPSR; stack: it does not use ours.
    // - Memory: without `nomem` or `readonly`, the compiler expects any memory to be read and
    //   written that a pointer could reach whose provenance was exposed, as our callers did.
    // - What the call does otherwise is the caller's promise.
    unsafe {
        core::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b,
            in("x2") c,
            in("x3") d,
            in("x4") e,
            in("x5") f,
            lateout("v0") _, lateout("v1") _, lateout("v2") _, lateout("v3") _,
            lateout("v4") _, lateout("v5") _, lateout("v6") _, lateout("v7") _,
            lateout("v8") _, lateout("v9") _, lateout("v10") _, lateout("v11") _,
            lateout("v12") _, lateout("v13") _, lateout("v14") _, lateout("v15") _,
            lateout("v16") _, lateout("v17") _, lateout("v18") _, lateout("v19") _,
            lateout("v20") _, lateout("v21") _, lateout("v22") _, lateout("v23") _,
            lateout("v24") _, lateout("v25") _, lateout("v26") _, lateout("v27") _,
            lateout("v28") _, lateout("v29") _, lateout("v30") _, lateout("v31") _,
            lateout("p0") _, lateout("p1") _, lateout("p2") _, lateout("p3") _,
            lateout("p4") _, lateout("p5") _, lateout("p6") _, lateout("p7") _,
            lateout("p8") _, lateout("p9") _, lateout("p10") _, lateout("p11") _,
            lateout("p12") _, lateout("p13") _, lateout("p14") _, lateout("p15") _,
            options(nostack, preserves_flags),
        );
    }
    narrow(result)
}

/// Does one system call; a result in `-4095..=-1` is a negated `errno`.
///
/// # Safety
///
/// Whatever the system call `number` asks for, with these arguments.
#[cfg(target_arch = "riscv64")]
#[inline]
unsafe fn syscall6(number: usize, [a, b, c, d, e, f]: [usize; 6]) -> i32 {
    let result: isize;
    // SAFETY: an `asm!` block must say all that it changes.
    // - Registers: the kernel's calling convention takes the number in a7 and the arguments in
    //   a0 to a5, returns in a0, and keeps all others but the vector registers
    //   (Documentation/arch/riscv/vector.rst, 3. Vector Register State Across System Calls). With
    //   them go vl and vtype, which the kernel makes invalid: for those, `preserves_flags` is left
    //   out.
    // - Stack: the kernel does not use ours.
    // - Memory: without `nomem` or `readonly`, the compiler expects any memory to be read and
    //   written that a pointer could reach whose provenance was exposed, as our callers did.
    // - What the call does otherwise is the caller's promise.
    unsafe {
        core::arch::asm!(
            "ecall",
            in("a7") number,
            inlateout("a0") a => result,
            in("a1") b,
            in("a2") c,
            in("a3") d,
            in("a4") e,
            in("a5") f,
            lateout("v0") _, lateout("v1") _, lateout("v2") _, lateout("v3") _,
            lateout("v4") _, lateout("v5") _, lateout("v6") _, lateout("v7") _,
            lateout("v8") _, lateout("v9") _, lateout("v10") _, lateout("v11") _,
            lateout("v12") _, lateout("v13") _, lateout("v14") _, lateout("v15") _,
            lateout("v16") _, lateout("v17") _, lateout("v18") _, lateout("v19") _,
            lateout("v20") _, lateout("v21") _, lateout("v22") _, lateout("v23") _,
            lateout("v24") _, lateout("v25") _, lateout("v26") _, lateout("v27") _,
            lateout("v28") _, lateout("v29") _, lateout("v30") _, lateout("v31") _,
            options(nostack),
        );
    }
    narrow(result)
}

/// Does one system call; a result in `-4095..=-1` is a negated `errno`.
///
/// # Safety
///
/// Whatever the system call `number` asks for, with these arguments.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
#[inline]
unsafe fn syscall6(number: libc::c_long, [a, b, c, d, e, f]: [usize; 6]) -> i32 {
    // SAFETY: `libc::syscall` takes a number and arguments as wide as a register, which `usize`
    // is; what the call does with them is the caller's promise.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result != -1 {
        return i32::try_from(result).unwrap_or(i32::MAX);
    }
    // SAFETY: the function has no precondition; it returns the address of this thread's `errno`.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the address is aligned, valid as long as this thread lives, and no other thread
    // writes there.
    -unsafe { errno.read() }
}

/// The calls return a descriptor, a count or a negated `errno`: all of them fit.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
#[inline]
const fn narrow(result: isize) -> i32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the kernel's `long` holds an `int` here; `try_from` is not const and would cost"
    )]
    {
        result as i32
    }
}
