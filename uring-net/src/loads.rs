//! How many connections each loop has.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use uring_reactor::Handle;

/// The loops that connections are spread over, and how many each has.
#[derive(Clone, Debug)]
pub(crate) struct Loads {
    loops: Arc<[(Handle, Arc<AtomicUsize>)]>,
}

impl Loads {
    pub(crate) fn new<'h>(handles: impl IntoIterator<Item = &'h Handle>) -> Self {
        let loops = handles.into_iter().map(|handle| (handle.clone(), Arc::default())).collect();
        Self { loops }
    }

    /// The loop with the fewest connections, one more counted on it.
    pub(crate) fn least(&self) -> (&Handle, Load) {
        // Relaxed: a count that is off by one misplaces one connection
        let count = |entry: &&(Handle, Arc<AtomicUsize>)| entry.1.load(Ordering::Relaxed);
        let (handle, count) = self.loops.iter().min_by_key(count).expect("there is a loop");
        (handle, Load::new(count))
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
        self.loops.iter().map(|(_, count)| count.load(Ordering::Relaxed)).collect()
    }
}

/// One connection counted, until it is dropped.
#[derive(Debug)]
pub(crate) struct Load(Arc<AtomicUsize>);

impl Load {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }

    /// For a connection that no listener counts.
    pub(crate) fn uncounted() -> Self {
        Self(Arc::new(AtomicUsize::new(1)))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
