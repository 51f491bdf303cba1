//! The server: one enter a turn, and what each completion means.

use std::{
    fmt, io,
    net::{Shutdown, TcpListener},
    os::fd::OwnedFd,
    rc::Rc,
    time::{Duration, Instant},
};

use slab::Slab;
use uring::{Event, OpId, Payload, Pool, RecvBuf, Ring, SetupFlags, op};
use uring_examples::{Failure, NextSignal, Signals, explained, signal_name};

use crate::{
    Options,
    connection::{Flow, Receiving, Step},
    counters::Counters,
    printer::{Print, Printer},
};

/// The most connections at once, whatever the limit of descriptors: it bounds the ring's table.
const CONNECTIONS_MAX: u64 = 32_768;
/// How long to wait before accepting again when no descriptor was left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long to wait for the operations in flight at the end.
const LAST_WAIT: Duration = Duration::from_secs(5);

type Socket = Rc<OwnedFd>;

uring::operations! {
    /// Everything that the server asks the kernel for.
    pub(crate) enum Op, OpItem, OpOutput {
        Accept(op::AcceptMulti<Rc<TcpListener>>),
        Receive(op::RecvMulti<Socket>),
        ReceiveOnce(op::Recv<Socket, Vec<u8>>),
        Send(op::Send<Socket, Payload>),
        Finish(op::Shutdown<Socket>),
        Close(op::Close),
        Signal(NextSignal),
        Print(Print),
    }
}

/// The number of a connection; operations that belong to none carry `NOBODY`.
type Key = usize;
const NOBODY: Key = Key::MAX;

struct Connection {
    socket: Socket,
    flow: Flow<Payload>,
    /// What to cancel when the connection breaks; live only while `flow` says so.
    receive: Option<OpId>,
    send: Option<OpId>,
}

/// What the connections have in common. Beside them, so that one of them can be borrowed and use
/// this: its number is looked up once for all that a completion makes it do.
struct Shared {
    ring: Ring<Op, Key>,
    /// Who receives again at the end of the turn.
    waiting: Vec<Key>,
    /// Nothing is started any more.
    stopping: bool,
    counters: Counters,
}

impl Shared {
    /// Inlined, so that which operation it is is known there.
    #[inline(always)]
    fn submit(&mut self, op: impl Into<Op>, key: Key) -> Result<OpId, Failure> {
        let submitted = self.ring.submit(op.into(), key);
        submitted.map_err(|e| Failure::new("the ring does not take an operation", &e))
    }

    fn cancel(&mut self, id: OpId) -> Result<(), Failure> {
        self.ring.cancel(id).map_err(|e| Failure::new("cannot cancel an operation", &e))
    }
}

impl Connection {
    #[inline(always)]
    fn send(&mut self, key: Key, bytes: Payload, shared: &mut Shared) -> Result<(), Failure> {
        let op = op::Send::new(self.socket.clone(), bytes).wait_all();
        self.send = Some(shared.submit(op, key)?);
        Ok(())
    }

    /// A reset, most of the time: whatever else is in flight has to end.
    fn broke(&mut self, shared: &mut Shared) -> Result<(), Failure> {
        if self.flow.broke() && !shared.stopping {
            shared.counters.resets += 1;
        }
        let receive = self.receive.filter(|_| self.flow.is_receiving());
        let send = self.send.filter(|_| self.flow.is_sending());
        for id in [receive, send].into_iter().flatten() {
            shared.cancel(id)?;
        }
        Ok(())
    }

