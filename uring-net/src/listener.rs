//! Accepting connections and spreading them over loops.

use std::{
    collections::VecDeque,
    fmt, io,
    net::{SocketAddr, ToSocketAddrs},
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::{Condvar, Mutex};
use uring_reactor::{
    Cx, Fd, Handle, LoopItem, LoopOutput, Reactor, Source, SourceEvent, SourceId,
    uring::{OpId, op::AcceptMulti},
};

use crate::{
    TcpStream, addr,
    conn::{Handler, Local},
    core::errno,
    loads::{Load, Loads},
    pump, stream,
};

/// How many connections wait for [`TcpListener::accept`] before the kernel keeps the rest.
const QUEUE_MAX: usize = 1024;

/// How long accepting pauses after an error such as `EMFILE`: doubled each time, up to the last.
const BACKOFF: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];

/// Tags of an acceptor's operation and timer.
const ACCEPT: u32 = 0;
const RETRY: u32 = 1;

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

impl ListenerBuilder {
    fn new() -> Self {
        Self {
            backlog: 4096,
            reuse_port: false,
            nodelay: true,
            caps: Caps::default(),
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

    /// How many bytes a connection queues to be sent before it stops receiving. The default is
    /// 256 KiB.
    pub const fn outbound_bytes_max(mut self, bytes: usize) -> Self {
        self.caps.outbound = bytes;
        self
    }

    /// How many bytes a [`TcpStream`] keeps unread before it stops receiving. The default is 256
    /// KiB.
    pub const fn inbound_bytes_max(mut self, bytes: usize) -> Self {
        self.caps.inbound = bytes;
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
        let out_cap = self.caps.outbound;
        let open = move |cx: &mut Cx<'_>, fd: OwnedFd, load: Load| {
            let front = Local { handler: make(), open: false };
            pump::start(cx, Fd::from(fd), out_cap, load, front);
        };
        self.listen(Loads::new(loops), addr, Arc::new(open), || false)
    }

    /// Listens on `addr`, for [`TcpListener::accept`].
    ///
    /// # Errors
    ///
    /// As [`serve`](Self::serve).
    pub fn bind(self, reactor: &Reactor, addr: impl ToSocketAddrs) -> io::Result<TcpListener> {
        let caps = self.caps;
        let queue = Arc::new(Queue::default());
        let (filled, full) = (Arc::clone(&queue), Arc::clone(&queue));
        let open = move |cx: &mut Cx<'_>, fd: OwnedFd, load: Load| {
            filled.push(stream::start(cx, Arc::new(fd), caps, load));
        };
        let listener =
            self.listen(Loads::new(reactor.handles()), addr, Arc::new(open), move || {
                full.streams.lock().0.len() >= QUEUE_MAX
            })?;
        Ok(TcpListener { listener, queue })
    }

