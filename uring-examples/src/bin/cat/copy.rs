//! Copying: reads and writes on a ring that borrow a buffer.
//!
//! Two ways to use a ring are here:
//! - `run`: one operation, to its end;
//! - `scope`: many reads at once, into parts of one buffer.

use std::{
    error::Error,
    fs::File,
    io,
    os::fd::AsFd,
    time::{Duration, Instant},
};

use uring::{At, Event, Operation, PollEvents, Ring, op};
use uring_examples::{Failure, close, raise_file_size_signal};

use crate::place::Place;

/// How much one read asks for, and how many reads of a large file are in flight.
const CHUNK: usize = 128 << 10;
const WINDOW: u32 = 8;
const ROUND: usize = CHUNK * WINDOW as usize;
/// Files that were opened with `O_DIRECT` are read into memory that starts at a page, in multiples
/// of it. Not by clearing the flag: others may have the open file in common, and they want it.
const ALIGNMENT: usize = 4096;
/// How long a worker thread of the kernel may take to start.
const START: Duration = Duration::from_secs(1);

/// What ends a copy before its end.
#[derive(Debug)]
pub(crate) enum Broken {
    Input(io::Error),
    Output(io::Error),
}

/// A ring, whether it has worker threads, a buffer, and the output.
#[derive(Debug)]
pub(crate) struct Copier {
    ring: Ring<op::Nop>,
    workers: bool,
    buffer: Vec<u8>,
    output: Place,
}

impl Copier {
    /// Copies to standard output.
    pub(crate) fn new() -> Result<Self, Failure> {
        let unavailable = |e: &(dyn Error + 'static)| Failure::new("io_uring is not available", e);
        let mut ring =
            Ring::builder().entries(16).completions(64).build().map_err(|e| unavailable(&e))?;
        let workers = has_workers(&mut ring).map_err(|e| unavailable(&e))?;
        let output = io::stdout().as_fd().try_clone_to_owned().map(File::from);
        let output = output
            .and_then(Place::output)
            .map_err(|e| Failure::new("cannot tell what standard output is", &e))?;
        Ok(Self { ring, workers, buffer: vec![0; ALIGNMENT + ROUND], output })
    }

    pub(crate) const fn output(&self) -> &Place {
        &self.output
    }

    /// Writes all that comes from the input, until a read brings nothing: a file may grow
    /// meanwhile, and files of `/proc` say that they are empty.
    pub(crate) fn copy(&mut self, input: &mut Place) -> Result<(), Broken> {
        let Self { ring, workers, buffer, output } = self;
        let workers = *workers;
        let start = buffer.as_ptr().align_offset(ALIGNMENT);
        let buffer = &mut buffer[start..][..ROUND];
        // Whole rounds first. What one of them could not bring is asked for once more below, and
        // there an error or the end shows.
        let mut rounds = if workers { input.left() / ROUND as u64 } else { 0 };
        while rounds > 0 {
            let length = read_round(ring, input, buffer).map_err(Broken::Input)?;
            write_all(ring, workers, output, &buffer[..length]).map_err(Broken::Output)?;
            rounds = if length == ROUND { rounds - 1 } else { 0 };
        }
        loop {
            let chunk = &mut buffer[..CHUNK];
            let length = read(ring, workers, input, chunk).map_err(Broken::Input)?;
            if length == 0 {
                return Ok(());
            }
            write_all(ring, workers, output, &chunk[..length]).map_err(Broken::Output)?;
        }
    }

    /// Closes the output.
    pub(crate) fn close(self) -> io::Result<()> {
        close(self.output.file)
    }
}

/// Whether the kernel starts worker threads for this program, which `RLIMIT_NPROC` and `pids.max`
/// may forbid. The kernel keeps the one that this starts. If it can start none, an operation that
/// wants one ends with `ECANCELED` since Linux 6.11, but older kernels try again for ever.
fn has_workers(ring: &mut Ring<op::Nop>) -> io::Result<bool> {
    ring.scope(1, |scope| {
        scope.submit(op::Nop::new().on_worker(), ())?;
        scope.wait(1, Some(Instant::now() + START))?;
        Ok(matches!(scope.next(), Some(Event::Done { output: Ok(_), .. })))
    })
}

/// Fills the buffer, with all its reads in flight together. Says how much it is up to the first
/// that brought less than a chunk.
fn read_round(ring: &mut Ring<op::Nop>, input: &mut Place, buffer: &mut [u8]) -> io::Result<usize> {
    let start = input.offset().raw();
    let mut lengths = [0; WINDOW as usize];
    ring.scope(WINDOW, |scope| {
        for (index, chunk) in buffer.chunks_mut(CHUNK).enumerate() {
            let at = At(start + (index * CHUNK) as u64);
            scope.submit(op::Read::new(&input.file, chunk, at), index)?;
        }
        while scope.in_flight() > 0 {
            scope.wait(scope.in_flight(), None)?;
            while let Some(event) = scope.next() {
                if let Event::Done { ctx: index, output: (Ok(length), ..), .. } = event {
                    lengths[index] = length;
                }
            }
        }
        io::Result::Ok(())
    })?;
    let full = lengths.iter().take_while(|length| **length == CHUNK).count();
    let length = full * CHUNK + lengths.get(full).unwrap_or(&0);
    input.moved(length)?;
    Ok(length)
}

/// Runs an operation to its end. What may block, blocks a worker thread of the kernel instead of
/// this one.
fn run<P: Operation>(ring: &mut Ring<op::Nop>, operation: P, place: &Place) -> P::Output {
    if place.may_block() { ring.run(operation.on_worker()) } else { ring.run(operation) }
}

/// Nobody cancels here. The kernel wanted one more worker thread, since those that read and write
/// terminals are of another kind, and could not start it.
fn no_worker(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ECANCELED)
}

