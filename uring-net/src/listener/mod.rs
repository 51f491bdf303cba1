//! Accepting connections and spreading them over loops.

mod acceptor;
mod blocking;

pub use blocking::TcpListener;

use std::{
    fmt, io,
    net::{SocketAddr, ToSocketAddrs},
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use uring_reactor::{Cx, Fd, Handle, Reactor, is_loop_thread};

use self::{
    acceptor::{Acceptor, Running},
    blocking::Queue,
};
use crate::{
    addr,
    conn::{Handler, Local},
    home::Home,
    limits::Caps,
    loads::{Load, Loads},
    pump, stream,
};

/// How long [`Listener::close`] waits for a loop that does not answer.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

type ErrorHook = Arc<dyn Fn(&io::Error) + Send + Sync>;

/// Settings of a listener.
#[must_use = "settings do nothing until `serve` or `bind` is called"]
#[derive(Clone)]
pub struct ListenerBuilder {
    backlog: i32,
    reuse_port: bool,
    nodelay: bool,
    caps: Caps,
    on_error: Option<ErrorHook>,
}

impl ListenerBuilder {
    fn new() -> Self {
        Self {
            backlog: 4096,
            reuse_port: false,
            nodelay: true,
            caps: Caps::LISTENER,
            on_error: None,
        }
    }

    /// How many connections the kernel keeps until they are accepted. The default is 4096, which
    /// `net.core.somaxconn` may lower.
    pub const fn backlog(mut self, backlog: i32) -> Self {
        self.backlog = backlog;
        self
    }

    /// Gives each loop a listening socket of its own, among which the kernel chooses by a hash of
    /// the addresses. Without it, one loop accepts and hands each connection to the loop that has
    /// the fewest: an exact balance, and the default.
    #[doc(alias = "SO_REUSEPORT")]
    pub const fn reuse_port(mut self, reuse_port: bool) -> Self {
        self.reuse_port = reuse_port;
        self
    }

    /// Whether small segments go out at once. The default is yes.
    #[doc(alias = "TCP_NODELAY")]
    pub const fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// How many bytes a connection queues to be sent before it stops receiving, if it
    /// [holds back](Self::hold_back), and twice those below which
    /// [`Handler::on_drain`](crate::Handler::on_drain) is called. The default is 256 KiB.
    pub const fn outbound_bytes_max(mut self, bytes: usize) -> Self {
        self.caps.outbound = if bytes == 0 { 1 } else { bytes };
        self
    }

    /// How many bytes a [`TcpStream`](crate::TcpStream) keeps unread before it stops receiving. The
    /// default is 256 KiB.
    pub const fn inbound_bytes_max(mut self, bytes: usize) -> Self {
        self.caps.inbound = bytes;
        self
    }

    /// Whether a connection stops receiving while more than
    /// [`outbound_bytes_max`](Self::outbound_bytes_max) are queued to be sent. The default is yes:
    /// who asks and does not take the answers must not fill the memory. Two sides that both do it
    /// may wait for each other, so the default of a [`connect`](crate::connect()) is no.
    pub const fn hold_back(mut self, hold_back: bool) -> Self {
        self.caps.hold_back = hold_back;
        self
    }

    /// How long the peer of a connection that was closed may take nothing of what is queued, before
    /// the rest is dropped, and the connection reset. It is looked at four times within that. The
    /// default is 30 seconds.
    pub const fn stall_limit(mut self, limit: Duration) -> Self {
        self.caps.stall = limit;
        self
    }

    /// Is told each error of accepting, such as `EMFILE`, on the loop's thread. The listener lives
    /// on and tries again by itself.
    pub fn on_error(mut self, hook: impl Fn(&io::Error) + Send + Sync + 'static) -> Self {
        self.on_error = Some(Arc::new(hook));
        self
    }

    /// Listens on `addr` and serves each connection on one of the loops, with a handler that `make`
    /// makes there.
    ///
    /// # Errors
    ///
    /// Those of `socket(2)`, `bind(2)` and `listen(2)`, with the address in the text: `AddrInUse`
    /// if somebody listens there already.
    pub fn serve<H: Handler>(
        self,
        reactor: &Reactor,
        addr: impl ToSocketAddrs,
        make: impl Fn() -> H + Send + Sync + 'static,
    ) -> io::Result<Listener> {
        self.serve_on(reactor.handles(), addr, make)
    }

    /// The same on loops of the caller's choice.
    ///
    /// # Errors
    ///
    /// As [`serve`](Self::serve), and `NotConnected` if a loop has ended.
    ///
    /// # Panics
    ///
    /// If there is no loop.
    pub fn serve_on<'h, H: Handler>(
        self,
        loops: impl IntoIterator<Item = &'h Handle>,
        addr: impl ToSocketAddrs,
        make: impl Fn() -> H + Send + Sync + 'static,
    ) -> io::Result<Listener> {
        let open = handlers(self.caps, make);
        self.listen(Loads::new(loops), addr, open, Arc::new(Endless))
    }

    /// The same on a socket that listens already: from the service manager, or from the process
    /// that this one follows. Of the settings, those of the socket are its own. It is made
    /// blocking, for whoever shares it too.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)` and `getsockname(2)`.
    pub fn serve_from<H: Handler>(
        mut self,
        reactor: &Reactor,
        listener: std::net::TcpListener,
        make: impl Fn() -> H + Send + Sync + 'static,
    ) -> io::Result<Listener> {
        listener.set_nonblocking(false)?; // or an accept would not wait
        self.reuse_port = false;
        let open = handlers(self.caps, make);
        let loads = Loads::new(reactor.handles());
        self.accept_from(loads, vec![listener.into()], open, Arc::new(Endless))
    }

    /// Listens on `addr`, for [`TcpListener::accept`].
    ///
    /// # Errors
    ///
    /// As [`serve`](Self::serve).
    pub fn bind(self, reactor: &Reactor, addr: impl ToSocketAddrs) -> io::Result<TcpListener> {
        let (queue, open) = streams(self.caps);
        let sink = Arc::clone(&queue);
        let listener = self.listen(Loads::new(reactor.handles()), addr, open, sink)?;
        Ok(TcpListener::new(listener, queue))
    }

    /// The same on a socket that listens already, as with [`serve_from`](Self::serve_from).
    ///
    /// # Errors
    ///
    /// As [`serve_from`](Self::serve_from).
    pub fn bind_from(
        mut self,
        reactor: &Reactor,
        listener: std::net::TcpListener,
    ) -> io::Result<TcpListener> {
        listener.set_nonblocking(false)?;
        self.reuse_port = false;
        let (queue, open) = streams(self.caps);
        let (loads, sink) = (Loads::new(reactor.handles()), Arc::clone(&queue));
        let listener = self.accept_from(loads, vec![listener.into()], open, sink)?;
        Ok(TcpListener::new(listener, queue))
    }

    fn listen(
        self,
        loads: Loads,
        addr: impl ToSocketAddrs,
        open: Arc<Open>,
        sink: Arc<dyn Sink>,
    ) -> io::Result<Listener> {
        let sockets = if self.reuse_port { loads.handles().len() } else { 1 };
        let fds = addr::try_each(addr, |addr| self.sockets(addr, sockets))?;
        self.accept_from(loads, fds, open, sink)
    }

    fn accept_from(
        self,
        loads: Loads,
        fds: Vec<OwnedFd>,
        open: Arc<Open>,
        sink: Arc<dyn Sink>,
    ) -> io::Result<Listener> {
        let local_addr = addr::local(fds[0].as_fd())?;
        let shared = Arc::new(Shared {
            loads,
            open,
            sink: Arc::clone(&sink),
            own_loop_only: self.reuse_port,
            on_error: self.on_error,
            accepted: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        });
        let ended = Arc::new(Ended(sink));
        // first, so that those that started are closed if another one cannot
        let (acceptors, home) = (Mutex::default(), Home::here());
        let listener = Listener { local_addr, acceptors, shared, home };
        for (number, fd) in fds.into_iter().enumerate() {
            let running = Acceptor::start(&listener.shared, number, fd, Arc::clone(&ended))?;
            listener.acceptors.lock().push(running);
        }
        Ok(listener)
    }

    /// One listening socket, or as many as there are loops, all on the port that the first got.
    fn sockets(&self, addr: SocketAddr, count: usize) -> io::Result<Vec<OwnedFd>> {
        let first = addr::listen(addr, self.backlog, self.reuse_port, self.nodelay)?;
        let addr = addr::local(first.as_fd())?;
        let mut fds = vec![first];
        while fds.len() < count {
            fds.push(addr::listen(addr, self.backlog, self.reuse_port, self.nodelay)?);
        }
        Ok(fds)
    }
}

