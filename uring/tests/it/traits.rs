//! What crosses threads, what is copied, and how large things are.

use std::{fmt::Debug, mem::size_of};

use uring::{
    AnyOperation, Cqe, Event, OpCode, OpId, Pool, RawRing, RecvBuf, Refusal, Rejected, Ring,
    RingId, SetupError, SharedBuf, Sqe, Stats, Support, Unavailable, op,
};

use crate::util::Fd;

/// Whether a type has a trait, told by which of two methods of the same name is found.
macro_rules! implements {
    ($type:ty: $trait:path) => {{
        #[allow(dead_code, reason = "used by the types that do not have the trait")]
        trait Otherwise {
            fn answer(&self) -> bool {
                false
            }
        }
        impl<T> Otherwise for &Question<T> {}
        struct Question<T>(std::marker::PhantomData<T>);
        #[allow(dead_code, reason = "used by the types that have the trait")]
        impl<T: $trait> Question<T> {
            fn answer(&self) -> bool {
                true
            }
        }
        (&Question::<$type>(std::marker::PhantomData)).answer()
    }};
}

#[test]
fn what_belongs_to_the_thread_of_a_ring_stays_there() {
    assert!(!implements!(Ring<op::Nop>: Send) && !implements!(Ring<op::Nop>: Sync));
    assert!(!implements!(RawRing: Send) && !implements!(RawRing: Sync));
    assert!(!implements!(Pool: Send) && !implements!(Pool: Sync));
    assert!(!implements!(RecvBuf: Send) && !implements!(RecvBuf: Sync));
    assert!(!implements!(op::RecvMulti<Fd>: Send), "it holds the pool");
    assert!(!implements!(AnyOperation: Send));
}

#[test]
fn what_is_data_goes_everywhere() {
    assert!(implements!(SharedBuf: Send) && implements!(SharedBuf: Sync));
    assert!(implements!(OpId: Send) && implements!(OpId: Sync) && implements!(OpId: Copy));
    assert!(implements!(RingId: Send) && implements!(RingId: Sync) && implements!(RingId: Copy));
    assert!(implements!(Cqe: Send) && implements!(Cqe: Copy));
    assert!(implements!(Stats: Send) && implements!(Support: Send));
    assert!(implements!(SetupError: Send) && implements!(SetupError: Sync));
    assert!(implements!(op::Read<Fd, Vec<u8>>: Send), "to be submitted by another thread");
    assert!(implements!(op::Connect<Fd>: Send) && implements!(op::Close: Send));
    assert!(implements!(Rejected<op::Nop>: std::error::Error));
    assert!(!implements!(SharedBuf: Clone) && !implements!(RecvBuf: Clone), "one owner");
    assert!(!implements!(Sqe: Copy), "an entry is pushed once");
}

#[test]
fn handles_buffers_events_and_reasons_print() {
    fn prints<T: Debug>() {}
    prints::<Ring<op::Nop>>();
    prints::<RawRing>();
    prints::<Pool>();
    prints::<RecvBuf>();
    prints::<SharedBuf>();
    prints::<Event<'_, op::Nop, ()>>();
    prints::<Unavailable>();
    prints::<Refusal>();
    prints::<OpCode>();
}

#[test]
fn sizes_are_those_of_the_header_and_of_the_design() {
    // include/uapi/linux/io_uring.h
    assert_eq!((size_of::<Sqe>(), size_of::<Cqe>()), (64, 16));
    // a token and its ring
    assert_eq!(size_of::<OpId>(), 16);
    assert_eq!((size_of::<op::Nop>(), size_of::<op::Timeout>()), (0, 16));
    // a pointer, and which part of which buffer
    assert!(size_of::<RecvBuf>() <= 24 && size_of::<Option<RecvBuf>>() <= 24);
    // a descriptor, a buffer, an offset
    assert!(size_of::<op::Read<Fd, Vec<u8>>>() <= 48);
}
