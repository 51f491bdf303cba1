//! A histogram of times with a bounded relative error, in fixed memory.

use std::time::Duration;

/// Each power of two is cut into this many buckets, so a bucket's width is at most 1/128 of the
/// values in it.
const PARTS: u64 = 1 << PART_BITS;
const PART_BITS: u32 = 7;
/// Values below `PARTS` have a bucket each; above, there are `PARTS` for each power of two.
const BUCKETS: usize = (64 - PART_BITS as usize + 1) << PART_BITS;

/// Counts times, and tells their percentiles with an error of at most 0.8 %.
///
/// Nanoseconds to centuries take 58 KiB; recording is a few instructions.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Box<[u64]>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// A histogram of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self { counts: vec![0; BUCKETS].into(), total: 0, max: 0 }
    }

    /// Counts a time `times` times.
    #[inline]
    pub fn record(&mut self, time: Duration, times: u64) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanoseconds)] += times;
        self.total += times;
        self.max = self.max.max(nanoseconds);
    }

    /// How many times were recorded.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.total
    }

    /// The longest time, exactly.
    #[must_use]
    pub const fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The time that `per_mille` of 1000 do not exceed: 500 is the median, 999 is p99.9. At most
    /// 0.8 % too long, never too short; zero if nothing was recorded.
    #[must_use]
    pub fn quantile(&self, per_mille: u64) -> Duration {
        let wanted = self.total.saturating_mul(per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(last_of(bucket).min(self.max));
            }
        }
        self.max()
    }

    /// Adds what another one has counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }
}

/// The bucket that a value is counted in.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "there are 7424 buckets")]
const fn bucket(value: u64) -> usize {
    if value < PARTS {
        return value as usize;
    }
    let shift = value.ilog2() - PART_BITS;
    // the leading bit is always set: it counts as one more row of buckets
    (shift as u64 * PARTS + (value >> shift)) as usize
}

/// The largest value of a bucket.
const fn last_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < PARTS {
        return bucket;
    }
    let shift = bucket / PARTS - 1;
    let first = (bucket - shift * PARTS) << shift;
    first + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_buckets_are_narrow() {
        let mut values: Vec<u64> = (0..5000).collect();
        for power in 0..64 {
            let value = 1_u64 << power;
            values.extend([value - 1, value, value.saturating_add(value / 3), u64::MAX - value]);
        }
        values.push(u64::MAX);
        for value in values {
            let index = bucket(value);
            assert!(index < BUCKETS, "{value}");
            let last = last_of(index);
            assert!(last >= value, "{value} is in a bucket that ends at {last}");
            assert!(last - value <= value / 127, "{value} is in a bucket that ends at {last}");
            assert_eq!(bucket(last), index, "{value}");
            assert!(last == u64::MAX || bucket(last + 1) == index + 1, "{value}");
        }
    }

    #[test]
    fn percentiles_agree_with_a_sorted_list() {
        let mut histogram = Histogram::new();
        let mut list = Vec::new();
        let mut state = 1_u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let value = 1 + (state >> 40) * (state >> 60);
            list.push(value);
            histogram.record(Duration::from_nanos(value), 1);
        }
        list.sort_unstable();
        for (per_mille, index) in
            [(1, 19), (10, 199), (250, 4999), (500, 9999), (990, 19_799), (1000, 19_999)]
        {
            let exact: u64 = list[index];
            let told = histogram.quantile(per_mille);
            let range = Duration::from_nanos(exact)..=Duration::from_nanos(exact + exact / 127);
            assert!(range.contains(&told), "{per_mille}: {told:?}, not {range:?}");
        }
        assert_eq!(histogram.max().as_nanos(), u128::from(*list.last().unwrap()));
    }

    #[test]
    fn nothing_recorded_is_zero_and_merging_adds() {
        let mut one = Histogram::new();
        assert_eq!(one.quantile(990), Duration::ZERO);
        one.record(Duration::from_micros(10), 1);
        let mut two = Histogram::default();
        two.record(Duration::from_millis(5), 3);
        one.merge(&two);
        assert_eq!(one.count(), 4);
        assert_eq!(one.max(), Duration::from_millis(5));
        assert!(one.quantile(250) < Duration::from_micros(11));
        assert_eq!(one.quantile(500), Duration::from_millis(5));
    }
}