/// Reads what is there next; 0 is the end.
fn read(
    ring: &mut Ring<op::Nop>,
    workers: bool,
    input: &mut Place,
    buffer: &mut [u8],
) -> io::Result<usize> {
    loop {
        let result = if !workers || input.is_of_others() {
            input.read_plainly(buffer)
        } else {
            let read = op::Read::new(&input.file, &mut *buffer, input.offset());
            let (result, ..) = run(ring, read, input);
            result
        };
        let result = match result {
            Err(error) if no_worker(&error) => input.read_plainly(buffer),
            result => result,
        };
        match result {
            Ok(length) => {
                input.moved(length)?;
                return Ok(length);
            }
            Err(error) => try_again(ring, input, PollEvents::IN, error)?,
        }
    }
}

/// Writes all of it.
fn write_all(
    ring: &mut Ring<op::Nop>,
    workers: bool,
    output: &mut Place,
    bytes: &[u8],
) -> io::Result<()> {
    let mut left = bytes;
    while !left.is_empty() {
        let result = if !workers || output.is_of_others() {
            output.write_plainly(left)
        } else {
            let (result, ..) =
                run(ring, op::Write::new(&output.file, left, output.offset()), output);
            result
        };
        let result = match result {
            Err(error) if no_worker(&error) => output.write_plainly(left),
            result => result,
        };
        match result {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => {
                output.moved(length)?;
                left = &left[length..];
            }
            Err(error) => {
                if error.raw_os_error() == Some(libc::EFBIG) {
                    // the signal goes to the thread that writes, and a worker takes none
                    raise_file_size_signal(output.end()?);
                }
                try_again(ring, output, PollEvents::OUT, error)?;
            }
        }
    }
    Ok(())
}

/// Whether a transfer that failed is worth another try, and when: returns then.
fn try_again(
    ring: &mut Ring<op::Nop>,
    place: &Place,
    events: PollEvents,
    error: io::Error,
) -> io::Result<()> {
    match error.kind() {
        // stopped and continued, while it waited for a terminal
        io::ErrorKind::Interrupted => Ok(()),
        // others made it non-blocking, which older kernels and plain calls obey
        io::ErrorKind::WouldBlock => ring.run(op::Poll::new(&place.file, events)).0.map(drop),
        _ => Err(error),
    }
}
