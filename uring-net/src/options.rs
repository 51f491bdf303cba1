//! The options of a stream's socket.

use std::{io, time::Duration};

use socket2::SockRef;

use crate::stream::TcpStream;

impl TcpStream {
    fn option<T>(&self, call: impl FnOnce(SockRef<'_>) -> io::Result<T>) -> io::Result<T> {
        call(SockRef::from(&self.shared().fd))
    }

    /// Whether small segments go out at once; the default is what the listener or the connector was
    /// told.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    #[doc(alias = "TCP_NODELAY")]
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.option(|socket| socket.set_tcp_nodelay(nodelay))
    }

    /// Whether small segments go out at once.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.option(|socket| socket.tcp_nodelay())
    }

    /// Sets how many hops a packet may take.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    #[doc(alias = "IP_TTL")]
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        self.option(|socket| socket.set_ttl_v4(hops))
    }

    /// How many hops a packet may take.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn ttl(&self) -> io::Result<u32> {
        self.option(|socket| socket.ttl_v4())
    }

    /// Whether the kernel asks a silent peer now and then whether it is still there.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    #[doc(alias = "SO_KEEPALIVE")]
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.option(|socket| socket.set_keepalive(keepalive))
    }

    /// Whether the kernel asks a silent peer now and then whether it is still there.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn keepalive(&self) -> io::Result<bool> {
        self.option(|socket| socket.keepalive())
    }

    /// Sets how long the close of the socket waits, if this thread is the last that has it; a loop
    /// never waits. Zero makes the close a reset, which drops what is still queued.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    #[doc(alias = "SO_LINGER")]
    pub fn set_linger(&self, limit: Option<Duration>) -> io::Result<()> {
        self.option(|socket| socket.set_linger(limit))
    }

    /// How long the close of the socket waits.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.option(|socket| socket.linger())
    }

    /// Takes the error that the socket has pending, if there is one.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    #[doc(alias = "SO_ERROR")]
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.option(|socket| socket.take_error())
    }
}
