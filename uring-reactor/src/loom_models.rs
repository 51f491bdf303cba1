//! Models of what loops and other threads tell each other, for the model checker: it tries every
//! interleaving, and every value that a relaxed load may see.
//!
//! The queues are counters that are relaxed, which orders less than the channel and the lock that
//! the crate uses: what holds here holds there.

use loom::{
    sync::{Arc, atomic::AtomicU32, atomic::Ordering::Relaxed},
    thread,
};

use crate::{remote::wakeup::Doze, task::ready::Queued};

struct Model {
    doze: Doze,
    pushed: AtomicU32,
    /// What the eventfd counts: a loop that sleeps on it wakes as long as it is not zero.
    rung: AtomicU32,
}

impl Model {
    fn new() -> Arc<Self> {
        Arc::new(Self { doze: Doze::new(), pushed: AtomicU32::new(0), rung: AtomicU32::new(0) })
    }

    /// `Handle::send`.
    fn send(&self) {
        self.pushed.fetch_add(1, Relaxed);
        if self.doze.must_ring() {
            self.rung.fetch_add(1, Relaxed);
        }
    }

    /// The loop's turns, until it sleeps: how many commands it had taken by then.
    fn turns(&self) -> u32 {
        let mut taken = 0;
        loop {
            self.doze.lie_down();
            let pushed = self.pushed.load(Relaxed);
            if pushed == taken {
                return taken;
            }
            self.doze.get_up();
            taken = pushed;
        }
    }
}

/// Runs `senders` threads with one command each beside a loop.
fn no_command_is_left_to_a_loop_that_sleeps(senders: usize) {
    let mut checker = loom::model::Builder::new();
    // without a bound, three threads take minutes
    checker.preemption_bound = Some(if senders > 1 { 3 } else { 9 });
    checker.check(move || {
        let model = Model::new();
        let sending: Vec<_> = (0..senders)
            .map(|_| {
                let model = Arc::clone(&model);
                thread::spawn(move || model.send())
            })
            .collect();
        let taken = model.turns();
        for sender in sending {
            sender.join().unwrap();
        }
        let (pushed, rung) = (model.pushed.load(Relaxed), model.rung.load(Relaxed));
        assert!(taken == pushed || rung > 0, "asleep with {taken} of {pushed} commands");
    });
}

#[test]
fn loom_a_command_reaches_the_loop_or_wakes_it() {
    no_command_is_left_to_a_loop_that_sleeps(1);
}

#[test]
fn loom_commands_of_two_senders_reach_the_loop_or_wake_it() {
    no_command_is_left_to_a_loop_that_sleeps(2);
}

#[test]
fn loom_one_of_two_senders_wakes_a_loop_that_sleeps() {
    loom::model(|| {
        let model = Model::new();
        model.doze.lie_down();
        let other = Arc::clone(&model);
        let sending = thread::spawn(move || other.send());
        model.send();
        sending.join().unwrap();
        assert_eq!(model.rung.load(Relaxed), 1);
    });
}

#[test]
fn loom_a_wake_leads_to_a_poll_that_sees_what_came_before_it() {
    loom::model(|| {
        let state = Arc::new((Queued::new(), AtomicU32::new(0), AtomicU32::new(0)));
        let other = Arc::clone(&state);
        let waking = thread::spawn(move || {
            let (queued, news, ready) = &*other;
            news.store(1, Relaxed);
            if queued.must_queue() {
                ready.fetch_add(1, Relaxed);
            }
        });
        let (queued, news, ready) = &*state;
        // the poll that was queued when the task was spawned
        queued.clear();
        let seen = news.load(Relaxed);
        waking.join().unwrap();
        let again = ready.load(Relaxed);
        assert!(seen == 1 || again == 1, "the task sleeps and has not seen the news");
    });
}

#[test]
fn loom_wakes_of_two_threads_queue_a_task_once() {
    loom::model(|| {
        let state = Arc::new((Queued::new(), AtomicU32::new(0)));
        state.0.clear();
        let other = Arc::clone(&state);
        let wake = |state: &(Queued, AtomicU32)| {
            if state.0.must_queue() {
                state.1.fetch_add(1, Relaxed);
            }
        };
        let waking = thread::spawn(move || wake(&other));
        wake(&state);
        waking.join().unwrap();
        assert_eq!(state.1.load(Relaxed), 1);
    });
}
