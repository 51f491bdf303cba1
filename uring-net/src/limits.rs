//! What a connection may hold.

/// How many bytes a connection holds in each direction before it stops taking more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caps {
    pub(crate) inbound: usize,
    pub(crate) outbound: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self { inbound: 256 * 1024, outbound: 256 * 1024 }
    }
}
