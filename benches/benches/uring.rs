//! The crate `uring`: nops through each door, cached reads, and buffers of a pool.

use std::{
    error::Error,
    fs::File,
    hint::black_box,
    io::{self, Read as _, Write as _},
    os::{
        fd::OwnedFd,
        unix::{fs::FileExt, net::UnixStream},
    },
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use benches::nop::{Door, Owned, Peer, Raw, Setup, SplitPeer};
use criterion::{Criterion, Throughput};
use socket2::{Domain, Socket, Type};
use uring::{
    At, Event, Pool, RecvBuf, Ring,
    op::{Nop, Read, RecvMulti},
};

type Outcome = Result<(), Box<dyn Error>>;

/// The bytes of one read.
const BLOCK: usize = 4096;
/// The blocks of the file that is read.
const BLOCKS: u64 = 256;

fn nops(criterion: &mut Criterion) -> Outcome {
    for batch in [1, 32, 256] {
        let mut group = criterion.benchmark_group(format!("uring/nop/{batch}"));
        group.throughput(Throughput::Elements(batch.into()));
        for (flags, setup) in [("plain", Setup::Plain), ("defer", Setup::Defer)] {
            let mut doors: [(&str, Box<dyn Door>); 4] = [
                ("raw", Box::new(Raw::new(setup)?)),
                ("ring", Box::new(Owned::new(setup)?)),
                ("io-uring", Box::new(Peer::new(setup)?)),
                ("io-uring-split", Box::new(SplitPeer::new(setup)?)),
            ];
            for (name, door) in &mut doors {
                group.bench_function(format!("{name}/{flags}"), |bencher| {
                    bencher.iter(|| door.round(batch));
                });
            }
        }
    }
    Ok(())
}

fn one_nop(criterion: &mut Criterion) -> Outcome {
    let mut group = criterion.benchmark_group("uring/one");
    let mut ring = Ring::<Nop>::builder().build()?;
    group.bench_function("run", |bencher| bencher.iter(|| ring.run(Nop::new())));
    group.bench_function("scope", |bencher| {
        bencher.iter(|| {
            ring.scope(1, |scope| {
                scope.submit(Nop::new(), ()).expect("there is room for one");
                scope.wait(1, None).expect("the kernel takes nops");
                black_box(scope.next().is_some())
            })
        });
    });
    Ok(())
}

/// A file whose pages are in the cache, because they were just written.
fn cached_file() -> io::Result<File> {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cached");
    let mut file = File::create(&path)?;
    for _ in 0..BLOCKS {
        file.write_all(&[7; BLOCK])?;
    }
    let mut file = File::open(&path)?;
    io::copy(&mut file, &mut io::sink())?;
    Ok(file)
}

/// Offsets of blocks in an order that no read-ahead guesses.
struct Blocks(u64);

impl Blocks {
    fn next(&mut self) -> u64 {
        // 97 is coprime to the number of blocks: each is visited once a round
        self.0 = (self.0 + 97) % BLOCKS;
        self.0 * BLOCK as u64
    }
}

fn reads(criterion: &mut Criterion) -> Outcome {
    let file = Arc::new(cached_file()?);
    let mut blocks = Blocks(0);
    for depth in [1_u32, 32] {
        let mut group = criterion.benchmark_group(format!("uring/read-4096/{depth}"));
        group.throughput(Throughput::Elements(depth.into()));
        let mut ring: Ring<Read<Arc<File>, Vec<u8>>> = Ring::builder().build()?;
        let mut idle: Vec<_> =
            (0..depth).map(|_| (Arc::clone(&file), Vec::with_capacity(BLOCK))).collect();
        group.bench_function("ring", |bencher| {
            bencher.iter(|| {
                for (file, buffer) in idle.drain(..) {
                    let read = Read::new(file, buffer, At(blocks.next()));
                    ring.submit(read, ()).expect("there is room");
                }
                ring.wait(depth, None).expect("the kernel takes reads");
                while let Some(event) = ring.next() {
                    if let Event::Done { output: (result, file, buffer), .. } = event {
                        assert_eq!(result.expect("the file can be read"), BLOCK);
                        idle.push((file, buffer));
                    }
                }
            });
        });
        let mut buffer = [0; BLOCK];
        group.bench_function("pread", |bencher| {
            bencher.iter(|| {
                for _ in 0..depth {
                    file.read_exact_at(&mut buffer, blocks.next()).expect("the file can be read");
                }
            });
        });
        if depth == 1 {
            group.bench_function("run-borrowed", |bencher| {
                bencher.iter(|| {
                    let read = Read::new(&file, &mut buffer[..], At(blocks.next()));
                    assert_eq!(ring.run(read).0.expect("the file can be read"), BLOCK);
                });
            });
        }
    }
    Ok(())
}

/// A ring that receives from a pair of sockets, one buffer a message.
struct Receiver {
    ring: Ring<RecvMulti<OwnedFd>>,
    pool: Pool,
    peer: Socket,
}

impl Receiver {
    fn new() -> Result<Self, Box<dyn Error>> {
        // it keeps messages apart, and its queue is bounded by bytes and not by messages
        let (socket, peer) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None)?;
        let mut ring = Ring::builder().build()?;
        let pool = ring.pool(256, 4096)?;
        ring.submit(RecvMulti::new(OwnedFd::from(socket), &pool), ())?;
        ring.wait(0, None)?;
        Ok(Self { ring, pool, peer })
    }

    /// Sends messages, and waits until their completions can be read.
    fn fill(&mut self, messages: u32) {
        for _ in 0..messages {
            self.peer.send(&[1]).expect("the pair is open");
        }
        self.ring.wait(messages, None).expect("the kernel takes receives");
    }

    fn take(&mut self) -> RecvBuf {
        match self.ring.next() {
            Some(Event::Item { item, .. }) => item,
            event => panic!("a message was sent, not {event:?}"),
        }
    }
}

