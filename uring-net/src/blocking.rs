//! Blocking reads and writes, from any thread but the loop's own.

use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    net::Shutdown,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, MutexGuard};
use socket2::SockRef;

use crate::{
    core::{Inbox, MERGED_BYTES, errno},
    error::{End, Failure, LocallyClosed},
    stream::{Shared, State, TcpStream, WriteEnd, would_deadlock},
};

/// Sends without waiting, and without a signal if the peer is gone.
const NOW: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// How many bytes a write hands to the kernel by itself.
const DIRECT_BYTES_MAX: usize = 256 * 1024;

/// Until when a call may wait.
#[derive(Clone, Copy)]
struct Patience {
    deadline: fn(&State) -> Option<Instant>,
    /// By the timeout that held when the call began.
    timeout: Option<Instant>,
}

impl Patience {
    fn of_reading(state: &State) -> Self {
        Self { deadline: |state| state.read_deadline, timeout: state.read_timeout.map(after) }
    }

    fn of_writing(state: &State) -> Self {
        Self { deadline: |state| state.write_deadline, timeout: state.write_timeout.map(after) }
    }

    /// Whether the time of the call is over. A deadline that has passed ends each call, also one
    /// that would not have to wait.
    fn check(self, state: &State) -> io::Result<()> {
        match (self.deadline)(state) {
            Some(at) if at <= Instant::now() => Err(io::ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }

    fn until(self, state: &State) -> Option<Instant> {
        [(self.deadline)(state), self.timeout].into_iter().flatten().min()
    }
}

fn after(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout).unwrap_or(now + Duration::from_secs(1 << 32))
}

impl Shared {
    /// Waits until something has changed, or the time is over, which may change meanwhile.
    fn wait(
        &self,
        condition: &Condvar,
        state: &mut MutexGuard<'_, State>,
        patience: Patience,
    ) -> io::Result<()> {
        if self.handle.is_current() {
            return Err(would_deadlock());
        }
        self.home.check()?;
        match patience.until(state) {
            None => condition.wait(state),
            Some(at) => {
                let expired = condition.wait_until(state, at).timed_out();
                // it may have been moved away while we waited
                patience.check(state)?;
                if expired && patience.timeout.is_some_and(|at| at <= Instant::now()) {
                    // as on the standard library's sockets
                    return Err(io::Error::from_raw_os_error(libc::EAGAIN));
                }
            }
        }
        Ok(())
    }

    /// Calls `take` until it has something from the inbox.
    fn take_in(
        &self,
        mut take: impl FnMut(&mut Inbox) -> Option<Result<usize, End>>,
    ) -> io::Result<usize> {
        let mut state = self.state.lock();
        let patience = Patience::of_reading(&state);
        check_open(&state)?;
        patience.check(&state)?;
        loop {
            check_open(&state)?;
            match take(&mut state.inbox) {
                Some(Ok(count)) => {
                    if state.paused && state.inbox.bytes() <= self.caps.inbound / 2 {
                        state.paused = false;
                        self.poke(&mut state);
                    }
                    return Ok(count);
                }
                Some(Err(End::Failed(errno))) => return Err(io::Error::from_raw_os_error(errno)),
                Some(Err(End::Eof)) => return Ok(0),
                None => self.wait(&self.readable, &mut state, patience)?,
            }
        }
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.take_in(|inbox| inbox.read(buffer))
    }

    fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if buffers.iter().all(|buffer| buffer.is_empty()) {
            return Ok(0);
        }
        self.take_in(|inbox| {
            let mut filled = 0;
            for buffer in buffers.iter_mut().filter(|buffer| !buffer.is_empty()) {
                match inbox.read(buffer) {
                    Some(Ok(count @ 1..)) => filled += count,
                    // nothing is left; the end is for the next call
                    result if filled == 0 => return result,
                    _ => break,
                }
            }
            Some(Ok(filled))
        })
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        if buffers.iter().all(|buffer| buffer.is_empty()) {
            return Ok(0);
        }
        let mut state = self.state.lock();
        let patience = Patience::of_writing(&state);
        check_open(&state)?;
        patience.check(&state)?;
        let on_loop = self.handle.is_current();
        let mut direct = !on_loop;
        loop {
            check_writable(&state)?;
            // Nothing is queued, so nothing can be overtaken: no need for the loop. Not with the
            // lock held, on which the loop would wait for a send of this size. Somebody may queue
            // something meanwhile: of two writes at the same time either may be the first.
            if direct && state.out_bytes == 0 {
                drop(state);
                let sent = self.send_now(buffers);
                if let Ok(count) = sent {
                    return Ok(count);
                }
                state = self.state.lock();
                match sent {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => direct = false,
                    Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                        // it may be the loop that has ended the connection, and knows why
                        check_writable(&state)?;
                        state.write_end = Some(WriteEnd::Failed(Failure::os(errno(&error))));
                        return Err(error);
                    }
                    _ => {}
                }
                continue; // the end may have come meanwhile
            }
            let room = self.caps.outbound.saturating_sub(state.out_bytes);
            if room > 0 {
                let count = queue(&mut state, buffers, room);
                self.poke(&mut state);
                return Ok(count);
            }
            self.wait(&self.writable, &mut state, patience)?;
            direct = !on_loop;
        }
    }

    /// Hands the kernel what it takes now, within bounds.
    fn send_now(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let socket = SockRef::from(&self.fd);
        match buffers {
            [one] => socket.send_with_flags(&one[..one.len().min(DIRECT_BYTES_MAX)], NOW),
            many => {
                let mut bytes = 0;
                let fits = |buffer: &&IoSlice<'_>| {
                    bytes += buffer.len();
                    bytes <= DIRECT_BYTES_MAX
                };
                // IOV_MAX
                let count = many.iter().take(1024).take_while(fits).count();
                match many.iter().find(|buffer| !buffer.is_empty()) {
                    Some(first) if count == 0 || first.len() > DIRECT_BYTES_MAX => {
                        self.send_now(&[IoSlice::new(first)])
                    }
                    _ => socket.send_vectored_with_flags(&many[..count], NOW),
                }
            }
        }
    }

    fn flush(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let patience = Patience::of_writing(&state);
        check_open(&state)?;
        patience.check(&state)?;
        while state.out_bytes > 0 {
            check_writable(&state).or_else(|error| {
                // after a shutdown, of either kind, what was written before still goes out
                let goes_on =
                    matches!(state.write_end, Some(WriteEnd::Finished | WriteEnd::Stopped));
                if goes_on && !state.closed { Ok(()) } else { Err(error) }
            })?;
            self.wait(&self.writable, &mut state, patience)?;
        }
        match state.write_end {
            _ if state.closed => Err(LocallyClosed::error("stream")),
            Some(WriteEnd::Failed(failure)) => Err(failure.of_writing()),
            _ => Ok(()),
        }
    }
}

