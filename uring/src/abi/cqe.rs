//! The completion queue entry: what the kernel says of an operation.

use std::{fmt, io};

use uring_sys as sys;

use super::cast::unsigned;

bitflags::bitflags! {
    /// What else a completion says: the `flags` of a completion queue entry.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct CqeFlags: u32 {
        /// The upper 16 bits hold a buffer id. Since Linux 5.7.
        #[doc(alias = "IORING_CQE_F_BUFFER")]
        const BUFFER = sys::IORING_CQE_F_BUFFER;
        /// More completions follow for the same operation. Since Linux 5.13.
        #[doc(alias = "IORING_CQE_F_MORE")]
        const MORE = sys::IORING_CQE_F_MORE;
        /// The socket had more data when this was posted. Since Linux 5.19.
        #[doc(alias = "IORING_CQE_F_SOCK_NONEMPTY")]
        const SOCK_NONEMPTY = sys::IORING_CQE_F_SOCK_NONEMPTY;
        /// A zero-copy send no longer needs its buffer. Since Linux 6.0.
        #[doc(alias = "IORING_CQE_F_NOTIF")]
        const NOTIF = sys::IORING_CQE_F_NOTIF;
        /// The provided buffer is only partly used. Since Linux 6.12.
        #[doc(alias = "IORING_CQE_F_BUF_MORE")]
        const BUF_MORE = sys::IORING_CQE_F_BUF_MORE;
        /// A filler that carries nothing. Since Linux 6.18.
        #[doc(alias = "IORING_CQE_F_SKIP")]
        const SKIP = sys::IORING_CQE_F_SKIP;
        /// The entry is 32 bytes wide. Since Linux 6.18.
        #[doc(alias = "IORING_CQE_F_32")]
        const WIDE = sys::IORING_CQE_F_32;

        const _ = !0; // bits newer than this crate, and the buffer id, survive
    }
}

/// A completion queue entry: one result of one operation.
///
/// - **Since:** Linux 5.1.
/// - **Manual:** [`io_uring(7)`](https://man7.org/linux/man-pages/man7/io_uring.7.html).
///
/// ```
/// use uring::{RawRing, Sqe};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring = RawRing::builder().entries(8).build()?;
/// ring.push(Sqe::cancel(42).with_user_data(7))?; // nothing has that number
/// ring.submit_and_wait(1)?;
/// let cqe = ring.pop().expect("one was waited for");
/// assert_eq!((cqe.user_data(), cqe.has_more()), (7, false));
/// assert_eq!(cqe.raw_result(), -2); // ENOENT, as the kernel says it
/// assert_eq!(cqe.result().unwrap_err().kind(), std::io::ErrorKind::NotFound);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Cqe(sys::io_uring_cqe);

impl Cqe {
    /// Wraps an entry of the kernel's layout.
    #[must_use]
    pub const fn new(raw: sys::io_uring_cqe) -> Self {
        Self(raw)
    }

    /// The number that the entry was submitted with.
    #[doc(alias = "io_uring_cqe_get_data64")]
    #[doc(alias = "io_uring_cqe_get_data")]
    #[must_use]
    pub const fn user_data(&self) -> u64 {
        self.0.user_data
    }

    /// The result: what the system call of the same name returns.
    ///
    /// Of a [notification](Self::is_notification) this is always `Ok`, because there the kernel
    /// keeps flag bits in the same place.
    ///
    /// # Errors
    ///
    /// The operation's own `errno`. What a worker was doing when it was interrupted can end with a
    /// number of the kernel's own, such as `ERESTARTSYS` (512), which no header for programs has:
    /// those that mean "interrupted" are `EINTR` here, and themselves in
    /// [`raw_result`](Self::raw_result).
    pub fn result(&self) -> io::Result<u32> {
        if self.is_notification() {
            return Ok(unsigned(self.0.res));
        }
        u32::try_from(self.0.res).map_err(|_| error(self.0.res))
    }

