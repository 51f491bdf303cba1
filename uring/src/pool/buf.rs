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
use crate::operation::buf::Buf;

/// What the number of a buffer is when there is none: larger than any.
const NONE: u16 = u16::MAX;

/// A part of one buffer.
#[derive(Clone, Copy)]
struct Part {
    start: NonNull<u8>,
    length: u32,
    /// Which buffer; [`NONE`] if there is none, only nothing.
    id: u16,
}

impl Part {
    fn advance(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.length);
        // SAFETY: `add` stays inside: start and length never go beyond what the kernel filled,
        // which is at most the buffer.
        self.start = unsafe { self.start.add(bytes as usize) };
        self.length -= bytes;
    }

    fn truncate(&mut self, bytes: usize) {
        self.length = self.length.min(u32::try_from(bytes).unwrap_or(u32::MAX));
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
                let Part { start, length, .. } = self.part;
                // SAFETY: the bytes lie in the mapping, which `self` keeps; the kernel filled them
                // and does not write to a buffer that is lent; and nobody else has its number.
                unsafe { slice::from_raw_parts(start.as_ptr(), length as usize) }
            }
        }

        impl DerefMut for $name {
            fn deref_mut(&mut self) -> &mut [u8] {
                let Part { start, length, .. } = self.part;
                // SAFETY: as for `deref`, and `self` is borrowed mutably.
                unsafe { slice::from_raw_parts_mut(start.as_ptr(), length as usize) }
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
            fn region(&self) -> *const [u8] {
                let Part { start, length, .. } = self.part;
                std::ptr::slice_from_raw_parts(start.as_ptr(), length as usize)
            }
        }
    };
}

/// Data that arrived in a buffer of a [`Pool`](super::Pool). Dropping it gives the buffer back to
/// the kernel.
///
/// It is the only owner of its bytes, and can itself be sent: an echo copies nothing.
///
/// ```
/// use std::{io::{Read, Write}, os::unix::net::UnixStream};
/// use uring::{Ring, op::{Nop, RecvMulti, Send}};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # match uring::check() { Ok(it) if it.has(uring::OpCode::SEND_ZC) => {} _ => return Ok(()) }
/// let mut ring: Ring<Nop> = Ring::builder().build()?;
/// let pool = ring.pool(16, 4096)?;
/// let (mut ours, theirs) = UnixStream::pair()?;
/// ours.write_all(b"< hello")?;
/// ours.shutdown(std::net::Shutdown::Write)?;
/// let mut echo = None;
/// ring.scope::<RecvMulti<&UnixStream>, (), _>(1, |s| {
///     s.submit(RecvMulti::new(&theirs, &pool), ())?;
///     s.wait(1, None)?;
///     if let Some(uring::Event::Item { item, .. }) = s.next() {
///         echo = Some(item);
///     }
///     Ok::<_, std::io::Error>(())
/// })?;
/// let mut echo = echo.expect("it arrived");
/// echo.advance(2);
/// ring.run(Send::new(&theirs, echo)).0?; // the bytes that were received, without a copy
/// drop(theirs);
/// let mut answer = String::new();
/// ours.read_to_string(&mut answer)?;
/// assert_eq!(answer, "hello");
/// # Ok(()) }
/// ```
pub struct RecvBuf {
    pool: Rc<Inner>,
    part: Part,
}

bytes!(RecvBuf);

impl RecvBuf {
    #[inline]
    pub(super) fn new(pool: Rc<Inner>, id: u16, length: u32) -> Self {
        let start = pool.shared.place(id);
        Self { pool, part: Part { start, length, id } }
    }

    pub(super) const fn of_nothing(pool: Rc<Inner>) -> Self {
        Self { pool, part: Part { start: NonNull::dangling(), length: 0, id: NONE } }
    }

    /// The same buffer for use on any thread. The ring's thread hands it back to the kernel when it
    /// next calls [`Pool::reclaim`](super::Pool::reclaim) after the drop.
    #[must_use]
    pub fn into_shared(mut self) -> SharedBuf {
        let shared = Arc::clone(&self.pool.shared);
        let part = self.part;
        self.part.id = NONE; // taken over: the drop of `self` gives nothing back
        SharedBuf { shared, part }
    }
}

impl Drop for RecvBuf {
    #[inline]
    fn drop(&mut self) {
        if self.part.id != NONE {
            self.pool.give_back(self.part.id);
        }
    }
}

/// A [`RecvBuf`] that any thread may hold: see [`RecvBuf::into_shared`].
pub struct SharedBuf {
    shared: Arc<Shared>,
    part: Part,
}

// SAFETY: the pointer of the part leads to a buffer that this value alone has, in memory that it
// keeps; which thread it is on does not matter.
unsafe impl Send for SharedBuf {}
// SAFETY: a shared `SharedBuf` gives shared slices out, and nothing else.
unsafe impl Sync for SharedBuf {}

bytes!(SharedBuf);

impl Drop for SharedBuf {
    fn drop(&mut self) {
        if self.part.id != NONE {
            self.shared.give_back(self.part.id);
        }
    }
}
