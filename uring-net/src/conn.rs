//! Callbacks on the loop.

use std::{
    fmt, io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
    time::Instant,
};

use uring_reactor::{Cx, uring::Payload};

use crate::{
    addr,
    core::End,
    pump::{Front, Link},
};

/// What a server or a client does with a connection: callbacks on the connection's loop.
///
/// A handler is made for each connection and dropped with it. Nothing it is called with blocks;
/// what takes long belongs on another thread. After [`Conn::close`] and [`Conn::abort`] only
/// [`on_close`](Self::on_close) is called. One that panics is dropped, without another call, and
/// its connection ends; the loop and its other connections go on.
pub trait Handler: 'static {
    /// The connection stands.
    fn on_open(&mut self, conn: &mut Conn<'_, '_>) {
        let _ = conn;
    }

    /// Bytes arrived, in the buffer that the kernel filled. Sending it on copies nothing; keeping
    /// it keeps the buffer from the loop's pool, so keep a copy instead.
    fn on_data(&mut self, conn: &mut Conn<'_, '_>, data: Payload);

    /// The peer has finished writing. By default, what is queued is sent and the connection ends.
    fn on_eof(&mut self, conn: &mut Conn<'_, '_>) {
        conn.finish();
    }

    /// Bytes went out, and fewer than half of the cap are queued now: a time to send more.
    fn on_drain(&mut self, conn: &mut Conn<'_, '_>) {
        let _ = conn;
    }

    /// The deadline has passed. By default, the connection is aborted.
    fn on_deadline(&mut self, conn: &mut Conn<'_, '_>) {
        conn.abort();
    }

    /// The connection is gone: after both sides have finished, after [`Conn::close`] or
    /// [`Conn::abort`], or by an error.
    fn on_close(&mut self, cx: &mut Cx<'_>, error: Option<io::Error>) {
        let _ = (cx, error);
    }
}

/// A connection, as its handler sees it.
pub struct Conn<'c, 'l> {
    link: &'c mut Link,
    cx: &'c mut Cx<'l>,
}

impl<'l> Conn<'_, 'l> {
    /// Sends bytes after those that are queued; says whether they will go out, which they do not
    /// after [`finish`](Self::finish), [`close`](Self::close), [`abort`](Self::abort) or an error.
    ///
    /// Nothing is copied, but while the loop's buffers are short: then what holds one is. While
    /// more bytes are queued than the cap of the listener, nothing more is received.
    pub fn send(&mut self, data: impl Into<Payload>) -> bool {
        self.link.send(self.cx, data.into()).is_ok()
    }

    /// How many bytes are queued to be sent, or being sent.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.link.out.bytes()
    }

    /// Tells the peer, after what is queued, that nothing follows. Data still arrives; when the
    /// peer has finished too, the connection ends.
    pub fn finish(&mut self) {
        self.link.out.finish();
    }

    /// Sends what is queued and then closes, within 30 seconds, whatever the peer still sends.
    pub fn close(&mut self) {
        self.link.close();
    }

    /// Closes at once; what is queued is dropped.
    pub fn abort(&mut self) {
        self.link.abort();
    }

    /// Receives nothing more until [`resume`](Self::resume). What has been received already may
    /// still come.
    pub fn pause(&mut self) {
        self.link.paused = true;
    }

    /// Goes on receiving.
    pub fn resume(&mut self) {
        self.link.paused = false;
    }

    /// Sets when [`Handler::on_deadline`] is called, or that it is not. It may be set for each
    /// message: that costs a store.
    pub fn set_deadline(&mut self, at: Option<Instant>) {
        self.link.deadline.set(at);
    }

    /// The address of the peer.
    ///
    /// # Errors
    ///
    /// Those of `getpeername(2)`: `ENOTCONN` after a reset.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        addr::peer(self.link.fd.as_fd())
    }

    /// The address of this side.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        addr::local(self.link.fd.as_fd())
    }

    /// The loop: to submit operations, to set timers.
    pub fn cx(&mut self) -> &mut Cx<'l> {
        self.cx
    }
}

impl AsFd for Conn<'_, '_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.fd.as_fd()
    }
}

impl fmt::Debug for Conn<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn").field("link", &self.link).finish_non_exhaustive()
    }
}

/// A handler behind the pump.
pub(crate) struct Local<H> {
    pub(crate) handler: H,
    pub(crate) open: bool,
}

impl<H: Handler> Front for Local<H> {
    fn received(&mut self, link: &mut Link, cx: &mut Cx<'_>, data: Payload) {
        self.handler.on_data(&mut Conn { link, cx }, data);
    }

    fn read_ended(&mut self, link: &mut Link, cx: &mut Cx<'_>, end: End) {
        match end {
            End::Eof if link.is_closing() => {}
            End::Eof => self.handler.on_eof(&mut Conn { link, cx }),
            End::Failed(_) => link.abort(),
        }
    }

    fn sent(&mut self, link: &mut Link, cx: &mut Cx<'_>, bytes: usize) {
        if bytes > 0 && link.has_room() && !link.is_closing() {
            self.handler.on_drain(&mut Conn { link, cx });
        }
    }

    fn poked(&mut self, link: &mut Link, cx: &mut Cx<'_>) {
        if !self.open {
            self.open = true;
            self.handler.on_open(&mut Conn { link, cx });
        }
    }

    fn expired(&mut self, link: &mut Link, cx: &mut Cx<'_>) {
        self.handler.on_deadline(&mut Conn { link, cx });
    }

    fn closed(&mut self, cx: &mut Cx<'_>, error: Option<i32>) {
        self.handler.on_close(cx, error.map(io::Error::from_raw_os_error));
    }
}
