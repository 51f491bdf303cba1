//! Buffers that the kernel picks from when data arrives.
//!
//! A pool is two pieces of memory: the buffers, and the ring through which we hand them to the
//! kernel (`buf_ring`). What it lends comes back as a [`RecvBuf`] (`buf`), whose drop returns the
//! buffer; `payload` is that, or any other bytes to send.

pub(crate) mod buf;
pub(crate) mod buf_ring;
pub(crate) mod error;
pub(crate) mod payload;

use std::{
    cell::Cell,
    fmt, io,
    mem::ManuallyDrop,
    ptr::NonNull,
    rc::{Rc, Weak},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use uring_sys as sys;

use self::{buf::RecvBuf, buf_ring::BufRing, error::PoolError};
use crate::{
    abi::{cqe::Cqe, token::RingId},
    kernel::map::Private,
    raw::fd::RingFd,
};

/// The most buffers that a group takes.
const BUFFERS_MAX: u16 = 1 << 15;

/// Buffers of one size, registered with one ring. Since Linux 5.19.
///
/// Made by [`Ring::pool`](crate::Ring::pool). A clone is another handle to the same pool. The
/// memory is freed when no handle, no operation, no [`RecvBuf`] and no
/// [`SharedBuf`](crate::SharedBuf) is left.
///
/// A forked child finds zeroes in the buffers, and what it gives back reaches nobody.
///
/// ```
/// use std::{io::Write, os::unix::net::UnixStream};
/// use uring::{Event, Ring, op::RecvMulti};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # match uring::check() { Ok(it) if it.has(uring::OpCode::SEND_ZC) => {} _ => return Ok(()) }
/// let mut ring: Ring<RecvMulti<UnixStream>> = Ring::builder().build()?;
/// let pool = ring.pool(16, 4096)?;
/// let (mut ours, theirs) = UnixStream::pair()?;
/// ring.submit(RecvMulti::new(theirs, &pool), ())?;
/// ours.write_all(b"hello")?;
/// ring.wait(1, None)?;
/// let event = ring.next(); // it holds the buffer that the kernel picked
/// assert_eq!(pool.available(), 15);
/// drop(event);
/// assert_eq!(pool.available(), 16);
/// # Ok(()) }
/// ```
/// - **Manual:** [`io_uring_register_buf_ring(3)`].
///
/// [`io_uring_register_buf_ring(3)`]: https://man7.org/linux/man-pages/man3/io_uring_register_buf_ring.3.html
#[derive(Clone)]
pub struct Pool {
    inner: Rc<Inner>,
}

/// What the thread of the ring needs.
pub(crate) struct Inner {
    ring: Weak<RingFd>,
    ring_id: RingId,
    group: u16,
    /// The kernel may pick a buffer at any time, not only when we enter it: what comes back is
    /// offered at once.
    eager: bool,
    /// How many buffers are not with the kernel.
    lent: Cell<u16>,
    offers: ManuallyDrop<Rc<BufRing>>,
    shared: ManuallyDrop<Arc<Shared>>,
}

/// What other threads may hold on to.
pub(crate) struct Shared {
    memory: Private,
    buffers: u16,
    buffer_bytes: u32,
    /// Buffers that other threads gave back, for the ring's thread to hand to the kernel.
    returned: Mutex<Vec<u16>>,
    any_returned: AtomicBool,
}

// SAFETY: the mapping is plain memory; each buffer of it is reached only through the one
// `SharedBuf` or `RecvBuf` that has its number, and the rest is behind a mutex and an atomic.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Pool {
    pub(crate) fn new(
        ring: &Rc<RingFd>,
        ring_id: RingId,
        eager: bool,
        buffers: u16,
        buffer_bytes: u32,
    ) -> Result<Self, PoolError> {
        let fail = |source| PoolError { buffers, buffer_bytes, source };
        if !buffers.is_power_of_two() || buffers > BUFFERS_MAX || buffer_bytes == 0 {
            return Err(fail(None));
        }
        let too_large = || fail(Some(io::Error::from_raw_os_error(libc::ENOMEM)));
        let bytes = usize::from(buffers).checked_mul(buffer_bytes as usize);
        let memory = Private::new(bytes.ok_or_else(too_large)?).map_err(|e| fail(Some(e)))?;
        let offers = Rc::new(BufRing::new(buffers).map_err(|e| fail(Some(e)))?);
        let group = register(ring, &offers, buffers).map_err(|e| fail(Some(e)))?;
        ring.publish_at_enter(&offers);
        let shared = Shared {
            memory,
            buffers,
            buffer_bytes,
            returned: Mutex::default(),
            any_returned: AtomicBool::new(false),
        };
        let inner = Inner {
            ring: Rc::downgrade(ring),
            ring_id,
            group,
            eager,
            lent: Cell::new(0),
            offers: ManuallyDrop::new(offers),
            shared: ManuallyDrop::new(Arc::new(shared)),
        };
        for id in 0..buffers {
            inner.offer(id);
        }
        inner.offers.publish();
        Ok(Self { inner: Rc::new(inner) })
    }

    /// How many buffers there are.
    #[inline]
    #[must_use]
    pub fn buffers(&self) -> u16 {
        self.inner.shared.buffers
    }

    /// The size of each, in bytes.
    #[inline]
    #[must_use]
    pub fn buffer_bytes(&self) -> u32 {
        self.inner.shared.buffer_bytes
    }

    /// How many buffers are with the kernel, as far as completions were read.
    #[doc(alias = "io_uring_buf_ring_available")]
    #[must_use]
    pub fn available(&self) -> u16 {
        self.buffers() - self.inner.lent.get()
    }

    /// The ring that the pool belongs to.
    #[must_use]
    pub fn ring(&self) -> RingId {
        self.inner.ring_id
    }

    pub(crate) fn group(&self) -> u16 {
        self.inner.group
    }

    /// Hands the buffers that other threads gave back ([`SharedBuf`](crate::SharedBuf)) to the
    /// kernel, and says how many there were. Cheap if there were none.
    pub fn reclaim(&self) -> usize {
        let shared = &self.inner.shared;
        // Acquire pairs with the release in `SharedBuf`'s drop; the mutex orders the list itself.
        // In a forked child the lock may be held by a thread that is not there.
        if !shared.any_returned.load(Ordering::Acquire) || shared.memory.is_wiped() {
            return 0;
        }
        let mut returned = shared.returned.lock().unwrap_or_else(PoisonError::into_inner);
        shared.any_returned.store(false, Ordering::Relaxed);
        let count = returned.len();
        for id in returned.drain(..) {
            self.inner.offer(id);
            self.inner.lent.set(self.inner.lent.get() - 1);
        }
        drop(returned);
        self.inner.offers.publish();
        count
    }

    /// The buffer that a completion brought: `None` if it brought none, as at the end of a stream.
    ///
    /// # Errors
    ///
    /// The completion's own.
    ///
    /// # Safety
    ///
    /// `cqe` is a completion of an entry that picks from this pool, and is passed once.
    #[inline]
    pub unsafe fn take(&self, cqe: Cqe) -> io::Result<Option<RecvBuf>> {
        if let (Some(id), Ok(length @ 1..)) = (cqe.buffer_id(), u32::try_from(cqe.raw_result())) {
            if id < self.buffers() {
                // MSG_TRUNC, from a raw entry, counts what did not fit
                return Ok(Some(self.lend(id, length.min(self.buffer_bytes()))));
            }
        }
        self.take_nothing(cqe)
    }

    /// The buffer of this number, which the kernel has filled.
    #[inline]
    fn lend(&self, id: u16, length: u32) -> RecvBuf {
        self.inner.lent.set(self.inner.lent.get() + 1);
        RecvBuf::new(self.inner.clone(), id, length)
    }

    /// What a completion without data says; of an error, or of nothing, a buffer goes straight
    /// back.
    #[cold]
    fn take_nothing(&self, cqe: Cqe) -> io::Result<Option<RecvBuf>> {
        if let Some(id) = cqe.buffer_id().filter(|id| *id < self.buffers()) {
            drop(self.lend(id, 0));
        }
        cqe.result().map(|_| None)
    }

    /// A buffer of nothing.
    pub(crate) fn empty(&self) -> RecvBuf {
        RecvBuf::of_nothing(self.inner.clone())
    }
}

