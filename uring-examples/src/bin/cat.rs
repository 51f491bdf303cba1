//! Writes files to standard output, through operations that borrow their buffers.
//!
//! Three ways to use a ring are here:
//! - `run`: one read of one file, to its end;
//! - `scope`: many reads at once, into parts of one buffer on this thread's stack or heap;
//! - `submit`: the read of the next signal, which the ring owns, and which stays in flight while
//!   scopes come and go. That is how Ctrl-C ends a read that waits for a terminal.

use std::{
    ffi::OsString,
    fs::{File, Metadata},
    io,
    os::fd::{AsFd, BorrowedFd},
    os::unix::fs::MetadataExt,
    process::ExitCode,
};

use uring::{At, Current, Event, Offset, Operation, PollEvents, Ring, op};
use uring_examples::{Args, Failure, NextSignal, Signals, print_error, run, signal_name};

const HELP: &str = "\
Writes files to standard output, one after the other, through io_uring.

Usage: cat [FILE...]

  FILE         a file, a pipe, a device; `-` or none at all is standard input
  -h, --help   print this
  --version    print the version

A file that cannot be read is told, and the others are written; the exit code is then 1.
";

/// How much one read asks for, and how many reads are in flight.
const CHUNK: usize = 128 << 10;
const WINDOW: usize = 8;
/// So many files are open at once.
const OPEN_MAX: usize = 64;

/// Why the writing ends before the last file.
enum Stop {
    /// Nobody reads standard output any more: nothing to say.
    Unread,
    Signal(&'static str),
    Failed(Failure),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(Failure::new("the ring does not go on", &error))
    }
}

/// A regular file that says how long it is.
struct Sized {
    name: String,
    file: File,
    size: u64,
}

struct Cat {
    ring: Ring<NextSignal>,
    /// Which file standard output is, to notice `cat file >> file`.
    target: Option<(u64, u64)>,
    written: u64,
    /// Something could not be read.
    failed: bool,
}

impl Cat {
    fn tell(&mut self, name: &str, problem: impl std::fmt::Display) {
        print_error(&format!("cat: {name}: {problem}"));
        self.failed = true;
    }

    /// Writes all of them, in their order.
    fn files(&mut self, names: &[OsString]) -> Result<(), Stop> {
        let mut group = Vec::new();
        for name in names {
            let text = name.to_string_lossy().into_owned();
            if name == "-" {
                self.group(&mut group)?;
                self.stream(&text, io::stdin().as_fd(), Current.into())?;
                continue;
            }
            let opened = File::open(name).and_then(|file| Ok((file.metadata()?, file)));
            match opened {
                Err(error) => self.tell(&text, error),
                Ok((metadata, _)) if metadata.is_dir() => self.tell(&text, "Is a directory"),
                Ok((metadata, _)) if self.is_target(&metadata) => {
                    self.tell(&text, "it is also the output; write to another file");
                }
                // files of /proc say that they are empty, and are not
                Ok((metadata, file)) if metadata.is_file() && metadata.len() > 0 => {
                    group.push(Sized { name: text, file, size: metadata.len() });
                }
                Ok((_, file)) => {
                    self.group(&mut group)?;
                    self.stream(&text, file.as_fd(), Current.into())?;
                }
            }
            if group.len() == OPEN_MAX {
                self.group(&mut group)?;
            }
        }
        self.group(&mut group)
    }

    fn is_target(&self, metadata: &Metadata) -> bool {
        metadata.len() > 0 && self.target == Some((metadata.dev(), metadata.ino()))
    }

    /// Writes files whose sizes are known, and empties the list.
    fn group(&mut self, files: &mut Vec<Sized>) -> Result<(), Stop> {
        let files = std::mem::take(files);
        match files.as_slice() {
            [] => Ok(()),
            [one] if one.size < CHUNK as u64 => self.small(one),
            several => self.at_once(several),
        }
    }

    /// One read takes it all, and `run` is all that one read takes.
    fn small(&mut self, Sized { name, file, .. }: &Sized) -> Result<(), Stop> {
        let (result, _, bytes) =
            self.ring.run(op::Read::new(file, Vec::with_capacity(CHUNK), At(0)));
        if let Err(error) = result {
            self.tell(name, error);
            return Ok(());
        }
        self.write(&bytes)?;
        // most of the time this finds the end; the file may have grown
        self.stream(name, file.as_fd(), At(bytes.len() as u64).into())
    }

    /// Reads pieces of files, several at once, and writes them in order.
    fn at_once(&mut self, files: &[Sized]) -> Result<(), Stop> {
        let mut buffer = vec![0; WINDOW * CHUNK];
        let mut ended = vec![false; files.len()];
        let mut pieces = (0..files.len())
            .flat_map(|index| {
                let size = files[index].size; // the last piece finds the end
                (0..=size).step_by(CHUNK).map(move |offset| (index, offset))
            })
            .peekable();
        while pieces.peek().is_some() {
            let round: Vec<_> = pieces.by_ref().take(WINDOW).collect();
            let results = self.read_round(files, &round, &mut buffer)?;
            for (slot, ((index, offset), result)) in round.into_iter().zip(results).enumerate() {
                let Sized { name, file, .. } = &files[index];
                if ended[index] {
                    continue;
                }
                match result {
                    Ok(length) => {
                        self.write(&buffer[slot * CHUNK..][..length])?;
                        if length < CHUNK {
                            // The end, or a file that gives less than was asked for.
                            let at = At(offset + length as u64);
                            self.stream(name, file.as_fd(), at.into())?;
                            ended[index] = true;
                        }
                    }
                    Err(error) => {
                        self.tell(name, error);
                        ended[index] = true;
                    }
                }
            }
        }
        Ok(())
    }

