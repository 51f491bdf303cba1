//! A stream that any thread may use: its queues, behind a lock.

use std::{
    fmt, io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use uring_reactor::{Cx, Fd, Handle, Reactor, SourceId, uring::Payload};

use crate::{
    addr,
    core::{Chunk, Inbox},
    error::{Cause, End, Failure},
    home::Home,
    limits::Caps,
    link::{self, Link},
    loads::Load,
    pump::{self, Front},
};

/// The queues, and what was asked for and has happened.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) inbox: Inbox,
    /// Written by threads, not yet taken by the loop.
    pub(crate) outgoing: Vec<Vec<u8>>,
    /// Written and not yet sent by the loop; while it is 0, a thread may send by itself.
    pub(crate) out_bytes: usize,
    /// Why nothing can be written any more.
    pub(crate) write_end: Option<WriteEnd>,
    pub(crate) read_deadline: Option<Instant>,
    pub(crate) write_deadline: Option<Instant>,
    /// How long each call may wait, as with `std::net`.
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) write_timeout: Option<Duration>,
    /// This side has closed it, whoever still holds it.
    pub(crate) closed: bool,
    /// The inbox is full: the loop has stopped receiving.
    pub(crate) paused: bool,
    /// The loop was told to look, and has not yet.
    pub(crate) poked: bool,
    /// No handle is left.
    dropped: bool,
    /// The loop has let go of the connection.
    pub(crate) gone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteEnd {
    /// It was shut down on this side.
    Finished,
    /// The loop shuts down: what was written before still goes out.
    Stopped,
    Failed(Failure),
}

/// What the handles and the loop share.
pub(crate) struct Shared {
    pub(crate) state: Mutex<State>,
    pub(crate) readable: Condvar,
    pub(crate) writable: Condvar,
    pub(crate) fd: Arc<OwnedFd>,
    pub(crate) handle: Handle,
    pub(crate) source: OnceLock<SourceId>,
    pub(crate) caps: Caps,
    pub(crate) home: Home,
    /// As they were in the beginning: the kernel forgets them when the connection ends.
    addrs: Addrs,
}

#[derive(Clone, Copy)]
struct Addrs {
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
}

impl Addrs {
    fn of(fd: BorrowedFd<'_>) -> Self {
        Self { peer: addr::peer(fd).ok(), local: addr::local(fd).ok() }
    }
}

impl Shared {
    fn new(fd: Arc<OwnedFd>, handle: Handle, caps: Caps) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            readable: Condvar::new(),
            writable: Condvar::new(),
            addrs: Addrs::of(fd.as_fd()),
            fd,
            handle,
            source: OnceLock::new(),
            caps,
            home: Home::here(),
        })
    }

    /// Puts the connection on its loop.
    fn start(self: &Arc<Self>, cx: &mut Cx<'_>, load: Load) {
        let remote = Remote { shared: Arc::clone(self) };
        // what is queued is bounded where it is written, whatever is received meanwhile
        let caps = Caps { hold_back: false, ..self.caps };
        let source = pump::start(cx, Fd::Shared(Arc::clone(&self.fd)), caps, load, remote);
        let _first = self.source.set(source);
    }

    /// Makes the loop look at the queues, once for all that happened since it last looked.
    pub(crate) fn poke(&self, state: &mut State) {
        if state.poked || state.gone {
            return;
        }
        if let Some(source) = self.source.get() {
            state.poked = true;
            // a loop that has ended has marked the stream as gone, or is about to
            let _sent = self.handle.poke(*source);
        }
    }
}

/// Puts a connection on the loop, and gives out its first handle.
pub(crate) fn start(cx: &mut Cx<'_>, fd: Arc<OwnedFd>, caps: Caps, load: Load) -> TcpStream {
    let shared = Shared::new(fd, cx.handle(), caps);
    shared.start(cx, load);
    TcpStream { shared: Arc::new(LastHandle(shared)) }
}

/// The loop's side of a stream.
struct Remote {
    shared: Arc<Shared>,
}

impl Front for Remote {
    fn received(&mut self, link: &mut Link, cx: &mut Cx<'_>, data: Payload) {
        let data = match data {
            Payload::Received(buf) if !link::is_short(cx) => Chunk::Shared(buf.into_shared()),
            Payload::Vec(vec) => Chunk::Vec(vec),
            // while buffers are short, a reader must not hold any
            data => Chunk::Vec(data.to_vec()),
        };
        let mut state = self.shared.state.lock();
        if state.dropped {
            return;
        }
        state.inbox.push(data);
        state.paused = state.inbox.bytes() > self.shared.caps.inbound;
        link.paused = state.paused;
        drop(state);
        self.shared.readable.notify_all();
    }

    fn read_ended(&mut self, _link: &mut Link, _cx: &mut Cx<'_>, end: End) {
        let mut state = self.shared.state.lock();
        state.inbox.end(end);
        if let End::Failed(errno) = end {
            state.write_end = Some(WriteEnd::Failed(Failure::os(errno)));
        }
        drop(state);
        self.shared.readable.notify_all();
        self.shared.writable.notify_all();
    }

    fn sent(&mut self, link: &mut Link, _cx: &mut Cx<'_>, _bytes: usize) {
        let mut state = self.shared.state.lock();
        let waiting: usize = state.outgoing.iter().map(Vec::len).sum();
        state.out_bytes = link.out.bytes() + waiting;
        if let Some(errno) = link.out.failed() {
            // cancelled by an abort, of which the writer knows the reason or only that
            let errno = if errno == libc::ECANCELED { libc::ECONNABORTED } else { errno };
            state.write_end = Some(WriteEnd::Failed(Failure::os(errno)));
        }
        drop(state);
        self.shared.writable.notify_all();
    }