    fn listen(
        self,
        loads: Loads,
        addr: impl ToSocketAddrs,
        open: Arc<Open>,
        is_full: impl Fn() -> bool + Send + Sync + 'static,
    ) -> io::Result<Listener> {
        let sockets = if self.reuse_port { loads.handles().len() } else { 1 };
        let fds = addr::try_each(addr, |addr| self.sockets(addr, sockets))?;
        let local_addr = addr::local(fds[0].as_fd())?;
        let shared = Arc::new(Shared {
            loads,
            open,
            is_full: Box::new(is_full),
            own_loop_only: self.reuse_port,
            on_error: self.on_error,
            accepted: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        });
        let mut acceptors = Vec::new();
        for (number, fd) in fds.into_iter().enumerate() {
            acceptors.push(Acceptor::start(&shared, number, fd)?);
        }
        Ok(Listener { local_addr, acceptors, shared })
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

type Open = dyn Fn(&mut Cx<'_>, OwnedFd, Load) + Send + Sync;

/// What a listener's acceptors have in common.
struct Shared {
    loads: Loads,
    open: Arc<Open>,
    is_full: Box<dyn Fn() -> bool + Send + Sync>,
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
}

/// A listening socket whose connections are served by callbacks.
///
/// Dropping it closes it as [`close`](Self::close) does; its connections live on.
pub struct Listener {
    local_addr: SocketAddr,
    acceptors: Vec<Running>,
    shared: Arc<Shared>,
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
        ListenerStats {
            accepted: self.shared.accepted.load(Ordering::Relaxed),
            errors: self.shared.errors.load(Ordering::Relaxed),
            open: self.shared.loads.counts(),
        }
    }

    /// Stops accepting and closes the socket. When it returns the port is free, unless it is called
    /// on a loop's own thread: then that happens right after.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let closing: Vec<_> = self.acceptors.drain(..).filter_map(Running::close).collect();
        let limit = Instant::now() + CLOSE_LIMIT;
        for closed in closing {
            // nothing is ever sent: the acceptor's end hangs up
            let _hung_up = closed.recv_deadline(limit);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.end();
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

/// An acceptor, as other threads see it.
struct Running {
    handle: Handle,
    id: Arc<OnceLock<SourceId>>,
    closing: Arc<Mutex<bool>>,
    /// Hangs up when the acceptor is gone, and its socket closed.
    closed: Receiver<()>,
}

impl Running {
    /// Asks the acceptor to end; what to wait for, if that is possible.
    fn close(self) -> Option<Receiver<()>> {
        *self.closing.lock() = true;
        let id = Arc::clone(&self.id);
        // in order after the command that starts it
        let poke = move |cx: &mut Cx<'_>| {
            if let Some(id) = id.get() {
                cx.poke(*id);
            }
        };
        let reached = self.handle.run(poke).is_ok();
        (reached && !self.handle.is_current()).then_some(self.closed)
    }
}

/// The source that accepts, on its loop.
struct Acceptor {
    id: SourceId,
    /// Its loop among those of the listener.
    number: usize,
    fd: Fd,
    accepting: Option<OpId>,
    cancelling: bool,
    /// Waits for the timer before it tries again.
    waiting: bool,
    backoff: Duration,
    closing: Arc<Mutex<bool>>,
    stopped: bool,
    shared: Arc<Shared>,
    /// Last: it tells that the fields before it, the socket among them, are gone.
    _gone: Sender<()>,
}

impl Acceptor {
    fn start(shared: &Arc<Shared>, number: usize, fd: OwnedFd) -> io::Result<Running> {
        let handle = shared.loads.handles().nth(number).expect("a loop of this number").clone();
        let (gone, closed) = bounded(0);
        let id = Arc::new(OnceLock::new());
        let closing = Arc::new(Mutex::new(false));
        let running = Running {
            handle: handle.clone(),
            id: Arc::clone(&id),
            closing: Arc::clone(&closing),
            closed,
        };
        let shared = Arc::clone(shared);
        handle.run(move |cx| {
            let source = cx.add_source_with(|id| Self {
                id,
                number,
                fd: Fd::from(fd),
                accepting: None,
                cancelling: false,
                waiting: false,
                backoff: BACKOFF[0],
                closing,
                stopped: false,
                shared,
                _gone: gone,
            });
            let _first = id.set(source);
            cx.poke(source);
        })?;
        Ok(running)
    }

    fn accepted(&mut self, cx: &mut Cx<'_>, result: io::Result<OwnedFd>) {
        match result {
            Ok(fd) => {
                self.backoff = BACKOFF[0];
                self.shared.accepted.fetch_add(1, Ordering::Relaxed);
                self.place(cx, fd);
            }
            // asked for; or gone again before it was accepted
            Err(error) if matches!(errno(&error), libc::ECANCELED | libc::ECONNABORTED) => {}
            Err(error) => {
                self.shared.errors.fetch_add(1, Ordering::Relaxed);
                if let Some(hook) = &self.shared.on_error {
                    hook(&error);
                }
                self.waiting = true;
                cx.timer_for(self.id, RETRY, Instant::now() + self.backoff);
                self.backoff = (self.backoff * 2).min(BACKOFF[1]);
            }
        }
    }

    /// Brings a connection to its loop.
    fn place(&self, cx: &mut Cx<'_>, fd: OwnedFd) {
        if self.shared.own_loop_only {
            let load = self.shared.loads.take(self.number);
            (self.shared.open)(cx, fd, load);
            return;
        }
        let (handle, load) = self.shared.loads.least();
        if handle.is_current() {
            (self.shared.open)(cx, fd, load);
            return;
        }
        let open = Arc::clone(&self.shared.open);
        // a loop that has ended drops the connection, and so closes it
        let _sent = handle.run(move |cx| open(cx, fd, load));
    }

    fn drive(&mut self, cx: &mut Cx<'_>) {
        let stop = self.stopped || *self.closing.lock();
        let wanted = !stop && !self.waiting && !(self.shared.is_full)();
        match self.accepting {
            None if stop => cx.remove_source(self.id),
            None if wanted => {
                match cx.submit_for(self.id, ACCEPT, AcceptMulti::new(self.fd.clone())) {
                    Ok(op) => self.accepting = Some(op),
                    Err(_) => {
                        self.waiting = true;
                        cx.timer_for(self.id, RETRY, Instant::now() + self.backoff);
                    }
                }
            }
            Some(op) if !wanted && !self.cancelling => {
                self.cancelling = true;
                cx.cancel_op(op);
            }
            _ => {}
        }
    }
}

impl Source for Acceptor {
    fn on_event(&mut self, event: SourceEvent, cx: &mut Cx<'_>) {
        match event {
            SourceEvent::Item { item: LoopItem::Accept(result), .. } => self.accepted(cx, result),
            SourceEvent::Done { output: LoopOutput::Accept((result, _)), .. } => {
                self.accepting = None;
                if !self.cancelling {
                    cx.count_rearm();
                }
                self.cancelling = false;
                self.accepted(cx, result);
            }
            SourceEvent::Timer { .. } => self.waiting = false,
            SourceEvent::Shutdown => self.stopped = true,
            _ => {}
        }
        self.drive(cx);
    }
}

/// Connections that wait to be accepted by a thread.
#[derive(Default)]
struct Queue {
    streams: Mutex<(VecDeque<TcpStream>, bool)>,
    some: Condvar,
}

impl Queue {
    fn push(&self, stream: TcpStream) {
        self.streams.lock().0.push_back(stream);
        self.some.notify_one();
    }
}

/// A listening socket whose connections are accepted by threads, as with `std::net`.
///
/// ```
/// use uring_net::TcpListener;
/// use uring_reactor::Reactor;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring_reactor::check() else { return Ok(()) };
/// let reactor = Reactor::builder().build()?;
/// let listener = TcpListener::bind(&reactor, "[::1]:0").or_else(|_| {
///     TcpListener::bind(&reactor, "127.0.0.1:0") // no IPv6 here
/// })?;
/// println!("{}", listener.local_addr());
/// # Ok(()) }
/// ```
pub struct TcpListener {
    listener: Listener,
    queue: Arc<Queue>,
}

impl TcpListener {
    /// Listens on `addr` with the default settings; [`Listener::builder`] has others.
    ///
    /// # Errors
    ///
    /// Those of `socket(2)`, `bind(2)` and `listen(2)`, with the address in the text: `AddrInUse`
    /// if somebody listens there already.
    pub fn bind(reactor: &Reactor, addr: impl ToSocketAddrs) -> io::Result<Self> {
        Listener::builder().bind(reactor, addr)
    }

    /// Waits for a connection. Several threads may wait.
    ///
    /// # Errors
    ///
    /// `NotConnected` after [`shutdown`](Self::shutdown), `Deadlock` on a loop's own thread.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        if self.listener.acceptors.iter().any(|acceptor| acceptor.handle.is_current()) {
            return Err(stream::would_deadlock());
        }
        loop {
            let stream = self.next_stream()?;
            // one that was reset meanwhile has no peer any more, and is nobody's
            if let Ok(peer) = stream.peer_addr() {
                return Ok((stream, peer));
            }
        }
    }

    fn next_stream(&self) -> io::Result<TcpStream> {
        let mut streams = self.queue.streams.lock();
        loop {
            if let Some(stream) = streams.0.pop_front() {
                if streams.0.len() == QUEUE_MAX / 2 {
                    drop(streams);
                    self.resume();
                }
                return Ok(stream);
            }
            if streams.1 {
                return Err(io::Error::new(io::ErrorKind::NotConnected, "the listener is closed"));
            }
            self.queue.some.wait(&mut streams);
        }
    }

    /// Lets acceptors go on that stopped because the queue was full.
    fn resume(&self) {
        for acceptor in &self.listener.acceptors {
            if let Some(id) = acceptor.id.get() {
                // a loop that has ended accepts no more
                let _sent = acceptor.handle.poke(*id);
            }
        }
    }

    /// The address that it listens on, the port that the kernel chose included.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> ListenerStats {
        self.listener.stats()
    }

    /// Wakes all threads that wait in [`accept`](Self::accept), which then fails; connections that
    /// nobody has accepted are closed.
    pub fn shutdown(&self) {
        let mut streams = self.queue.streams.lock();
        streams.1 = true;
        let dropped = std::mem::take(&mut streams.0);
        drop(streams);
        self.queue.some.notify_all();
        drop(dropped);
    }

    /// Stops accepting and closes the socket: when it returns, the port is free.
    pub fn close(self) {
        self.shutdown();
        self.listener.close();
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener").field("listener", &self.listener).finish_non_exhaustive()
    }
}
