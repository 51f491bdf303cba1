//! What completions go to: closures and sources, in a slab.
//!
//! Nothing that the kernel can see is here. The ring carries the key as the context of an
//! operation.

use slab::Slab;
use uring::OpId;

use super::{Cx, place::Place, source::Source};
use crate::{
    op::{LoopItem, LoopOutput},
    timer::TimerId,
};

/// Where the completions of an operation go: the context that the ring keeps for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dest {
    pub(crate) place: Place,
    pub(crate) tag: u32,
}

/// One completion on its way.
pub(crate) enum Arrival {
    Item(LoopItem),
    Done(LoopOutput),
}

pub(crate) type Once = Box<dyn FnOnce(LoopOutput, &mut Cx<'_>)>;
pub(crate) type Many = Box<dyn FnMut(Arrival, &mut Cx<'_>)>;

pub(crate) enum Target {
    Once(Once),
    Many(Many),
    Source(Box<dyn Source>),
    /// Taken out for the length of its own call.
    Busy,
}

struct Entry {
    generation: u32,
    target: Target,
    /// The operation of a closure, to cancel it by its target.
    op: Option<OpId>,
    /// The timer that cancels it.
    timer: Option<TimerId>,
    /// It waits for room.
    waits: bool,
}

/// The slab, with a generation for each place: a key alone would be mistaken for its successor.
#[derive(Default)]
pub(crate) struct Targets {
    entries: Slab<Entry>,
    generation: u32,
}

impl Targets {
    /// The id that the next target will have.
    pub(crate) fn upcoming(&self) -> Place {
        let key = u32::try_from(self.entries.vacant_key()).expect("fewer than 2^32 targets");
        // 0 is nobody's
        Place { key, generation: self.generation.wrapping_add(1).max(1) }
    }

    pub(crate) fn insert(&mut self, target: Target) -> Place {
        let id = self.upcoming();
        self.generation = id.generation;
        let generation = id.generation;
        self.entries.insert(Entry { generation, target, op: None, timer: None, waits: false });
        id
    }

    fn entry(&mut self, id: Place) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(id.key as usize)?;
        (entry.generation == id.generation).then_some(entry)
    }

    pub(crate) fn contains(&mut self, id: Place) -> bool {
        self.entry(id).is_some()
    }

    /// Whether this is a source, here or in its own call; closures only have operations.
    pub(crate) fn is_source(&mut self, id: Place) -> bool {
        self.entry(id).is_some_and(|entry| match entry.target {
            Target::Source(_) => true,
            Target::Busy => entry.op.is_none(),
            Target::Once(_) | Target::Many(_) => false,
        })
    }

    pub(crate) fn op(&mut self, id: Place) -> Option<OpId> {
        self.entry(id)?.op
    }

    pub(crate) fn set_op(&mut self, id: Place, op: OpId) {
        if let Some(entry) = self.entry(id) {
            entry.op = Some(op);
        }
    }

    pub(crate) fn timer(&mut self, id: Place) -> Option<TimerId> {
        self.entry(id)?.timer
    }

    pub(crate) fn set_timer(&mut self, id: Place, timer: TimerId) {
        if let Some(entry) = self.entry(id) {
            entry.timer = Some(timer);
        }
    }

    /// A source begins to wait for room; says whether it did not already.
    pub(crate) fn begin_waiting(&mut self, id: Place) -> bool {
        self.entry(id).is_some_and(|entry| !std::mem::replace(&mut entry.waits, true))
    }

    /// A source waits no longer; says whether it did.
    pub(crate) fn end_waiting(&mut self, id: Place) -> bool {
        self.entry(id).is_some_and(|entry| std::mem::replace(&mut entry.waits, false))
    }

    /// Takes a target out for a call; its place stays reserved.
    pub(crate) fn borrow(&mut self, id: Place) -> Option<Target> {
        let entry = self.entry(id)?;
        Some(std::mem::replace(&mut entry.target, Target::Busy))
    }

    /// Puts a target back after its call, unless it was removed during it: then it comes back, to
    /// be dropped where the caller can guard against its drop.
    pub(crate) fn restore(&mut self, id: Place, target: Target) -> Option<Target> {
        match self.entry(id) {
            Some(entry) => {
                entry.target = target;
                None
            }
            None => Some(target),
        }
    }

    /// Removes a target; it comes back to be dropped, except during its own call.
    pub(crate) fn remove(&mut self, id: Place) -> Option<Target> {
        self.entry(id)?;
        Some(self.entries.remove(id.key as usize).target)
    }

    /// The sources that are here now.
    pub(crate) fn sources(&self) -> Vec<Place> {
        let sources = self.entries.iter().filter(|(_, e)| matches!(e.target, Target::Source(_)));
        let id = |(key, entry): (usize, &Entry)| Place {
            key: u32::try_from(key).unwrap_or(u32::MAX),
            generation: entry.generation,
        };
        sources.map(id).collect()
    }

    /// How many callbacks have not had their last call.
    pub(crate) fn callbacks(&self) -> usize {
        let is_callback = |target: &Target| matches!(target, Target::Once(_) | Target::Many(_));
        self.entries.iter().filter(|(_, entry)| is_callback(&entry.target)).count()
    }

    /// The operations of closures.
    pub(crate) fn ops(&self) -> Vec<OpId> {
        self.entries.iter().filter_map(|(_, entry)| entry.op).collect()
    }

    /// Takes everything out.
    pub(crate) fn drain(&mut self) -> Vec<Target> {
        self.entries.drain().map(|entry| entry.target).collect()
    }
}

impl Dest {
    pub(crate) const fn of(place: Place, tag: u32) -> Self {
        Self { place, tag }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_used_again_does_not_reach_its_successor() {
        let mut targets = Targets::default();
        let first = targets.insert(Target::Busy);
        targets.remove(first);
        let second = targets.insert(Target::Busy);
        assert_eq!(first.key, second.key, "the place is used again");
        assert!(targets.borrow(first).is_none());
        assert!(targets.remove(first).is_none());
        assert!(targets.borrow(second).is_some());
    }

    #[test]
    fn a_target_removed_during_its_call_is_not_put_back() {
        let mut targets = Targets::default();
        let id = targets.insert(Target::Once(Box::new(|_, _| {})));
        let target = targets.borrow(id).unwrap();
        targets.remove(id);
        assert!(targets.restore(id, target).is_some());
        assert!(!targets.contains(id));
    }
}
