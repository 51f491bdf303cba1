//! The settings of a ring, and the error that names them.

use std::{fmt, io, marker::PhantomData, os::fd::BorrowedFd, time::Duration};

use super::{
    flags::{Features, SetupFlags},
    ladder::{self, Settings},
};
use crate::{
    operation::Operation,
    raw::ring::RawRing,
    ring::{owned::Ring, table::TooMany},
    support::unavailable::{self, Unavailable},
};

/// The largest submission queue that the kernel takes.
const ENTRIES_MAX: u32 = 32_768;
/// The largest completion queue that the kernel takes.
const COMPLETIONS_MAX: u32 = 2 * ENTRIES_MAX;
/// The size of the completion queue, unless there are more entries.
const COMPLETIONS: u32 = 4096;

/// Makes a [`Ring`] or a [`RawRing`].
///
/// The defaults are small, because rings count against `RLIMIT_MEMLOCK` on recent kernels: 256
/// submission and 4096 completion entries, 80 KiB. The flags are the best that the kernel grants;
/// [`RawRing::setup_flags`] tells which they are.
///
/// ```
/// use uring::{Ring, op::Timeout};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let settings = Ring::<Timeout>::builder().entries(64).completions(1024).operations(512);
/// let ring = settings.build()?;
/// assert_eq!(ring.capacity(), 512);
/// println!("the kernel granted {:?}", ring.setup_flags());
/// # Ok(()) }
/// ```
#[must_use = "settings do nothing until `build` is called"]
#[derive(Clone, Copy, Debug)]
pub struct Builder<'a, R> {
    settings: Settings<'a>,
    operations: Option<u32>,
    /// The completion queue was given a size; otherwise it is as large as the entries need it.
    sized: bool,
    makes: PhantomData<fn() -> R>,
}

impl<'a, R> Builder<'a, R> {
    pub(crate) const fn new() -> Self {
        Self {
            settings: Settings {
                entries: 256,
                completions: COMPLETIONS,
                exact: None,
                extra: SetupFlags::empty(),
                single_issuer: true,
                sq_thread_idle: None,
                sq_thread_cpu: None,
                attach: None,
                clamp: false,
            },
            operations: None,
            sized: false,
            makes: PhantomData,
        }
    }

    /// How many entries one submission holds: 1 to 32768, rounded up to a power of two.
    pub const fn entries(mut self, entries: u32) -> Self {
        self.settings.entries = entries;
        if !self.sized {
            self.settings.completions = if entries > COMPLETIONS { entries } else { COMPLETIONS };
        }
        self
    }

    /// How many completions are kept until they are read: up to 65536, rounded up to a power of
    /// two; 4096, or as many as there are entries, unless this is called. Fewer than entries are
    /// refused.
    ///
    /// A large one is worth its memory: multishot operations end when it overflows.
    #[doc(alias = "IORING_SETUP_CQSIZE")]
    pub const fn completions(mut self, completions: u32) -> Self {
        self.settings.completions = completions;
        self.sized = true;
        self
    }

    /// Reduces sizes that are too large, instead of failing. Since Linux 5.6.
    #[doc(alias = "IORING_SETUP_CLAMP")]
    pub const fn clamp(mut self) -> Self {
        self.settings.clamp = true;
        self
    }

    /// Asks for exactly these flags (and a completion queue size), without a ladder.
    ///
    /// Flags that change the layout of the queues are refused: see [`build`](Self::build).
    pub const fn flags(mut self, flags: SetupFlags) -> Self {
        self.settings.exact = Some(flags);
        self
    }

    /// Lets a kernel thread submit; it sleeps after `idle` without work (1 ms at least).
    ///
    /// The thread burns a processor while it is awake: worth it only with processors to spare. It
    /// keeps the credentials of the moment of creation: drop privileges first.
    #[doc(alias = "IORING_SETUP_SQPOLL")]
    #[doc(alias = "sq_thread_idle")]
    pub const fn submission_thread(mut self, idle: Duration) -> Self {
        self.settings.sq_thread_idle = Some(idle);
        self
    }

    /// Binds the submission thread to this processor.
    #[doc(alias = "IORING_SETUP_SQ_AFF")]
    #[doc(alias = "sq_thread_cpu")]
    pub const fn submission_cpu(mut self, cpu: u32) -> Self {
        self.settings.sq_thread_cpu = Some(cpu);
        self
    }

