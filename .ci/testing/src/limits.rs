//! Descriptors, and how many there are.

use std::{
    fs, io, mem,
    os::fd::{FromRawFd, OwnedFd},
};

/// The ends of a pipe, to read from and to write to.
///
/// # Panics
///
/// If there can be none.
#[track_caller]
#[must_use]
pub fn pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [-1; 2];
    // SAFETY: the call writes two descriptors, and that is what it gets.
    let answer = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    assert_eq!(answer, 0, "pipe2: {}", io::Error::last_os_error());
    // SAFETY: the call has made the descriptor, and nobody else knows it.
    let own = |fd| unsafe { OwnedFd::from_raw_fd(fd) };
    (own(ends[0]), own(ends[1]))
}

/// How many descriptors this process has. Meaningful in an isolated test only.
///
/// # Panics
///
/// If they cannot be listed.
#[track_caller]
#[must_use]
pub fn descriptors() -> usize {
    // one of them reads the directory
    fs::read_dir("/proc/self/fd").expect("procfs").count() - 1
}

/// Sets a soft limit of this process, `libc::RLIMIT_NOFILE` for example, up to the hard one, and
/// tells what it was. Only in an isolated test.
///
/// # Panics
///
/// If there is no such limit.
#[track_caller]
pub fn limit(resource: libc::__rlimit_resource_t, value: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes one `rlimit`.
    let answer = unsafe { libc::getrlimit(resource, &raw mut limit) };
    assert_eq!(answer, 0, "getrlimit: {}", io::Error::last_os_error());
    let before = mem::replace(&mut limit.rlim_cur, value.min(limit.rlim_max));
    // SAFETY: the call reads one `rlimit`.
    let answer = unsafe { libc::setrlimit(resource, &raw const limit) };
    assert_eq!(answer, 0, "setrlimit to {value}: {}", io::Error::last_os_error());
    before
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{Read as _, Write as _},
    };

    use super::*;
    use crate::isolated;

    #[test]
    fn a_pipe_is_two_descriptors_that_are_closed_in_the_end() {
        isolated!();
        let before = descriptors();
        let (reader, writer) = pipe();
        assert_eq!(descriptors(), before + 2);
        File::from(writer).write_all(b"bytes").expect("room");
        let mut bytes = Vec::new();
        File::from(reader).read_to_end(&mut bytes).expect("the end");
        assert_eq!(bytes, b"bytes");
        assert_eq!(descriptors(), before);
    }

    #[test]
    fn a_limit_of_descriptors_is_kept_and_given_back() {
        isolated!();
        let before = limit(libc::RLIMIT_NOFILE, 0);
        let none = File::open("/dev/null").expect_err("a descriptor beyond the limit");
        assert_eq!(none.raw_os_error(), Some(24)); // EMFILE in errno(3)
        assert_eq!(limit(libc::RLIMIT_NOFILE, before), 0);
        File::open("/dev/null").expect("there is room again");
    }
}
