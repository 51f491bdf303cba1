//! Buffers that the kernel picks from when data arrives.
//!
//! A pool is two mappings: the buffers, and the ring through which we hand them to the kernel. What
//! it lends comes back as a [`RecvBuf`], whose drop returns the buffer.

mod buf;
mod error;

pub use buf::{RecvBuf, SharedBuf};
pub use error::PoolError;

use std::{
    cell::Cell,
    fmt, io,
    mem::ManuallyDrop,
    ptr::NonNull,
    rc::{Rc, Weak},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
};

use uring_sys as sys;

use crate::{
    Cqe, RingId,
    raw::{Map, RingFd},
};

/// The most buffers that a group takes.
const BUFFERS_MAX: u16 = 1 << 15;

/// Buffers of one size, registered with one ring. Since Linux 5.19.
///
/// Made by [`Ring::pool`](crate::Ring::pool). A clone is another handle to the same pool. The
/// memory is freed when no handle, no operation and no [`RecvBuf`] is left.
///
/// - **Manual:** [`io_uring_register_buf_ring(3)`].
///
/// [`io_uring_register_buf_ring(3)`]: https://man7.org/linux/man-pages/man3/io_uring_register_buf_ring.3.html
#[doc(alias = "io_uring_buf_ring")]
#[doc(alias = "io_uring_setup_buf_ring")]
#[derive(Clone)]
pub struct Pool {
    inner: Rc<Inner>,
}

/// What the thread of the ring needs.
pub(crate) struct Inner {
    ring: Weak<RingFd>,
    ring_id: RingId,
    group: u16,
    /// How many buffers are not with the kernel.
    lent: Cell<u16>,
    /// Free-running, as the kernel has it.
    tail: Cell<u16>,
    entries: ManuallyDrop<Map>,
    shared: ManuallyDrop<Arc<Shared>>,
}

