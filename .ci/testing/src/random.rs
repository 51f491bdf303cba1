//! Random numbers that a failed test can have again.

/// Numbers that look random, the same for the same seed, everywhere: xorshift64*.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Another sequence for each seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // spread, since neighbours would start alike; the state must not be 0
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below this one, which is at most 2^31.
    ///
    /// # Panics
    ///
    /// If the limit is 0: no number is below it.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("31 bits") % limit
    }

    /// This many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        for eight in bytes.chunks_mut(8) {
            eight.copy_from_slice(&self.next().to_le_bytes()[..eight.len()]);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_xorshift64_star() {
        // Rosetta Code, "Pseudo-random numbers/Xorshift star": the upper halves
        let mut random = Random(1_234_567);
        let numbers = [(); 5].map(|()| random.next() >> 32);
        let known = [3_540_625_527, 2_750_739_987, 4_037_983_143, 1_993_361_440, 3_809_424_708];
        assert_eq!(numbers, known);
    }

    #[test]
    fn each_seed_has_its_own_numbers_and_always_the_same() {
        for seed in [0, 1, 2, u64::MAX - 1, u64::MAX] {
            let bytes = Random::new(seed).bytes(1001);
            assert_eq!(bytes.len(), 1001);
            assert_eq!(bytes, Random::new(seed).bytes(1001));
            assert_ne!(bytes, Random::new(seed ^ 2).bytes(1001));
            // 4 of each byte are to be expected
            assert!((0..=u8::MAX).filter(|byte| bytes.contains(byte)).count() > 200);
        }
    }
}
