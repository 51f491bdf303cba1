//! The ring through which buffers go to the kernel.

use std::{
    cell::Cell,
    io,
    ptr::NonNull,
    sync::atomic::{AtomicU16, Ordering},
};

use uring_sys as sys;

use crate::kernel::map::Private;

/// The part of a ring entry that is ours to write: all of it but its last two bytes.
#[repr(C)]
struct Offer {
    addr: u64,
    len: u32,
    bid: u16,
}

const _: () = assert!(
    std::mem::offset_of!(Offer, bid) == std::mem::offset_of!(sys::io_uring_buf, bid)
        && std::mem::offset_of!(Offer, len) == std::mem::offset_of!(sys::io_uring_buf, len)
);

impl Offer {
    const BYTES: usize = std::mem::offset_of!(sys::io_uring_buf, resv);

    /// # Safety
    ///
    /// `entry` can be written, and nobody reads it meanwhile.
    #[inline]
    unsafe fn write_to(self, entry: *mut sys::io_uring_buf) {
        let from = (&raw const self).cast::<u8>();
        // SAFETY: the first `BYTES` bytes of both are the same three fields, and they do not
        // overlap.
        unsafe { std::ptr::copy_nonoverlapping(from, entry.cast::<u8>(), Self::BYTES) };
    }
}

/// Where the kernel picks buffers up.
#[derive(Debug)]
pub(crate) struct BufRing {
    memory: Private,
    entries: NonNull<sys::io_uring_buf>,
    ktail: NonNull<AtomicU16>,
    mask: u16,
    /// Free-running, as the kernel has it.
    tail: Cell<u16>,
    /// The tail that the kernel knows.
    published: Cell<u16>,
}

impl BufRing {
    /// A ring for `buffers` buffers, a power of two, that offers none yet.
    pub(super) fn new(buffers: u16) -> io::Result<Self> {
        let memory = Private::new(usize::from(buffers) * size_of::<sys::io_uring_buf>())?;
        Ok(Self {
            entries: memory.at(0, buffers.into()),
            // include/uapi/linux/io_uring.h: the tail is at byte 14 of the ring
            ktail: memory.at(14, 1),
            memory,
            mask: buffers - 1,
            tail: Cell::new(0),
            published: Cell::new(0),
        })
    }

    /// Where the ring starts, for the kernel.
    pub(super) fn address(&self) -> u64 {
        self.memory.start().as_ptr().expose_provenance() as u64
    }

    /// Writes a buffer into the ring; the kernel sees it after [`publish`](Self::publish).
    ///
    /// No more buffers are offered than the ring has entries: each has one owner, and comes back
    /// once.
    #[inline]
    pub(super) fn offer(&self, place: NonNull<u8>, bytes: u32, id: u16) {
        let tail = self.tail.get();
        // SAFETY: `add` stays inside: the index is masked, and `at` checked room for all entries.
        let entry = unsafe { self.entries.add(usize::from(tail & self.mask)) }.as_ptr();
        let addr = place.as_ptr().expose_provenance() as u64;
        // The kernel's tail lies in the last two bytes of the first entry: all but those are
        // written.
        let offer = Offer { addr, len: bytes, bid: id };
        // SAFETY: the entry is inside the mapping, aligned, and beyond the published tail, so the
        // kernel does not read it; no reference to it exists.
        unsafe { offer.write_to(entry) };
        self.tail.set(tail.wrapping_add(1));
    }

    /// Shows what was offered to the kernel: one store, or none.
    #[inline]
    pub(crate) fn publish(&self) {
        let tail = self.tail.get();
        if tail == self.published.get() {
            return;
        }
        self.published.set(tail);
        // SAFETY: `as_ref` asks for an aligned u16 that outlives the borrow and is not accessed
        // otherwise meanwhile: `at` checked the place, the mapping lives as long as `self`, and
        // both we and the kernel access it atomically.
        let ktail = unsafe { self.ktail.as_ref() };
        // Release pairs with the kernel's acquire: it must see the entries before the new tail.
        ktail.store(tail, Ordering::Release);
    }
}
