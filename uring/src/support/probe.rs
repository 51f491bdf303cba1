//! What the running kernel can do.

use std::{fmt, io};

use uring_sys as sys;

use super::unavailable::Unavailable;
use crate::{
    abi::{opcode::OpCode, sqe::Sqe},
    kernel::{call::Call, evidence},
    raw::ring::RawRing,
    setup::{
        builder::SetupError,
        flags::{Features, SetupFlags},
    },
};

/// What this machine's io_uring can do; prints as a short report.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Support {
    /// The running kernel's release. For people: features are never told by it.
    pub release: String,
    /// The flags of the best ring.
    pub flags: SetupFlags,
    /// The features that the kernel reports.
    pub features: Features,
    /// The operations that it has, in the order of their codes.
    pub opcodes: Vec<OpCode>,
}

impl Support {
    /// Whether the kernel has an operation.
    #[must_use]
    #[doc(alias = "io_uring_opcode_supported")]
    pub fn has(&self, opcode: OpCode) -> bool {
        self.opcodes.binary_search(&opcode).is_ok()
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { release, flags, features, opcodes } = self;
        write!(f, "kernel:     {release}\nflags:      ")?;
        bitflags::parser::to_writer(flags, &mut *f)?;
        f.write_str("\nfeatures:   ")?;
        bitflags::parser::to_writer(features, &mut *f)?;
        write!(f, "\noperations: {}:", opcodes.len())?;
        for opcode in opcodes {
            write!(f, " {opcode}")?;
        }
        Ok(())
    }
}

/// Finds out what this machine's io_uring can do, by making a small ring and using it.
///
/// Once this says `Ok`, rings of this size work, on this thread: one was made with the best flags
/// that the kernel takes (`io_uring_setup`), was asked for its operations (`io_uring_register`),
/// and has run one that does nothing (`io_uring_enter`). A larger ring may still be over a limit.
///
/// ```
/// match uring::check() {
///     Ok(support) => println!("{support}"),
///     Err(why) => eprintln!("{why}"),
/// }
/// ```
///
/// The ring is dropped before this returns; see [`Ring`](crate::Ring) for what that may do to a
/// blocking call that follows.
///
/// # Errors
///
/// [`SetupError`], whose [`reason`](SetupError::reason) says why it is not there and what to do: a
/// seccomp filter, a sysctl, a memory limit, an old kernel. [`Unavailable`] has the table of what
/// is seen and what is said. With `URING_DISABLE=1` in the environment nothing is tried.
pub fn check() -> Result<Support, SetupError> {
    let (entries, completions) = (2, 4);
    let mut ring = RawRing::builder().entries(entries).completions(completions).build()?;
    let flags = ring.setup_flags();
    let fail = |reason| SetupError { entries, completions, flags, reason };
    let opcodes = opcodes(&ring).map_err(fail)?;
    run_nop(&mut ring).map_err(fail)?;
    Ok(Support { release: evidence::release(), flags, features: ring.features(), opcodes })
}

/// The operations that the kernel has.
fn opcodes(ring: &RawRing) -> Result<Vec<OpCode>, Unavailable> {
    const OPS: u32 = 256;
    let mut probe = sys::io_uring_probe_with_ops::<{ OPS as usize }>::default();
    // SAFETY: the opcode writes a header and `OPS` entries behind it, and that is what it gets.
    let answer = unsafe { ring.register(sys::IORING_REGISTER_PROBE, &raw mut probe, OPS) };
    // there since Linux 5.6: where rings can be made, its absence is a refusal
    answer.map_err(|error| reason(Call::Register, error))?;
    let known = usize::from(probe.probe.ops_len).min(probe.ops.len());
    let has = |op: &&sys::io_uring_probe_op| op.flags & sys::IO_URING_OP_SUPPORTED != 0;
    Ok(probe.ops[..known].iter().filter(has).map(|op| OpCode::new(op.op)).collect())
}

/// Runs an operation that does nothing.
fn run_nop(ring: &mut RawRing) -> Result<(), Unavailable> {
    let full = |_| Unavailable::Broken(io::Error::other("a new queue is full"));
    ring.push(Sqe::nop()).map_err(full)?;
    loop {
        match ring.submit_and_wait(1) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(reason(Call::Enter, error)),
            Ok(_) => break,
        }
    }
    let lost = || Unavailable::Broken(io::Error::other("its completion did not come"));
    ring.pop().ok_or_else(lost)?.result().map(drop).map_err(Unavailable::Broken)
}

fn reason(call: Call, error: io::Error) -> Unavailable {
    match error.raw_os_error() {
        Some(errno) => Unavailable::of_call(call, errno),
        None => Unavailable::Other(error),
    }
}
