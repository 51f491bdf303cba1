//! Memory that an operation may lend to the kernel.

use std::{mem::MaybeUninit, ops::Range, rc::Rc, sync::Arc};

/// The most bytes that the kernel moves in one operation; longer buffers are used up to here.
pub(crate) const TRANSFER_MAX: usize = 0x7fff_f000;

/// `length`, clamped to what one operation moves. Never a truncation: 4 GiB must not become 0.
pub(crate) fn clamp(length: usize) -> u32 {
    u32::try_from(length.min(TRANSFER_MAX)).unwrap_or(u32::MAX)
}

/// Memory that the kernel may read.
///
/// Implemented by the owned and borrowed byte buffers of the standard library, by arrays, and by
/// the buffers of a [`Pool`](crate::Pool). Owned ones go into a [`Ring`](crate::Ring), borrowed
/// ones into [`Ring::run`](crate::Ring::run) and [`Ring::scope`](crate::Ring::scope).
///
/// # Safety
///
/// From a call of `buf_ptr` on, until the value is moved, mutably borrowed or dropped:
/// - `buf_len` bytes from the pointer are initialised and can be read;
/// - nothing changes them.
pub unsafe trait Buf {
    /// Where the memory starts.
    fn buf_ptr(&self) -> *const u8;
    /// How many bytes of it there are.
    fn buf_len(&self) -> usize;
}

/// Memory that the kernel may write.
///
/// A `Vec` is filled from its start up to its capacity, whatever its length was, and holds
/// afterwards exactly the bytes that were read.
///
/// # Safety
///
/// From a call of `buf_mut_ptr` on, until the value is moved, borrowed or dropped:
/// - `buf_capacity` bytes from the pointer can be written;
/// - nothing else reads or writes them.
pub unsafe trait BufMut {
    /// Where the memory starts.
    fn buf_mut_ptr(&mut self) -> *mut u8;
    /// How many bytes of it there are.
    fn buf_capacity(&self) -> usize;
    /// Says how many bytes from the start were written.
    ///
    /// # Safety
    ///
    /// The first `bytes` bytes are initialised, and there are at most
    /// [`buf_capacity`](Self::buf_capacity) of them.
    unsafe fn set_filled(&mut self, bytes: usize);
}

/// Types whose bytes have a fixed place and are always initialised.
macro_rules! slices {
    (read: $([$($generics:tt)*] $type:ty),* $(,)?) => {$(
        // SAFETY: the slice that the type dereferences to stays where it is until the value is
        // moved or mutably borrowed, and nothing changes it while it is shared.
        unsafe impl<$($generics)*> Buf for $type {
            fn buf_ptr(&self) -> *const u8 {
                self.as_ptr()
            }
            fn buf_len(&self) -> usize {
                self.len()
            }
        }
    )*};
    (write: $([$($generics:tt)*] $type:ty),* $(,)?) => {$(
        // SAFETY: the value owns or mutably borrows its slice, so nothing else reaches it.
        unsafe impl<$($generics)*> BufMut for $type {
            fn buf_mut_ptr(&mut self) -> *mut u8 {
                self.as_mut_ptr()
            }
            fn buf_capacity(&self) -> usize {
                self.len()
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

// SAFETY: a vector owns its capacity, and its allocation stays where it is until the vector is
// used.
unsafe impl BufMut for Vec<u8> {
    fn buf_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    fn buf_capacity(&self) -> usize {
        self.capacity()
    }

    unsafe fn set_filled(&mut self, bytes: usize) {
        // SAFETY: the caller's contract is that of `set_len`.
        unsafe { self.set_len(bytes) };
    }
}

// SAFETY: the slice is mutably borrowed, so nothing else reaches it.
unsafe impl BufMut for &mut [MaybeUninit<u8>] {
    fn buf_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr().cast()
    }

    fn buf_capacity(&self) -> usize {
        self.len()
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

    fn within(&self, length: usize) -> Range<usize> {
        let end = self.range.end.min(length);
        self.range.start.min(end)..end
    }
}

// SAFETY: a part of memory that `B` vouches for; the range is cut to its length at each call.
unsafe impl<B: Buf> Buf for Slice<B> {
    fn buf_ptr(&self) -> *const u8 {
        self.buf.buf_ptr().wrapping_add(self.within(self.buf.buf_len()).start)
    }

    fn buf_len(&self) -> usize {
        self.within(self.buf.buf_len()).len()
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
        assert_eq!(vec.buf_capacity(), 16);
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
            assert_eq!(slice.buf_len(), length, "{range:?}");
            let offset = slice.buf_ptr() as usize - whole.as_ptr() as usize;
            assert!(offset + length <= whole.len(), "{range:?}");
        }
    }
}
