//! Objects on a loop that many operations report to.

use std::fmt;

use super::{Cx, place::Place};
use crate::{
    home::Home,
    op::{LoopItem, LoopOutput},
};

/// Names a source on its loop; never used again after the source was removed. To another loop it
/// means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceId {
    pub(crate) place: Place,
    pub(crate) home: Home,
}

/// What a source is told.
#[non_exhaustive]
pub enum SourceEvent {
    /// An operation yielded something and goes on.
    Item {
        /// The tag that the source submitted it with.
        tag: u32,
        /// What it yielded.
        item: LoopItem,
    },
    /// An operation has ended.
    Done {
        /// The tag that the source submitted it with.
        tag: u32,
        /// The result, and what the operation owned.
        output: LoopOutput,
    },
    /// A timer fired that the source set.
    Timer {
        /// The tag that the source set it with.
        tag: u32,
    },
    /// There is room for an operation: the answer to
    /// [`Cx::wait_for_room`](crate::Cx::wait_for_room).
    Room,
    /// Somebody called [`Cx::poke`](crate::Cx::poke) or [`Handle::poke`](crate::Handle::poke).
    Poked,
    /// The loop is shutting down: what is in flight is being cancelled, unless the source
    /// [drains first](crate::Cx::drain_first); at the end of the time it is told this once more.
    Shutdown,
}

/// An object on a loop that many operations report to, without a closure or an allocation for each:
/// a connection, a listener.
///
/// It is given to [`Cx::add_source`](crate::Cx::add_source), submits by
/// [`Cx::submit_for`](crate::Cx::submit_for), and lives until
/// [`Cx::remove_source`](crate::Cx::remove_source), until it panics, or until the loop has ended.
pub trait Source: 'static {
    /// Something has happened.
    fn on_event(&mut self, event: SourceEvent, cx: &mut Cx<'_>);
}

impl fmt::Debug for SourceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Item { tag, .. } => write!(f, "Item({tag})"),
            Self::Done { tag, .. } => write!(f, "Done({tag})"),
            Self::Timer { tag } => write!(f, "Timer({tag})"),
            Self::Room => f.write_str("Room"),
            Self::Poked => f.write_str("Poked"),
            Self::Shutdown => f.write_str("Shutdown"),
        }
    }
}
