//! The deadline of a connection: setting it is a store, and one timer follows it.

use std::time::Instant;

use uring_reactor::{Cx, SourceId, TimerId};

/// A deadline, and the timer that looks at it.
///
/// The timer is lazy: it stays where it is when the deadline moves away, and goes on to the new one
/// when it fires.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    at: Option<Instant>,
    timer: Option<(TimerId, Instant)>,
}

impl Deadline {
    pub(crate) const fn set(&mut self, at: Option<Instant>) {
        self.at = at;
    }

    /// Makes sure that a timer fires at the deadline or before it.
    pub(crate) fn arm(&mut self, cx: &mut Cx<'_>, source: SourceId, tag: u32) {
        let Some(at) = self.at else { return };
        match self.timer {
            Some((_, fires)) if fires <= at => return,
            Some((timer, _)) => {
                cx.cancel_timer(timer);
            }
            None => {}
        }
        self.timer = Some((cx.timer_for(source, tag, at), at));
    }

    /// The timer has fired; says whether that was the deadline, which then is no more.
    pub(crate) fn is_due(&mut self) -> bool {
        self.timer = None;
        let due = self.at.is_some_and(|at| at <= Instant::now());
        if due {
            self.at = None;
        }
        due
    }

    pub(crate) fn disarm(&mut self, cx: &mut Cx<'_>) {
        if let Some((timer, _)) = self.timer.take() {
            cx.cancel_timer(timer);
        }
    }
}
