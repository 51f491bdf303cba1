//! The flags that a ring is asked for, and the features that it says it has.

use bitflags::Flags;
use uring_sys as sys;

bitflags::bitflags! {
    /// How a ring is set up: the `flags` of `io_uring_setup(2)`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct SetupFlags: u32 {
        /// The device is polled for completions; `O_DIRECT` files only. Since Linux 5.1.
        #[doc(alias = "IORING_SETUP_IOPOLL")]
        const IOPOLL = sys::IORING_SETUP_IOPOLL;
        /// A kernel thread submits. Since Linux 5.1.
        #[doc(alias = "IORING_SETUP_SQPOLL")]
        const SQPOLL = sys::IORING_SETUP_SQPOLL;
        /// The submission thread is bound to one processor. Since Linux 5.1.
        #[doc(alias = "IORING_SETUP_SQ_AFF")]
        const SQ_AFF = sys::IORING_SETUP_SQ_AFF;
        /// The completion queue has a size of its own. Since Linux 5.5.
        #[doc(alias = "IORING_SETUP_CQSIZE")]
        const CQSIZE = sys::IORING_SETUP_CQSIZE;
        /// Sizes that are too large are reduced to the largest. Since Linux 5.6.
        #[doc(alias = "IORING_SETUP_CLAMP")]
        const CLAMP = sys::IORING_SETUP_CLAMP;
        /// Worker threads are shared with another ring. Since Linux 5.6.
        #[doc(alias = "IORING_SETUP_ATTACH_WQ")]
        const ATTACH_WQ = sys::IORING_SETUP_ATTACH_WQ;
        /// The ring starts disabled, to be restricted first. Since Linux 5.10.
        #[doc(alias = "IORING_SETUP_R_DISABLED")]
        const R_DISABLED = sys::IORING_SETUP_R_DISABLED;
        /// An entry that is refused does not stop the batch. Since Linux 5.18.
        #[doc(alias = "IORING_SETUP_SUBMIT_ALL")]
        const SUBMIT_ALL = sys::IORING_SETUP_SUBMIT_ALL;
        /// Completion work does not interrupt the task. Since Linux 5.19.
        #[doc(alias = "IORING_SETUP_COOP_TASKRUN")]
        const COOP_TASKRUN = sys::IORING_SETUP_COOP_TASKRUN;
        /// [`SqFlags::TASKRUN`](crate::SqFlags::TASKRUN) says that completion work waits.
        /// Since Linux 5.19.
        #[doc(alias = "IORING_SETUP_TASKRUN_FLAG")]
        const TASKRUN_FLAG = sys::IORING_SETUP_TASKRUN_FLAG;
        /// Submission entries are 128 bytes. Since Linux 5.19.
        #[doc(alias = "IORING_SETUP_SQE128")]
        const SQE128 = sys::IORING_SETUP_SQE128;
        /// Completion entries are 32 bytes. Since Linux 5.19.
        #[doc(alias = "IORING_SETUP_CQE32")]
        const CQE32 = sys::IORING_SETUP_CQE32;
        /// Promises that one task submits; others get `EEXIST`. Since Linux 6.0.
        #[doc(alias = "IORING_SETUP_SINGLE_ISSUER")]
        const SINGLE_ISSUER = sys::IORING_SETUP_SINGLE_ISSUER;
        /// Completion work runs only when the task asks for completions. Since Linux 6.1.
        #[doc(alias = "IORING_SETUP_DEFER_TASKRUN")]
        const DEFER_TASKRUN = sys::IORING_SETUP_DEFER_TASKRUN;
        /// The rings live in memory that the application brings. Since Linux 6.5.
        #[doc(alias = "IORING_SETUP_NO_MMAP")]
        const NO_MMAP = sys::IORING_SETUP_NO_MMAP;
        /// The ring has no descriptor, only a registered index. Since Linux 6.5.
        #[doc(alias = "IORING_SETUP_REGISTERED_FD_ONLY")]
        const REGISTERED_FD_ONLY = sys::IORING_SETUP_REGISTERED_FD_ONLY;
        /// There is no indirection array between tail and entries. Since Linux 6.6.
        #[doc(alias = "IORING_SETUP_NO_SQARRAY")]
        const NO_SQARRAY = sys::IORING_SETUP_NO_SQARRAY;
        /// Polling sleeps before it spins. Since Linux 6.13.
        #[doc(alias = "IORING_SETUP_HYBRID_IOPOLL")]
        const HYBRID_IOPOLL = sys::IORING_SETUP_HYBRID_IOPOLL;
        /// Completion entries are 16 or 32 bytes, each as it says. Since Linux 6.18.
        #[doc(alias = "IORING_SETUP_CQE_MIXED")]
        const CQE_MIXED = sys::IORING_SETUP_CQE_MIXED;
        /// Submission entries are 64 or 128 bytes, by opcode. Since Linux 6.19.
        #[doc(alias = "IORING_SETUP_SQE_MIXED")]
        const SQE_MIXED = sys::IORING_SETUP_SQE_MIXED;
        /// Each submission starts at the first entry again. Since Linux 7.0.
        #[doc(alias = "IORING_SETUP_SQ_REWIND")]
        const SQ_REWIND = sys::IORING_SETUP_SQ_REWIND;

        const _ = !0; // bits newer than this crate survive
    }

    /// What the kernel says that it does: the `features` of `io_uring_setup(2)`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct Features: u32 {
        /// One mapping holds both queues. Since Linux 5.4.
        #[doc(alias = "IORING_FEAT_SINGLE_MMAP")]
        const SINGLE_MMAP = sys::IORING_FEAT_SINGLE_MMAP;
        /// Completions without room wait in the kernel and are not dropped. Since Linux 5.5.
        #[doc(alias = "IORING_FEAT_NODROP")]
        const NODROP = sys::IORING_FEAT_NODROP;
        /// Operands other than data are read at submission. Since Linux 5.5.
        #[doc(alias = "IORING_FEAT_SUBMIT_STABLE")]
        const SUBMIT_STABLE = sys::IORING_FEAT_SUBMIT_STABLE;
        /// Offset -1 means the file position. Since Linux 5.6.
        #[doc(alias = "IORING_FEAT_RW_CUR_POS")]
        const RW_CUR_POS = sys::IORING_FEAT_RW_CUR_POS;
        /// An entry runs with the credentials of who submits it. Since Linux 5.6.
        #[doc(alias = "IORING_FEAT_CUR_PERSONALITY")]
        const CUR_PERSONALITY = sys::IORING_FEAT_CUR_PERSONALITY;
        /// Waiting for readiness needs no worker thread. Since Linux 5.7.
        #[doc(alias = "IORING_FEAT_FAST_POLL")]
        const FAST_POLL = sys::IORING_FEAT_FAST_POLL;
        /// Poll takes 32 bits of events. Since Linux 5.9.
        #[doc(alias = "IORING_FEAT_POLL_32BITS")]
        const POLL_32BITS = sys::IORING_FEAT_POLL_32BITS;
        /// The submission thread takes plain descriptors. Since Linux 5.11.
        #[doc(alias = "IORING_FEAT_SQPOLL_NONFIXED")]
        const SQPOLL_NONFIXED = sys::IORING_FEAT_SQPOLL_NONFIXED;
        /// An enter takes a timeout. Since Linux 5.11.
        #[doc(alias = "IORING_FEAT_EXT_ARG")]
        const EXT_ARG = sys::IORING_FEAT_EXT_ARG;
        /// Workers are threads of the process. Since Linux 5.12.
        #[doc(alias = "IORING_FEAT_NATIVE_WORKERS")]
        const NATIVE_WORKERS = sys::IORING_FEAT_NATIVE_WORKERS;
        /// Registered resources have tags. Since Linux 5.13.
        #[doc(alias = "IORING_FEAT_RSRC_TAGS")]
        const RSRC_TAGS = sys::IORING_FEAT_RSRC_TAGS;
        /// A successful entry need not post a completion. Since Linux 5.17.
        #[doc(alias = "IORING_FEAT_CQE_SKIP")]
        const CQE_SKIP = sys::IORING_FEAT_CQE_SKIP;
        /// Linked entries look their file up when they start. Since Linux 5.17.
        #[doc(alias = "IORING_FEAT_LINKED_FILE")]
        const LINKED_FILE = sys::IORING_FEAT_LINKED_FILE;
        /// Register calls take a registered ring. Since Linux 6.3.
        #[doc(alias = "IORING_FEAT_REG_REG_RING")]
        const REG_REG_RING = sys::IORING_FEAT_REG_REG_RING;
        /// Sends and receives take several buffers at once. Since Linux 6.10.
        #[doc(alias = "IORING_FEAT_RECVSEND_BUNDLE")]
        const RECVSEND_BUNDLE = sys::IORING_FEAT_RECVSEND_BUNDLE;
        /// A wait takes a shorter timeout for the first completion. Since Linux 6.12.
        #[doc(alias = "IORING_FEAT_MIN_TIMEOUT")]
        const MIN_TIMEOUT = sys::IORING_FEAT_MIN_TIMEOUT;
        /// Reads and writes take attributes. Since Linux 6.14.
        #[doc(alias = "IORING_FEAT_RW_ATTR")]
        const RW_ATTR = sys::IORING_FEAT_RW_ATTR;
        /// Waiting need not count as waiting for I/O. Since Linux 6.15.
        #[doc(alias = "IORING_FEAT_NO_IOWAIT")]
        const NO_IOWAIT = sys::IORING_FEAT_NO_IOWAIT;

        const _ = !0; // bits newer than this crate survive
    }
}

impl SetupFlags {
    /// Whether there are bits without a name here: what they would do to the queues is not known.
    pub(crate) fn has_unknown(self) -> bool {
        let named = Self::FLAGS.iter().filter(|flag| flag.is_named());
        let known = named.fold(0, |bits, flag| bits | flag.value().bits());
        self.bits() & !known != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_newer_than_this_crate_are_unknown() {
        // the header's last flag is SQ_REWIND, bit 20
        assert!(!SetupFlags::from_bits_retain((1 << 21) - 1).has_unknown());
        assert!(SetupFlags::from_bits_retain(1 << 21).has_unknown());
    }
}