    /// Polls the device for completions: for `O_DIRECT` reads and writes on polled queues only.
    ///
    /// A wait on such a ring keeps the processor busy until the device has answered: that is what
    /// is asked for. With nothing in flight it does so until its time is up.
    #[doc(alias = "IORING_SETUP_IOPOLL")]
    pub const fn polled(mut self) -> Self {
        self.settings.extra = self.settings.extra.union(SetupFlags::IOPOLL);
        self
    }

    /// Shares the worker threads, and the submission thread if both have one, of another ring.
    #[doc(alias = "IORING_SETUP_ATTACH_WQ")]
    pub const fn share_workers_of(mut self, ring: BorrowedFd<'a>) -> Self {
        self.settings.attach = Some(ring);
        self
    }

    fn create(&self) -> Result<RawRing, SetupError> {
        let fail = |flags, reason| SetupError {
            entries: self.settings.entries,
            completions: self.settings.completions,
            flags,
            reason,
        };
        let asked = self.settings.exact.unwrap_or_default();
        if let Err(why) = self.check() {
            return Err(fail(asked, Unavailable::BadSettings(why)));
        }
        if let Some(disabled) = unavailable::disabled_by_environment() {
            return Err(fail(asked, disabled));
        }
        match ladder::create(&self.settings) {
            Ok((fd, params)) => {
                let features = Features::from_bits_retain(params.features);
                let flags = SetupFlags::from_bits_retain(params.flags);
                if let Some(missing) = unavailable::missing_features(features) {
                    return Err(fail(flags, Unavailable::TooOld { missing }));
                }
                RawRing::map(fd, &params).map_err(|e| fail(flags, Unavailable::Other(e)))
            }
            Err((errno, flags)) => {
                let bytes = ring_bytes(self.settings.entries, self.settings.completions, flags);
                Err(fail(flags, unavailable::diagnose(errno, flags, bytes)))
            }
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        let Settings { entries, completions, exact, clamp, .. } = self.settings;
        if entries == 0 {
            return Err("entries is 0; a ring has at least 1");
        }
        if entries > ENTRIES_MAX && !clamp {
            return Err("entries is over 32768, the kernel's limit; ask for fewer, or for `clamp`");
        }
        if completions > COMPLETIONS_MAX && !clamp {
            return Err("completions is over 65536, the kernel's limit; ask for fewer or `clamp`");
        }
        // both as the kernel reduces them, if it is to
        if completions.min(COMPLETIONS_MAX) < entries.min(ENTRIES_MAX) {
            return Err("there are fewer completions than entries; ask for at least as many");
        }
        let layouts = SetupFlags::SQE128
            | SetupFlags::CQE32
            | SetupFlags::SQE_MIXED
            | SetupFlags::CQE_MIXED
            | SetupFlags::NO_MMAP
            | SetupFlags::REGISTERED_FD_ONLY
            | SetupFlags::SQ_REWIND;
        let exact = exact.unwrap_or_default();
        if exact.intersects(layouts.union(SetupFlags::R_DISABLED)) || exact.has_unknown() {
            return Err("the flags ask for a kind of ring that this crate does not have yet");
        }
        Ok(())
    }
}

impl RawRing {
    /// Settings for a new ring.
    pub const fn builder<'a>() -> Builder<'a, Self> {
        Builder::new()
    }
}

impl<O: Operation + 'static, C: 'static> Ring<O, C> {
    /// Settings for a new ring.
    pub const fn builder<'a>() -> Builder<'a, Self> {
        Builder::new()
    }
}

impl Builder<'_, RawRing> {
    /// Makes the ring on this thread, which must be the one that uses it.
    ///
    /// # Errors
    ///
    /// [`SetupError`] names what was asked for, why it was refused, and what to do.
    pub fn build(self) -> Result<RawRing, SetupError> {
        self.create()
    }
}

