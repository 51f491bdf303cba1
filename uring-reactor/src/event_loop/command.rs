//! What other threads ask of a loop.

use std::time::Instant;

use super::{Cx, source::SourceId};

pub(crate) enum Command {
    /// Call this on the loop.
    Run(Box<dyn FnOnce(&mut Cx<'_>) + Send>),
    /// Tell a source that somebody wants it to look around.
    Poke(SourceId),
    /// End, at the latest then.
    Shutdown(Instant),
}
