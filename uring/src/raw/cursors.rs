//! Where we are in both queues.

use std::{cell::Cell, io, ptr::NonNull, rc::Rc};

use crate::kernel::map::Private;

/// Our own counters of both queues, which run free and wrap.
///
/// They lie on memory that the kernel wipes at fork: a child finds a submission queue without room
/// and a completion queue without completions, goes the slow way, and is told there that the ring
/// is not its own. So the fast way needs no check.
#[derive(Debug)]
pub(crate) struct Cursors {
    /// Where the next entry goes; the kernel knows it after it was published.
    pub(super) sq_tail: Cell<u32>,
    /// How many more entries can be written, as far as we know.
    pub(super) sq_room: Cell<u32>,
    /// Where the next completion is; the kernel knows it after it was released.
    pub(super) cq_head: Cell<u32>,
    /// How many completions can be read, as far as we know.
    pub(super) cq_left: Cell<u32>,
}

/// The counters of one ring, and the memory that they lie on.
#[derive(Clone, Debug)]
pub(super) struct Place {
    cursors: NonNull<Cursors>,
    birth: Rc<Private>,
}

impl Place {
    pub(super) fn new() -> io::Result<Self> {
        let birth = Private::new(size_of::<Cursors>())?;
        Ok(Self { cursors: birth.at(0, 1), birth: Rc::new(birth) })
    }

    pub(super) const fn birth(&self) -> &Rc<Private> {
        &self.birth
    }

    /// Whether this process was forked from the one that made the ring.
    #[inline]
    pub(super) fn is_forked(&self) -> bool {
        self.birth.is_wiped()
    }
}

impl std::ops::Deref for Place {
    type Target = Cursors;

    #[inline]
    fn deref(&self) -> &Cursors {
        // SAFETY: `as_ref` asks for an aligned, initialised value that outlives the borrow and is
        // not changed but through its cells: `Private::at` checked the place, zeroes are valid
        // counters, and the memory is held by `self`. The kernel wipes it in a child only, before
        // that runs.
        unsafe { self.cursors.as_ref() }
    }
}
