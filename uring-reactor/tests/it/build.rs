//! Loops that cannot be made say why, and leave nothing behind.

use std::io;

use testing::{descriptors, limit};
use uring_reactor::{BuildError, EventLoop, Reactor, uring::Unavailable};

use crate::util::assert_no_thread_named;

#[test]
fn a_reactor_without_loops_is_refused_by_name() {
    let error = Reactor::builder().loops(0).build().unwrap_err();
    assert!(matches!(error, BuildError::BadSettings(_)), "{error:?}");
    assert!(error.to_string().contains("0 were asked for"), "{error}");
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn impossible_sizes_are_refused_by_name() {
    need_loops!();
    for (reactor, word) in [
        (Reactor::builder().operations(0), "at least one operation"),
        (Reactor::builder().entries(0), "at least 1"),
        (Reactor::builder().completions(1), "fewer completions"),
        (Reactor::builder().buffers(3, 4096), "power of two"),
        (Reactor::builder().buffers(8, 0), "buffer"),
        (Reactor::builder().operations(u32::MAX), "4294967295 operations"),
        (Reactor::builder().entries(u32::MAX), "4294967295 entries"),
        (Reactor::builder().completions(u32::MAX), "4294967295 completions"),
        (Reactor::builder().buffers(32_768, u32::MAX), "32768 buffers of 4294967295 bytes"),
        (Reactor::builder().loops(usize::MAX), "18446744073709551615 were asked for"),
        (Reactor::builder().loops(8193), "8193 were asked for"),
    ] {
        let error = reactor.name("refused").build().unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert_no_thread_named("refused");
    }
}

#[test]
fn a_name_that_no_thread_can_have_is_refused_by_name() {
    let error = Reactor::builder().name("a\0b").build().unwrap_err();
    assert!(error.to_string().contains(r#""a\0b""#), "{error}");
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_disabled_io_uring_is_not_tried() {
    isolated!("URING_DISABLE" = "1");
    let disabled = |error: BuildError| match error {
        BuildError::Ring(error) => matches!(error.reason, Unavailable::Disabled),
        _ => false,
    };
    let error = uring_reactor::check().map(drop).unwrap_err();
    assert!(error.to_string().contains("URING_DISABLE"), "{error}");
    assert!(disabled(EventLoop::builder().build().map(drop).unwrap_err()));
    let error = Reactor::builder().loops(2).name("disabled").build().unwrap_err();
    assert!(disabled(error));
    assert_no_thread_named("disabled");
    let error = io::Error::from(EventLoop::builder().build().unwrap_err());
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
}

#[test]
fn without_descriptors_it_fails_by_name_and_leaves_no_thread_and_no_descriptor() {
    need_loops!();
    isolated!();
    let start = descriptors();
    let mut built = 0;
    for more in 0..12 {
        let all = limit(libc::RLIMIT_NOFILE, (start + more) as u64);
        let made = Reactor::builder().loops(2).share_workers().name("starved").build();
        limit(libc::RLIMIT_NOFILE, all);
        match made {
            Ok(_reactor) => built += 1,
            Err(error) => {
                let known = match &error {
                    BuildError::Ring(error) => matches!(error.reason, Unavailable::NoDescriptor),
                    BuildError::System(error) => error.raw_os_error() == Some(24), // EMFILE
                    _ => false,
                };
                assert!(known, "with {more} descriptors: {error:?}");
                assert_eq!(built, 0, "fewer were enough");
            }
        }
        assert_no_thread_named("starved");
        assert_eq!(descriptors(), start, "with {more} descriptors");
    }
    assert!(built > 0, "12 descriptors are enough for two loops");
}

#[test]
fn a_kernel_that_is_too_old_says_what_is_needed_and_a_system_error_has_its_cause() {
    let too_old = BuildError::TooOld {
        missing: uring_reactor::uring::SetupFlags::DEFER_TASKRUN,
        release: "5.15.0".into(),
    };
    let text = too_old.to_string();
    for word in ["5.15.0", "DEFER_TASKRUN", "6.1"] {
        assert!(text.contains(word), "{text}");
    }
    let system = BuildError::System(io::Error::from_raw_os_error(24));
    assert!(std::error::Error::source(&system).is_some(), "the cause is the source");
}
