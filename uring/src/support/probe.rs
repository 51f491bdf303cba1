//! What the running kernel can do.

use std::fmt;

use uring_sys as sys;

use super::evidence;
use crate::{Features, OpCode, RawRing, SetupError, SetupFlags};

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

/// Finds out what this machine's io_uring can do, by making a small ring and asking it.
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
/// seccomp filter, a sysctl, a memory limit, an old kernel. With `URING_DISABLE=1` in the
/// environment nothing is tried.
#[doc(alias = "io_uring_get_probe_ring")]
#[doc(alias = "io_uring_register_probe")]
pub fn check() -> Result<Support, SetupError> {
    let ring = RawRing::builder().entries(2).completions(4).build()?;
    Ok(Support {
        release: evidence::release(),
        flags: ring.setup_flags(),
        features: ring.features(),
        opcodes: opcodes(&ring),
    })
}

/// The operations that the kernel has.
fn opcodes(ring: &RawRing) -> Vec<OpCode> {
    const OPS: u32 = 256;
    let mut probe = sys::io_uring_probe_with_ops::<{ OPS as usize }>::default();
    // SAFETY: the opcode writes a header and `OPS` entries behind it, and that is what it gets.
    let answer = unsafe { ring.register(sys::IORING_REGISTER_PROBE, &raw mut probe, OPS) };
    if answer.is_err() {
        return Vec::new();
    }
    let known = usize::from(probe.probe.ops_len).min(probe.ops.len());
    let has = |op: &&sys::io_uring_probe_op| op.flags & sys::IO_URING_OP_SUPPORTED != 0;
    probe.ops[..known].iter().filter(has).map(|op| OpCode::new(op.op)).collect()
}
