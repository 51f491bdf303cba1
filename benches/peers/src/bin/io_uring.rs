//! An echo server on the crate `io-uring`: the same design as `c/liburing.c`.
//!
//! Multishot accept, multishot receive from a ring of buffers, one send in flight per connection,
//! one `io_uring_enter` per turn. What is received while a send is under way waits in a queue.

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::{BufRingEntry, Fd};
use io_uring::{CompletionQueue, IoUring, SubmissionQueue, Submitter, cqueue, opcode, squeue};

const ENTRIES: u32 = 4096;
const BUFFERS: u16 = 1024;
const GROUP: u16 = 0;
/// A connection that holds a share of the pool is read no more, so a few slow readers cannot take
/// the pool from their neighbours.
const HELD: std::ops::RangeInclusive<usize> = 4..=64;

const ACCEPT: u64 = 1 << 56;
const RECV: u64 = 2 << 56;
const SEND: u64 = 3 << 56;
const STOP: u64 = 4 << 56;
const IGNORE: u64 = 5 << 56;
const KIND: u64 = 0xff << 56;

fn main() -> io::Result<()> {
    let options = peers::startup::options();
    let listener = peers::startup::listen(options, false)?;
    let signals = stop_signals()?;
    let mut ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(4 * ENTRIES)
        .build(ENTRIES)?;
    let (mut submitter, queue, completions) = ring.split();
    submitter.register_ring_fd()?;
    let pool = Pool::new(options.buffer_size)?;
    // SAFETY: the ring of buffers is page-aligned, has `BUFFERS` entries and lives as long as the
    // process: `Pool` never unmaps it.
    unsafe {
        submitter.register_buf_ring_with_flags(pool.entries.as_ptr() as u64, BUFFERS, GROUP, 0)
    }?;
    peers::startup::announce(&listener)?;
    let poll = opcode::PollAdd::new(Fd(signals.as_raw_fd()), libc::POLLIN as u32);
    let mut server = Server {
        submitter,
        queue,
        pool,
        listener,
        conns: Vec::new(),
        vacant: Vec::new(),
        starved: VecDeque::new(),
        accepting: false,
        enters: 0,
        messages: 0,
    };
    server.push(poll.build().user_data(STOP));
    server.start_accept();
    server.run(completions)?;
    println!("enters {} messages {}", server.enters, server.messages);
    Ok(())
}

/// Where received bytes wait.
enum Place {
    Pool(u16),
    /// Out of the pool, because nobody read them and others found no buffer.
    Copy(Box<[u8]>),
}

/// A received piece that is not sent yet.
struct Piece {
    place: Place,
    offset: u32,
    len: u32,
}

impl Piece {
    fn copied(&self) -> bool {
        matches!(self.place, Place::Copy(_))
    }
}

#[derive(Default)]
struct Conn {
    fd: RawFd,
    pieces: VecDeque<Piece>,
    receiving: bool,
    stopping: bool,
    sending: bool,
    ended: bool,
    broken: bool,
    starved: bool,
}

struct Server<'ring> {
    submitter: Submitter<'ring>,
    queue: SubmissionQueue<'ring>,
    pool: Pool,
    listener: TcpListener,
    conns: Vec<Conn>,
    vacant: Vec<usize>,
    starved: VecDeque<usize>,
    accepting: bool,
    enters: u64,
    messages: u64,
}