    /// The result as the kernel wrote it: negative values are errors, the kernel's own included.
    #[must_use]
    pub const fn raw_result(&self) -> i32 {
        self.0.res
    }

    /// The flags, the buffer id in the upper half included.
    #[must_use]
    pub const fn flags(&self) -> CqeFlags {
        CqeFlags::from_bits_retain(self.0.flags)
    }

    /// Whether more completions follow; the one without it releases the operation's memory.
    #[must_use]
    pub const fn has_more(&self) -> bool {
        self.0.flags & sys::IORING_CQE_F_MORE != 0
    }

    /// Whether this is the second completion of a zero-copy send.
    #[must_use]
    pub const fn is_notification(&self) -> bool {
        self.0.flags & sys::IORING_CQE_F_NOTIF != 0
    }

    /// The id of the provided buffer that the kernel picked, if it picked one.
    #[must_use]
    pub const fn buffer_id(&self) -> Option<u16> {
        if self.0.flags & sys::IORING_CQE_F_BUFFER == 0 {
            return None;
        }
        let [_, _, low, high] = self.0.flags.to_le_bytes();
        Some(u16::from_le_bytes([low, high]))
    }
}

/// The error that a negative result stands for.
fn error(res: i32) -> io::Error {
    // wrapping_neg: `-i32::MIN` overflows, and no errno is that large
    let errno = match res.wrapping_neg() {
        // include/linux/errno.h: ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND and
        // ERESTART_RESTARTBLOCK. On the way out of a system call the kernel calls again or makes
        // EINTR of them; in a worker nothing does. (515 is no ioctl, and stays.)
        512 | 513 | 514 | 516 => libc::EINTR,
        errno => errno,
    };
    io::Error::from_raw_os_error(errno)
}

impl fmt::Debug for Cqe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cqe")
            .field("user_data", &format_args!("{:#x}", self.0.user_data))
            .field("res", &self.0.res)
            .field("flags", &self.flags())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cqe(res: i32, flags: u32) -> Cqe {
        Cqe::new(sys::io_uring_cqe { user_data: 7, res, flags })
    }

    #[test]
    fn negative_res_becomes_a_positive_errno() {
        // EINVAL is 22 in errno(3)
        assert_eq!(cqe(-22, 0).result().unwrap_err().raw_os_error(), Some(22));
        assert_eq!(cqe(5, 0).result().unwrap(), 5);
    }

    #[test]
    fn what_the_kernel_would_have_restarted_was_interrupted() {
        // include/linux/errno.h: ERESTARTSYS 512, ERESTARTNOINTR 513, ERESTARTNOHAND 514,
        // ENOIOCTLCMD 515, ERESTART_RESTARTBLOCK 516, and EBADHANDLE 521 follows; EINTR is 4
        for (kernel, errno) in [(512, 4), (513, 4), (514, 4), (515, 515), (516, 4), (521, 521)] {
            let cqe = cqe(-kernel, 0);
            assert_eq!(cqe.result().unwrap_err().raw_os_error(), Some(errno), "{kernel}");
            assert_eq!(cqe.raw_result(), -kernel);
        }
        assert_eq!(cqe(512, 0).result().unwrap(), 512);
    }

    #[test]
    fn a_notification_with_bit_31_alone_is_not_an_error() {
        // IORING_CQE_F_NOTIF is 8, IORING_NOTIF_USAGE_ZC_COPIED is bit 31 in the header
        assert_eq!(cqe(i32::MIN, 8).result().unwrap(), 0x8000_0000);
        // and the same bits without the flag neither overflow nor succeed
        assert!(cqe(i32::MIN, 0).result().is_err());
    }

    #[test]
    fn the_buffer_id_is_the_upper_half_of_the_flags() {
        assert_eq!(cqe(0, 0xabcd_0001).buffer_id(), Some(0xabcd));
        assert_eq!(cqe(0, 0xabcd_0002).buffer_id(), None);
    }
}
