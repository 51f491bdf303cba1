//! Bytes to send, whoever owns them.

use std::{ops::Deref, sync::Arc};

use super::buf::{RecvBuf, SharedBuf};
use crate::operation::buf::Buf;

/// Bytes to send, from wherever they are: nothing is copied to send them.
#[derive(Debug)]
pub enum Payload {
    /// What was received, sent as it is.
    Received(RecvBuf),
    /// The same, from another thread.
    Shared(SharedBuf),
    /// A vector.
    Vec(Vec<u8>),
    /// Bytes that several sends share.
    Arc(Arc<[u8]>),
    /// Bytes of the program.
    Static(&'static [u8]),
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Received(buf) => buf,
            Self::Shared(buf) => buf,
            Self::Vec(vec) => vec,
            Self::Arc(arc) => arc,
            Self::Static(bytes) => bytes,
        }
    }
}

macro_rules! from {
    ($($variant:ident($type:ty)),* $(,)?) => {$(
        impl From<$type> for Payload {
            fn from(bytes: $type) -> Self {
                Self::$variant(bytes)
            }
        }
    )*};
}

from! {
    Received(RecvBuf), Shared(SharedBuf), Vec(Vec<u8>), Arc(Arc<[u8]>), Static(&'static [u8]),
}

impl From<String> for Payload {
    fn from(text: String) -> Self {
        Self::Vec(text.into_bytes())
    }
}

impl From<&'static str> for Payload {
    fn from(text: &'static str) -> Self {
        Self::Static(text.as_bytes())
    }
}

// SAFETY: each of them is a `Buf`, or like `Arc<[u8]>` and `&'static [u8]` has its bytes at a fixed
// place outside of the value; nothing changes them while the payload is neither borrowed nor
// dropped.
unsafe impl Buf for Payload {
    #[inline]
    fn region(&self) -> *const [u8] {
        let bytes: &[u8] = self;
        bytes
    }
}
