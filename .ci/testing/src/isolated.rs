//! A test in a process of its own.

use std::{env, process::Command};

use crate::test::Test;

/// Names which test child runs.
const CHILD: &str = "URING_TEST_CHILD";

/// Whether this is the parent, which has run the test in a child and is done. The child has these
/// variables in its environment.
///
/// # Panics
///
/// If the child fails, or does not run exactly this test.
#[track_caller]
#[must_use = "it says in which of the two processes this is"]
pub fn isolated(test: Test, variables: &[(&str, &str)]) -> bool {
    if env::var_os(CHILD).is_some_and(|name| name == test.path()) {
        return false;
    }
    let output = Command::new(env::current_exe().expect("this binary"))
        .args([test.path(), "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, test.path())
        .envs(variables.iter().copied())
        .output()
        .expect("this binary runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    eprint!("{errors}");
    assert!(
        output.status.success() && text.contains("1 passed"),
        "in its own process: {}\n{text}\n{errors}",
        output.status
    );
    true
}

/// Runs the rest of the test in a process of its own, where nobody else opens descriptors,
/// allocates, or takes signals: `isolated!()`, or with variables, `isolated!("NAME" = "value")`.
#[macro_export]
macro_rules! isolated {
    ($($name:literal = $value:literal),* $(,)?) => {
        if $crate::isolated($crate::this_test!(), &[$(($name, $value)),*]) {
            return;
        }
    };
}

#[cfg(test)]
mod tests {
    use std::{panic::catch_unwind, process};

    use super::*;
    use crate::this_test;

    #[test]
    fn the_rest_runs_in_a_child_with_the_variables() {
        let outside = process::id().to_string();
        if !isolated(this_test!(), &[("TESTING_OUTSIDE", &outside)]) {
            let parent = env::var("TESTING_OUTSIDE").expect("the variable");
            assert_ne!(parent, process::id().to_string());
            assert_eq!(parent, std::os::unix::process::parent_id().to_string());
        }
    }

    #[test]
    fn a_failure_in_the_child_is_one_outside() {
        match catch_unwind(|| isolated(this_test!(), &[])) {
            Ok(false) => panic!("this is the child"),
            Ok(true) => panic!("the child's failure is lost"),
            Err(_) => {}
        }
    }

    #[test]
    fn a_test_that_is_not_there_has_not_passed() {
        let nobody = Test::new("testing", "testing::no::such::test");
        assert!(catch_unwind(|| isolated(nobody, &[])).is_err());
    }
}
