//! One connection: what it may do next, and how long its messages take. No I/O.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// So many bytes go into one send, unless a message is longer.
pub(crate) const SEND_MAX: u32 = 256 << 10;

/// What all connections have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) size: u32,
    pub(crate) depth: u32,
    pub(crate) half_close: bool,
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    Open,
    /// It has finished sending, and waits for the rest and the end.
    HalfClosed,
    /// Its receive was cancelled: everything has come.
    Leaving,
    Lost,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send so many messages.
    Send(u32),
    Receive,
    /// Say that nothing follows.
    HalfClose,
    /// End whatever is in flight.
    Cancel,
    /// It is over, and nothing is in flight.
    Close,
}

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct Flow {
    shape: Shape,
    phase: Phase,
    /// It does not read while others do.
    pub(crate) slow: bool,
    /// Whether slow ones read now.
    reads: bool,
    /// It was told to send no more.
    pub(crate) ending: bool,
    sending: bool,
    receiving: bool,
    /// A cancellation is wanted, and was not done yet.
    cancel: bool,
    issued: u64,
    completed: u64,
    received: u64,
    /// When messages were sent: up to which number, and when. No more than `depth` of them.
    times: VecDeque<(u64, Instant)>,
}

impl Flow {
    pub(crate) const fn new(shape: Shape, slow: bool) -> Self {
        Self {
            shape,
            phase: Phase::Connecting,
            slow,
            reads: !slow,
            ending: false,
            sending: false,
            receiving: false,
            cancel: false,
            issued: 0,
            completed: 0,
            received: 0,
            times: VecDeque::new(),
        }
    }

    /// The offset of the next byte to be sent.
    pub(crate) fn sent(&self) -> u64 {
        self.issued * u64::from(self.shape.size)
    }

    /// The offset of the next byte to come.
    pub(crate) const fn received(&self) -> u64 {
        self.received
    }

    /// How many messages have come back.
    pub(crate) const fn completed(&self) -> u64 {
        self.completed
    }

    pub(crate) fn connected(&mut self) {
        self.phase = Phase::Open;
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.phase == Phase::Lost
    }

    pub(crate) const fn is_receiving(&self) -> bool {
        self.receiving
    }

    /// No more is sent from now on, and slow ones read.
    pub(crate) const fn end(&mut self) {
        self.ending = true;
        self.reads = true;
    }

    /// It ended too early: whatever is in flight has to end. Says whether that is news.
    pub(crate) fn lose(&mut self) -> bool {
        let news = !self.is_lost();
        self.phase = Phase::Lost;
        self.cancel |= news;
        news
    }

    /// Messages were handed to a send.
    pub(crate) fn sending(&mut self, messages: u32, now: Instant) {
        self.sending = true;
        self.issued += u64::from(messages);
        if !self.slow {
            self.times.push_back((self.issued, now));
        }
    }

    pub(crate) const fn send_ended(&mut self) {
        self.sending = false;
    }

    pub(crate) const fn receive_ended(&mut self) {
        self.receiving = false;
    }

    /// Bytes have come: tells `each` how long how many messages took. Fails if more came than was
    /// sent.
    pub(crate) fn came(
        &mut self,
        bytes: usize,
        now: Instant,
        mut each: impl FnMut(Duration, u64),
    ) -> Result<(), ()> {
        self.received += bytes as u64;
        if self.received > self.sent() {
            return Err(());
        }
        let completed = self.received / u64::from(self.shape.size);
        while self.completed < completed {
            let Some(&(up_to, sent)) = self.times.front() else {
                self.completed = completed; // slow ones are not measured
                break;
            };
            let through = up_to.min(completed);
            each(now.saturating_duration_since(sent), through - self.completed);
            self.completed = through;
            if through == up_to {
                self.times.pop_front();
            }
        }
        Ok(())
    }

    /// The peer has finished; fails if that is too early.
    pub(crate) fn peer_finished(&mut self) -> Result<(), ()> {
        if self.phase == Phase::HalfClosed && self.received == self.sent() {
            self.phase = Phase::Leaving;
            return Ok(());
        }
        Err(())
    }

    /// How many messages it may send now. The slow ones do not wait for answers.
    fn may_send(&self) -> u32 {
        let most = (SEND_MAX / self.shape.size).max(1);
        if self.slow {
            return most;
        }
        let in_flight = u32::try_from(self.issued - self.completed).unwrap_or(u32::MAX);
        self.shape.depth.saturating_sub(in_flight).min(most)
    }

    /// The next thing to do, if there is one. Call it until there is none.
    pub(crate) fn step(&mut self) -> Option<Step> {
        if std::mem::take(&mut self.cancel) && (self.sending || self.receiving) {
            return Some(Step::Cancel);
        }
        match self.phase {
            Phase::Connecting => None,
            Phase::Open => self.open_step(),
            Phase::HalfClosed => self.receive_step(),
            Phase::Leaving | Phase::Lost => {
                (!self.sending && !self.receiving).then_some(Step::Close)
            }
        }
    }

