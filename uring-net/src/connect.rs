//! Connecting.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
    time::{Duration, Instant},
    vec,
};

use crossbeam_channel::bounded;
use parking_lot::Mutex;
use uring_reactor::{Cx, Fd, Handle, Reactor, SourceId, uring::op};

use crate::{
    addr,
    conn::{Handler, Local},
    core::errno,
    error::LocallyClosed,
    limits::Caps,
    loads::Load,
    pump,
    stream::{self, TcpStream, would_deadlock},
};

/// Settings of connections that this side makes.
///
/// ```
/// use std::time::Duration;
/// use uring_net::Connector;
/// use uring_reactor::Reactor;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring_reactor::check() else { return Ok(()) };
/// let reactor = Reactor::builder().build()?;
/// let server = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let connector = Connector::new().timeout(Duration::from_secs(5));
/// let stream = connector.stream(&reactor, server.local_addr()?)?;
/// assert_eq!(stream.peer_addr()?, server.local_addr()?);
/// # Ok(()) }
/// ```
#[must_use = "settings do nothing until a connection is made"]
#[derive(Clone, Copy, Debug)]
pub struct Connector {
    nodelay: bool,
    caps: Caps,
    timeout: Option<Duration>,
}

impl Connector {
    /// The default settings.
    pub const fn new() -> Self {
        Self { nodelay: true, caps: Caps::CONNECTOR, timeout: None }
    }

    /// Whether small segments go out at once. The default is yes.
    #[doc(alias = "TCP_NODELAY")]
    pub const fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// How many bytes a [`TcpStream`] queues before a write waits; twice those below which
    /// [`Handler::on_drain`] is called. The default is 256 KiB.
    pub const fn outbound_bytes_max(mut self, bytes: usize) -> Self {
        self.caps.outbound = if bytes == 0 { 1 } else { bytes };
        self
    }

    /// How many bytes a [`TcpStream`] keeps unread before it stops receiving. The default is
    /// 256 KiB.
    pub const fn inbound_bytes_max(mut self, bytes: usize) -> Self {
        self.caps.inbound = bytes;
        self
    }

    /// Whether a handler's connection stops receiving while more than
    /// [`outbound_bytes_max`](Self::outbound_bytes_max) are queued to be sent. The default is no: a
    /// server does that, and two sides that both do it may wait for each other.
    pub const fn hold_back(mut self, hold_back: bool) -> Self {
        self.caps.hold_back = hold_back;
        self
    }

    /// How long the peer of a connection that was closed may take nothing of what is queued, before
    /// the rest is dropped, and the connection reset. The default is 30 seconds.
    pub const fn stall_limit(mut self, limit: Duration) -> Self {
        self.caps.stall = limit;
        self
    }

    /// How long connecting may take, with all addresses. The default is what the kernel allows.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    fn deadline(&self) -> io::Result<Option<Instant>> {
        if self.timeout == Some(Duration::ZERO) {
            let text = "a timeout of zero would let no connection be made";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(self.timeout.and_then(|limit| Instant::now().checked_add(limit)))
    }

    /// Connects on a loop, and serves the connection with `handler`. Tries each address that a name
    /// stands for, in turn; if none can be had, [`Handler::on_close`] is told the last error.
    ///
    /// # Errors
    ///
    /// Those of the name; `InvalidInput` if it stands for no address, or for a timeout of zero;
    /// `NotConnected` if the loop has ended.
    pub fn connect<H: Handler + Send>(
        &self,
        handle: &Handle,
        addr: impl ToSocketAddrs,
        handler: H,
    ) -> io::Result<Connecting> {
        let attempt = self.attempt(addr, handler)?;
        let progress = Arc::clone(&attempt.progress);
        handle.run(move |cx| attempt.go_on(cx))?;
        Ok(Connecting { handle: handle.clone(), progress })
    }

