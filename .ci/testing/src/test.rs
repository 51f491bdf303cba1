//! Which test this is.

use std::fmt;

/// A test: its package, and its path as the command line of its binary takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Test {
    package: &'static str,
    path: &'static str,
}

impl Test {
    /// For [`this_test!`](crate::this_test): from the path of a function inside of the test.
    ///
    /// # Panics
    ///
    /// If the path has no crate at its start.
    #[must_use]
    pub fn new(package: &'static str, function: &'static str) -> Self {
        let path = function.split_once("::").expect("a crate and a path").1;
        let path = path.trim_end_matches("::here").trim_end_matches("::{{closure}}");
        Self { package, path }
    }

    /// Its path in its binary: `module::name`.
    #[must_use]
    pub const fn path(self) -> &'static str {
        self.path
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.package, self.path)
    }
}

/// The [`Test`] that this stands in.
#[macro_export]
macro_rules! this_test {
    () => {{
        fn here() {}
        // the package that is compiled where the macro stands, not this one
        $crate::Test::new(env!("CARGO_PKG_NAME"), ::std::any::type_name_of_val(&here))
    }};
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_test_knows_its_package_and_its_path_also_in_a_closure() {
        let name = "testing::test::tests::a_test_knows_its_package_and_its_path_also_in_a_closure";
        assert_eq!(this_test!().to_string(), name);
        let inside = || this_test!();
        assert_eq!(inside().to_string(), name);
    }
}