    /// Does what there is to do now. Says whether that was all: then it is to be closed.
    #[inline]
    fn advance(&mut self, key: Key, shared: &mut Shared) -> Result<bool, Failure> {
        while let Some(step) = self.flow.step() {
            if self.perform(step, key, shared)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// One of these. Apart from the loop, because most completions find nothing to do.
    #[inline(never)]
    fn perform(
        &mut self,
        step: Step<Payload>,
        key: Key,
        shared: &mut Shared,
    ) -> Result<bool, Failure> {
        match step {
            Step::Send(bytes) => self.send(key, bytes, shared)?,
            Step::Receive => shared.waiting.push(key),
            Step::Hold => {
                shared.counters.held += 1;
                if let Some(id) = self.receive {
                    shared.cancel(id)?;
                }
            }
            Step::Finish => {
                let op = op::Shutdown::new(self.socket.clone(), Shutdown::Write);
                self.send = Some(shared.submit(op, key)?);
            }
            Step::Close => return Ok(true),
        }
        Ok(false)
    }
}

pub(crate) struct Server {
    shared: Shared,
    connections: Slab<Connection>,
    connections_max: usize,
    pool: Pool,
    listener: Rc<TcpListener>,
    /// No descriptor was left: when to accept again.
    accept_again: Option<Instant>,
    stopped_by: Option<&'static str>,
    printer: Printer,
}

impl Server {
    /// A server that does not accept yet.
    pub(crate) fn new(
        listener: TcpListener,
        options: &Options,
        descriptors: u64,
    ) -> Result<Self, Failure> {
        let connections_max = descriptors.min(CONNECTIONS_MAX);
        // each connection has a receive and a send in flight, or its close
        let operations = u32::try_from(2 * connections_max + 16).unwrap_or(u32::MAX);
        let mut ring = Ring::builder()
            .entries(1024)
            .operations(operations)
            .build()
            .map_err(|e| Failure::new("no ring", &e))?;
        let pool = ring
            .pool(options.buffers, options.buffer_bytes)
            .map_err(|e| Failure::new("no buffers to receive into", &e))?;
        let counters = Counters::default();
        Ok(Self {
            shared: Shared { ring, waiting: Vec::new(), stopping: false, counters },
            connections: Slab::new(),
            connections_max: usize::try_from(connections_max).unwrap_or(usize::MAX),
            pool,
            listener: Rc::new(listener),
            accept_again: None,
            stopped_by: None,
            printer: Printer::new()?,
        })
    }

    pub(crate) const fn setup_flags(&self) -> SetupFlags {
        self.shared.ring.setup_flags()
    }

    /// Serves until a signal comes.
    pub(crate) fn serve(&mut self, signals: &Signals, stats: bool) -> Result<(), Failure> {
        self.shared.submit(signals.next(), NOBODY)?;
        self.accept()?;
        let second = Duration::from_secs(1);
        let mut tick = stats.then(|| Instant::now() + second);
        let mut told = self.shared.counters;
        while self.stopped_by.is_none() {
            let until = [tick, self.accept_again].into_iter().flatten().min();
            self.turn(until)?;
            let now = || Instant::now();
            if self.accept_again.is_some_and(|at| at <= now()) {
                self.accept()?;
            }
            if let Some(at) = tick.filter(|at| *at <= now()) {
                if !self.printer.is_printing() {
                    let counters = self.counters();
                    self.print(&counters.since(&told, self.connections.len()))?;
                    told = counters;
                }
                tick = Some((at + second).max(now()));
            }
        }
        Ok(())
    }

    /// Prints a line on standard output.
    pub(crate) fn print(&mut self, line: &str) -> Result<(), Failure> {
        let print = self.printer.line(line);
        self.submit_print(print)
    }

    fn submit_print(&mut self, print: Option<Print>) -> Result<(), Failure> {
        print.map_or(Ok(()), |op| self.shared.submit(op, NOBODY).map(drop))
    }

    fn counters(&self) -> Counters {
        Counters { enters: self.shared.ring.stats().enters, ..self.shared.counters }
    }

    /// Submits what the last turn queued, waits, and handles all that has happened: one enter.
    fn turn(&mut self, until: Option<Instant>) -> Result<(), Failure> {
        let waited = self.shared.ring.wait(1, until);
        waited.map_err(|e| Failure::new("the ring does not go on", &e))?;
        loop {
            // An event borrows the ring. The patterns take what is needed out of it, so the borrow
            // ends with them, and the ring is free for what is submitted next.
            match self.shared.ring.next() {
                Some(Event::Item { ctx: &mut key, item, .. }) => self.item(key, item)?,
                Some(Event::Done { ctx: key, output, .. }) => self.done(key, output)?,
                Some(_) => {}
                None => break,
            }
        }
        self.start_receives()
    }

    #[inline(always)]
    fn item(&mut self, key: Key, item: OpItem) -> Result<(), Failure> {
        match item {
            OpItem::Receive(bytes) => self.received(key, bytes),
            OpItem::Accept(Ok(socket)) => self.accepted(socket),
            _ => Ok(()), // an error ends its operation, and the others have no items
        }
    }

    /// The sockets in the outputs are dropped at once: the connection's own is then the last one,
    /// and can be closed.
    #[inline(always)]
    fn done(&mut self, key: Key, output: OpOutput) -> Result<(), Failure> {
        match output {
            OpOutput::Accept((result, _)) => self.accept_ended(result),
            OpOutput::Receive((result, socket)) => {
                drop(socket);
                self.receive_ended(key, result.map(|bytes| bytes.map(Payload::from)))
            }
            OpOutput::ReceiveOnce((result, socket, bytes)) => {
                drop(socket);
                self.shared.counters.heap_receives += 1;
                let bytes = result.map(|length| (length > 0).then(|| bytes.into()));
                self.receive_ended(key, bytes)
            }
            OpOutput::Send((result, socket, bytes)) => {
                drop(socket);
                self.send_ended(key, result, bytes)
            }
            OpOutput::Finish((_, socket)) => {
                drop(socket); // whether it said so or the peer was gone: it is closed next
                self.connections[key].flow.send_ended();
                self.advance(key)
            }
            OpOutput::Close(_) => {
                self.shared.counters.closed += 1;
                // that descriptor may be what the listener waits for
                if self.accept_again.is_some() { self.accept() } else { Ok(()) }
            }
            OpOutput::Print(output) => {
                let rest = self.printer.written(output, self.shared.stopping);
                self.submit_print(rest)
            }
            OpOutput::Signal((result, _, info)) => {
                result.map_err(|e| Failure::new("cannot read the signal", &e))?;
                self.stopped_by = Some(signal_name(&info));
                Ok(())
            }
        }
    }

    fn accept(&mut self) -> Result<(), Failure> {
        self.accept_again = None;
        if self.shared.stopping {
            return Ok(());
        }
        let listener = self.listener.clone();
        self.shared.submit(op::AcceptMulti::new(listener), NOBODY).map(drop)
    }

    fn accepted(&mut self, socket: OwnedFd) -> Result<(), Failure> {
        if self.connections.len() >= self.connections_max {
            self.shared.counters.refused += 1;
            return Ok(()); // its drop closes it
        }
        self.shared.counters.accepted += 1;
        let connection =
            Connection { socket: Rc::new(socket), flow: Flow::new(), receive: None, send: None };
        let key = self.connections.insert(connection);
        self.advance(key)
    }

    /// A multishot accept ends after an error, and when completions came too fast.
    fn accept_ended(&mut self, result: io::Result<OwnedFd>) -> Result<(), Failure> {
        let error = match result {
            Ok(socket) => {
                self.accepted(socket)?;
                return self.accept();
            }
            Err(error) => error,
        };
        match error.raw_os_error() {
            _ if self.shared.stopping => Ok(()),
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                // Trying again at once would fail at once: the connection still waits.
                if self.shared.counters.accept_failures == 0 {
                    let print = self.printer.error(&format!(
                        "echo_ring: cannot accept: {}; connections wait until others are closed",
                        explained(&error)
                    ));
                    self.submit_print(print)?;
                }
                self.shared.counters.accept_failures += 1;
                self.accept_again = Some(Instant::now() + ACCEPT_PAUSE);
                Ok(())
            }
            // accept(2): these mean that the listening socket is of no use
            Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EOPNOTSUPP) => {
                Err(Failure::advised("cannot accept", &error))
            }
            // what became of one connection is no reason not to take the next
            _ => {
                self.shared.counters.accept_failures += 1;
                self.accept()
            }
        }
    }