/// Queues as much as there is room for.
fn queue(state: &mut State, buffers: &[IoSlice<'_>], room: usize) -> usize {
    let mut queued = 0;
    for buffer in buffers {
        let bytes = &buffer[..buffer.len().min(room - queued)];
        match state.outgoing.last_mut() {
            Some(last) if last.len() + bytes.len() <= MERGED_BYTES => {
                last.extend_from_slice(bytes);
            }
            _ if bytes.is_empty() => {}
            _ => state.outgoing.push(bytes.to_vec()),
        }
        queued += bytes.len();
    }
    state.out_bytes += queued;
    queued
}

fn check_open(state: &State) -> io::Result<()> {
    if state.closed { Err(LocallyClosed::error("stream")) } else { Ok(()) }
}

fn check_writable(state: &State) -> io::Result<()> {
    check_open(state)?;
    match state.write_end {
        None => Ok(()),
        Some(WriteEnd::Finished) => Err(io::Error::from_raw_os_error(libc::EPIPE)),
        Some(WriteEnd::Stopped) => Err(io::Error::from_raw_os_error(libc::ECONNABORTED)),
        Some(WriteEnd::Failed(failure)) => Err(failure.of_writing()),
    }
}

impl TcpStream {
    /// Sets until when reads are answered: one that waits until then, or comes later, fails with
    /// `TimedOut`, and loses nothing. A call that waits already obeys it too. With `None` it waits
    /// for ever.
    pub fn set_read_deadline(&self, at: Option<Instant>) {
        self.shared().state.lock().read_deadline = at;
        self.shared().readable.notify_all();
    }

    /// Sets until when writes and flushes are answered, as
    /// [`set_read_deadline`](Self::set_read_deadline) does.
    pub fn set_write_deadline(&self, at: Option<Instant>) {
        self.shared().state.lock().write_deadline = at;
        self.shared().writable.notify_all();
    }

    /// Sets both deadlines.
    pub fn set_deadline(&self, at: Option<Instant>) {
        self.set_read_deadline(at);
        self.set_write_deadline(at);
    }

    /// Sets how long each read may wait; one that has waited that long fails with `WouldBlock`, as
    /// on the standard library's streams. A call that waits already keeps the one it began with.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.shared().state.lock().read_timeout = checked(timeout)?;
        Ok(())
    }

    /// Sets how long each write and flush may wait, as
    /// [`set_read_timeout`](Self::set_read_timeout) does.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for zero.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.shared().state.lock().write_timeout = checked(timeout)?;
        Ok(())
    }

    /// What [`set_read_timeout`](Self::set_read_timeout) has set.
    ///
    /// # Errors
    ///
    /// None.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.shared().state.lock().read_timeout)
    }

    /// What [`set_write_timeout`](Self::set_write_timeout) has set.
    ///
    /// # Errors
    ///
    /// None.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.shared().state.lock().write_timeout)
    }

    /// Reads without taking: the next read finds the same bytes.
    ///
    /// # Errors
    ///
    /// Those of a read.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.shared().take_in(|inbox| inbox.peek(buffer))
    }

    /// Ends one or both directions: reads then find the end, writes fail with `BrokenPipe`. What
    /// was written before still goes out.
    ///
    /// # Errors
    ///
    /// Those of `shutdown(2)` for the reading direction.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let shared = self.shared();
        let mut state = shared.state.lock();
        if matches!(how, Shutdown::Write | Shutdown::Both) && state.write_end.is_none() {
            state.write_end = Some(WriteEnd::Finished);
            shared.poke(&mut state);
        }
        if matches!(how, Shutdown::Read | Shutdown::Both) {
            state.inbox.clear();
            state.inbox.end(End::Eof);
        }
        drop(state);
        shared.readable.notify_all();
        shared.writable.notify_all();
        if matches!(how, Shutdown::Read | Shutdown::Both) {
            return SockRef::from(&shared.fd).shutdown(Shutdown::Read);
        }
        Ok(())
    }
}

/// A timeout that the standard library would take.
fn checked(timeout: Option<Duration>) -> io::Result<Option<Duration>> {
    if timeout == Some(Duration::ZERO) {
        let text = "a timeout of zero would let no call wait; use None to wait for ever";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(timeout)
}

impl Read for &TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.shared().read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.shared().read_vectored(buffers)
    }
}

impl Write for &TcpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.shared().write(bytes)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.shared().write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.shared().flush()
    }
}

impl Read for TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.shared().read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.shared().read_vectored(buffers)
    }
}

impl Write for TcpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.shared().write(bytes)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.shared().write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.shared().flush()
    }
}
