//! One buffer of a pool: on the ring's thread, or anywhere.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    ptr::NonNull,
    rc::Rc,
    slice,
    sync::Arc,
};

use super::{Inner, Shared};
use crate::Buf;

/// A part of one buffer.
#[derive(Clone, Copy)]
struct Part {
    /// `None`: there is no buffer, only nothing.
    id: Option<u16>,
    start: u32,
    length: u32,
}

impl Part {
    fn advance(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.length);
        self.start += bytes;
        self.length -= bytes;
    }

    fn truncate(&mut self, bytes: usize) {
        self.length = self.length.min(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    fn place(&self, shared: &Shared) -> NonNull<u8> {
        match self.id {
            // SAFETY: `add` stays inside: start and length never grow beyond what the kernel
            // filled, which is at most the buffer.
            Some(id) => unsafe { shared.place(id).add(self.start as usize) },
            None => NonNull::dangling(),
        }
    }
}

/// What the two kinds of buffer share: they read as bytes, and one owner may change them.
macro_rules! bytes {
    ($name:ident) => {
        impl $name {
            /// Drops bytes from the front; all of them if there are fewer.
            pub fn advance(&mut self, bytes: usize) {
                self.part.advance(bytes);
            }

            /// Keeps this many bytes from the front; all of them if there are fewer.
            pub fn truncate(&mut self, bytes: usize) {
                self.part.truncate(bytes);
            }
        }

        impl Deref for $name {
            type Target = [u8];

            #[inline]
            fn deref(&self) -> &[u8] {
                let place = self.part.place(self.shared());
                // SAFETY: the bytes lie in the mapping, which `self` keeps; the kernel filled them
                // and does not write to a buffer that is lent; and nobody else has its number.
                unsafe { slice::from_raw_parts(place.as_ptr(), self.part.length as usize) }
            }
        }

        impl DerefMut for $name {
            fn deref_mut(&mut self) -> &mut [u8] {
                let place = self.part.place(self.shared());
                // SAFETY: as for `deref`, and `self` is borrowed mutably.
                unsafe { slice::from_raw_parts_mut(place.as_ptr(), self.part.length as usize) }
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                self
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({} bytes)"), self.part.length)
            }
        }

        // SAFETY: the bytes stay where they are, initialised and unchanged, until the value is
        // dropped or borrowed mutably; moving it does not move them.
        unsafe impl Buf for $name {
            #[inline]
            fn buf_ptr(&self) -> *const u8 {
                self.part.place(self.shared()).as_ptr()
            }

            #[inline]
            fn buf_len(&self) -> usize {
                self.part.length as usize
            }
        }
    };
}

/// Data that arrived in a buffer of a [`Pool`](super::Pool). Dropping it gives the buffer back to
/// the kernel.
///
/// It is the only owner of its bytes, and can itself be sent: an echo copies nothing.
#[doc(alias = "io_uring_buf_ring_add")]
pub struct RecvBuf {
    pool: Rc<Inner>,
    part: Part,
}

bytes!(RecvBuf);

impl RecvBuf {
    pub(super) const fn new(pool: Rc<Inner>, id: Option<u16>, length: u32) -> Self {
        Self { pool, part: Part { id, start: 0, length } }
    }

    fn shared(&self) -> &Shared {
        &self.pool.shared
    }

    /// The same buffer for use on any thread. The ring's thread hands it back to the kernel when it
    /// next calls [`Pool::reclaim`](super::Pool::reclaim) after the drop.
    #[must_use]
    pub fn into_shared(mut self) -> SharedBuf {
        let shared = Arc::clone(&self.pool.shared);
        let part = self.part;
        self.part.id = None; // taken over: the drop of `self` gives nothing back
        SharedBuf { shared, part }
    }
}

impl Drop for RecvBuf {
    #[inline]
    fn drop(&mut self) {
        if let Some(id) = self.part.id {
            self.pool.give_back(id);
        }
    }
}

/// A [`RecvBuf`] that any thread may hold: see [`RecvBuf::into_shared`].
pub struct SharedBuf {
    shared: Arc<Shared>,
    part: Part,
}

bytes!(SharedBuf);

impl SharedBuf {
    fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for SharedBuf {
    fn drop(&mut self) {
        if let Some(id) = self.part.id {
            self.shared.give_back(id);
        }
    }
}
