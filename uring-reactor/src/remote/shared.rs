//! What a loop shares with its handles and its tasks.

use std::thread::ThreadId;

use uring::SetupFlags;

use super::wakeup::Bell;
use crate::{stats::Published, task::ready::Ready};

/// What other threads know of a loop.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) bell: Bell,
    pub(crate) published: Published,
    pub(crate) ready: Ready,
    pub(crate) flags: SetupFlags,
    pub(crate) thread: ThreadId,
}
