//! What the standard library does not tell about open files.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, IntoRawFd},
};

/// Whether all that is written goes to the end, wherever the file's position is.
///
/// # Errors
///
/// Those of `fcntl(2)`.
pub fn appends(file: &File) -> io::Result<bool> {
    // SAFETY: the call takes no pointer.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) } {
        -1 => Err(io::Error::last_os_error()),
        flags => Ok(flags & libc::O_APPEND != 0),
    }
}

/// Whether a file is the terminal that this program was started from, and another program has it.
#[must_use]
pub fn in_background(file: &File) -> bool {
    // SAFETY: the call takes no pointer. It fails for everything but that terminal.
    let foreground = unsafe { libc::tcgetpgrp(file.as_raw_fd()) };
    // SAFETY: the call takes no pointer, and cannot fail.
    foreground > 0 && foreground != unsafe { libc::getpgrp() }
}

/// Closes a file and says how that went, which its drop does not: some file systems write late.
///
/// # Errors
///
/// Those of `close(2)`. The file is closed all the same.
pub fn close(file: File) -> io::Result<()> {
    // SAFETY: the descriptor is ours alone, and nobody uses it after this.
    match unsafe { libc::close(file.into_raw_fd()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
