//! What a connection may hold, and how long it may take to end.

use std::time::Duration;

/// How many bytes a connection holds in each direction before it stops taking more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caps {
    pub(crate) inbound: usize,
    pub(crate) outbound: usize,
    /// Whether nothing is received while more than `outbound` bytes are queued.
    pub(crate) hold_back: bool,
    /// How long a peer may take nothing after a close.
    pub(crate) stall: Duration,
}

impl Caps {
    /// Of a listener: who asks and does not take the answers is not listened to any more.
    pub(crate) const LISTENER: Self = Self {
        inbound: 256 * 1024,
        outbound: 256 * 1024,
        hold_back: true,
        stall: Duration::from_secs(30),
    };

    /// Of a client: with two sides that both hold back, neither would go on.
    pub(crate) const CONNECTOR: Self = Self { hold_back: false, ..Self::LISTENER };
}