impl fmt::Debug for ListenerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerBuilder")
            .field("backlog", &self.backlog)
            .field("reuse_port", &self.reuse_port)
            .field("nodelay", &self.nodelay)
            .field("caps", &self.caps)
            .finish_non_exhaustive()
    }
}

/// Serves connections with handlers.
fn handlers<H: Handler>(caps: Caps, make: impl Fn() -> H + Send + Sync + 'static) -> Arc<Open> {
    Arc::new(move |cx: &mut Cx<'_>, fd: OwnedFd, load: Load| {
        let front = Local { handler: make(), open: false };
        pump::start(cx, Fd::from(fd), caps, load, front);
    })
}

/// Queues connections for threads.
fn streams(caps: Caps) -> (Arc<Queue>, Arc<Open>) {
    let queue = Arc::new(Queue::default());
    let filled = Arc::clone(&queue);
    let open = move |cx: &mut Cx<'_>, fd: OwnedFd, load: Load| {
        filled.push(stream::start(cx, Arc::new(fd), caps, load));
    };
    (queue, Arc::new(open))
}

type Open = dyn Fn(&mut Cx<'_>, OwnedFd, Load) + Send + Sync;

/// Where connections go.
trait Sink: Send + Sync {
    /// Whether it takes no more for now.
    fn is_full(&self) -> bool;
    /// No more will come.
    fn end(&self);
}

/// Handlers, of which there can be any number.
struct Endless;

impl Sink for Endless {
    fn is_full(&self) -> bool {
        false
    }

    fn end(&self) {}
}

/// Tells the sink when the last acceptor is gone, whatever ended it.
struct Ended(Arc<dyn Sink>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// What a listener's acceptors have in common.
struct Shared {
    loads: Loads,
    open: Arc<Open>,
    sink: Arc<dyn Sink>,
    own_loop_only: bool,
    on_error: Option<ErrorHook>,
    accepted: AtomicU64,
    errors: AtomicU64,
}

/// What a listener has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerStats {
    /// Connections accepted.
    pub accepted: u64,
    /// Times that accepting failed.
    pub errors: u64,
    /// Connections open now, on each loop.
    pub open: Vec<usize>,
    /// Connections that ended with bytes that were accepted to be sent and were dropped: by an
    /// abort, a panic, an error, a peer that took nothing, the end of the loop. Their
    /// [`Handler::on_close`](crate::Handler::on_close) was told why, if it was called.
    pub lost_connections: u64,
    /// How many bytes were dropped, in all.
    pub lost_bytes: u64,
}

/// A listening socket whose connections are served by callbacks.
///
/// Dropping it closes it as [`close`](Self::close) does; its connections live on. In a forked child
/// it does nothing.
#[must_use = "a listener that is dropped is closed"]
pub struct Listener {
    local_addr: SocketAddr,
    acceptors: Mutex<Vec<Running>>,
    shared: Arc<Shared>,
    home: Home,
}

impl Listener {
    /// Settings for a new listener.
    pub fn builder() -> ListenerBuilder {
        ListenerBuilder::new()
    }

    /// The address that it listens on, the port that the kernel chose included.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> ListenerStats {
        let (lost_connections, lost_bytes) = self.shared.loads.lost();
        ListenerStats {
            lost_connections,
            lost_bytes,
            accepted: self.shared.accepted.load(Ordering::Relaxed),
            errors: self.shared.errors.load(Ordering::Relaxed),
            open: self.shared.loads.counts(),
        }
    }

    /// Stops accepting and closes the socket; its connections live on. When it returns the port is
    /// free, unless it is called on a loop's thread, which does not wait for itself nor for another
    /// loop: then that happens right after.
    pub fn stop(&self) {
        if !self.home.is_here() {
            return; // the loops, and their sockets, are with the parent
        }
        let acceptors = std::mem::take(&mut *self.acceptors.lock());
        let closing: Vec<_> = acceptors.into_iter().filter_map(Running::close).collect();
        if is_loop_thread() {
            return;
        }
        let limit = Instant::now() + CLOSE_LIMIT;
        for closed in closing {
            // nothing is ever sent: the acceptor's end hangs up
            let _hung_up = closed.recv_deadline(limit);
        }
    }

    /// As [`stop`](Self::stop), for the last use of it.
    pub fn close(self) {
        self.stop();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("local_addr", &self.local_addr)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
