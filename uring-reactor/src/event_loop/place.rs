//! Where a target is on its loop.

/// The place of a target on its loop; never used again after the target was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(super) key: u32,
    pub(super) generation: u32,
}

impl Place {
    /// Where no target ever is: its generation is not used.
    pub(crate) const NOWHERE: Self = Self { key: u32::MAX, generation: 0 };
}
