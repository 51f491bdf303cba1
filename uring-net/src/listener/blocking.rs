//! Connections that threads accept.

use std::{
    collections::VecDeque,
    fmt, io,
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
};

use parking_lot::{Condvar, Mutex};
use uring_reactor::{Handle, Reactor};

use super::{Listener, ListenerStats, Sink, acceptor::Running};
use crate::{
    error::LocallyClosed,
    stream::{self, TcpStream},
};

/// How many connections wait for [`TcpListener::accept`] before the kernel keeps the rest.
const QUEUE_MAX: usize = 1024;

/// Connections that wait to be accepted by a thread.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    some: Condvar,
}

#[derive(Default)]
struct Waiting {
    streams: VecDeque<TcpStream>,
    /// Why no more will come.
    end: Option<Ended>,
}

#[derive(Clone, Copy)]
enum Ended {
    ByUs,
    ByLoop,
}

impl Queue {
    pub(super) fn push(&self, stream: TcpStream) {
        let mut waiting = self.waiting.lock();
        if waiting.end.is_none() {
            waiting.streams.push_back(stream);
            self.some.notify_one();
        }
        // else nobody accepts it: it is closed, after the lock is released
    }

    fn close(&self, why: Ended) {
        let mut waiting = self.waiting.lock();
        waiting.end.get_or_insert(why);
        let dropped = std::mem::take(&mut waiting.streams);
        drop(waiting);
        self.some.notify_all();
        drop(dropped);
    }
}

impl Sink for Queue {
    fn is_full(&self) -> bool {
        self.waiting.lock().streams.len() >= QUEUE_MAX
    }

    fn end(&self) {
        self.close(Ended::ByLoop);
    }
}

/// A listening socket whose connections are accepted by threads, as with `std::net`. Dropping it
/// closes it.
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
#[must_use = "a listener that is dropped is closed"]
pub struct TcpListener {
    listener: Listener,
    queue: Arc<Queue>,
}

impl TcpListener {
    pub(super) const fn new(listener: Listener, queue: Arc<Queue>) -> Self {
        Self { listener, queue }
    }

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
    /// `NotConnected` after [`close`](Self::close) and [`shutdown`](Self::shutdown), for which
    /// [`LocallyClosed`] stands in it, and when the reactor has ended; `Deadlock` on the thread of
    /// a loop that connections may come to.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        if self.listener.shared.loads.handles().any(Handle::is_current) {
            return Err(stream::would_deadlock());
        }
        self.listener.home.check()?;
        let stream = self.next_stream()?;
        // one that was reset meanwhile too: it may have brought something
        let peer = stream.peer_addr()?;
        Ok((stream, peer))
    }

    fn next_stream(&self) -> io::Result<TcpStream> {
        let mut waiting = self.queue.waiting.lock();
        loop {
            if let Some(stream) = waiting.streams.pop_front() {
                if waiting.streams.len() == QUEUE_MAX / 2 {
                    drop(waiting);
                    // acceptors that stopped because the queue was full
                    self.listener.acceptors.lock().iter().for_each(Running::poke);
                }
                return Ok(stream);
            }
            match waiting.end {
                Some(Ended::ByUs) => return Err(LocallyClosed::error("listener")),
                Some(Ended::ByLoop) => {
                    let why = "the event loop has ended";
                    return Err(io::Error::new(io::ErrorKind::NotConnected, why));
                }
                None => {}
            }
            self.queue.some.wait(&mut waiting);
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
        if !self.listener.home.is_here() {
            return;
        }
        self.queue.close(Ended::ByUs);
    }

    /// Stops accepting, wakes all threads that wait in [`accept`](Self::accept), and closes the
    /// socket: when it returns, the port is free, unless it is called on a loop's thread.
    pub fn close(&self) {
        self.shutdown();
        self.listener.stop();
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener").field("listener", &self.listener).finish_non_exhaustive()
    }
}
