//! What the process may use, and what it has used.

use std::{io, time::Duration};

/// The limit that `get` writes. The type of the limits' numbers differs between C libraries.
fn limit(get: impl FnOnce(&mut libc::rlimit) -> libc::c_int) -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    match get(&mut limit) {
        0 => Ok(limit),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Raises the limit of open descriptors as far as it goes without privileges, and says how far.
///
/// # Errors
///
/// Those of `getrlimit(2)` and `setrlimit(2)`.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    // SAFETY: the call writes one `rlimit`, and that is what it gets.
    let mut files = limit(|files| unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, files) })?;
    if files.rlim_cur < files.rlim_max {
        files.rlim_cur = files.rlim_max;
        // SAFETY: the call reads one `rlimit`, and that is what it gets.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const files) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(files.rlim_cur)
}

/// How many bytes of memory the process may lock; `None` if there is no limit.
///
/// # Errors
///
/// Those of `getrlimit(2)`.
pub fn locked_memory_limit() -> io::Result<Option<u64>> {
    // SAFETY: the call writes one `rlimit`, and that is what it gets.
    let memory = limit(|memory| unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, memory) })?;
    Ok((memory.rlim_cur != libc::RLIM_INFINITY).then_some(memory.rlim_cur))
}

/// Does something while the process may lock no more than so many bytes.
///
/// # Errors
///
/// Those of `getrlimit(2)` and `setrlimit(2)`.
pub fn with_locked_memory_limit<T>(bytes: u64, work: impl FnOnce() -> T) -> io::Result<T> {
    /// Gives the limit back, also if `work` panics.
    struct Before(libc::rlimit);
    impl Drop for Before {
        fn drop(&mut self) {
            // SAFETY: the call reads one `rlimit`, and that is what it gets.
            let answer = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const self.0) };
            debug_assert_eq!(answer, 0, "it was the limit before");
        }
    }
    // SAFETY: the call writes one `rlimit`, and that is what it gets.
    let before = limit(|memory| unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, memory) })?;
    let lower = libc::rlimit { rlim_cur: bytes.min(before.rlim_max), ..before };
    // SAFETY: the call reads one `rlimit`, and that is what it gets.
    if unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const lower) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let _before = Before(before);
    Ok(work())
}

/// How large files may be made; `None` if there is no limit.
pub(crate) fn file_size_limit() -> io::Result<Option<u64>> {
    // SAFETY: the call writes one `rlimit`, and that is what it gets.
    let size = limit(|size| unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, size) })?;
    Ok((size.rlim_cur != libc::RLIM_INFINITY).then_some(size.rlim_cur))
}

/// How much processor time the process has used, its own and the kernel's for it.
#[must_use]
pub fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one `timespec`, and that is what it gets.
    if unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) } != 0 {
        return 0.0;
    }
    let seconds = Duration::from_secs(time.tv_sec.unsigned_abs());
    (seconds + Duration::from_nanos(time.tv_nsec.unsigned_abs())).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_those_that_proc_says() {
        raise_descriptor_limit().unwrap();
        let text = std::fs::read_to_string("/proc/self/limits").unwrap();
        let line = text.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let mut columns = line["Max open files".len()..].split_whitespace();
        assert_eq!(columns.next(), columns.next(), "soft and hard: {line}");
        let line = text.lines().find(|line| line.starts_with("Max locked memory")).unwrap();
        let soft = line["Max locked memory".len()..].split_whitespace().next().unwrap();
        let told = locked_memory_limit().unwrap();
        assert_eq!(told.map_or("unlimited".to_owned(), |bytes| bytes.to_string()), soft);
    }
}
