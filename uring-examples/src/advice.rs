//! What to do about an error: one place for all programs, so that they advise alike.

use std::{error::Error, io};

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