    fn open_step(&mut self) -> Option<Step> {
        if let Some(step) = self.receive_step() {
            return Some(step);
        }
        if self.sending {
            return None;
        }
        if !self.ending {
            return Some(self.may_send()).filter(|messages| *messages > 0).map(Step::Send);
        }
        if self.shape.half_close {
            self.phase = Phase::HalfClosed;
            self.sending = true;
            return Some(Step::HalfClose);
        }
        if self.received < self.sent() {
            return None;
        }
        self.phase = Phase::Leaving;
        Some(if self.receiving { Step::Cancel } else { Step::Close })
    }

    fn receive_step(&mut self) -> Option<Step> {
        let wanted = self.reads && !self.receiving;
        self.receiving |= wanted;
        wanted.then_some(Step::Receive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(depth: u32, half_close: bool, slow: bool) -> Flow {
        let mut flow = Flow::new(Shape { size: 10, depth, half_close }, slow);
        assert_eq!(flow.step(), None);
        flow.connected();
        flow
    }

    #[test]
    fn no_more_than_the_depth_is_in_flight() {
        let mut flow = open(3, false, false);
        let start = Instant::now();
        assert_eq!(flow.step(), Some(Step::Receive));
        assert_eq!(flow.step(), Some(Step::Send(3)));
        flow.sending(3, start);
        flow.send_ended();
        assert_eq!(flow.step(), None);
        let mut seen = Vec::new();
        let mut came = |flow: &mut Flow, bytes, at| {
            let now = start + Duration::from_secs(at);
            flow.came(bytes, now, |time, count| seen.push((time.as_secs(), count))).unwrap();
        };
        came(&mut flow, 19, 1);
        assert_eq!(flow.step(), Some(Step::Send(1)));
        flow.sending(1, start + Duration::from_secs(1));
        came(&mut flow, 21, 5);
        assert_eq!(seen, [(1, 1), (5, 2), (4, 1)]);
        assert_eq!(flow.came(1, start, |_, _| {}), Err(()), "more than was sent");
    }

    #[test]
    fn at_the_end_it_waits_for_what_is_in_flight() {
        let mut flow = open(1, false, false);
        assert_eq!(flow.step(), Some(Step::Receive));
        assert_eq!(flow.step(), Some(Step::Send(1)));
        flow.sending(1, Instant::now());
        flow.send_ended();
        flow.end();
        assert_eq!(flow.step(), None);
        flow.came(10, Instant::now(), |_, _| {}).unwrap();
        assert_eq!(flow.step(), Some(Step::Cancel));
        assert_eq!(flow.step(), None);
        flow.receive_ended();
        assert_eq!(flow.step(), Some(Step::Close));
    }

    #[test]
    fn a_half_closed_one_wants_all_bytes_and_then_the_end() {
        for early in [true, false] {
            let mut flow = open(1, true, false);
            assert_eq!(flow.step(), Some(Step::Receive));
            flow.sending(1, Instant::now());
            flow.send_ended();
            flow.end();
            assert_eq!(flow.step(), Some(Step::HalfClose));
            flow.send_ended();
            flow.came(if early { 9 } else { 10 }, Instant::now(), |_, _| {}).unwrap();
            flow.receive_ended();
            assert_eq!(flow.peer_finished(), if early { Err(()) } else { Ok(()) });
            if early {
                assert!(flow.lose());
            }
            assert_eq!(flow.step(), Some(Step::Close));
        }
    }

    #[test]
    fn a_slow_one_sends_without_answers_and_reads_at_the_end() {
        let mut flow = open(1, false, true);
        for _ in 0..3 {
            assert!(matches!(flow.step(), Some(Step::Send(1000..))));
            flow.sending(2, Instant::now());
            assert_eq!(flow.step(), None);
            flow.send_ended();
        }
        flow.end();
        assert_eq!(flow.step(), Some(Step::Receive));
        assert_eq!(flow.step(), None);
        flow.came(60, Instant::now(), |_, _| panic!("not measured")).unwrap();
        assert_eq!(flow.step(), Some(Step::Cancel));
    }

    #[test]
    fn a_lost_one_closes_when_nothing_is_in_flight() {
        let mut flow = open(1, false, false);
        assert_eq!(flow.step(), Some(Step::Receive));
        flow.sending(1, Instant::now());
        assert!(flow.lose() && !flow.lose());
        assert_eq!(flow.step(), Some(Step::Cancel));
        flow.send_ended();
        assert_eq!(flow.step(), None);
        flow.receive_ended();
        assert_eq!(flow.step(), Some(Step::Close));
    }
}
