//! The two queues of a stream: what arrived, and what is to go out. No I/O here.

use std::{collections::VecDeque, io, ops::Deref};

use uring_reactor::uring::{Payload, SharedBuf, Slice};

use crate::error::End;

/// From how many pieces on small ones are put together: a piece of one byte takes that of a vector
/// and of a queue's place, or of a whole buffer.
const PIECES: usize = 16;

/// What is small.
const SMALL_BYTES: usize = 1024;

/// How many bytes are put together.
pub(crate) const MERGED_BYTES: usize = 16 * 1024;

/// How many bytes go out in one send: the queue's length follows, and a loop's other connections
/// wait for no more than this to be copied.
pub(crate) const SLICE_BYTES: usize = 128 * 1024;

/// Bytes that arrived, where any thread may read them.
#[derive(Debug)]
pub(crate) enum Chunk {
    /// In the buffer that the kernel filled.
    Shared(SharedBuf),
    /// Copied, because buffers were short.
    Vec(Vec<u8>),
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Shared(buf) => buf,
            Self::Vec(vec) => vec,
        }
    }
}

/// What arrived and was not read yet.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    queue: VecDeque<Chunk>,
    /// How much of the first was read.
    offset: usize,
    bytes: usize,
    end: Option<End>,
}

impl Inbox {
    /// Queues what arrived; after the end, which may be this side's, it is nobody's.
    pub(crate) fn push(&mut self, data: Chunk) {
        if self.end.is_some() {
            return;
        }
        self.bytes += data.len();
        let merges = self.queue.len() >= PIECES && data.len() <= SMALL_BYTES;
        match self.queue.back_mut() {
            Some(Chunk::Vec(last)) if merges && last.len() + data.len() <= MERGED_BYTES => {
                last.extend_from_slice(&data);
            }
            _ if merges => self.queue.push_back(Chunk::Vec(data.to_vec())),
            _ => self.queue.push_back(data),
        }
    }

    /// Nothing more comes. The first end counts: what follows it is an echo of the same.
    pub(crate) fn end(&mut self, end: End) {
        self.end.get_or_insert(end);
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Copies out what is there. `None`: nothing yet; what is there is read before an end is told.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Option<Result<usize, End>> {
        if self.bytes == 0 {
            return self.end.map(|end| if end == End::Eof { Ok(0) } else { Err(end) });
        }
        let mut filled = 0;
        while let Some(front) = self.queue.front() {
            let count = (front.len() - self.offset).min(buffer.len() - filled);
            buffer[filled..filled + count].copy_from_slice(&front[self.offset..][..count]);
            filled += count;
            self.offset += count;
            if self.offset < front.len() {
                break;
            }
            self.queue.pop_front();
            self.offset = 0;
        }
        self.bytes -= filled;
        Some(Ok(filled))
    }

    /// Copies out what is there, and leaves it there.
    pub(crate) fn peek(&self, buffer: &mut [u8]) -> Option<Result<usize, End>> {
        if self.bytes == 0 {
            return self.end.map(|end| if end == End::Eof { Ok(0) } else { Err(end) });
        }
        let mut filled = 0;
        for (number, chunk) in self.queue.iter().enumerate() {
            let chunk = &chunk[if number == 0 { self.offset } else { 0 }..];
            let count = chunk.len().min(buffer.len() - filled);
            buffer[filled..filled + count].copy_from_slice(&chunk[..count]);
            filled += count;
        }
        Some(Ok(filled))
    }

    /// Drops what was not read.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.offset = 0;
        self.bytes = 0;
    }
}

/// What the pump does next for the outgoing direction.
#[derive(Debug)]
pub(crate) enum Step {
    /// Send this.
    Send(Payload),
    /// Send this part of what is large, or of what a short send left. Boxed: it is rare, and would
    /// make each step larger.
    SendPart(Box<Slice<Payload>>),
    /// Everything was sent: tell the peer that nothing follows.
    Finish,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fin {
    #[default]
    No,
    Wanted,
    Begun,
    Done,
}

/// What is to go out, one send at a time: several at once on one socket may overtake each other.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Payload>,
    /// How much of the first was sent.
    offset: usize,
    /// Queued and in flight.
    bytes: usize,
    in_flight: bool,
    /// How many bytes the last send has, or had.
    flying: usize,
    fin: Fin,
    failed: Option<i32>,
    /// Accepted, and dropped by a failure.
    lost: usize,
}

