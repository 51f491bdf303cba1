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
    error::{Cause, End, Failure},
    link::Link,
    pump::Front,
};

/// What a server or a client does with a connection: callbacks on the connection's loop.
///
/// A handler is made for each connection and dropped with it. Nothing it is called with blocks;
/// what takes long belongs on another thread. After [`Conn::close`] and [`Conn::abort`] only
/// [`on_close`](Self::on_close) is called. One that panics is dropped, without another call, and
/// its connection is reset; the loop and its other connections go on.
///
/// # How a connection ends
///
/// | what happens | the peer sees | `on_close` gets |
/// | --- | --- | --- |
/// | [`Conn::finish`] on this side, and the end of the peer | the end after the last byte | `None` |
/// | [`Conn::close`] | everything, and the end, however slowly it reads | `None` |
/// | the same, and the peer takes nothing for the time of `stall_limit` | a reset | an error |
/// | [`Conn::abort`] | a reset | `None`, or an error if bytes were [`Lost`](crate::Lost) |
/// | a reset by the peer | | that error |
/// | a shutdown of the loop | as for `close` | `None` |
/// | its deadline, with bytes that are still queued | a reset | an error |
///
/// After a close, what the peer still sends is read and dropped, up to 64 MiB and until it has sent
/// nothing for a second, or 30 seconds in all: what it sends to a closed socket would be answered
/// by a reset, which may destroy what it has not read yet. `on_close` does not wait for that.
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

    /// The deadline has passed. By default, the connection is closed, or aborted if something is
    /// still queued.
    fn on_deadline(&mut self, conn: &mut Conn<'_, '_>) {
        if conn.queued() == 0 { conn.close() } else { conn.abort() }
    }

    /// The connection is over: after both sides have finished, after [`Conn::close`] or
    /// [`Conn::abort`], or by an error, in which [`Lost`](crate::Lost) says how many bytes were
    /// dropped, if there were any.
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
    /// Nothing is copied, but while the loop's buffers are short: then what holds one is. What is
    /// large goes out in slices, and [`queued`](Self::queued) follows.
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

    /// Sends what is queued, and the end, and then closes, whatever the peer still sends. That may
    /// take as long as the peer takes something now and then: `stall_limit` says how long it may
    /// take nothing.
    pub fn close(&mut self) {
        self.link.close();
    }

    /// Closes at once: what is queued is dropped, and the peer sees a reset.
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
    /// Those of `getpeername(2)`, but none after a reset by the peer.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        addr::peer(self.link.fd())
    }

    /// The address of this side.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        addr::local(self.link.fd())
    }

    /// The loop: to submit operations, to set timers.
    pub fn cx(&mut self) -> &mut Cx<'l> {
        self.cx
    }
}

impl AsFd for Conn<'_, '_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.expose()
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
        if end == End::Eof && !link.is_closing() {
            self.handler.on_eof(&mut Conn { link, cx });
        }
    }

    fn sent(&mut self, link: &mut Link, cx: &mut Cx<'_>, bytes: usize) {
        if bytes > 0 && link.has_room() && !link.is_closing() {
            self.handler.on_drain(&mut Conn { link, cx });
        }
    }

    fn poked(&mut self, link: &mut Link, cx: &mut Cx<'_>) {
        if !self.open && !link.is_closing() {
            self.open = true;
            self.handler.on_open(&mut Conn { link, cx });
        }
    }

    fn expired(&mut self, link: &mut Link, cx: &mut Cx<'_>) {
        self.handler.on_deadline(&mut Conn { link, cx });
    }

    fn stopping(&mut self, _link: &mut Link) {
        // what it has sent is queued already
    }

    fn failing(&mut self, _cause: Cause) {
        // it is told when it is gone
    }

    fn closed(&mut self, cx: &mut Cx<'_>, failure: Option<Failure>) {
        self.handler.on_close(cx, failure.map(Failure::of_writing));
    }
}
