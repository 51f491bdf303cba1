//! What to do about an error: one place for all programs, so that they advise alike.

use std::{error::Error, io};

use uring::{Call, Refusal, Unavailable};

/// Who refused a ring's system call, if the error comes from that: a filter may refuse
/// `io_uring_enter` alone, and then there is a ring, and it does not work.
///
/// The errno says nothing by itself, a file may be forbidden too. So it asks whether the call is
/// refused whatever it is for. On the thread that got the error: filters are a thread's own.
#[must_use]
pub fn refusal(error: &(dyn Error + 'static)) -> Option<Refusal> {
    match Unavailable::of_call(Call::Enter, errno(error)?) {
        Unavailable::Refused(refusal) => Some(refusal),
        _ => None,
    }
}

/// What to do about an error of a socket, of the ring, or of a limit, if there is something.
///
/// The number may be at any depth: libraries put their own words around an error.
#[must_use]
pub fn advice(error: &(dyn Error + 'static)) -> Option<&'static str> {
    Some(match errno(error)? {
        libc::EADDRINUSE => "stop the program that has the port, or choose another with --listen",
        libc::EADDRNOTAVAIL => {
            "this machine does not have the address; use 127.0.0.1, or 0.0.0.0 for all it has"
        }
        libc::EACCES => "it needs privileges, as ports below 1024 do; choose one above",
        libc::EAFNOSUPPORT => "this machine has no such network; use an address such as 127.0.0.1",
        libc::ECONNREFUSED => {
            "nobody listens there; start a server, such as `echo_ring`, with --listen"
        }
        libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ETIMEDOUT => {
            "the address cannot be reached from here; is it the right one?"
        }
        libc::EMFILE => "raise the limit of open files, `ulimit -n`",
        libc::ENFILE => "the whole machine has no descriptor left; raise sysctl fs.file-max",
        libc::ENOBUFS | libc::ENOMEM => "the kernel has no memory left for it",
        // The programs tell of it only where they have not cancelled.
        libc::ECANCELED => {
            "nobody cancelled it: the kernel could start no worker thread for it; raise \
             `ulimit -u`, or the pids.max of the container"
        }
        _ => return None,
    })
}

/// The error in words, with its advice.
#[must_use]
pub fn explained(error: &io::Error) -> String {
    if let Some(refusal) = refusal(error) {
        return refusal.to_string();
    }
    match advice(error) {
        Some(advice) => format!("{error}; {advice}"),
        None => error.to_string(),
    }
}

/// The number of the error, or of the one that caused it.
fn errno(error: &(dyn Error + 'static)) -> Option<i32> {
    let number = error.downcast_ref().and_then(io::Error::raw_os_error);
    number.or_else(|| errno(error.source()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forbidden_is_no_refusal_of_the_ring() {
        // errno(3): EPERM 1, EACCES 13, ENOSYS 38, EOPNOTSUPP 95
        for errno in [1, 13, 38, 95] {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!(refusal(&error), None);
            assert!(explained(&error).starts_with(&error.to_string()));
        }
    }

    #[test]
    fn the_number_is_found_below_the_words_of_others() {
        #[derive(Debug)]
        struct Words(io::Error);
        impl std::fmt::Display for Words {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("cannot do it")
            }
        }
        impl Error for Words {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        // 24 is EMFILE in errno(3)
        let outer = io::Error::other(Words(io::Error::from_raw_os_error(24)));
        assert!(advice(&outer).unwrap().contains("ulimit -n"));
        assert_eq!(advice(&io::Error::other("odd")), None);
        let told = explained(&io::Error::from_raw_os_error(125)); // ECANCELED
        assert!(told.contains("ulimit -u") && told.contains("pids.max"), "{told}");
    }
}