impl Outbox {
    /// Queues bytes; gives them back if nothing can go out any more.
    pub(crate) fn push(&mut self, data: Payload) -> Result<(), Payload> {
        if self.failed.is_some() || self.fin != Fin::No {
            return Err(data);
        }
        if data.is_empty() {
            return Ok(());
        }
        self.bytes += data.len();
        let merges = self.queue.len() >= PIECES && data.len() <= SMALL_BYTES;
        match self.queue.back_mut() {
            Some(Payload::Vec(last)) if merges && last.len() + data.len() <= MERGED_BYTES => {
                last.extend_from_slice(&data);
            }
            _ if merges => self.queue.push_back(Payload::Vec(data.to_vec())),
            _ => self.queue.push_back(data),
        }
        Ok(())
    }

    /// Queues bytes that a call has accepted already.
    pub(crate) fn push_or_lose(&mut self, data: Payload) {
        if let Err(data) = self.push(data) {
            self.lost += data.len();
        }
    }

    /// Ends the direction after what is queued.
    pub(crate) fn finish(&mut self) {
        if self.fin == Fin::No {
            self.fin = Fin::Wanted;
        }
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_done(&self) -> bool {
        !self.in_flight && (self.fin == Fin::Done || self.failed.is_some())
    }

    /// The next thing to do, which the caller starts at once.
    pub(crate) fn next(&mut self) -> Option<Step> {
        if self.in_flight || self.failed.is_some() {
            return None;
        }
        if let Some(data) = self.queue.pop_front() {
            self.in_flight = true;
            if self.offset == 0 && data.len() <= SLICE_BYTES {
                self.flying = data.len();
                return Some(Step::Send(data));
            }
            let part = self.offset..data.len().min(self.offset + SLICE_BYTES);
            self.flying = part.len();
            return Some(Step::SendPart(Box::new(Slice::new(data, part))));
        }
        if self.fin == Fin::Wanted {
            self.fin = Fin::Begun;
            self.in_flight = true;
            self.flying = 0;
            return Some(Step::Finish);
        }
        None
    }

    /// A send has ended; says how many bytes went out. What it left stays where it is, and goes
    /// first.
    #[inline]
    pub(crate) fn sent(&mut self, result: io::Result<usize>, data: Payload) -> usize {
        self.in_flight = false;
        match result {
            Ok(count) if self.offset == 0 && count == data.len() => {
                self.bytes -= count;
                count
            }
            Ok(count) => {
                let count = count.min(data.len() - self.offset);
                self.bytes -= count;
                self.offset += count;
                if self.offset < data.len() {
                    self.queue.push_front(data);
                } else {
                    self.offset = 0;
                }
                count
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.queue.push_front(data);
                0
            }
            Err(error) => {
                self.fail(errno(&error));
                0
            }
        }
    }

    /// The end was told to the peer, or could not be.
    pub(crate) fn finished(&mut self, result: io::Result<()>) {
        self.in_flight = false;
        self.fin = Fin::Done;
        if let Err(error) = result {
            self.fail(errno(&error));
        }
    }

    /// Nothing can go out any more: drops what is queued.
    pub(crate) fn fail(&mut self, errno: i32) {
        self.failed.get_or_insert(errno);
        self.queue.clear();
        self.offset = 0;
        self.lost += self.bytes;
        self.bytes = 0;
    }

    /// What was accepted and has not gone out: it is lost if the connection ends now.
    pub(crate) const fn unsent(&self) -> usize {
        self.bytes + self.lost
    }

    /// How many bytes are with the kernel for now, which has perhaps taken some.
    pub(crate) const fn flying(&self) -> usize {
        if self.in_flight { self.flying } else { 0 }
    }

    /// Whether the end was told to the peer, or is being told: the kernel counts it as a byte.
    pub(crate) const fn has_finished(&self) -> bool {
        matches!(self.fin, Fin::Begun | Fin::Done)
    }

    pub(crate) const fn failed(&self) -> Option<i32> {
        self.failed
    }
}

/// The number of an error that came from the kernel.
pub(crate) fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(text: &str) -> Chunk {
        Chunk::Vec(text.as_bytes().to_vec())
    }