impl<O: Operation + 'static, C: 'static> Builder<'_, Ring<O, C>> {
    /// How many operations may be in flight: the back-pressure of [`Ring::submit`]. Those of a
    /// scope, and the one of [`Ring::run`], have places of their own.
    ///
    /// The default is the size of the completion queue, which the ring's one-shot operations cannot
    /// overflow then; with those of a scope, and requests to cancel, they can, and the kernel keeps
    /// what has no room.
    pub const fn operations(mut self, operations: u32) -> Self {
        self.operations = Some(operations);
        self
    }

    /// Makes the ring on this thread, which must be the one that uses it.
    ///
    /// # Errors
    ///
    /// [`SetupError`] names what was asked for, why it was refused, and what to do.
    pub fn build(self) -> Result<Ring<O, C>, SetupError> {
        let raw = self.create()?;
        let flags = raw.setup_flags();
        let operations = self.operations.unwrap_or(raw.granted().completions);
        Ring::new(raw, operations).map_err(|TooMany(operations)| SetupError {
            entries: self.settings.entries,
            completions: self.settings.completions,
            flags,
            reason: Unavailable::TooManyOperations { operations },
        })
    }
}

/// What the two queues of a ring take, each in pages: 64 bytes an entry; 16 a completion and the
/// counters, and 4 an entry for the array of indices unless there is none.
fn ring_bytes(entries: u32, completions: u32, flags: SetupFlags) -> u64 {
    const PAGE: u64 = 4096;
    const COUNTERS: u64 = 320;
    // sizes that are to be clamped can be any number
    let entries = u64::from(entries.min(ENTRIES_MAX)).next_power_of_two();
    let completions = u64::from(completions.min(COMPLETIONS_MAX)).next_power_of_two();
    let array = if flags.contains(SetupFlags::NO_SQARRAY) { 0 } else { entries * 4 };
    let pages = |bytes: u64| bytes.next_multiple_of(PAGE);
    pages(entries * 64) + pages(completions * 16 + array + COUNTERS)
}

/// A ring that could not be made: what was asked for, and why not.
#[derive(Debug)]
#[non_exhaustive]
pub struct SetupError {
    /// The submission entries that were asked for.
    pub entries: u32,
    /// The completion entries that were asked for.
    pub completions: u32,
    /// The flags that were refused: the last step of the ladder. Those of the ring, if it was made
    /// and the reason is another.
    pub flags: SetupFlags,
    /// Why, and what to do.
    pub reason: Unavailable,
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entries, completions, flags, reason } = self;
        let (before, after) = if reason.has_ring() {
            ("a", " was made, but cannot be used")
        } else {
            ("cannot create a", "")
        };
        write!(
            f,
            "{before} ring of {entries} entries and {completions} completions with {flags:?}\
             {after}: {reason}"
        )
    }
}

impl std::error::Error for SetupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.reason)
    }
}

impl From<SetupError> for io::Error {
    fn from(error: SetupError) -> Self {
        Self::new(error.reason.kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_takes_what_the_kernel_counts() {
        // measured on Linux 6.18: with this limit of locked memory a ring can be made, with one
        // byte less it cannot
        let (old, new) = (SetupFlags::empty(), SetupFlags::NO_SQARRAY);
        assert_eq!(ring_bytes(2, 4, new), 8192);
        assert_eq!(ring_bytes(256, 4096, new), 86_016);
        assert_eq!(ring_bytes(256, 4096, old), 86_016);
        assert_eq!(ring_bytes(4096, 8192, new), 397_312);
        assert_eq!(ring_bytes(4096, 8192, old), 413_696);
    }

    #[test]
    fn impossible_sizes_are_refused_by_name_before_the_kernel_sees_them() {
        for (entries, completions, word) in [
            (0, 8, "at least 1"),
            (65_536, 65_536, "32768"),
            (8, 1 << 20, "65536"),
            (8, 4, "fewer"),
            (u32::MAX, 4, "32768"),
        ] {
            let error = RawRing::builder()
                .entries(entries)
                .completions(completions)
                .build()
                .expect_err("the sizes are impossible");
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn sizes_that_are_to_be_clamped_may_be_any_number() {
        if crate::check().is_err() {
            return; // the reasons are told elsewhere
        }
        let large = RawRing::builder().entries(u32::MAX).clamp().build();
        // include/uapi/linux/io_uring.h has no number for it; the kernel's is 32768
        assert_eq!(large.expect("clamped").entries(), 32_768);
        let ring = RawRing::builder().entries(8192).build().expect("the completions follow");
        assert_eq!((ring.entries(), ring.completions_max()), (8192, 8192));
    }
}
