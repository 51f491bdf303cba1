//! What one connection may do next: decided here, done by the server.
//!
//! A connection is a queue. One receive fills it, one send empties it, and when both have ended it
//! is closed. There is no I/O in this file, so that every case can be tested.

use std::collections::VecDeque;

/// So many buffers may wait to be sent; then the receive is cancelled until the peer has read.
///
/// A burst that is under way when the cancellation comes can bring a few more: the kernel ends a
/// burst after 32.
const HELD_MAX: usize = 16;
/// The receive starts again when no more than this many wait, before the queue runs dry.
const HELD_LOW: usize = 4;

/// What is in flight to fill the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receiving {
    /// Nothing.
    No,
    /// A multishot receive into the buffers of the pool.
    Pool,
    /// The same, and it was asked to end. Buffers may still come.
    Ending,
    /// One receive into memory of its own, because the pool was empty.
    Heap,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<B> {
    /// Send this: nothing else is being sent.
    Send(B),
    /// Receive again, at the end of the turn.
    Receive,
    /// Cancel the receive: the peer does not read what is there.
    Hold,
    /// Everything is back: say that nothing follows.
    Finish,
    /// Nothing is in flight and nothing will be: close it.
    Close,
}

/// The state of one connection, with the buffers `B` that wait to be sent.
#[derive(Debug)]
pub(crate) struct Flow<B> {
    receiving: Receiving,
    /// A send is in flight, or the shutdown after the last one.
    sending: bool,
    queue: VecDeque<B>,
    /// It was asked to receive again, and has not done so yet.
    asked: bool,
    /// Nothing more is received: the peer has finished, or the connection is broken.
    ended: bool,
    /// Nothing more is sent.
    finished: bool,
}

impl<B> Flow<B> {
    pub(crate) const fn new() -> Self {
        Self {
            receiving: Receiving::No,
            sending: false,
            queue: VecDeque::new(),
            asked: false,
            ended: false,
            finished: false,
        }
    }

    /// Something was received: it comes back if it is the next to be sent, at once. Else it waits.
    #[must_use]
    pub(crate) fn received(&mut self, bytes: B) -> Option<B> {
        if self.finished {
            return None; // there is nobody to send it to
        }
        if self.sending || !self.queue.is_empty() {
            self.queue.push_back(bytes);
            return None;
        }
        self.sending = true;
        Some(bytes)
    }

    /// Puts what a send left over in front of the rest.
    pub(crate) fn left_over(&mut self, bytes: B) {
        if !self.finished {
            self.queue.push_front(bytes);
        }
    }

    /// The peer has finished: what is there goes back, and then it is over.
    pub(crate) const fn peer_finished(&mut self) {
        self.ended = true;
    }

    /// The connection is broken: what waits is dropped. Says whether that is news.
    pub(crate) fn broke(&mut self) -> bool {
        self.queue.clear();
        self.ended = true;
        !std::mem::replace(&mut self.finished, true)
    }

    /// Whether it still wants the receive that it asked for.
    pub(crate) const fn wants_receive(&self) -> bool {
        self.asked && !self.ended
    }

    pub(crate) const fn receive_started(&mut self, how: Receiving) {
        self.receiving = how;
        self.asked = false;
    }

    pub(crate) const fn receive_ended(&mut self) {
        self.receiving = Receiving::No;
    }

    pub(crate) const fn send_ended(&mut self) {
        self.sending = false;
    }

    pub(crate) const fn is_sending(&self) -> bool {
        self.sending
    }

    pub(crate) fn is_receiving(&self) -> bool {
        self.receiving != Receiving::No
    }