    fn payload(text: &str) -> Payload {
        Payload::Vec(text.as_bytes().to_vec())
    }

    fn sent_bytes(step: Option<Step>) -> Vec<u8> {
        match step {
            Some(Step::Send(data)) => data.to_vec(),
            Some(Step::SendPart(part)) => {
                let range = part.range().clone();
                part.into_inner()[range].to_vec()
            }
            other => panic!("expected a send, got {other:?}"),
        }
    }

    #[test]
    fn reads_take_bytes_in_order_across_chunks() {
        let mut inbox = Inbox::default();
        for text in ["abc", "de", "fghi"] {
            inbox.push(chunk(text));
        }
        let mut buffer = [0; 4];
        assert_eq!(inbox.read(&mut buffer), Some(Ok(4)));
        assert_eq!(&buffer, b"abcd");
        assert_eq!(inbox.bytes(), 5);
        let mut rest = [0; 16];
        assert_eq!(inbox.read(&mut rest), Some(Ok(5)));
        assert_eq!(&rest[..5], b"efghi");
        assert_eq!(inbox.read(&mut rest), None, "nothing yet, and no end");
    }

    #[test]
    fn what_arrived_is_read_before_the_end_is_told() {
        let mut inbox = Inbox::default();
        inbox.push(chunk("last"));
        inbox.end(End::Failed(104)); // ECONNRESET in errno(3)
        inbox.end(End::Eof);
        let mut buffer = [0; 8];
        assert_eq!(inbox.read(&mut buffer), Some(Ok(4)));
        assert_eq!(inbox.read(&mut buffer), Some(Err(End::Failed(104))), "the first end counts");
        let mut inbox = Inbox::default();
        inbox.end(End::Eof);
        assert_eq!(inbox.read(&mut buffer), Some(Ok(0)));
    }

    #[test]
    fn a_read_into_nothing_takes_nothing() {
        let mut inbox = Inbox::default();
        inbox.push(chunk("x"));
        assert_eq!(inbox.read(&mut []), Some(Ok(0)));
        assert_eq!(inbox.bytes(), 1);
    }

