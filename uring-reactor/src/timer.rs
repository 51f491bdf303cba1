//! Timers: a heap in user space whose nearest entry bounds the loop's wait.
//!
//! There is no entry in the ring for a timer, so nothing has to be cancelled there, and a thousand
//! timers cost one comparison a turn.

use std::time::{Duration, Instant};

use slab::Slab;

use crate::home::Home;

/// Names a timer of a loop; never used again after it fired or was cancelled. To another loop it
/// means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerId {
    key: usize,
    serial: u64,
    home: Home,
}

#[derive(Debug)]
struct Entry<T> {
    at: Instant,
    /// Tells entries with the same key apart, and orders those of the same time as they were set.
    serial: u64,
    /// Where the heap has this entry.
    position: usize,
    value: T,
}

/// A binary heap of slab keys; each entry knows its place, so that it can be taken out.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    entries: Slab<Entry<T>>,
    heap: Vec<usize>,
    serial: u64,
    home: Home,
    /// The time up to which timers are firing now.
    firing: Option<Instant>,
}

impl<T> Timers<T> {
    pub(crate) const fn new(home: Home) -> Self {
        Self { entries: Slab::new(), heap: Vec::new(), serial: 0, home, firing: None }
    }

    /// Timers that are due at `now` are about to fire. One that is set meanwhile fires later,
    /// however long it is past: else one that sets itself again would be the next, and for ever the
    /// first.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.firing = Some(now);
    }

    /// They have fired.
    pub(crate) fn end(&mut self) {
        self.firing = None;
    }

    /// When the nearest one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.first().map(|key| self.entries[*key].at)
    }

    pub(crate) fn insert(&mut self, at: Instant, value: T) -> TimerId {
        let first = self.firing.map(|now| now + Duration::from_nanos(1));
        let at = first.map_or(at, |first| at.max(first));
        self.serial += 1;
        let serial = self.serial;
        let position = self.heap.len();
        let key = self.entries.insert(Entry { at, serial, position, value });
        self.heap.push(key);
        self.rise(position);
        TimerId { key, serial, home: self.home }
    }

    /// Takes a timer out before it fires; `None` if it has fired or was cancelled.
    pub(crate) fn cancel(&mut self, id: TimerId) -> Option<T> {
        let is_it = |entry: &&Entry<T>| entry.serial == id.serial && id.home == self.home;
        let position = self.entries.get(id.key).filter(is_it)?.position;
        Some(self.take(position))
    }

    /// Takes out the nearest timer if it is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<T> {
        self.next().filter(|at| *at <= now).map(|_| self.take(0))
    }

    /// Takes everything out.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.heap.clear();
        self.entries.drain().map(|entry| entry.value)
    }

    fn take(&mut self, position: usize) -> T {
        let key = self.heap.swap_remove(position);
        if let Some(moved) = self.heap.get(position) {
            self.entries[*moved].position = position;
            // the one that fills the gap may belong on either side of it
            self.sink(position);
            self.rise(position);
        }
        self.entries.remove(key).value
    }

    fn is_before(&self, a: usize, b: usize) -> bool {
        let rank = |position: usize| {
            let entry = &self.entries[self.heap[position]];
            (entry.at, entry.serial)
        };
        rank(a) < rank(b)
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        for position in [a, b] {
            self.entries[self.heap[position]].position = position;
        }
    }

    fn rise(&mut self, mut position: usize) {
        while position > 0 {
            let parent = (position - 1) / 2;
            if !self.is_before(position, parent) {
                break;
            }
            self.swap(position, parent);
            position = parent;
        }
    }

    fn sink(&mut self, mut position: usize) {
        loop {
            let left = 2 * position + 1;
            if left >= self.heap.len() {
                break;
            }
            let right = left + 1;
            let nearer = right < self.heap.len() && self.is_before(right, left);
            let child = if nearer { right } else { left };
            if !self.is_before(child, position) {
                break;
            }
            self.swap(position, child);
            position = child;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn timers_fire_in_order_of_time_and_then_of_setting() {
        let start = Instant::now();
        let mut timers = Timers::new(Home::new());
        for (name, after) in [("c", 3), ("a", 1), ("d", 3), ("b", 2)] {
            timers.insert(start + Duration::from_secs(after), name);
        }
        let mut fired = Vec::new();
        while let Some(name) = timers.pop_due(start + Duration::from_secs(9)) {
            fired.push(name);
        }
        assert_eq!(fired, ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_timer_fires_at_its_time_and_not_before() {
        let start = Instant::now();
        let mut timers = Timers::new(Home::new());
        timers.insert(start + Duration::from_nanos(2), ());
        assert_eq!(timers.pop_due(start + Duration::from_nanos(1)), None);
        assert_eq!(timers.pop_due(start + Duration::from_nanos(2)), Some(()));
    }

    #[test]
    fn a_timer_that_is_set_while_others_fire_waits_for_the_next_time() {
        let now = Instant::now();
        let mut timers = Timers::new(Home::new());
        timers.insert(now, "first");
        timers.insert(now, "second");
        timers.begin(now);
        assert_eq!(timers.pop_due(now), Some("first"));
        timers.insert(now.checked_sub(Duration::from_secs(1)).unwrap(), "first again");
        assert_eq!(timers.pop_due(now), Some("second"));
        assert_eq!(timers.pop_due(now), None);
        timers.end();
        assert_eq!(timers.pop_due(now + Duration::from_nanos(1)), Some("first again"));
    }

    #[test]
    fn an_id_of_other_timers_cancels_none_here() {
        let now = Instant::now();
        let (mut ours, mut theirs) = (Timers::new(Home::new()), Timers::new(Home::new()));
        let (_, id) = (ours.insert(now, 1), theirs.insert(now, 2));
        assert_eq!(ours.cancel(id), None);
        assert_eq!(theirs.cancel(id), Some(2));
    }

    #[test]
    fn an_id_means_nothing_after_its_timer_even_if_its_place_is_used_again() {
        let mut timers = Timers::new(Home::new());
        let first = timers.insert(Instant::now(), 1);
        assert_eq!(timers.cancel(first), Some(1));
        timers.insert(Instant::now(), 2);
        assert_eq!(timers.cancel(first), None);
        assert_eq!(timers.heap.len(), 1);
    }

    #[test]
    fn random_inserts_and_cancels_agree_with_a_sorted_map() {
        let start = Instant::now();
        let mut timers = Timers::new(Home::new());
        let mut model = BTreeMap::new();
        let mut ids = Vec::new();
        let mut numbers = testing::Random::new(0);
        for number in 0..20_000_u64 {
            let random = numbers.next();
            match random % 4 {
                0 | 1 => {
                    let at = start + Duration::from_nanos(random >> 32);
                    ids.push((timers.insert(at, number), (at, number)));
                    model.insert((at, number), number);
                }
                2 if !ids.is_empty() => {
                    let index = usize::try_from(random >> 8).unwrap_or(0) % ids.len();
                    let (id, key) = ids.swap_remove(index);
                    assert_eq!(timers.cancel(id), model.remove(&key));
                }
                _ => {
                    let due = model.first_key_value().map(|(key, _)| *key);
                    let Some((at, value)) = due else { continue };
                    assert_eq!(timers.next(), Some(at));
                    assert_eq!(timers.pop_due(at), Some(value));
                    model.pop_first();
                }
            }
        }
        assert_eq!(timers.heap.len(), model.len());
    }
}