    /// The same on the loop that is at hand, with a handler that need not be `Send`. A name is
    /// looked up before it returns, which may take long: give addresses.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_here<H: Handler>(
        &self,
        cx: &mut Cx<'_>,
        addr: impl ToSocketAddrs,
        handler: H,
    ) -> io::Result<Connecting> {
        let attempt = self.attempt(addr, handler)?;
        let progress = Arc::clone(&attempt.progress);
        // not now: its callbacks may be called, and this is inside of one
        cx.after(Duration::ZERO, move |cx| attempt.go_on(cx));
        Ok(Connecting { handle: cx.handle(), progress })
    }

    fn attempt<H>(&self, addr: impl ToSocketAddrs, handler: H) -> io::Result<Attempt<H>> {
        let addrs: Vec<_> = addr.to_socket_addrs()?.collect();
        if addrs.is_empty() {
            return Err(addr::no_address());
        }
        Ok(Attempt {
            connector: *self,
            deadline: self.deadline()?,
            addrs: addrs.into_iter(),
            last: None,
            progress: Arc::default(),
            handler,
        })
    }

    /// Connects on one of the loops, for blocking reads and writes. Tries each address that a name
    /// stands for.
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`, with the address in the text, and `TimedOut`; `InvalidInput` for a
    /// timeout of zero; `Deadlock` on a loop's own thread, where [`connect`](Self::connect) is for.
    pub fn stream(&self, reactor: &Reactor, addr: impl ToSocketAddrs) -> io::Result<TcpStream> {
        let deadline = self.deadline()?;
        addr::try_each(addr, |addr| self.stream_by(reactor, addr, deadline))
    }

    fn stream_by(
        &self,
        reactor: &Reactor,
        addr: SocketAddr,
        deadline: Option<Instant>,
    ) -> io::Result<TcpStream> {
        // on any of them: which one gets the connection is a matter of turns
        if reactor.handles().any(Handle::is_current) {
            return Err(would_deadlock());
        }
        let handle = reactor.handle();
        let fail = |error| addr::with_addr("connect to", &addr, error);
        let socket = Arc::new(addr::client(addr, self.nodelay).map_err(fail)?);
        let (done, result) = bounded(1);
        let caps = self.caps;
        let connected = move |(result, fd): (io::Result<()>, Arc<_>), cx: &mut Cx<'_>| {
            let stream = result.map(|()| stream::start(cx, fd, caps, Load::uncounted()));
            let _heard = done.send(stream);
        };
        let op = op::Connect::new(socket, &addr);
        match deadline {
            Some(at) => handle.submit_before(at, op, connected)?,
            None => handle.submit(op, connected)?,
        };
        let ended = || io::Error::new(io::ErrorKind::NotConnected, "the event loop has ended");
        let stream = match deadline.and_then(|at| at.checked_add(LOOP_GRACE)) {
            // in a forked child no loop answers
            Some(at) => result.recv_deadline(at).map_err(|error| match error {
                crossbeam_channel::RecvTimeoutError::Timeout => {
                    fail(io::ErrorKind::TimedOut.into())
                }
                crossbeam_channel::RecvTimeoutError::Disconnected => ended(),
            })?,
            None => result.recv().map_err(|_| ended())?,
        };
        stream.map_err(|error| match errno(&error) {
            libc::ECANCELED if is_past(deadline) => fail(io::ErrorKind::TimedOut.into()),
            libc::ECANCELED => fail(ended()),
            _ => fail(error),
        })
    }
}

impl Default for Connector {
    fn default() -> Self {
        Self::new()
    }
}

/// How long beyond a deadline a loop may take to say so.
const LOOP_GRACE: Duration = Duration::from_millis(500);

fn is_past(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|at| at <= Instant::now())
}

#[derive(Debug, Default)]
struct Progress {
    /// The operation that connects now.
    op: Option<SourceId>,
    cancelled: bool,
}

/// A connection that is being made. Dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct Connecting {
    handle: Handle,
    progress: Arc<Mutex<Progress>>,
}

impl Connecting {
    /// Gives up, unless the connection stands already: [`Handler::on_close`] is told an error in
    /// which [`LocallyClosed`] stands.
    pub fn cancel(&self) {
        let progress = Arc::clone(&self.progress);
        let cancel = move |cx: &mut Cx<'_>| {
            let mut progress = progress.lock();
            progress.cancelled = true;
            if let Some(op) = progress.op {
                cx.cancel(op);
            }
        };
        let _sent = self.handle.run(cancel); // a loop that has ended has cancelled everything
    }
}

/// Addresses that are tried in turn.
struct Attempt<H> {
    connector: Connector,
    deadline: Option<Instant>,
    addrs: vec::IntoIter<SocketAddr>,
    last: Option<io::Error>,
    progress: Arc<Mutex<Progress>>,
    handler: H,
}

impl<H: Handler> Attempt<H> {
    /// Tries the next address.
    fn go_on(mut self, cx: &mut Cx<'_>) {
        while let (false, Some(addr)) = (self.is_over(), self.addrs.next()) {
            match addr::client(addr, self.connector.nodelay) {
                Ok(socket) => return self.connect(cx, addr, Fd::from(socket)),
                Err(error) => self.last = Some(addr::with_addr("connect to", &addr, error)),
            }
        }
        let error = if self.progress.lock().cancelled {
            LocallyClosed::error("connection that was being made")
        } else if is_past(self.deadline) {
            io::ErrorKind::TimedOut.into()
        } else {
            self.last.unwrap_or_else(addr::no_address)
        };
        self.handler.on_close(cx, Some(error));
    }

    fn is_over(&self) -> bool {
        self.progress.lock().cancelled || is_past(self.deadline)
    }

    fn connect(mut self, cx: &mut Cx<'_>, addr: SocketAddr, socket: Fd) {
        let (progress, deadline) = (Arc::clone(&self.progress), self.deadline);
        let op = op::Connect::new(socket, &addr);
        let connected = move |(result, fd): (io::Result<()>, Fd), cx: &mut Cx<'_>| {
            self.progress.lock().op = None;
            match result {
                Ok(()) => {
                    let front = Local { handler: self.handler, open: false };
                    pump::start(cx, fd, self.connector.caps, Load::uncounted(), front);
                }
                Err(error) => {
                    self.last = Some(error);
                    if cx.is_stopping() {
                        self.addrs = Vec::new().into_iter(); // each would be cancelled too
                    }
                    self.go_on(cx);
                }
            }
        };
        let id = match deadline {
            Some(at) => cx.submit_before(at, op, connected),
            None => cx.submit(op, connected),
        };
        progress.lock().op = Some(id);
    }
}

impl TcpStream {
    /// Connects to `addr`, on one of the loops; tries each address that a name stands for.
    /// [`Connector`] has settings.
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`, with the address in the text; `Deadlock` on a loop's own thread,
    /// where [`connect`](crate::connect()) is for.
    pub fn connect(reactor: &Reactor, addr: impl ToSocketAddrs) -> io::Result<Self> {
        Connector::new().stream(reactor, addr)
    }

    /// Connects to one address within `limit`.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), `TimedOut`, and `InvalidInput` for a limit of zero.
    pub fn connect_timeout(
        reactor: &Reactor,
        addr: SocketAddr,
        limit: Duration,
    ) -> io::Result<Self> {
        Connector::new().timeout(limit).stream(reactor, addr)
    }
}

/// Connects to `addr` on a loop, and serves the connection with `handler`. If it cannot be made,
/// [`Handler::on_close`] is told why. [`Connector`] has settings, and tries several addresses.
///
/// # Errors
///
/// `NotConnected` if the loop has ended.
pub fn connect<H: Handler + Send>(handle: &Handle, addr: SocketAddr, handler: H) -> io::Result<()> {
    Connector::new().connect(handle, addr, handler).map(drop)
}
