//! What the server has done, as `--stats` and the report show it.

/// Counted since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) accepted: u64,
    pub(crate) closed: u64,
    /// Closed at once, because there were too many.
    pub(crate) refused: u64,
    /// Times that accepting failed, most often for want of descriptors.
    pub(crate) accept_failures: u64,
    /// Connections that broke.
    pub(crate) resets: u64,
    /// Buffers received; what one send of the peer carried may be more or less than one.
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// Receives that ended because the pool was empty.
    pub(crate) pool_empty: u64,
    /// Receives into memory of their own.
    pub(crate) heap_receives: u64,
    /// Receives that were cancelled because the peer did not read.
    pub(crate) held: u64,
    pub(crate) enters: u64,
}

impl Counters {
    pub(crate) const fn received(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
    }

    /// One line about the time since `before`, a second ago.
    pub(crate) fn since(&self, before: &Self, open: usize) -> String {
        format!(
            "{open} connections; in this second {} accepted, {} messages, {} bytes, {} enters, \
             {} times the pool was empty, {} receives held, {} resets",
            self.accepted - before.accepted,
            self.messages - before.messages,
            self.bytes - before.bytes,
            self.enters - before.enters,
            self.pool_empty - before.pool_empty,
            self.held - before.held,
            self.resets - before.resets,
        )
    }

    /// The lines at the end.
    pub(crate) fn report(&self, stopped_by: &str, open: usize, leaked: u32) -> String {
        let Self { accepted, closed, refused, accept_failures, resets, .. } = self;
        let Self { messages, bytes, pool_empty, heap_receives, held, enters, .. } = self;
        format!(
            "stopped by {stopped_by} with {open} connections open; {leaked} operations leaked\n\
             connections: {accepted} accepted, {closed} closed, {resets} broken, \
             {refused} refused; accepting failed {accept_failures} times\n\
             receives: {bytes} bytes; the pool was empty {pool_empty} times, \
             {heap_receives} went into memory of their own, {held} were held\n\
             enters {enters} messages {messages}"
        )
    }
}
