//! Connecting.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::bounded;
use uring_reactor::{Cx, Fd, Handle, Reactor, uring::op};

use crate::{
    addr,
    conn::{Handler, Local},
    core::errno,
    limits::Caps,
    loads::Load,
    pump,
    stream::{self, TcpStream, would_deadlock},
};

impl TcpStream {
    /// Connects to `addr`, on one of the loops; tries each address that a name stands for.
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`, with the address in the text; `Deadlock` on a loop's own thread,
    /// where [`connect`](crate::connect()) is for.
    pub fn connect(reactor: &Reactor, addr: impl ToSocketAddrs) -> io::Result<Self> {
        addr::try_each(addr, |addr| Self::connect_by(reactor, addr, None))
    }

    /// Connects to one address within `limit`.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and `TimedOut`.
    pub fn connect_timeout(
        reactor: &Reactor,
        addr: SocketAddr,
        limit: Duration,
    ) -> io::Result<Self> {
        Self::connect_by(reactor, addr, Some(limit))
    }

    fn connect_by(
        reactor: &Reactor,
        addr: SocketAddr,
        limit: Option<Duration>,
    ) -> io::Result<Self> {
        // on any of them: which one gets the connection is a matter of turns
        if reactor.handles().any(Handle::is_current) {
            return Err(would_deadlock());
        }
        let handle = reactor.handle();
        let fail = |error| addr::with_addr("connect to", &addr, error);
        let socket = Arc::new(addr::client(addr).map_err(fail)?);
        let (done, result) = bounded(1);
        let connected = move |(result, fd): (io::Result<()>, Arc<OwnedFd>), cx: &mut Cx<'_>| {
            let stream = result.map(|()| stream::start(cx, fd, Caps::CONNECTOR, Load::uncounted()));
            let _heard = done.send(stream);
        };
        let op = op::Connect::new(socket, &addr);
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        match deadline {
            Some(at) => handle.submit_before(at, op, connected)?,
            None => handle.submit(op, connected)?,
        };
        let ended = || io::Error::new(io::ErrorKind::NotConnected, "the event loop has ended");
        let stream = result.recv().map_err(|_| ended())?;
        stream.map_err(|error| match errno(&error) {
            libc::ECANCELED if deadline.is_some_and(|at| at <= Instant::now()) => {
                fail(io::ErrorKind::TimedOut.into())
            }
            libc::ECANCELED => fail(ended()),
            _ => fail(error),
        })
    }
}

/// Connects to `addr` on a loop, and serves the connection with `handler`. If it cannot be made,
/// [`Handler::on_close`] is told why.
///
/// # Errors
///
/// `NotConnected` if the loop has ended; those of `socket(2)`.
pub fn connect<H: Handler + Send>(
    handle: &Handle,
    addr: SocketAddr,
    mut handler: H,
) -> io::Result<()> {
    let fail = |error| addr::with_addr("connect to", &addr, error);
    let socket = Arc::new(addr::client(addr).map_err(fail)?);
    handle.submit(op::Connect::new(socket, &addr), move |(result, fd), cx| match result {
        Ok(()) => {
            let front = Local { handler, open: false };
            pump::start(cx, Fd::Shared(fd), Caps::CONNECTOR, Load::uncounted(), front);
        }
        Err(error) => handler.on_close(cx, Some(error)),
    })?;
    Ok(())
}
