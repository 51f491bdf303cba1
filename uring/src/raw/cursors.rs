//! Where we are in both queues.

use std::{cell::Cell, io, ptr::NonNull, rc::Rc};

use crate::kernel::map::Private;

/// Our own counters of both queues, which run free and wrap.
///
/// They lie on memory that the kernel wipes at fork: a child finds two counters equal that mean
/// «full» for the submission queue and «empty» for the completion queue. So it goes the slow way,
/// and is told there that the ring is not its own; the fast way needs no check.
#[derive(Debug)]
pub(crate) struct Cursors {
    /// What is to be done before the kernel is entered: [`NOTHING`], most often.
    before_enter: Cell<u32>,
    /// Where the next entry goes; the kernel knows it after it was published.
    pub(super) sq_tail: Cell<u32>,
    /// Where the tail has to stop, as far as we know: the queue is full there.
    pub(super) sq_limit: Cell<u32>,
    /// Where the next completion is; the kernel knows it after it was released.
    pub(super) cq_head: Cell<u32>,
    /// Where the completions end, as far as we know.
    pub(super) cq_end: Cell<u32>,
    /// The head that the kernel knows. Behind ours, it has yet to learn what was read.
    pub(super) cq_released: Cell<u32>,
}

/// Nothing is to be done before the kernel is entered.
const NOTHING: u32 = 1;
/// Buffers that came back are to be shown to it.
const SHOW_OFFERS: u32 = 2;
/// It must not be entered: this is a forked child, where the memory was wiped.
const IS_FORKED: u32 = 0;

/// The counters of one ring, and the memory that they lie on.
#[derive(Clone, Debug)]
pub(super) struct Place {
    cursors: NonNull<Cursors>,
    birth: Rc<Private>,
}

impl Place {
    pub(super) fn new() -> io::Result<Self> {
        let birth = Private::new(size_of::<Cursors>())?;
        let place = Self { cursors: birth.at(0, 1), birth: Rc::new(birth) };
        place.before_enter.set(NOTHING);
        Ok(place)
    }

    pub(super) const fn birth(&self) -> &Rc<Private> {
        &self.birth
    }

    /// Whether this process was forked from the one that made the ring.
    #[inline]
    pub(super) fn is_forked(&self) -> bool {
        self.before_enter.get() == IS_FORKED
    }

    /// Whether the kernel can be entered as it is.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.before_enter.get() == NOTHING
    }

    /// From now on, buffers are to be shown to the kernel before it is entered.
    pub(super) fn show_offers(&self) {
        self.before_enter.set(SHOW_OFFERS);
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
