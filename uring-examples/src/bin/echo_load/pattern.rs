//! The bytes that are sent: made once, sent from where they are, and checked by comparing memory.

/// The pattern repeats after this many bytes. It is a prime, so a lost, doubled or swapped piece
/// shifts what follows unless its length is a multiple of this odd number.
const PERIOD: usize = 65_521;

/// Random bytes, read as an endless repetition. Each stream starts at another place of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern {
    /// One period, and as much of the next as one send takes.
    bytes: &'static [u8],
}

impl Pattern {
    /// A pattern of which up to `longest` bytes are sent at once. It is never freed: the kernel
    /// reads it.
    pub(crate) fn new(longest: usize) -> Self {
        let mut bytes = Vec::with_capacity(PERIOD + longest);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..PERIOD {
            // xorshift: no bit pattern is favoured, and it is the same in every run
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.push(state.to_be_bytes()[0]);
        }
        for index in 0..longest {
            bytes.push(bytes[index]);
        }
        Self { bytes: bytes.leak() }
    }

    /// Where in the period byte `offset` of a stream is. Different streams are never in step.
    fn start(stream: u64, offset: u64) -> usize {
        let period = PERIOD as u64;
        let start = (stream % period * 40_503 + offset % period) % period;
        usize::try_from(start).unwrap_or_default() // smaller than the period
    }

    /// The bytes of a stream from `offset` on.
    pub(crate) fn piece(&self, stream: u64, offset: u64, length: usize) -> &'static [u8] {
        &self.bytes[Self::start(stream, offset)..][..length]
    }

    /// Compares what came with what a stream has at `offset`; says which byte is wrong first.
    pub(crate) fn check(&self, stream: u64, offset: u64, came: &[u8]) -> Result<(), usize> {
        let mut from = Self::start(stream, offset);
        let mut checked = 0;
        while checked < came.len() {
            let length = (came.len() - checked).min(self.bytes.len() - from);
            let (came, wanted) = (&came[checked..][..length], &self.bytes[from..][..length]);
            if came != wanted {
                let wrong = came.iter().zip(wanted).take_while(|(a, b)| a == b).count();
                return Err(checked + wrong);
            }
            checked += length;
            from = (from + length) % PERIOD;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_length_fit_together() {
        let pattern = Pattern::new(70_000);
        let mut stream = Vec::new();
        for length in [1, 7, 70_000, 4096, 65_521, 65_522, 3] {
            stream.extend_from_slice(pattern.piece(3, stream.len() as u64, length));
        }
        assert_eq!(pattern.check(3, 0, &stream), Ok(()));
        for split in [1, 65_520, 65_521, 65_522, 131_041, 131_042, 150_000] {
            assert_eq!(pattern.check(3, 0, &stream[..split]), Ok(()));
            assert_eq!(pattern.check(3, split as u64, &stream[split..]), Ok(()), "{split}");
        }
    }

    #[test]
    fn what_is_lost_doubled_swapped_or_another_streams_is_seen() {
        let pattern = Pattern::new(16_384);
        for buffer in [128, 1024, 4096] {
            let good = pattern.piece(5, 1000, 4 * buffer).to_vec();
            assert_eq!(pattern.check(5, 1000, &good), Ok(()));
            let lost = [&good[..buffer], &good[2 * buffer..]].concat();
            let doubled = [&good[..2 * buffer], &good[buffer..2 * buffer]].concat();
            let (a, b) = (&good[..buffer], &good[buffer..2 * buffer]);
            let swapped = [b, a].concat();
            for bad in [lost, doubled, swapped] {
                assert!(pattern.check(5, 1000, &bad).is_err());
            }
            assert!(pattern.check(6, 1000, &good).is_err());
            assert!(pattern.check(5, 1001, &good).is_err());
        }
    }

    #[test]
    fn the_wrong_byte_is_named() {
        let pattern = Pattern::new(100_000);
        let mut bytes = pattern.piece(0, 0, 100_000).to_vec();
        bytes[99_999] ^= 1;
        assert_eq!(pattern.check(0, 0, &bytes), Err(99_999));
    }
}