/// Times `measured` over batches of messages that `prepare` gets ready, off the clock.
fn batches<T>(
    iterations: u64,
    mut prepare: impl FnMut(u32) -> T,
    mut measured: impl FnMut(T),
) -> Duration {
    let mut time = Duration::ZERO;
    let mut left = iterations;
    while left > 0 {
        let batch = u32::try_from(left.min(64)).expect("it is at most 64");
        let prepared = prepare(batch);
        let start = Instant::now();
        measured(prepared);
        time += start.elapsed();
        left -= u64::from(batch);
    }
    time
}

fn pool(criterion: &mut Criterion) -> Outcome {
    let mut group = criterion.benchmark_group("uring/pool");
    let mut receiver = Receiver::new()?;
    group.bench_function("send-take-recycle", |bencher| {
        bencher.iter(|| {
            receiver.fill(1);
            drop(receiver.take());
        });
    });
    group.bench_function("recycle", |bencher| {
        bencher.iter_custom(|iterations| {
            let prepare = |batch| {
                receiver.fill(batch);
                (0..batch).map(|_| receiver.take()).collect::<Vec<_>>()
            };
            batches(iterations, prepare, |mut buffers| buffers.clear())
        });
    });
    group.bench_function("take-recycle", |bencher| {
        bencher.iter_custom(|iterations| {
            let receiver = std::cell::RefCell::new(&mut receiver);
            let prepare = |batch| {
                receiver.borrow_mut().fill(batch);
                batch
            };
            batches(iterations, prepare, |batch| {
                let mut receiver = receiver.borrow_mut();
                for _ in 0..batch {
                    drop(receiver.take());
                }
            })
        });
    });
    assert_eq!(receiver.pool.available(), receiver.pool.buffers(), "all buffers came back");
    let (mut ours, mut peer) = UnixStream::pair()?;
    group.bench_function("send-recv-std", |bencher| {
        bencher.iter(|| {
            peer.write_all(&[1]).expect("the pair is open");
            ours.read_exact(&mut [0]).expect("the pair is open");
        });
    });
    Ok(())
}

fn main() -> Outcome {
    if let Err(why) = uring::check() {
        println!("skipped: {why}");
        return Ok(());
    }
    let mut criterion = benches::criterion();
    nops(&mut criterion)?;
    one_nop(&mut criterion)?;
    reads(&mut criterion)?;
    pool(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}
