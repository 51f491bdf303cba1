//! The ring's descriptor, and its short cut through the task's table of registered rings.

use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    rc::{Rc, Weak},
};

use uring_sys as sys;

use super::cursors::Place;
use crate::{
    abi::cast::{signed, unsigned},
    kernel::{self, map::FORKED},
    pool::buf_ring::BufRing,
};

/// The descriptor of a ring, shared with what has to unregister itself from it.
#[derive(Debug)]
pub(crate) struct RingFd {
    fd: OwnedFd,
    /// The index in this task's table of registered rings. Valid on this thread alone: one more
    /// reason why a ring is not `Send`.
    registered: Cell<Option<u32>>,
    at: Place,
    /// The number that the next buffer group tries.
    group: Cell<u16>,
    /// What hands buffers to the kernel; shown to it before each enter.
    offers: RefCell<Vec<Weak<BufRing>>>,
}

impl RingFd {
    pub(super) fn new(fd: OwnedFd, at: Place) -> Self {
        Self {
            fd,
            registered: Cell::new(None),
            at,
            group: Cell::new(0),
            offers: RefCell::default(),
        }
    }

    /// Saves the kernel a look-up on every enter. Best effort: the table has 16 places a task.
    pub(super) fn register_itself(&self) {
        // offset -1: any free place
        let mut update = sys::io_uring_rsrc_update {
            offset: u32::MAX,
            data: u64::from(unsigned(self.fd.as_raw_fd())),
            ..Default::default()
        };
        // SAFETY: the opcode reads and writes one `io_uring_rsrc_update`, and that is what it gets.
        let answer = unsafe { self.register(sys::IORING_REGISTER_RING_FDS, &raw mut update, 1) };
        if matches!(answer, Ok(1)) {
            self.registered.set(Some(update.offset));
        }
    }

    /// Gives the place in the task's table back. A ring that stays there outlives its descriptor.
    fn unregister_itself(&self) {
        let Some(offset) = self.registered.take() else { return };
        let mut update = sys::io_uring_rsrc_update { offset, ..Default::default() };
        // SAFETY: the opcode reads one `io_uring_rsrc_update`, and that is what it gets.
        let answer = unsafe { self.register(sys::IORING_UNREGISTER_RING_FDS, &raw mut update, 1) };
        debug_assert!(matches!(answer, Ok(1)), "the place was ours");
    }

    pub(super) fn is_registered(&self) -> bool {
        self.registered.get().is_some()
    }

    /// What `io_uring_enter` takes: the registered index, or the descriptor.
    pub(super) fn entrance(&self) -> i32 {
        self.registered.get().map_or(self.fd.as_raw_fd(), signed)
    }

    /// A number for a group of buffers, which is free unless a caller took it by himself.
    pub(crate) fn next_group(&self) -> u16 {
        self.group.replace(self.group.get().wrapping_add(1))
    }

    /// Shows what `offers` offers to the kernel before each enter from now on.
    pub(crate) fn publish_at_enter(&self, offers: &Rc<BufRing>) {
        let mut all = self.offers.borrow_mut();
        all.retain(|offers| offers.strong_count() > 0);
        all.push(Rc::downgrade(offers));
        self.at.show_offers();
    }

    /// Shows the buffers that came back since the last enter to the kernel: one store a pool.
    fn publish_offers(&self) {
        self.offers.borrow().iter().filter_map(Weak::upgrade).for_each(|o| o.publish());
    }

    /// What has to be done before the kernel is entered. Fails with the errno in a forked child.
    pub(super) fn prepare_enter(&self) -> Result<(), i32> {
        if self.is_forked() {
            return Err(FORKED);
        }
        self.publish_offers();
        Ok(())
    }

    /// Whether this process was forked from the one that made the ring.
    pub(crate) fn is_forked(&self) -> bool {
        self.at.is_forked()
    }

    /// Calls `io_uring_register(2)`; in a forked child it fails, and changes nothing of the
    /// parent's.
    ///
    /// # Safety
    ///
    /// `argument` and `count` are what `opcode` asks for in `io_uring_register(2)`, and memory that
    /// the opcode registers stays valid until it is unregistered.
    pub(crate) unsafe fn register<T>(
        &self,
        opcode: u32,
        argument: *mut T,
        count: u32,
    ) -> io::Result<u32> {
        if self.is_forked() {
            return Err(io::Error::from_raw_os_error(FORKED));
        }
        // SAFETY: the caller's contract is this call's.
        unsafe { kernel::register(self.fd.as_raw_fd(), opcode, argument.cast(), count) }
            .map_err(io::Error::from_raw_os_error)
    }
}

impl AsRawFd for RingFd {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for RingFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for RingFd {
    fn drop(&mut self) {
        // a forked child has its own table of registered rings: the index is not there
        if !self.is_forked() {
            self.unregister_itself();
        }
    }
}
