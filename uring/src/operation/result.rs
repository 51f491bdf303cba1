//! What the result of a completion is, by kind.

use std::{
    io,
    os::fd::{FromRawFd, OwnedFd},
};

use crate::abi::{cast::signed, cqe::Cqe};

/// That it went well is all.
///
/// # Safety
///
/// None is needed; the three have one shape.
#[inline]
pub(crate) unsafe fn nothing(cqe: Cqe) -> io::Result<()> {
    cqe.result().map(drop)
}

/// A byte count.
///
/// # Safety
///
/// None is needed; the three have one shape.
#[inline]
pub(crate) unsafe fn bytes(cqe: Cqe) -> io::Result<usize> {
    cqe.result().map(|bytes| bytes as usize)
}

/// A descriptor, owned at once, so that whoever drops the result closes it.
///
/// # Safety
///
/// `cqe` is a completion of an entry that yields a descriptor, and is passed once.
#[inline]
pub(crate) unsafe fn descriptor(cqe: Cqe) -> io::Result<OwnedFd> {
    cqe.result().map(|fd| {
        // SAFETY: the kernel has just put the descriptor into our table, and (the caller's
        // contract) nobody else was told its number. It fits: the limit of descriptors is below
        // i32::MAX.
        unsafe { OwnedFd::from_raw_fd(signed(fd)) }
    })
}