/// What other threads may hold on to.
pub(crate) struct Shared {
    memory: Map,
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
        buffers: u16,
        buffer_bytes: u32,
    ) -> Result<Self, PoolError> {
        let fail = |source| PoolError { buffers, buffer_bytes, source };
        if !buffers.is_power_of_two() || buffers > BUFFERS_MAX || buffer_bytes == 0 {
            return Err(fail(None));
        }
        let bytes = usize::from(buffers) * buffer_bytes as usize;
        let memory = Map::anonymous(bytes).map_err(|e| fail(Some(e)))?;
        let entry_bytes = usize::from(buffers) * size_of::<sys::io_uring_buf>();
        let entries = Map::anonymous(entry_bytes).map_err(|e| fail(Some(e)))?;
        let group = register(ring, &entries, buffers).map_err(|e| fail(Some(e)))?;
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
            lent: Cell::new(0),
            tail: Cell::new(0),
            entries: ManuallyDrop::new(entries),
            shared: ManuallyDrop::new(Arc::new(shared)),
        };
        for id in 0..buffers {
            inner.offer(id);
        }
        inner.publish();
        Ok(Self { inner: Rc::new(inner) })
    }

    /// How many buffers there are.
    #[must_use]
    pub fn buffers(&self) -> u16 {
        self.inner.shared.buffers
    }

    /// The size of each, in bytes.
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

    /// Hands the buffers that other threads gave back ([`SharedBuf`]) to the kernel, and says how
    /// many there were. Cheap if there were none.
    pub fn reclaim(&self) -> usize {
        let shared = &self.inner.shared;
        // Acquire pairs with the release in `SharedBuf`'s drop; the mutex orders the list itself.
        if !shared.any_returned.load(Ordering::Acquire) {
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
        self.inner.publish();
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
    pub unsafe fn take(&self, cqe: Cqe) -> io::Result<Option<RecvBuf>> {
        let result = cqe.result();
        let Some(id) = cqe.buffer_id().filter(|id| *id < self.buffers()) else {
            return result.map(|_| None);
        };
        self.inner.lent.set(self.inner.lent.get() + 1);
        let length = *result.as_ref().unwrap_or(&0);
        // MSG_TRUNC, from a raw entry, counts what did not fit
        let buf = RecvBuf::new(self.inner.clone(), Some(id), length.min(self.buffer_bytes()));
        // of an error, or of nothing, the buffer goes straight back
        result.map(|length| (length > 0).then_some(buf))
    }

    /// A buffer of nothing.
    pub(crate) fn empty(&self) -> RecvBuf {
        RecvBuf::new(self.inner.clone(), None, 0)
    }
}

/// Registers the ring of buffers under a group number that is free.
fn register(ring: &RingFd, entries: &Map, buffers: u16) -> io::Result<u16> {
    for _ in 0..=u16::MAX {
        let group = ring.next_group();
        let mut argument = sys::io_uring_buf_reg {
            ring_addr: entries.start().as_ptr().expose_provenance() as u64,
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

/// The part of a ring entry that is ours to write: all of it but its last two bytes.
#[repr(C)]
struct Offer {
    addr: u64,
    len: u32,
    bid: u16,
}

impl Offer {
    const BYTES: usize = std::mem::offset_of!(sys::io_uring_buf, resv);

    /// # Safety
    ///
    /// `entry` can be written, and nobody reads it meanwhile.
    unsafe fn write_to(self, entry: *mut sys::io_uring_buf) {
        let from = (&raw const self).cast::<u8>();
        // SAFETY: the first `BYTES` bytes of both are the same three fields, and they do not
        // overlap.
        unsafe { std::ptr::copy_nonoverlapping(from, entry.cast::<u8>(), Self::BYTES) };
    }
}

const _: () = assert!(
    std::mem::offset_of!(Offer, bid) == std::mem::offset_of!(sys::io_uring_buf, bid)
        && std::mem::offset_of!(Offer, len) == std::mem::offset_of!(sys::io_uring_buf, len)
);

impl Inner {
    fn memory(&self, id: u16) -> NonNull<u8> {
        self.shared.place(id)
    }

    /// Writes a buffer into the ring; the kernel sees it after `publish`.
    fn offer(&self, id: u16) {
        let mask = self.shared.buffers - 1;
        let tail = self.tail.get();
        let entry = self.entries.at::<sys::io_uring_buf>(0, self.shared.buffers.into());
        // SAFETY: `add` stays inside: the index is masked, and `at` checked room for all entries.
        let entry = unsafe { entry.add(usize::from(tail & mask)) }.as_ptr();
        let address = self.memory(id).as_ptr().expose_provenance() as u64;
        // The kernel's tail lies in the last two bytes of the first entry: all but those are
        // written.
        let head = Offer { addr: address, len: self.shared.buffer_bytes, bid: id };
        // SAFETY: the entry is inside the mapping, aligned, and beyond the published tail, so the
        // kernel does not read it; no reference to it exists.
        unsafe { head.write_to(entry) };
        self.tail.set(tail.wrapping_add(1));
    }

    /// Shows what was offered to the kernel: one store.
    #[doc(alias = "io_uring_buf_ring_advance")]
    fn publish(&self) {
        // include/uapi/linux/io_uring.h: the tail is at byte 14 of the ring
        let tail = self.entries.at::<u16>(14, 1);
        // SAFETY: `from_ptr` asks for an aligned u16 that is valid for the borrow and not accessed
        // otherwise meanwhile: `at` checked the place, the mapping lives as long as `self`, and
        // both we and the kernel access it atomically.
        let tail = unsafe { AtomicU16::from_ptr(tail.as_ptr()) };
        // Release pairs with the kernel's acquire: it must see the entries before the new tail.
        tail.store(self.tail.get(), Ordering::Release);
    }

    fn give_back(&self, id: u16) {
        self.offer(id);
        self.publish();
        self.lent.set(self.lent.get() - 1);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let unregistered = self.ring.upgrade().is_none_or(|ring| {
            if ring.is_foreign() {
                return false; // a forked child: the group is its parent's
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
        unsafe { ManuallyDrop::drop(&mut self.entries) };
        // SAFETY: as above.
        unsafe { ManuallyDrop::drop(&mut self.shared) };
    }
}

impl Shared {
    fn place(&self, id: u16) -> NonNull<u8> {
        debug_assert!(id < self.buffers);
        let offset = usize::from(id) * self.buffer_bytes as usize;
        // SAFETY: `add` stays inside: the mapping has `buffers` times `buffer_bytes`, and `id` is
        // smaller than `buffers`.
        unsafe { self.memory.start().add(offset) }
    }

    fn give_back(&self, id: u16) {
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