impl Server<'_> {
    fn run(&mut self, mut completions: CompletionQueue<'_>) -> io::Result<()> {
        loop {
            self.enter(1)?;
            completions.sync();
            for cqe in &mut completions {
                if cqe.user_data() == STOP {
                    return Ok(());
                }
                self.handle(&cqe);
            }
            completions.sync();
            if !self.starved.is_empty() && self.pool.free == 0 && self.pool.recycled == 0 {
                self.spill();
            }
            self.pool.publish();
            // Those who found no buffer, oldest first, as far as the buffers go.
            let woken = self.starved.len().min(usize::from(self.pool.free));
            for _ in 0..woken {
                let Some(id) = self.starved.pop_front() else { break };
                self.conns[id].starved = false;
                self.advance(id);
            }
        }
    }

    /// All buffers wait for readers, who may never come: copies out of the pool what waits, but
    /// for the one piece of each connection that the kernel reads just now.
    fn spill(&mut self) {
        for conn in &mut self.conns {
            for piece in conn.pieces.iter_mut().skip(usize::from(conn.sending)) {
                let Place::Pool(bid) = piece.place else { continue };
                let start = self.pool.bytes_of(bid);
                // SAFETY: the buffer is inside the mapping, the kernel filled `len` bytes of it
                // and wrote no more after its completion, and nothing gets it before `recycle`.
                let bytes = unsafe { slice::from_raw_parts(start, piece.len as usize) };
                piece.place = Place::Copy(bytes.into());
                self.pool.recycle(bid);
            }
        }
    }

    fn enter(&mut self, wait: usize) -> io::Result<()> {
        self.queue.sync();
        self.enters += 1;
        let entered = self.submitter.submit_and_wait(wait);
        self.queue.sync();
        match entered {
            Err(error)
                if !matches!(
                    error.raw_os_error(),
                    Some(libc::EINTR | libc::EBUSY | libc::EAGAIN)
                ) =>
            {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    fn push(&mut self, entry: squeue::Entry) {
        if self.queue.is_full() {
            self.enter(0).expect("a full submission queue can be submitted");
        }
        // SAFETY: sends read from the pool, which lives as long as the process, or from a copy on
        // the heap; either is given back only after its send completed; no other entry points
        // anywhere. A descriptor is closed only when no entry of its connection is left.
        unsafe { self.queue.push(&entry) }.expect("there is room: a submit empties the queue");
    }

    fn start_accept(&mut self) {
        let accept = opcode::AcceptMulti::new(Fd(self.listener.as_raw_fd()));
        self.push(accept.flags(libc::SOCK_CLOEXEC).build().user_data(ACCEPT));
        self.accepting = true;
    }

    fn handle(&mut self, cqe: &cqueue::Entry) {
        let data = cqe.user_data();
        let id = (data & u64::from(u32::MAX)) as usize;
        match data & KIND {
            ACCEPT => self.on_accept(cqe),
            RECV => self.on_recv(cqe, id),
            SEND => self.on_send(cqe.result(), id),
            // A cancel or shutdown that came too late; those in time say nothing.
            _ => {}
        }
    }

    fn on_accept(&mut self, cqe: &cqueue::Entry) {
        self.accepting = cqueue::more(cqe.flags());
        if cqe.result() >= 0 {
            let conn = Conn { fd: cqe.result(), ..Conn::default() };
            let id = match self.vacant.pop() {
                Some(id) => {
                    self.conns[id] = conn;
                    id
                }
                None => {
                    self.conns.push(conn);
                    self.conns.len() - 1
                }
            };
            self.advance(id);
        }
        let full =
            matches!(-cqe.result(), libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM);
        // At a limit the next close starts it again.
        let wait = full && self.conns.len() > self.vacant.len();
        if !self.accepting && !wait {
            self.start_accept();
        }
    }

    fn on_recv(&mut self, cqe: &cqueue::Entry, id: usize) {
        let conn = &mut self.conns[id];
        if !cqueue::more(cqe.flags()) {
            conn.receiving = false;
            conn.stopping = false;
        }
        if let Some(bid) = cqueue::buffer_select(cqe.flags()) {
            self.pool.free -= 1;
            match u32::try_from(cqe.result()) {
                Ok(len @ 1..) if !conn.broken => {
                    conn.pieces.push_back(Piece { place: Place::Pool(bid), offset: 0, len });
                    self.messages += 1;
                }
                _ => self.pool.recycle(bid),
            }
        }
        match -cqe.result() {
            0 => conn.ended = true,
            libc::ENOBUFS if !conn.broken => {
                conn.starved = true;
                self.starved.push_back(id);
            }
            libc::ECANCELED | libc::EINTR | libc::EAGAIN | libc::ENOBUFS => {}
            1.. => conn.broken = true,
            _ => {}
        }
        self.advance(id);
    }

    fn on_send(&mut self, result: i32, id: usize) {
        let conn = &mut self.conns[id];
        conn.sending = false;
        match (u32::try_from(result), conn.pieces.front_mut()) {
            (Ok(sent @ 1..), Some(piece)) => {
                piece.offset += sent;
                if piece.offset == piece.len {
                    self.pool.give_back(conn.pieces.pop_front());
                }
            }
            _ if matches!(-result, libc::EAGAIN | libc::EINTR) => {}
            _ => conn.broken = true,
        }
        self.advance(id);
    }

    /// Moves a connection on: every completion of it ends here, and only this starts its entries.
    fn advance(&mut self, id: usize) {
        let held_max = usize::from(self.pool.free / 2).clamp(*HELD.start(), *HELD.end());
        let conn = &mut self.conns[id];
        let fd = Fd(conn.fd);
        let tag = id as u64;
        if conn.broken {
            while !conn.sending {
                let Some(piece) = conn.pieces.pop_front() else { break };
                self.pool.give_back(Some(piece));
            }
            if conn.receiving && !conn.stopping {
                conn.stopping = true;
                let shutdown = opcode::Shutdown::new(fd, libc::SHUT_RDWR).build();
                self.push(shutdown.flags(squeue::Flags::SKIP_SUCCESS).user_data(IGNORE));
            }
        } else if let (false, Some(piece)) = (conn.sending, conn.pieces.front()) {
            let start = match &piece.place {
                Place::Pool(bid) => self.pool.bytes_of(*bid),
                Place::Copy(bytes) => bytes.as_ptr(),
            };
            let start = start.wrapping_add(piece.offset as usize);
            // MSG_WAITALL: the kernel itself goes on after a short send, as far as it can.
            let send = opcode::Send::new(fd, start, piece.len - piece.offset)
                .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL);
            conn.sending = true;
            self.push(send.build().user_data(SEND | tag));
        }
        let conn = &mut self.conns[id];
        if conn.starved {
            return; // it is in a list, and comes back when there are buffers
        }
        if conn.ended || conn.broken {
            if !conn.sending && !conn.receiving {
                self.close(id);
            }
        } else if conn.receiving {
            if !conn.stopping && conn.pieces.len() >= held_max {
                conn.stopping = true;
                let cancel = opcode::AsyncCancel::new(RECV | tag).build();
                self.push(cancel.flags(squeue::Flags::SKIP_SUCCESS).user_data(IGNORE));
            }
        } else if conn.pieces.len() <= held_max / 2 && !conn.pieces.iter().any(Piece::copied) {
            conn.receiving = true;
            self.push(opcode::RecvMulti::new(fd, GROUP).build().user_data(RECV | tag));
        }
    }

    fn close(&mut self, id: usize) {
        let conn = std::mem::take(&mut self.conns[id]);
        for piece in conn.pieces {
            self.pool.give_back(Some(piece));
        }
        // SAFETY: the descriptor came from accept, is ours alone, and no entry uses it any more.
        drop(unsafe { OwnedFd::from_raw_fd(conn.fd) });
        self.vacant.push(id);
        if !self.accepting {
            self.start_accept();
        }
    }
}

/// The buffers that receives choose from, and the ring that gives them to the kernel.
struct Pool {
    entries: NonNull<BufRingEntry>,
    bytes: NonNull<u8>,
    buffer_size: usize,
    tail: u16,
    /// Buffers in the kernel's hands.
    free: u16,
    recycled: u16,
}

impl Pool {
    fn new(buffer_size: usize) -> io::Result<Self> {
        let entries = anonymous(usize::from(BUFFERS) * size_of::<BufRingEntry>())?.cast();
        let bytes = anonymous(usize::from(BUFFERS) * buffer_size)?;
        let mut pool = Self { entries, bytes, buffer_size, tail: 0, free: 0, recycled: 0 };
        for bid in 0..BUFFERS {
            pool.recycle(bid);
        }
        pool.publish();
        Ok(pool)
    }

    fn bytes_of(&self, bid: u16) -> *const u8 {
        self.bytes.as_ptr().wrapping_add(usize::from(bid) * self.buffer_size)
    }

    /// Takes back what a piece occupied.
    fn give_back(&mut self, piece: Option<Piece>) {
        if let Some(Piece { place: Place::Pool(bid), .. }) = piece {
            self.recycle(bid);
        }
    }

    /// Takes a buffer back; the kernel sees it after [`publish`](Self::publish).
    fn recycle(&mut self, bid: u16) {
        let address = self.bytes_of(bid) as u64;
        let index = usize::from(self.tail % BUFFERS);
        // SAFETY: the index is masked, so the entry is inside the mapping.
        let entry = unsafe { self.entries.add(index) }.as_ptr();
        // SAFETY: the kernel reads no entry between the published tail and one lap before it, and
        // a buffer that came back left a hole there; the mapping is never unmapped.
        let entry = unsafe { &mut *entry };
        entry.set_addr(address);
        entry.set_len(u32::try_from(self.buffer_size).expect("a buffer is below 4 GiB"));
        entry.set_bid(bid);
        self.tail = self.tail.wrapping_add(1);
        self.recycled += 1;
    }

    fn publish(&mut self) {
        if self.recycled == 0 {
            return;
        }
        // SAFETY: the ring has at least one entry, whose unused last field is the tail.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) }.cast_mut();
        // SAFETY: aligned, inside the mapping, and written by nothing but this.
        let tail = unsafe { AtomicU16::from_ptr(tail) };
        // Release: the kernel acquires the tail, and must see the entries before it.
        tail.store(self.tail, Ordering::Release);
        self.free += self.recycled;
        self.recycled = 0;
    }
}

fn anonymous(len: usize) -> io::Result<NonNull<u8>> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_ANONYMOUS | libc::MAP_PRIVATE | libc::MAP_POPULATE;
    // SAFETY: a new anonymous mapping at an address that the kernel chooses touches no other.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
    match NonNull::new(address.cast()) {
        Some(start) if address != libc::MAP_FAILED => Ok(start),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A descriptor that becomes readable on SIGINT or SIGTERM.
fn stop_signals() -> io::Result<OwnedFd> {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `set` is a valid place to write to.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: sigemptyset initialized it, whole.
    let mut set = unsafe { set.assume_init() };
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: `set` is initialized, and both are signals.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    // SAFETY: `set` is initialized, and the old one is not asked for.
    if unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `set` is initialized.
    let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