    /// An item of a receive, which goes on.
    fn received(&mut self, key: Key, bytes: RecvBuf) -> Result<(), Failure> {
        let Self { shared, connections, .. } = self;
        let connection = &mut connections[key];
        shared.counters.received(bytes.len());
        match connection.flow.received(bytes.into()) {
            // most of the time, and then there is nothing else to do
            Some(bytes) => connection.send(key, bytes, shared),
            None => self.advance(key),
        }
    }

    fn receive_ended(
        &mut self,
        key: Key,
        result: io::Result<Option<Payload>>,
    ) -> Result<(), Failure> {
        let Self { shared, connections, .. } = self;
        let connection = &mut connections[key];
        connection.flow.receive_ended();
        match result {
            Ok(Some(bytes)) => {
                shared.counters.received(bytes.len());
                if let Some(bytes) = connection.flow.received(bytes) {
                    connection.send(key, bytes, shared)?;
                }
            }
            Ok(None) => connection.flow.peer_finished(),
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOBUFS) => shared.counters.pool_empty += 1,
                Some(libc::ECANCELED) if !shared.stopping => {} // held
                _ => connection.broke(shared)?,
            },
        }
        self.advance(key)
    }

    fn send_ended(
        &mut self,
        key: Key,
        result: io::Result<usize>,
        bytes: Payload,
    ) -> Result<(), Failure> {
        let Self { shared, connections, .. } = self;
        let connection = &mut connections[key];
        connection.flow.send_ended();
        match result {
            Ok(sent) if sent == bytes.len() => {}
            // With `wait_all` only an error makes a send short: the next send brings it.
            Ok(sent) => connection.flow.left_over(rest(bytes, sent)),
            Err(_) => connection.broke(shared)?,
        }
        if connection.advance(key, shared)? { self.close(key) } else { Ok(()) }
    }

    fn advance(&mut self, key: Key) -> Result<(), Failure> {
        let is_over = self.connections[key].advance(key, &mut self.shared)?;
        if is_over { self.close(key) } else { Ok(()) }
    }

    fn close(&mut self, key: Key) -> Result<(), Failure> {
        let Connection { socket, .. } = self.connections.remove(key);
        let last = Rc::into_inner(socket).ok_or("an operation still has the socket");
        // In place, because nobody has set it to linger: its close has nothing to wait for, and so
        // needs no worker thread.
        let op = op::Close::new(last.map_err(String::from)?).in_place();
        self.shared.submit(op, NOBODY).map(drop)
    }

    /// Starts the receives that were asked for in this turn: late, because until now sends gave
    /// buffers back.
    ///
    /// While slow readers hold all buffers, a receive gets memory of its own. So nobody waits for
    /// a buffer that somebody else has.
    fn start_receives(&mut self) -> Result<(), Failure> {
        let Self { shared, connections, pool, .. } = self;
        let mut spare = pool.available();
        let mut waiting = std::mem::take(&mut shared.waiting);
        for key in waiting.drain(..) {
            // it may have broken since, and its number may even be another's
            let Some(connection) = connections.get_mut(key) else { continue };
            if !connection.flow.wants_receive() {
                continue;
            }
            let socket = connection.socket.clone();
            let (how, op): (_, Op) = if spare > 0 {
                spare -= 1;
                (Receiving::Pool, op::RecvMulti::new(socket, pool).into())
            } else {
                let bytes = Vec::with_capacity(pool.buffer_bytes() as usize);
                (Receiving::Heap, op::Recv::new(socket, bytes).into())
            };
            connection.flow.receive_started(how);
            connection.receive = Some(shared.submit(op, key)?);
        }
        shared.waiting = waiting; // keeps its memory
        Ok(())
    }

    /// Cancels what is in flight, takes the results, closes the connections: what the ring's drop
    /// would do, but it tells how it went.
    pub(crate) fn shut_down(mut self) -> String {
        let open = self.connections.len();
        let deadline = Instant::now() + LAST_WAIT;
        self.shared.stopping = true;
        let mut going = self.shared.ring.cancel_all().is_ok();
        while going && self.shared.ring.in_flight() > 0 && Instant::now() < deadline {
            going = self.turn(Some(deadline)).is_ok();
        }
        let counters = self.counters();
        let leaked = self.shared.ring.close(deadline);
        counters.report(self.stopped_by.unwrap_or("an error"), open, leaked)
    }
}

/// What is left of a buffer after some bytes of it were sent.
fn rest(bytes: Payload, sent: usize) -> Payload {
    match bytes {
        Payload::Received(mut buffer) => {
            buffer.advance(sent);
            buffer.into()
        }
        other => other[sent..].to_vec().into(),
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("counters", &self.shared.counters).finish_non_exhaustive()
    }
}
