//! Skipping, loudly.

use std::{env, fs::File, io::Write as _};

use crate::test::Test;

/// Says why a test cannot run here, for people and for the file that `URING_TEST_SKIPS` names.
///
/// # Panics
///
/// Under `URING_TEST_STRICT=1`, which makes it a failure; and if the file cannot be written.
#[track_caller]
pub fn skip(test: Test, reason: &str) {
    eprintln!("SKIP {test}: {reason}");
    if let Some(path) = env::var_os("URING_TEST_SKIPS") {
        let mut file = File::options().append(true).create(true).open(path).expect("the list");
        // in one write: other tests append to it too
        let line = format!("{test}: {reason}\n");
        file.write_all(line.as_bytes()).expect("the list can be written");
    }
    let strict = env::var_os("URING_TEST_STRICT").is_some_and(|value| value == "1");
    assert!(!strict, "skipped although URING_TEST_STRICT=1: {reason}");
}

/// Ends the test, because it cannot run here: `skip!("no {thing} here")`.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)+) => {{
        $crate::skip($crate::this_test!(), &format!($($reason)+));
        return;
    }};
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        panic::catch_unwind,
        path::PathBuf,
        sync::atomic::{AtomicU32, Ordering},
    };

    use super::*;
    use crate::{isolated, this_test};

    /// A name for a list, for as long as the test runs.
    struct List(PathBuf);

    impl List {
        fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            Self(env::temp_dir().join(format!("skips-{}-{number}", std::process::id())))
        }

        fn lines(&self) -> Vec<String> {
            let text = fs::read_to_string(&self.0).expect("the child has written it");
            text.lines().map(str::to_owned).collect()
        }
    }

    impl Drop for List {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0); // the child may not have made it
        }
    }

    #[test]
    fn a_skip_ends_the_test_and_is_in_the_list() {
        let (test, list) = (this_test!(), List::new());
        let variables =
            [("URING_TEST_SKIPS", list.0.to_str().expect("UTF-8")), ("URING_TEST_STRICT", "0")];
        if !isolated(test, &variables) {
            skip!("first");
        }
        assert!(isolated(test, &variables), "this is the parent");
        let line = format!("{test}: first");
        assert_eq!(list.lines(), [line.clone(), line], "each adds a line");
    }

    #[test]
    fn a_skip_is_a_failure_when_the_tests_are_strict_and_is_in_the_list_too() {
        let (test, list) = (this_test!(), List::new());
        let variables =
            [("URING_TEST_SKIPS", list.0.to_str().expect("UTF-8")), ("URING_TEST_STRICT", "1")];
        if !isolated(test, &variables) {
            let failed = catch_unwind(|| skip(test, "no reason"));
            assert!(failed.is_err());
            return;
        }
        assert_eq!(list.lines(), [format!("{test}: no reason")]);
    }
}
