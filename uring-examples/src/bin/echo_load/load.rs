//! The run: connections are opened, all start to send at once, and each gets back what it sent.

use std::{
    fmt, io,
    net::{Shutdown, TcpStream},
    rc::Rc,
    time::{Duration, Instant},
};

use slab::Slab;
use uring::{Event, OpId, Pool, RecvBuf, Ring, op};
use uring_examples::{Failure, NextSignal, Signals, cpu_seconds, explained, print_error};

use crate::{
    connection::{Flow, SEND_MAX, Shape, Step},
    options::Options,
    pattern::Pattern,
    report::Report,
};

/// After so long without any progress, what has not come back counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first tenth of the time does not count, and no more than this.
const WARM_UP_MAX: Duration = Duration::from_millis(500);
/// So many problems are told in words.
const TOLD_MAX: u64 = 10;

pub(crate) type Socket = Rc<TcpStream>;

uring::operations! {
    /// Everything that is asked of the kernel.
    pub(crate) enum Op, OpItem, OpOutput {
        Connect(op::Connect<Socket>),
        Receive(op::RecvMulti<Socket>),
        Send(op::Send<Socket, &'static [u8]>),
        HalfClose(op::Shutdown<Socket>),
        Signal(NextSignal),
    }
}

/// The number of a connection; `NOBODY` for what belongs to none.
pub(crate) type Key = usize;
const NOBODY: Key = Key::MAX;

pub(crate) struct Client {
    /// Which of the server's addresses it connects to.
    pub(crate) address: usize,
    pub(crate) socket: Socket,
    /// Which stream of the pattern it sends.
    pub(crate) stream: u64,
    pub(crate) flow: Flow,
    pub(crate) receive: Option<OpId>,
    pub(crate) send: Option<OpId>,
}

pub(crate) struct Load {
    pub(crate) options: Options,
    pub(crate) shape: Shape,
    ring: Ring<Op, Key>,
    pool: Pool,
    pattern: Pattern,
    pub(crate) clients: Slab<Client>,
    /// Which of the server's addresses is used: the first, or one that follows those that failed.
    pub(crate) address: usize,
    /// Connections to be opened, and slow ones, which come first.
    pub(crate) to_open: u64,
    pub(crate) slow_to_open: u32,
    pub(crate) opening: u32,
    pub(crate) open_again: Option<Instant>,
    /// Connected before all were.
    pub(crate) ready: Vec<Key>,
    /// Clients that are not slow.
    pub(crate) fast: u64,
    messages_left: u64,
    pub(crate) now: Instant,
    pub(crate) last_progress: Instant,
    last_message: Instant,
    pub(crate) started: Option<Instant>,
    warm_until: Option<Instant>,
    deadline: Option<Instant>,
    /// What came later is checked, and not counted.
    counted_until: Option<Instant>,
    pub(crate) ending: bool,
    cpu_started: f64,
    pub(crate) report: Report,
}

impl Load {
    pub(crate) fn new(options: &Options) -> Result<Self, Failure> {
        let Options { size, depth, half_close, messages, .. } = *options;
        let operations = options.all_connections().saturating_mul(3).saturating_add(16);
        let mut ring = Ring::builder()
            .entries(1024)
            .operations(operations)
            .build()
            .map_err(|e| Failure::new("no ring", &e))?;
        // what may come at once on a connection, in 1024 buffers or 16 MiB
        let bytes = size.saturating_mul(depth).clamp(2048, 64 << 10).next_power_of_two();
        let buffers = u16::try_from((16 << 20) / bytes).unwrap_or(u16::MAX).min(1024);
        let pool = ring
            .pool(buffers, bytes)
            .map_err(|e| Failure::new("no buffers to receive into", &e))?;
        let (to_open, messages_left) = match (options.churn, messages) {
            (true, total) => (total.unwrap_or(u64::MAX), u64::MAX),
            (false, total) => (options.connections.into(), total.unwrap_or(u64::MAX)),
        };
        let now = Instant::now();
        Ok(Self {
            options: options.clone(),
            shape: Shape { size, depth, half_close },
            ring,
            pool,
            pattern: Pattern::new(size.max(SEND_MAX) as usize),
            clients: Slab::new(),
            address: 0,
            to_open,
            slow_to_open: options.slow,
            opening: 0,
            open_again: None,
            ready: Vec::new(),
            fast: 0,
            messages_left,
            now,
            last_progress: now,
            last_message: now,
            started: None,
            warm_until: None,
            deadline: None,
            counted_until: None,
            ending: false,
            cpu_started: 0.0,
            report: Report::default(),
        })
    }

    /// Runs to the end.
    pub(crate) fn run(mut self, signals: &Signals) -> Result<Report, Failure> {
        self.submit(signals.next(), NOBODY)?;
        loop {
            self.open_connections()?;
            self.follow_the_clock()?;
            if self.clients.is_empty() && self.to_open == 0 && self.slow_to_open == 0 {
                break;
            }
            if self.now >= self.last_progress + PATIENCE {
                self.give_up();
                break;
            }
            self.turn()?;
        }
        let until = self.counted_until.unwrap_or(self.last_message);
        let since = self.started.unwrap_or(until);
        self.report.time = until.saturating_duration_since(since);
        if self.counted_until.is_none() {
            self.report.cpu_seconds = cpu_seconds() - self.cpu_started;
        }
        self.report.enters = self.ring.stats().enters;
        Ok(self.report)
    }

    /// Submits what the last turn queued, waits, and handles all that has happened: one enter.
    fn turn(&mut self) -> Result<(), Failure> {
        let patience = Some(self.last_progress + PATIENCE);
        let deadline = self.deadline.filter(|_| !self.ending);
        let times = [patience, deadline, self.warm_until, self.open_again];
        let until = times.into_iter().flatten().min();
        self.ring.wait(1, until).map_err(|e| Failure::new("the ring does not go on", &e))?;
        self.now = Instant::now();
        while let Some(event) = self.ring.next() {
            match event {
                Event::Item { ctx, item: OpItem::Receive(bytes), .. } => {
                    let key = *ctx;
                    self.came(key, &bytes);
                    self.advance(key)?;
                }
                Event::Done { ctx, output, .. } => self.done(ctx, output)?,
                _ => {} // the other operations have no items
            }
        }
        Ok(())
    }

    pub(crate) fn submit(&mut self, op: impl Into<Op>, key: Key) -> Result<OpId, Failure> {
        let submitted = self.ring.submit(op.into(), key);
        submitted.map_err(|e| Failure::new("the ring does not take an operation", &e))
    }

    /// Starts, stops counting warm-up, and ends, when it is time.
    fn follow_the_clock(&mut self) -> Result<(), Failure> {
        let all_there = self.to_open == 0 && self.slow_to_open == 0 && self.opening == 0;
        if self.started.is_none() && (all_there || self.options.churn) {
            self.start()?;
        }
        if self.warm_until.is_some_and(|at| at <= self.now) {
            self.count_from_now();
        }
        let over = self.deadline.is_some_and(|at| at <= self.now);
        if over && self.counted_until.is_none() {
            self.stop_counting();
        }
        let nobody_left = self.fast == 0 && self.to_open == 0;
        if self.started.is_some() && !self.ending && (over || nobody_left) {
            self.end()?;
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), Failure> {
        self.now = Instant::now();
        self.count_from_now();
        self.deadline = self.options.time.and_then(|time| self.now.checked_add(time));
        if let (Some(time), None) = (self.options.time, self.options.messages) {
            let warm_up = (time / 10).min(WARM_UP_MAX);
            self.warm_until = Some(self.now + warm_up);
            self.deadline = self.now.checked_add(time + warm_up);
        }
        for key in std::mem::take(&mut self.ready) {
            self.clients[key].flow.connected();
            self.advance(key)?;
        }
        Ok(())
    }

    fn count_from_now(&mut self) {
        self.started = Some(self.now);
        self.warm_until = None;
        self.report.messages = 0;
        self.report.latency = Default::default();
        self.cpu_started = cpu_seconds();
    }

    fn stop_counting(&mut self) {
        self.counted_until = Some(self.now);
        self.report.cpu_seconds = cpu_seconds() - self.cpu_started;
    }

    /// Nothing new is sent; what is in flight comes back.
    fn end(&mut self) -> Result<(), Failure> {
        self.ending = true;
        self.warm_until = None;
        self.to_open = 0;
        self.slow_to_open = 0;
        for key in std::mem::take(&mut self.ready) {
            self.clients[key].flow.connected();
        }
        let keys: Vec<Key> = self.clients.iter().map(|(key, _)| key).collect();
        for key in keys {
            let flow = &mut self.clients[key].flow;
            if flow.slow {
                self.report.slow_bytes += flow.sent();
            }
            flow.end();
            self.advance(key)?;
        }
        Ok(())
    }

    /// Nothing has come back for too long.
    fn give_up(&mut self) {
        // those to be opened by a churn may be without end
        let unopened = if self.options.churn { 0 } else { self.to_open };
        let left = self.clients.len() as u64 + unopened + u64::from(self.slow_to_open);
        self.report.lost += left;
        let patience = PATIENCE.as_secs();
        tell(&format!("nothing happened for {patience} s; {left} connections count as lost"));
    }

    fn done(&mut self, key: Key, output: OpOutput) -> Result<(), Failure> {
        match output {
            OpOutput::Connect((result, _)) => return self.connected(key, result),
            OpOutput::Receive((result, _)) => self.receive_ended(key, result),
            OpOutput::Send((result, _, bytes)) => {
                self.clients[key].flow.send_ended();
                match result {
                    Ok(sent) if sent == bytes.len() => {}
                    Ok(sent) => self.lose(key, &format!("only {sent} bytes could be sent")),
                    Err(error) => self.lose(key, &format!("cannot send: {}", explained(&error))),
                }
            }
            OpOutput::HalfClose((result, _)) => {
                self.clients[key].flow.send_ended();
                if let Err(error) = result {
                    self.lose(key, &format!("cannot half-close: {}", explained(&error)));
                }
            }
            OpOutput::Signal((result, ..)) => {
                result.map_err(|e| Failure::new("cannot read the signal", &e))?;
                if self.counted_until.is_none() {
                    self.stop_counting();
                }
                return self.end();
            }
        }
        self.advance(key)
    }

    fn receive_ended(&mut self, key: Key, result: io::Result<Option<RecvBuf>>) {
        self.clients[key].flow.receive_ended();
        match result {
            Ok(Some(bytes)) => self.came(key, &bytes),
            Ok(None) => {
                if self.clients[key].flow.peer_finished().is_err() {
                    self.lose(key, "the server closed it early");
                }
            }
            Err(error) => match error.raw_os_error() {
                // the pool was empty: it is not any more, since nothing is kept
                Some(libc::ENOBUFS | libc::ECANCELED) => {}
                _ => self.lose(key, &format!("cannot receive: {}", explained(&error))),
            },
        }
    }

    /// Checks and counts what was received.
    fn came(&mut self, key: Key, bytes: &[u8]) {
        self.now = Instant::now();
        self.last_progress = self.now;
        let Client { flow, stream, .. } = &mut self.clients[key];
        let (offset, stream) = (flow.received(), *stream);
        let counts = self.counted_until.is_none();
        let report = &mut self.report;
        let all_mine = flow.came(bytes.len(), self.now, |time, messages| {
            if counts {
                report.messages += messages;
                report.latency.record(time, messages);
            }
        });
        self.last_message = self.now;
        if all_mine.is_err() {
            return self.wrong(key, "more came back than was sent");
        }
        if self.options.verify {
            self.report.bytes_checked += bytes.len() as u64;
            if let Err(index) = self.pattern.check(stream, offset, bytes) {
                let at = offset + index as u64;
                self.wrong(key, &format!("byte {at} is not what was sent"));
            }
        }
    }

    fn wrong(&mut self, key: Key, why: &str) {
        if self.clients[key].flow.lose() {
            self.report.wrong += 1;
            let stream = self.clients[key].stream;
            self.tell_some(&format!("connection {stream}: {why}"));
        }
    }

    fn lose(&mut self, key: Key, why: &str) {
        if self.clients[key].flow.lose() {
            let stream = self.clients[key].stream;
            self.count_lost(&format!("connection {stream}: {why}"));
        }
    }

    pub(crate) fn count_lost(&mut self, why: &str) {
        self.report.lost += 1;
        self.tell_some(why);
    }

    fn tell_some(&self, why: &str) {
        let errors = self.report.errors();
        if errors <= TOLD_MAX {
            tell(why);
        }
        if errors == TOLD_MAX {
            tell("and more, which are only counted");
        }
    }

    /// Does what a connection has to do now.
    pub(crate) fn advance(&mut self, key: Key) -> Result<(), Failure> {
        while let Some(step) = self.clients[key].flow.step() {
            let socket = self.clients[key].socket.clone();
            match step {
                Step::Send(messages) => self.send(key, messages)?,
                Step::Receive => {
                    let id = self.submit(op::RecvMulti::new(socket, &self.pool), key)?;
                    self.clients[key].receive = Some(id);
                }
                Step::HalfClose => {
                    let id = self.submit(op::Shutdown::new(socket, Shutdown::Write), key)?;
                    self.clients[key].send = Some(id);
                }
                Step::Cancel => self.cancel(key)?,
                Step::Close => {
                    self.close(key);
                    break;
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, key: Key, messages: u32) -> Result<(), Failure> {
        let client = &mut self.clients[key];
        let slow = client.flow.slow;
        let mut messages = messages;
        if !slow {
            if self.options.churn {
                messages = 1;
            }
            messages = u32::try_from(self.messages_left).unwrap_or(u32::MAX).min(messages);
            self.messages_left -= u64::from(messages);
            if messages == 0 {
                client.flow.end();
                return Ok(());
            }
        }
        let length = messages as usize * self.options.size as usize;
        let piece = if self.options.verify {
            self.pattern.piece(client.stream, client.flow.sent(), length)
        } else {
            self.pattern.piece(0, 0, length) // always the same memory: it stays in the cache
        };
        client.flow.sending(messages, self.now);
        if self.options.churn && !slow {
            client.flow.end();
        }
        let send = op::Send::new(client.socket.clone(), piece).wait_all();
        let id = self.submit(send, key)?;
        self.clients[key].send = Some(id);
        Ok(())
    }

    fn cancel(&mut self, key: Key) -> Result<(), Failure> {
        let client = &self.clients[key];
        // one that has ended already is no error
        let send = client.send.filter(|_| client.flow.is_lost());
        let receive = client.receive.filter(|_| client.flow.is_receiving());
        for id in [send, receive].into_iter().flatten() {
            self.ring.cancel(id).map_err(|e| Failure::new("cannot cancel an operation", &e))?;
        }
        Ok(())
    }

    /// Takes a connection off the list; its socket closes with the last operation that has it.
    fn close(&mut self, key: Key) {
        let client = self.clients.remove(key);
        self.last_progress = self.now;
        if client.flow.slow {
            return;
        }
        self.fast -= 1;
        let completed = client.flow.completed();
        self.report.most = self.report.most.max(completed);
        let fewest = self.report.fewest.unwrap_or(u64::MAX);
        self.report.fewest = Some(fewest.min(completed));
    }
}

fn tell(what: &str) {
    print_error(&format!("echo_load: {what}"));
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").field("report", &self.report).finish_non_exhaustive()
    }
}
