//! The ring's descriptor, and its short cut through the task's table of registered rings.

use std::{
    cell::Cell,
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    process,
};

use uring_sys as sys;

use crate::cast::{signed, unsigned};

/// The descriptor of a ring, shared with what has to unregister itself from it.
#[derive(Debug)]
pub(crate) struct RingFd {
    fd: OwnedFd,
    /// The index in this task's table of registered rings. Valid on this thread alone: one more
    /// reason why a ring is not `Send`.
    registered: Cell<Option<u32>>,
    owner: u32,
    /// The number that the next buffer group tries.
    group: Cell<u16>,
}

impl RingFd {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { fd, registered: Cell::new(None), owner: process::id(), group: Cell::new(0) }
    }

    /// Saves the kernel a look-up on every enter. Best effort: the table has 16 places a task.
    pub(crate) fn register_itself(&self) {
        // offset -1: any free place
        let mut update = sys::io_uring_rsrc_update {
            offset: u32::MAX,
            data: u64::from(unsigned(self.fd.as_raw_fd())),
            ..Default::default()
        };
        // SAFETY: the opcode reads and writes one `io_uring_rsrc_update`, and that is what it gets.
        let answer = unsafe {
            sys::io_uring_register(
                self.fd.as_raw_fd(),
                sys::IORING_REGISTER_RING_FDS,
                (&raw mut update).cast(),
                1,
            )
        };
        if answer == 1 {
            self.registered.set(Some(update.offset));
        }
    }

    /// Gives the place in the task's table back. A ring that stays there outlives its descriptor.
    fn unregister_itself(&self) {
        let Some(offset) = self.registered.take() else { return };
        let mut update = sys::io_uring_rsrc_update { offset, ..Default::default() };
        // SAFETY: the opcode reads one `io_uring_rsrc_update`, and that is what it gets.
        let answer = unsafe {
            sys::io_uring_register(
                self.fd.as_raw_fd(),
                sys::IORING_UNREGISTER_RING_FDS,
                (&raw mut update).cast(),
                1,
            )
        };
        debug_assert_eq!(answer, 1, "the place was ours");
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.registered.get().is_some()
    }

    /// What `io_uring_enter` takes: the registered index, or the descriptor.
    pub(crate) fn entrance(&self) -> i32 {
        self.registered.get().map_or(self.fd.as_raw_fd(), signed)
    }

    /// A number for a group of buffers, which is free unless a caller took it by himself.
    pub(crate) fn next_group(&self) -> u16 {
        self.group.replace(self.group.get().wrapping_add(1))
    }

    /// Whether this is another process than the one that made the ring.
    pub(crate) fn is_foreign(&self) -> bool {
        process::id() != self.owner
    }

    /// Calls `io_uring_register(2)`.
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
        // SAFETY: the caller's contract is this call's.
        let answer =
            unsafe { sys::io_uring_register(self.fd.as_raw_fd(), opcode, argument.cast(), count) };
        u32::try_from(answer).map_err(|_| io::Error::from_raw_os_error(-answer))
    }
}

impl AsRawFd for RingFd {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl std::os::fd::AsFd for RingFd {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for RingFd {
    fn drop(&mut self) {
        // a forked child has its own table of registered rings: the index is not there
        if !self.is_foreign() {
            self.unregister_itself();
        }
    }
}
