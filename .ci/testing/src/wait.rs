//! Waits that end, and counts for slow machines.

use std::{
    env, fs,
    ops::{Add, Div},
    sync::mpsc::Receiver,
    thread,
    time::{Duration, Instant},
};

/// Longer than anything here takes: a test that waits this long has failed.
pub const LONG: Duration = Duration::from_secs(20);

/// Waits until something is true that no event tells.
///
/// # Panics
///
/// After [`LONG`].
#[track_caller]
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < limit, "not within {LONG:?}: {what}");
        thread::yield_now();
    }
}

/// The next message.
///
/// # Panics
///
/// After [`LONG`], or if nobody can send one.
#[track_caller]
pub fn get<T>(receiver: &Receiver<T>) -> T {
    receiver.recv_timeout(LONG).expect("a message in time")
}

/// The kernel's number of this thread, for [`until_asleep`].
#[must_use]
pub fn thread_id() -> libc::pid_t {
    // SAFETY: the call takes nothing.
    unsafe { libc::gettid() }
}

/// Waits until a thread of this process sleeps in the kernel.
///
/// # Panics
///
/// After [`LONG`].
#[track_caller]
pub fn until_asleep(thread: libc::pid_t) {
    until("the thread sleeps", || {
        let stat = fs::read_to_string(format!("/proc/self/task/{thread}/stat")).expect("procfs");
        // the state stands after the name, which is in parentheses
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('S'))
    });
}

/// A count of rounds, reduced where everything is 10 to 50 times slower. It allocates.
pub fn rounds<N: From<u8> + Add<Output = N> + Div<Output = N>>(count: N) -> N {
    let slow = env::var_os("URING_TEST_SLOW").is_some_and(|value| value == "1");
    if slow { (count + N::from(9)) / N::from(10) } else { count }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isolated;

    #[test]
    fn a_slow_machine_has_a_tenth_of_the_rounds_and_at_least_one() {
        isolated!("URING_TEST_SLOW" = "1");
        assert_eq!([1, 10, 11, 1000].map(rounds::<u32>), [1, 1, 2, 100]);
    }

    #[test]
    fn any_other_machine_has_them_all() {
        isolated!("URING_TEST_SLOW" = "0");
        assert_eq!([1, 10, 11, 1000].map(rounds::<usize>), [1, 10, 11, 1000]);
    }
}