/// Registers the ring of buffers under a group number that is free.
fn register(ring: &RingFd, offers: &BufRing, buffers: u16) -> io::Result<u16> {
    for _ in 0..=u16::MAX {
        let group = ring.next_group();
        let mut argument = sys::io_uring_buf_reg {
            ring_addr: offers.address(),
            ring_entries: buffers.into(),
            bgid: group,
            ..Default::default()
        };
        // SAFETY: the opcode reads one `io_uring_buf_reg`. The memory that it names stays mapped
        // until `Inner` has unregistered it.
        let answer = unsafe { ring.register(sys::IORING_REGISTER_PBUF_RING, &raw mut argument, 1) };
        match answer {
            Err(e) if e.raw_os_error() == Some(libc::EEXIST) => {}
            answer => return answer.map(|_| group),
        }
    }
    Err(io::Error::from_raw_os_error(libc::EEXIST))
}

impl Inner {
    /// Writes a buffer into the ring; the kernel sees it after the next publication.
    #[inline]
    fn offer(&self, id: u16) {
        self.offers.offer(self.shared.place(id), self.shared.buffer_bytes, id);
    }

    #[inline]
    fn give_back(&self, id: u16) {
        self.offer(id);
        self.lent.set(self.lent.get() - 1);
        if self.eager {
            self.offers.publish();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let unregistered = self.ring.upgrade().is_none_or(|ring| {
            if ring.is_forked() {
                return true; // the child's memory is its own: no kernel knows of it
            }
            let mut argument = sys::io_uring_buf_reg { bgid: self.group, ..Default::default() };
            // SAFETY: the opcode reads one `io_uring_buf_reg`, and unregisters memory.
            let answer =
                unsafe { ring.register(sys::IORING_UNREGISTER_PBUF_RING, &raw mut argument, 1) };
            answer.is_ok()
        });
        if !unregistered {
            return; // the kernel still knows the addresses: leak them
        }
        // No operation holds the pool any more, so none can pick a buffer; if the ring is gone, it
        // was drained or leaked its operations, and those hold the pool.
        // SAFETY: dropped once, here, and not used afterwards.
        unsafe { ManuallyDrop::drop(&mut self.offers) };
        // SAFETY: as above.
        unsafe { ManuallyDrop::drop(&mut self.shared) };
    }
}

impl Shared {
    #[inline]
    fn place(&self, id: u16) -> NonNull<u8> {
        debug_assert!(id < self.buffers);
        let offset = usize::from(id) * self.buffer_bytes as usize;
        // SAFETY: `add` stays inside: the mapping has `buffers` times `buffer_bytes`, and `id` is
        // smaller than `buffers`.
        unsafe { self.memory.start().add(offset) }
    }

    fn give_back(&self, id: u16) {
        if self.memory.is_wiped() {
            return; // a forked child: the lock may be held by a thread that is not there
        }
        self.returned.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        // Release pairs with the acquire in `reclaim`.
        self.any_returned.store(true, Ordering::Release);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("buffers", &self.buffers())
            .field("buffer_bytes", &self.buffer_bytes())
            .field("available", &self.available())
            .finish()
    }
}
