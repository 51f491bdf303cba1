//! The kernel's list of several buffers.

use std::fmt;

use libc::iovec;

/// The list, built when the operation sits where it stays.
#[derive(Default)]
pub(super) struct Vectors(Vec<iovec>);

impl Vectors {
    /// Lists the regions, and says where the list is and how long.
    pub(super) fn fill(
        &mut self,
        regions: impl Iterator<Item = *const [u8]>,
    ) -> (*const iovec, u32) {
        self.0.clear();
        self.0.extend(
            regions
                .map(|region| iovec { iov_base: region.cast_mut().cast(), iov_len: region.len() }),
        );
        // more than 1024 the kernel refuses with EINVAL; a number that large cannot wrap to fewer
        (self.0.as_ptr(), u32::try_from(self.0.len()).unwrap_or(u32::MAX))
    }

    /// How many bytes of each buffer were moved, of `bytes` in all: the kernel uses them up one
    /// after the other, each to the length that it was told.
    pub(super) fn shares(&self, mut bytes: usize) -> impl Iterator<Item = usize> {
        self.0.iter().map(move |vector| {
            let share = bytes.min(vector.iov_len);
            bytes -= share;
            share
        })
    }
}

// SAFETY: the pointers are numbers for the kernel: nobody follows them here, and what they lead to
// is held by the operation, which is `Send` only if its buffers are.
unsafe impl Send for Vectors {}
// SAFETY: as above.
unsafe impl Sync for Vectors {}

impl fmt::Debug for Vectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} vectors", self.0.len())
    }
}
