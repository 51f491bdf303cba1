//! Memory that an operation may lend to the kernel.

use std::{mem::MaybeUninit, ops::Range, rc::Rc, sync::Arc};

/// The most bytes that the kernel moves in one operation; longer buffers are used up to here.
pub(crate) const TRANSFER_MAX: usize = 0x7fff_f000;

/// `length`, clamped to what one operation moves. Never a truncation: 4 GiB must not become 0.
pub(crate) fn clamp(length: usize) -> u32 {
    u32::try_from(length.min(TRANSFER_MAX)).unwrap_or(u32::MAX)
}

/// The part of `region` that one operation moves: where it starts, and how many bytes.
#[inline]
pub(crate) fn extent(region: *const [u8]) -> (*const u8, u32) {
    (region.cast(), clamp(region.len()))
}

/// Memory that the kernel may read.
///
/// Implemented by the owned and borrowed byte buffers of the standard library, by arrays, and by
/// the buffers of a [`Pool`](crate::Pool). Owned ones go into a [`Ring`](crate::Ring), borrowed
/// ones into [`Ring::run`](crate::Ring::run) and [`Ring::scope`](crate::Ring::scope).
///
/// # Safety
///
/// From a call of `region` on, until the value is moved, mutably borrowed or dropped:
/// - the bytes of the region are initialised and can be read;
/// - no Rust code changes them;
/// - each further call answers the same.
pub unsafe trait Buf {
    /// Where the memory starts, and how many bytes there are. Asked for once an operation.
    fn region(&self) -> *const [u8];
}

/// Memory that the kernel may write.
///
/// A `Vec` is filled from its start up to its capacity, whatever its length was, and holds
/// afterwards exactly the bytes that were read.
///
/// # Safety
///
/// From a call of `region_mut` on, until the value is borrowed or dropped (a move leaves the memory
/// where it is, unless the memory is part of the value):
/// - the bytes of the region can be written;
/// - nothing else reads or writes them;
/// - `set_filled` may be called for any number of bytes up to the region's length, whatever calls
///   of safe methods came between;
/// - if the type is a [`Buf`] too, both regions start at the same byte, and `region_mut` makes none
///   of the bytes uninitialised that `Buf` tells.
pub unsafe trait BufMut {
    /// Where the memory starts, and how many bytes there are. Asked for once an operation.
    fn region_mut(&mut self) -> *mut [u8];
    /// Says how many bytes from the start were written.
    ///
    /// # Safety
    ///
    /// The first `bytes` bytes of the region that [`region_mut`](Self::region_mut) told last are
    /// initialised, and it has at least that many.
    unsafe fn set_filled(&mut self, bytes: usize);
}

/// Types whose bytes have a fixed place and are always initialised.
macro_rules! slices {
    (read: $([$($generics:tt)*] $type:ty),* $(,)?) => {$(
        // SAFETY: the slice that the type dereferences to stays where it is until the value is
        // moved or mutably borrowed, and nothing changes it while it is shared.
        unsafe impl<$($generics)*> Buf for $type {
            #[inline]
            fn region(&self) -> *const [u8] {
                let bytes: &[u8] = self.as_ref();
                bytes
            }
        }
    )*};
    (write: $([$($generics:tt)*] $type:ty),* $(,)?) => {$(
        // SAFETY: the value owns or mutably borrows its slice, so nothing else reaches it.
        unsafe impl<$($generics)*> BufMut for $type {
            #[inline]
            fn region_mut(&mut self) -> *mut [u8] {
                let bytes: &mut [u8] = self.as_mut();
                bytes
            }
            unsafe fn set_filled(&mut self, _bytes: usize) {} // all of it counts as filled already
        }
    )*};
}

slices! { read:
    [] Vec<u8>, [] String, [] Box<[u8]>, [] Arc<[u8]>, [] Rc<[u8]>, [] &[u8], [] &mut [u8], [] &str,
    [const N: usize] [u8; N],
}
slices! { write: [] Box<[u8]>, [] &mut [u8], [const N: usize] [u8; N] }

// SAFETY: a vector owns its capacity, and its allocation stays where it is, and as large, until the
// vector is used.
unsafe impl BufMut for Vec<u8> {
    #[inline]
    fn region_mut(&mut self) -> *mut [u8] {
        std::ptr::slice_from_raw_parts_mut(self.as_mut_ptr(), self.capacity())
    }

    #[inline]
    unsafe fn set_filled(&mut self, bytes: usize) {
        // SAFETY: the caller's contract is that of `set_len`.
        unsafe { self.set_len(bytes) };
    }
}

// SAFETY: the slice is mutably borrowed, so nothing else reaches it.
unsafe impl BufMut for &mut [MaybeUninit<u8>] {
    fn region_mut(&mut self) -> *mut [u8] {
        std::ptr::slice_from_raw_parts_mut(self.as_mut_ptr().cast(), self.len())
    }

    unsafe fn set_filled(&mut self, _bytes: usize) {} // the length is with the caller
}

/// A part of a buffer: for what is left after a short transfer.
#[derive(Clone, Debug)]
pub struct Slice<B> {
    buf: B,
    range: Range<usize>,
}

impl<B> Slice<B> {
    /// The bytes `range` of `buf`; what lies outside of the buffer is left out.
    pub const fn new(buf: B, range: Range<usize>) -> Self {
        Self { buf, range }
    }

    /// The bytes of the buffer that are meant.
    pub const fn range(&self) -> &Range<usize> {
        &self.range
    }

    /// The whole buffer.
    pub fn into_inner(self) -> B {
        self.buf
    }
}

// SAFETY: a part of memory that `B` vouches for: the range is cut to its length.
unsafe impl<B: Buf> Buf for Slice<B> {
    fn region(&self) -> *const [u8] {
        let whole = self.buf.region();
        let end = self.range.end.min(whole.len());
        let start = self.range.start.min(end);
        std::ptr::slice_from_raw_parts(whole.cast::<u8>().wrapping_add(start), end - start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_never_truncate() {
        // the kernel's MAX_RW_COUNT is INT_MAX rounded down to a page of 4096
        for length in [0x7fff_f001, 1 << 31, 1 << 32, (1 << 32) + 1, usize::MAX] {
            assert_eq!(clamp(length), 0x7fff_f000, "{length:#x}");
        }
        assert_eq!(clamp(0x7fff_f000), 0x7fff_f000);
        assert_eq!(clamp(1), 1);
    }

    #[test]
    fn a_vector_is_filled_from_its_start_to_its_capacity() {
        let mut vec = Vec::with_capacity(16);
        vec.extend(*b"old");
        assert_eq!(vec.region_mut().len(), 16);
        // SAFETY: three bytes are initialised, so two are.
        unsafe { vec.set_filled(2) };
        assert_eq!(vec, b"ol");
    }

    #[test]
    fn a_slice_stays_inside_its_buffer() {
        let whole: &[u8] = b"0123456789";
        let cases = [(2..5, 3), (8..20, 2), (12..20, 0), (9..9, 0)];
        for (range, length) in cases {
            let slice = Slice::new(whole, range.clone());
            assert_eq!(slice.region().len(), length, "{range:?}");
            let offset = slice.region().cast::<u8>() as usize - whole.as_ptr() as usize;
            assert!(offset + length <= whole.len(), "{range:?}");
        }
    }
}