    fn poked(&mut self, link: &mut Link, _cx: &mut Cx<'_>) {
        let mut state = self.shared.state.lock();
        state.poked = false;
        take_outgoing(&mut state, link);
        if state.write_end == Some(WriteEnd::Finished) {
            link.out.finish();
        }
        link.paused = state.paused;
        if state.dropped {
            link.close();
        }
    }

    fn expired(&mut self, _link: &mut Link, _cx: &mut Cx<'_>) {
        // deadlines of a stream are those of its callers, who wait by themselves
    }

    fn stopping(&mut self, link: &mut Link) {
        let mut state = self.shared.state.lock();
        take_outgoing(&mut state, link);
        state.out_bytes = link.out.bytes();
        state.write_end.get_or_insert(WriteEnd::Stopped);
        drop(state);
        self.shared.writable.notify_all();
    }

    fn failing(&mut self, cause: Cause) {
        let mut state = self.shared.state.lock();
        // nobody is woken yet: how much was lost comes with the end
        state.write_end.get_or_insert(WriteEnd::Failed(Failure { cause, lost: 0 }));
    }

    fn closed(&mut self, _cx: &mut Cx<'_>, failure: Option<Failure>) {
        let mut state = self.shared.state.lock();
        // an end without an error: the loop was shut down, or this side has closed
        let stopped = Failure { cause: Cause::Stopped, lost: 0 };
        state.inbox.end(End::Failed(failure.unwrap_or(stopped).errno()));
        // after a shutdown, everything written may have gone out; then it is no failure
        let finished = matches!(state.write_end, Some(WriteEnd::Finished | WriteEnd::Stopped));
        let lost = failure.is_some_and(|failure| failure.lost > 0);
        if !finished || state.out_bytes > 0 || lost {
            state.write_end = Some(WriteEnd::Failed(failure.unwrap_or(stopped)));
        }
    }
}

/// Hands what threads have written to the loop's queue.
fn take_outgoing(state: &mut State, link: &mut Link) {
    for data in state.outgoing.drain(..) {
        // what cannot go out any more is lost, and counted; `sent` or the end says why
        link.out.push_or_lose(data.into());
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.gone = true;
        state.inbox.end(End::Failed(libc::ECONNABORTED));
        let lost = state.out_bytes as u64;
        match state.write_end {
            Some(WriteEnd::Failed(_)) => {}
            Some(WriteEnd::Finished | WriteEnd::Stopped) if lost == 0 => {}
            _ => {
                let failure = Failure { cause: Cause::Stopped, lost };
                state.write_end = Some(WriteEnd::Failed(failure));
            }
        }
        state.out_bytes = 0;
        drop(state);
        self.shared.readable.notify_all();
        self.shared.writable.notify_all();
    }
}

/// A TCP connection on a loop, for any thread.
///
/// It reads and writes as `std::net::TcpStream` does, by `&self` too; a clone is the same
/// connection. Reads take what the loop has received. Writes go out at once if nothing is queued,
/// else behind it; errors of what was queued come with the next write or
/// [`flush`](std::io::Write::flush).
///
/// When the last clone is dropped, what was written is sent and the connection is closed.
#[derive(Clone)]
pub struct TcpStream {
    shared: Arc<LastHandle>,
}

impl TcpStream {
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared.0
    }

    /// Puts a connection of the standard library, or of anybody, on one of the loops. It is made
    /// blocking, for whoever shares it too.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the loop has ended; those of `fcntl(2)`.
    pub fn from_std(reactor: &Reactor, stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(false)?; // or a receive would not wait
        let handle = reactor.handle();
        let shared = Shared::new(Arc::new(stream.into()), handle.clone(), Caps::CONNECTOR);
        let started = Arc::clone(&shared);
        let ended = |_| io::Error::new(io::ErrorKind::NotConnected, "the event loop has ended");
        handle.run(move |cx| started.start(cx, Load::uncounted())).map_err(ended)?;
        Ok(Self { shared: Arc::new(LastHandle(shared)) })
    }

    /// Closes the connection, although others hold it: what was written is sent, whoever waits is
    /// woken, and every later call fails with `NotConnected`, in which
    /// [`LocallyClosed`](crate::LocallyClosed) stands.
    pub fn close(&self) {
        let shared = self.shared();
        if !shared.home.is_here() {
            return;
        }
        let mut state = shared.state.lock();
        state.closed = true;
        state.dropped = true;
        state.inbox.clear();
        shared.poke(&mut state);
        drop(state);
        shared.readable.notify_all();
        shared.writable.notify_all();
    }

    /// The address of the peer, also after the connection has ended.
    ///
    /// # Errors
    ///
    /// `NotConnected` if it had none when the stream was made.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.shared().addrs.peer.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOTCONN))
    }

    /// The address of this side, also after the connection has ended.
    ///
    /// # Errors
    ///
    /// `NotConnected` if it had none when the stream was made.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.shared().addrs.local.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOTCONN))
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared().fd.as_fd()
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("peer", &self.peer_addr().ok())
            .field("local", &self.local_addr().ok())
            .finish_non_exhaustive()
    }
}

/// Closes the connection when no handle is left.
struct LastHandle(Arc<Shared>);

impl Drop for LastHandle {
    fn drop(&mut self) {
        // in a forked child nobody can be told, and the lock may be held for ever
        if !self.0.home.is_here() {
            return;
        }
        let mut state = self.0.state.lock();
        state.dropped = true;
        state.inbox.clear();
        self.0.poke(&mut state);
    }
}

/// What a blocking call answers on the loop's own thread, where it would wait for itself.
pub(crate) fn would_deadlock() -> io::Error {
    io::Error::new(
        io::ErrorKind::Deadlock,
        "a blocking call on the loop's own thread would wait for ever; use a Handler there",
    )
}
