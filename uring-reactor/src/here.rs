//! Whether this thread is a loop's.

use std::cell::Cell;

thread_local! {
    static ON_LOOP: Cell<bool> = const { Cell::new(false) };
}

/// A loop starts or ends to use this thread.
pub(crate) fn set_loop_thread(is_loop: bool) {
    ON_LOOP.set(is_loop);
}

/// Whether a loop, whichever, runs on this thread now: then nothing may wait here, not for another
/// loop either. [`Handle::is_current`](crate::Handle::is_current) asks for one of them.
#[must_use]
pub fn is_loop_thread() -> bool {
    ON_LOOP.get()
}
