//! What a loop has done, and how it ended.

use std::{
    fmt,
    ops::AddAssign,
    sync::atomic::{AtomicU64, Ordering},
};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a loop has done since it was made: all but `waiting` only grow.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl AddAssign for Stats {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }

        /// The counters as other threads read them. The loop's thread alone writes, so it stores
        /// and never needs a read-modify-write.
        #[derive(Debug, Default)]
        pub(crate) struct Published {
            $($name: AtomicU64,)*
        }

        impl Published {
            pub(crate) fn store(&self, stats: &Stats) {
                // Relaxed: each counter is true by itself; nothing is ordered by them
                $(self.$name.store(stats.$name, Ordering::Relaxed);)*
            }

            pub(crate) fn load(&self) -> Stats {
                Stats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl fmt::Display for Stats {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut separator = "";
                $(
                    write!(f, "{separator}{} {}", stringify!($name), self.$name)?;
                    separator = ", ";
                )*
                let _ = separator;
                Ok(())
            }
        }
    };
}

counters! {
    /// Turns of the loop.
    turns,
    /// Calls of `io_uring_enter(2)`: at most one a turn, unless a turn submits more than the
    /// submission queue holds, a signal arrives, or the loop ends, which takes requests to cancel.
    enters,
    /// Operations submitted; not those that wait for room, nor the read that other threads wake the
    /// loop by.
    submissions,
    /// Completions dispatched: items, and ends.
    completions,
    /// Completions that belonged to nothing any more, and were dropped with what they carried.
    stale,
    /// Turns that found the completion queue overflowed.
    overflows,
    /// Multishot operations that ended early and were submitted again.
    rearms,
    /// Times that an operation found as many in flight as the loop was made for.
    full,
    /// How many operations and sources wait for room now.
    waiting,
    /// Operations and sources that have waited for room and got it.
    drained,
    /// Commands from other threads.
    commands,
    /// Times that another thread had to wake the loop.
    wakeups,
    /// Timers that fired.
    timers,
    /// Times that a task was polled.
    polls,
    /// Callbacks, sources and tasks that panicked.
    panics,
}

/// How a loop, or all loops of a reactor, ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Operations that completed with a result of their own after the shutdown began.
    pub completed: u64,
    /// Operations that ended because they were cancelled.
    pub cancelled: u64,
    /// Operations that the kernel did not give back in time: their memory is leaked.
    pub leaked: u64,
    /// What was never called, and was dropped with what it held: commands that came too late, and
    /// callbacks of operations that the kernel has not given back, or too late, or that callbacks
    /// submitted without end.
    pub lost: u64,
    /// Loops that did not end in time, that ended with an error of the kernel or a panic of their
    /// own, or that could not be waited for, because this is their thread.
    pub failed_loops: u64,
    /// All that was done.
    pub stats: Stats,
}

impl AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.completed += other.completed;
        self.cancelled += other.cancelled;
        self.leaked += other.leaked;
        self.lost += other.lost;
        self.failed_loops += other.failed_loops;
        self.stats += other.stats;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { completed, cancelled, leaked, lost, failed_loops, stats } = self;
        write!(f, "{completed} completed, {cancelled} cancelled, {leaked} leaked")?;
        if *lost > 0 {
            write!(f, ", {lost} lost")?;
        }
        if *failed_loops > 0 {
            write!(f, ", {failed_loops} loops failed")?;
        }
        write!(f, "; {stats}")
    }
}
