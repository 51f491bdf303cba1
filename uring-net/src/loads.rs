//! How many connections each loop has.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use uring_reactor::Handle;

/// What is counted on each loop. Relaxed, all of it: numbers, which order nothing.
#[derive(Debug, Default)]
struct Counts {
    open: AtomicUsize,
    lost_connections: AtomicU64,
    lost_bytes: AtomicU64,
}

/// The loops that connections are spread over, and how many each has.
#[derive(Clone, Debug)]
pub(crate) struct Loads {
    loops: Arc<[(Handle, Arc<Counts>)]>,
}

impl Loads {
    pub(crate) fn new<'h>(handles: impl IntoIterator<Item = &'h Handle>) -> Self {
        let loops = handles.into_iter().map(|handle| (handle.clone(), Arc::default())).collect();
        Self { loops }
    }

    /// The loop with the fewest connections of those that take work, one more counted on it.
    ///
    /// A loop that has ended has no connections left, so that without a look at that it would get
    /// every new one.
    pub(crate) fn least(&self) -> (&Handle, Load) {
        // a count that is off by one misplaces one connection
        let rank = |(handle, counts): &&(Handle, Arc<Counts>)| {
            (!handle.takes_work(), counts.open.load(Ordering::Relaxed))
        };
        let (handle, counts) = self.loops.iter().min_by_key(rank).expect("there is a loop");
        (handle, Load::new(counts))
    }

    /// The `number`th loop, one more connection counted on it.
    pub(crate) fn take(&self, number: usize) -> Load {
        Load::new(&self.loops[number].1)
    }

    pub(crate) fn handles(&self) -> impl ExactSizeIterator<Item = &Handle> {
        self.loops.iter().map(|(handle, _)| handle)
    }

    /// How many connections there are on each loop.
    pub(crate) fn counts(&self) -> Vec<usize> {
        self.loops.iter().map(|(_, count)| count.open.load(Ordering::Relaxed)).collect()
    }

    /// How many connections have ended with bytes that were not sent, and how many bytes.
    pub(crate) fn lost(&self) -> (u64, u64) {
        self.loops.iter().fold((0, 0), |(connections, bytes), (_, count)| {
            (
                connections + count.lost_connections.load(Ordering::Relaxed),
                bytes + count.lost_bytes.load(Ordering::Relaxed),
            )
        })
    }
}

/// One connection counted, until it is dropped.
#[derive(Debug)]
pub(crate) struct Load(Option<Arc<Counts>>);

impl Load {
    fn new(count: &Arc<Counts>) -> Self {
        count.open.fetch_add(1, Ordering::Relaxed);
        Self(Some(Arc::clone(count)))
    }

    /// For a connection that no listener counts.
    pub(crate) const fn uncounted() -> Self {
        Self(None)
    }

    /// The connection has ended with this many bytes that were not sent.
    pub(crate) fn lose(&self, bytes: u64) {
        if let Some(count) = &self.0 {
            count.lost_connections.fetch_add(1, Ordering::Relaxed);
            count.lost_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