    /// One read for each piece, all in flight together, each into its part of `buffer`.
    fn read_round(
        &mut self,
        files: &[Sized],
        round: &[(usize, u64)],
        buffer: &mut [u8],
    ) -> Result<Vec<io::Result<usize>>, Stop> {
        let mut results: Vec<_> = round.iter().map(|_| Ok(0)).collect();
        let parts = buffer.chunks_mut(CHUNK);
        self.ring.scope(u32::try_from(WINDOW).unwrap_or(1), |scope| {
            for (slot, (&(index, offset), part)) in round.iter().zip(parts).enumerate() {
                scope.submit(op::Read::new(&files[index].file, part, At(offset)), slot)?;
            }
            while scope.in_flight() > 0 {
                scope.wait(scope.in_flight(), None)?;
                while let Some(event) = scope.next() {
                    if let Event::Done { ctx: slot, output: (result, ..), .. } = event {
                        results[slot] = result;
                    }
                }
            }
            io::Result::Ok(())
        })?;
        self.check_signal()?;
        Ok(results)
    }

    /// Writes what comes until the end: from where the file stands, or from an offset.
    fn stream(&mut self, name: &str, fd: BorrowedFd<'_>, from: Offset) -> Result<(), Stop> {
        let mut buffer = vec![0; CHUNK];
        let mut from = from;
        loop {
            let part = &mut buffer[..];
            match self.finish(op::Read::new(fd, part, from))?.0 {
                Ok(0) => return Ok(()),
                Ok(length) => {
                    self.write(&buffer[..length])?;
                    if from != Offset::from(Current) {
                        from = At(from.raw() + length as u64).into();
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.ready(fd, PollEvents::IN)?;
                }
                Err(error) => {
                    self.tell(name, error);
                    return Ok(());
                }
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let mut left = bytes;
        while !left.is_empty() {
            let stdout = io::stdout();
            match self.finish(op::Write::new(stdout.as_fd(), left, Current))?.0 {
                Ok(length) => {
                    self.written += length as u64;
                    left = &left[length..];
                }
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Err(Stop::Unread),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.ready(stdout.as_fd(), PollEvents::OUT)?;
                }
                Err(error) => {
                    let failure = Failure::new("cannot write to standard output", &error);
                    return Err(Stop::Failed(failure));
                }
            }
        }
        Ok(())
    }

    /// A descriptor that others made non-blocking ends its operations at once.
    fn ready(&mut self, fd: BorrowedFd<'_>, events: PollEvents) -> Result<(), Stop> {
        self.finish(op::Poll::new(fd, events))?.0?;
        Ok(())
    }

    /// As [`Ring::run`], but a signal ends it.
    fn finish<P: Operation>(&mut self, operation: P) -> Result<P::Output, Stop> {
        let output = self.ring.scope(1, |scope| {
            let id = scope.submit(operation, ())?;
            loop {
                scope.wait(1, None)?;
                match scope.next() {
                    Some(Event::Done { output, .. }) => return io::Result::Ok(output),
                    Some(_) => {}
                    // what came is the ring's own: the signal
                    None => scope.cancel(id)?,
                }
            }
        })?;
        self.check_signal()?;
        Ok(output)
    }

    fn check_signal(&mut self) -> Result<(), Stop> {
        while let Some(event) = self.ring.next() {
            if let Event::Done { output: (result, _, info), .. } = event {
                result?;
                return Err(Stop::Signal(signal_name(&info)));
            }
        }
        Ok(())
    }
}

fn cat(mut args: Args) -> Result<(), Failure> {
    if args.flag()?.is_some() {
        return Err(args.unknown());
    }
    let mut names = args.operands();
    if names.is_empty() {
        names.push("-".into());
    }
    let signals =
        Signals::block().map_err(|e| Failure::new("cannot wait for signals with signalfd", &e))?;
    let mut ring = Ring::builder()
        .entries(16)
        .completions(64)
        .build()
        .map_err(|e| Failure::new("io_uring is not available", &e))?;
    ring.submit(signals.next(), ())
        .map_err(|e| Failure::new("the ring does not take an operation", &e))?;
    let stdout = io::stdout();
    let target = stdout.as_fd().try_clone_to_owned().and_then(|fd| File::from(fd).metadata());
    let target = target.ok().filter(Metadata::is_file).map(|file| (file.dev(), file.ino()));
    let mut cat = Cat { ring, target, written: 0, failed: false };
    match cat.files(&names) {
        Ok(()) if cat.failed => Err(Failure::Told),
        Ok(()) | Err(Stop::Unread) => Ok(()),
        Err(Stop::Signal(name)) => {
            Err(Failure::Failed(format!("stopped by {name} after {} bytes", cat.written)))
        }
        Err(Stop::Failed(failure)) => Err(failure),
    }
}

fn main() -> ExitCode {
    run("cat", HELP, cat)
}
