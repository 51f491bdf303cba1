//! `user_data` as a namespace: `[class:4 | generation:28 | index:32]`.
//!
//! Everything that can make the kernel post a chosen `user_data` stamps a class of its own, so no
//! message, tag or poll update can pass for the completion of an operation that is in flight.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

pub(crate) const GENERATION_MASK: u32 = (1 << 28) - 1;

const CLASS_SHIFT: u32 = 60;
const GENERATION_SHIFT: u32 = 32;

/// Who a completion is for: the upper four bits of `user_data`.
///
/// 0 stays free for entries that a caller pushes raw: small numbers and user-space pointers have
/// it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Class(u8);

impl Class {
    pub(crate) const OPERATION: Self = Self(1);
    /// The ring's own entries: cancels, and the timeout that stands in for `EXT_ARG`. All bits set,
    /// because that is what liburing, too, stamps its internal timeout with.
    pub(crate) const INTERNAL: Self = Self(15);
}

/// The `user_data` of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub(crate) struct Token(u64);

impl Token {
    /// Stamped on entries whose completion nobody waits for.
    pub(crate) const IGNORED: Self = Self(u64::MAX - 1);

    /// The timeout entry that stands in for `EXT_ARG` on Linux 5.10.
    pub(crate) const STAND_IN: Self = Self(u64::MAX);

    /// The token of an operation; `generation` is at most [`GENERATION_MASK`].
    #[inline]
    pub(crate) const fn operation(index: u32, generation: u32) -> Self {
        debug_assert!(generation <= GENERATION_MASK);
        let class = (Class::OPERATION.0 as u64) << CLASS_SHIFT;
        Self(class | (generation as u64) << GENERATION_SHIFT | index as u64)
    }

    #[inline]
    pub(crate) const fn from_user_data(user_data: u64) -> Self {
        Self(user_data)
    }

    #[inline]
    pub(crate) const fn user_data(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) const fn class(self) -> Class {
        let [.., top] = self.0.to_le_bytes();
        Class(top >> 4)
    }

    pub(crate) const fn generation(self) -> u32 {
        let [.., a, b, c, d] = self.0.to_le_bytes();
        u32::from_le_bytes([a, b, c, d]) & GENERATION_MASK
    }

    #[inline]
    pub(crate) const fn index(self) -> u32 {
        let [a, b, c, d, ..] = self.0.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}

/// Names one submitted operation of one ring: with another ring it means nothing. The place of the
/// operation is used again after its last completion, but under another name: the same comes back
/// only after 2²⁸ uses of the place.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpId {
    pub(crate) token: Token,
    pub(crate) ring: RingId,
}

impl OpId {
    /// The `user_data` that the kernel carries for the operation.
    #[must_use]
    pub const fn user_data(self) -> u64 {
        self.token.user_data()
    }

    /// The ring that the operation was submitted to.
    #[must_use]
    pub const fn ring(self) -> RingId {
        self.ring
    }
}

impl fmt::Debug for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token, ring } = self;
        write!(f, "OpId({}.{} of ring {})", token.index(), token.generation(), ring.0)
    }
}

/// Names one ring of this process, so that what is registered with one is not used with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RingId(u64);

impl RingId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Relaxed: only the number's uniqueness matters
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_class_generation_index_from_the_top() {
        let token = Token::operation(0x89ab_cdef, 0x234_5678);
        assert_eq!(token.user_data(), 0x1234_5678_89ab_cdef);
        assert!(token.class() == Class::OPERATION);
        assert_eq!(token.generation(), 0x234_5678);
        assert_eq!(token.index(), 0x89ab_cdef);
    }

    #[test]
    fn small_numbers_and_user_space_pointers_are_not_operations() {
        for raw in [0, 1, 42, 0x7fff_ffff_f000, u64::MAX, u64::MAX - 1] {
            assert!(Token::from_user_data(raw).class() != Class::OPERATION, "{raw:#x}");
        }
    }
}
