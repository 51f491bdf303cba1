//! Blocking reads and writes, from any thread but the loop's own.

use std::{
    io::{self, Read, Write},
    net::Shutdown,
    time::Instant,
};

use parking_lot::{Condvar, MutexGuard};
use socket2::SockRef;

use crate::{
    core::{End, MERGED_BYTES, errno},
    error::Failure,
    stream::{Shared, State, TcpStream, WriteEnd, would_deadlock},
};

/// Sends without waiting, and without a signal if the peer is gone.
const NOW: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

impl Shared {
    /// Waits until something has changed, or the deadline has passed, which may change meanwhile.
    fn wait(
        &self,
        condition: &Condvar,
        state: &mut MutexGuard<'_, State>,
        deadline: impl Fn(&State) -> Option<Instant>,
    ) -> io::Result<()> {
        if self.handle.is_current() {
            return Err(would_deadlock());
        }
        match deadline(state) {
            None => condition.wait(state),
            Some(at) => {
                let expired = condition.wait_until(state, at).timed_out();
                // it may have been moved away while we waited
                if expired && deadline(state).is_some_and(|at| at <= Instant::now()) {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
        Ok(())
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut state = self.state.lock();
        loop {
            match state.inbox.read(buffer) {
                Some(Ok(count)) => {
                    if state.paused && state.inbox.bytes() <= self.caps.inbound / 2 {
                        state.paused = false;
                        self.poke(&mut state);
                    }
                    return Ok(count);
                }
                Some(Err(End::Failed(errno))) => return Err(io::Error::from_raw_os_error(errno)),
                Some(Err(End::Eof)) => return Ok(0),
                None => self.wait(&self.readable, &mut state, |state| state.read_deadline)?,
            }
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let mut state = self.state.lock();
        loop {
            check_writable(&state)?;
            // Nothing is queued, so nothing can be overtaken: no need for the loop.
            if state.out_bytes == 0 && !self.handle.is_current() {
                match SockRef::from(&self.fd).send_with_flags(bytes, NOW) {
                    Ok(count) => return Ok(count),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => {
                        state.write_end = Some(WriteEnd::Failed(Failure::os(errno(&error))));
                        return Err(error);
                    }
                }
            }
            let room = self.caps.outbound.saturating_sub(state.out_bytes);
            if room > 0 {
                let count = room.min(bytes.len());
                match state.outgoing.last_mut() {
                    Some(last) if last.len() + count <= MERGED_BYTES => {
                        last.extend_from_slice(&bytes[..count]);
                    }
                    _ => state.outgoing.push(bytes[..count].to_vec()),
                }
                state.out_bytes += count;
                self.poke(&mut state);
                return Ok(count);
            }
            self.wait(&self.writable, &mut state, |state| state.write_deadline)?;
        }
    }

    fn flush(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        while state.out_bytes > 0 {
            check_writable(&state).or_else(|error| {
                // after a shutdown, of either kind, what was written before still goes out
                let goes_on =
                    matches!(state.write_end, Some(WriteEnd::Finished | WriteEnd::Stopped));
                if goes_on { Ok(()) } else { Err(error) }
            })?;
            self.wait(&self.writable, &mut state, |state| state.write_deadline)?;
        }
        match state.write_end {
            Some(WriteEnd::Failed(failure)) => Err(failure.of_writing()),
            _ => Ok(()),
        }
    }
}

fn check_writable(state: &State) -> io::Result<()> {
    match state.write_end {
        None => Ok(()),
        Some(WriteEnd::Finished) => Err(io::ErrorKind::BrokenPipe.into()),
        Some(WriteEnd::Stopped) => Err(io::Error::from_raw_os_error(libc::ECONNABORTED)),
        Some(WriteEnd::Failed(failure)) => Err(failure.of_writing()),
    }
}

impl TcpStream {
    /// Sets until when reads wait: a read that has waited that long fails with `TimedOut`, and
    /// loses nothing. A call that waits already obeys it too. `None` waits for ever.
    pub fn set_read_deadline(&self, at: Option<Instant>) {
        self.shared().state.lock().read_deadline = at;
        self.shared().readable.notify_all();
    }

    /// Sets until when writes and flushes wait, as [`set_read_deadline`](Self::set_read_deadline)
    /// does.
    pub fn set_write_deadline(&self, at: Option<Instant>) {
        self.shared().state.lock().write_deadline = at;
        self.shared().writable.notify_all();
    }

    /// Sets both deadlines.
    pub fn set_deadline(&self, at: Option<Instant>) {
        self.set_read_deadline(at);
        self.set_write_deadline(at);
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

impl Read for &TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.shared().read(buffer)
    }
}

impl Write for &TcpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.shared().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.shared().flush()
    }
}

impl Read for TcpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.shared().read(buffer)
    }
}

impl Write for TcpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.shared().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.shared().flush()
    }
}