    #[test]
    fn one_send_is_in_flight_and_a_short_one_goes_on_where_it_stopped() {
        let mut outbox = Outbox::default();
        outbox.push(payload("hello")).unwrap();
        outbox.push(payload("world")).unwrap();
        assert_eq!(sent_bytes(outbox.next()), b"hello");
        assert!(outbox.next().is_none(), "the second waits for the first");
        assert_eq!(outbox.sent(Ok(2), payload("hello")), 2);
        assert_eq!(sent_bytes(outbox.next()), b"llo");
        outbox.sent(Ok(3), payload("hello"));
        assert_eq!(sent_bytes(outbox.next()), b"world");
        assert_eq!(outbox.bytes(), 5, "in flight counts");
        outbox.sent(Ok(5), payload("world"));
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn the_end_follows_the_last_byte_and_nothing_follows_the_end() {
        let mut outbox = Outbox::default();
        outbox.push(payload("x")).unwrap();
        outbox.finish();
        assert!(outbox.push(payload("late")).is_err());
        outbox.next();
        assert!(outbox.next().is_none());
        outbox.sent(Ok(1), payload("x"));
        assert!(matches!(outbox.next(), Some(Step::Finish)));
        assert!(!outbox.is_done());
        outbox.finished(Ok(()));
        assert!(outbox.is_done());
        assert!(outbox.next().is_none());
    }

    #[test]
    fn a_failed_send_drops_what_is_queued() {
        let mut outbox = Outbox::default();
        outbox.push(payload("a")).unwrap();
        outbox.push(payload("b")).unwrap();
        outbox.next();
        outbox.sent(Err(io::Error::from_raw_os_error(32)), payload("a")); // EPIPE
        assert_eq!(outbox.failed(), Some(32));
        assert_eq!((outbox.bytes(), outbox.unsent()), (0, 2));
        assert!(outbox.next().is_none());
        assert!(outbox.is_done());
    }

    #[test]
    fn many_small_pieces_are_put_together() {
        let (mut inbox, mut outbox) = (Inbox::default(), Outbox::default());
        let all: Vec<u8> = (0..100_000_u32).map(|at| at.to_le_bytes()[0]).collect();
        for byte in &all {
            inbox.push(Chunk::Vec(vec![*byte]));
            outbox.push(Payload::Vec(vec![*byte])).unwrap();
        }
        // 15 of a byte, then 16 KiB each
        assert_eq!((inbox.queue.len(), outbox.queue.len()), (15 + 7, 15 + 7));
        assert_eq!((inbox.bytes(), outbox.bytes()), (all.len(), all.len()));
        let mut read = vec![0; all.len()];
        assert_eq!(inbox.read(&mut read), Some(Ok(all.len())));
        assert!(read == all, "in order");
        let mut sent = Vec::new();
        while let Some(Step::Send(data)) = outbox.next() {
            sent.extend_from_slice(&data);
            outbox.sent(Ok(data.len()), data);
        }
        assert!(sent == all, "in order");
    }

    #[test]
    fn a_large_piece_goes_out_in_slices_of_itself() {
        let all: Vec<u8> = (0..1_000_000_u32).map(|at| at.to_le_bytes()[1]).collect();
        let place = all.as_ptr();
        let mut outbox = Outbox::default();
        outbox.push(Payload::Vec(all.clone())).unwrap();
        outbox.push(Payload::Vec(all)).unwrap();
        let (mut sent, mut sends) = (0, 0);
        while let Some(step) = outbox.next() {
            let Step::SendPart(part) = step else { panic!("{step:?}") };
            let range = part.range().clone();
            let data = part.into_inner();
            assert!(range.len() <= SLICE_BYTES && range.start == sent % 1_000_000, "{range:?}");
            assert!(sent < 1_000_000 || data.as_ptr() == place, "it was not copied");
            // a short one each time
            sent += outbox.sent(Ok(range.len().min(100_000)), data);
            sends += 1;
            assert_eq!(outbox.bytes(), 2_000_000 - sent, "progress can be seen");
        }
        assert_eq!((sent, sends), (2_000_000, 20));
    }

    #[test]
    fn large_pieces_are_left_as_they_are() {
        let mut outbox = Outbox::default();
        for _ in 0..20 {
            outbox.push(Payload::Static(&[1; 4096])).unwrap();
        }
        assert_eq!(outbox.queue.len(), 20);
        assert!(outbox.queue.iter().all(|data| matches!(data, Payload::Static(_))));
    }

    #[test]
    fn what_arrives_after_the_end_of_this_side_is_dropped() {
        let mut inbox = Inbox::default();
        inbox.end(End::Eof); // as after `shutdown(Read)`
        inbox.push(chunk("late"));
        assert_eq!(inbox.read(&mut [0; 4]), Some(Ok(0)));
        assert_eq!(inbox.bytes(), 0);
    }

    #[test]
    fn a_send_that_a_signal_interrupted_goes_again_from_its_start() {
        let mut outbox = Outbox::default();
        outbox.push(payload("first")).unwrap();
        outbox.push(payload("second")).unwrap();
        outbox.next();
        let interrupted = Err(io::Error::from_raw_os_error(4)); // EINTR in errno(3)
        assert_eq!(outbox.sent(interrupted, payload("first")), 0);
        assert_eq!((outbox.failed(), outbox.bytes()), (None, 11));
        assert_eq!(sent_bytes(outbox.next()), b"first");
    }
}
