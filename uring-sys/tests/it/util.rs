//! Skipping, loudly.

/// Says why a test cannot run here. With `URING_TEST_STRICT=1` that is a failure.
pub(crate) fn skip(reason: &str) {
    assert!(
        std::env::var_os("URING_TEST_STRICT").is_none_or(|value| value != "1"),
        "skipped although URING_TEST_STRICT=1: {reason}"
    );
    println!("SKIPPED: {reason}");
}