    /// The next thing to do, if there is one. Call it until there is none.
    pub(crate) fn step(&mut self) -> Option<Step<B>> {
        if !self.sending {
            if let Some(bytes) = self.queue.pop_front() {
                self.sending = true;
                return Some(Step::Send(bytes));
            }
            if self.ended && !self.is_receiving() {
                if self.finished {
                    return Some(Step::Close);
                }
                self.finished = true;
                self.sending = true;
                return Some(Step::Finish);
            }
        }
        match self.receiving {
            Receiving::Pool if self.queue.len() >= HELD_MAX => {
                self.receiving = Receiving::Ending;
                Some(Step::Hold)
            }
            Receiving::No if !self.ended && !self.asked && self.queue.len() <= HELD_LOW => {
                self.asked = true;
                Some(Step::Receive)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receiving() -> Flow<usize> {
        let mut flow = Flow::new();
        assert_eq!(flow.step(), Some(Step::Receive));
        assert_eq!(flow.step(), None, "it asks once");
        flow.receive_started(Receiving::Pool);
        flow
    }

    #[test]
    fn it_sends_one_at_a_time_and_in_order() {
        let mut flow = receiving();
        assert_eq!(flow.received(0), Some(0), "at once");
        for number in 1..3 {
            assert_eq!(flow.received(number), None, "one send at a time");
            assert_eq!(flow.step(), None);
        }
        for number in 1..3 {
            flow.send_ended();
            assert_eq!(flow.step(), Some(Step::Send(number)));
            assert_eq!(flow.step(), None, "one send at a time");
        }
        flow.send_ended();
        assert_eq!(flow.step(), None);
        assert_eq!(flow.received(3), Some(3));
    }

    #[test]
    fn what_a_send_left_over_goes_first() {
        let mut flow = receiving();
        assert_eq!(flow.received(1), Some(1));
        assert_eq!(flow.received(3), None);
        flow.send_ended();
        flow.left_over(2);
        assert_eq!(flow.received(4), None, "it is not sent before what was there");
        for number in 2..5 {
            assert_eq!(flow.step(), Some(Step::Send(number)));
            flow.send_ended();
        }
    }

    #[test]
    fn a_peer_that_does_not_read_is_held_until_its_queue_is_short() {
        let mut flow = receiving();
        assert_eq!(flow.received(0), Some(0));
        for number in 1..=HELD_MAX {
            assert_eq!(flow.step(), None);
            assert_eq!(flow.received(number), None);
        }
        assert_eq!(flow.step(), Some(Step::Hold));
        assert_eq!(flow.step(), None, "it is told once");
        assert_eq!(flow.received(HELD_MAX + 1), None); // the burst that was under way
        flow.receive_ended();
        for number in 1..=HELD_MAX + 1 - HELD_LOW {
            assert_eq!(flow.step(), None);
            flow.send_ended();
            assert_eq!(flow.step(), Some(Step::Send(number)));
        }
        assert_eq!(flow.step(), Some(Step::Receive));
    }

    #[test]
    fn the_end_comes_after_all_bytes() {
        let mut flow = receiving();
        assert_eq!(flow.received(1), Some(1));
        flow.peer_finished();
        flow.receive_ended();
        assert_eq!(flow.step(), None);
        flow.send_ended();
        assert_eq!(flow.step(), Some(Step::Finish));
        assert_eq!(flow.step(), None, "the shutdown is in flight");
        flow.send_ended();
        assert_eq!(flow.step(), Some(Step::Close));
    }

    #[test]
    fn a_broken_connection_closes_when_nothing_is_in_flight() {
        let mut flow = receiving();
        assert_eq!(flow.received(1), Some(1));
        assert_eq!(flow.received(2), None);
        assert!(flow.broke());
        assert!(!flow.broke(), "it is news once");
        assert_eq!(flow.step(), None);
        flow.send_ended();
        assert_eq!(flow.step(), None, "the receive has not ended");
        assert_eq!(flow.received(3), None); // a late one
        flow.receive_ended();
        assert_eq!(flow.step(), Some(Step::Close));
    }

    #[test]
    fn a_receive_that_was_asked_for_is_not_wanted_after_the_end() {
        let mut flow = Flow::<()>::new();
        assert_eq!(flow.step(), Some(Step::Receive));
        assert!(flow.wants_receive());
        flow.broke();
        assert!(!flow.wants_receive());
        assert_eq!(flow.step(), Some(Step::Close));
    }
}
