//! Command lines: `--flag`, `--flag value`, `--flag=value` and operands; `--` ends the flags.

use std::{
    ffi::OsString,
    fmt,
    net::{SocketAddr, ToSocketAddrs},
    ops::RangeInclusive,
    str::FromStr,
    time::Duration,
};

use crate::failure::Failure;

/// What is left of a command line.
///
/// ```
/// # fn parse(mut args: uring_examples::Args) -> Result<u16, uring_examples::Failure> {
/// let mut buffers = 1024;
/// while let Some(flag) = args.flag()? {
///     match flag.as_str() {
///         "--buffers" => buffers = args.number(1..=32_768)?,
///         _ => return Err(args.unknown()),
///     }
/// }
/// args.no_operands()?;
/// # Ok(buffers) }
/// # let line = ["--buffers", "64"].map(Into::into);
/// # assert_eq!(parse(uring_examples::Args::new(line)).unwrap(), 64);
/// ```
#[derive(Debug)]
pub struct Args {
    rest: std::vec::IntoIter<OsString>,
    /// The flag that `flag` returned last.
    flag: String,
    /// What stood behind its `=`.
    attached: Option<String>,
    operands: Vec<OsString>,
}

impl Args {
    /// The command line of this process.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::new(std::env::args_os().skip(1))
    }

    /// A command line without the name of the program.
    pub fn new(args: impl IntoIterator<Item = OsString>) -> Self {
        let rest = args.into_iter().collect::<Vec<_>>().into_iter();
        Self { rest, flag: String::new(), attached: None, operands: Vec::new() }
    }

    /// Whether there is one of these flags, which need nothing else.
    pub(crate) fn asks_for(&self, names: &[&str]) -> bool {
        let mut flags = self.rest.as_slice().iter().take_while(|arg| *arg != "--");
        flags.any(|arg| names.iter().any(|name| arg == name))
    }

    /// The next flag; what is not a flag is kept for [`operands`](Self::operands).
    ///
    /// # Errors
    ///
    /// If the flag before was given a value and takes none.
    pub fn flag(&mut self) -> Result<Option<String>, Failure> {
        if let Some(value) = self.attached.take() {
            return Err(Failure::Usage(format!("{} takes no value, such as `{value}`", self.flag)));
        }
        while let Some(arg) = self.rest.next() {
            if arg == "--" {
                self.operands.extend(self.rest.by_ref());
                return Ok(None);
            }
            match arg.to_str() {
                Some(text) if text.starts_with('-') && text != "-" => {
                    let (flag, value) = match text.split_once('=') {
                        Some((flag, value)) => (flag, Some(value)),
                        None => (text, None),
                    };
                    self.flag = flag.to_owned();
                    self.attached = value.map(str::to_owned);
                    return Ok(Some(self.flag.clone()));
                }
                _ => self.operands.push(arg),
            }
        }
        Ok(None)
    }

    /// The error for the flag that was returned last.
    #[must_use]
    pub fn unknown(&self) -> Failure {
        Failure::Usage(format!("there is no flag {}", self.flag))
    }

    /// What was not a flag. Call it when [`flag`](Self::flag) has returned `None`.
    #[must_use]
    pub fn operands(self) -> Vec<OsString> {
        self.operands
    }

    /// Ends a command line that consists of flags alone.
    ///
    /// # Errors
    ///
    /// Names the first operand.
    pub fn no_operands(self) -> Result<(), Failure> {
        match self.operands.first() {
            None => Ok(()),
            Some(first) => {
                let first = first.to_string_lossy();
                Err(Failure::Usage(format!("cannot make sense of `{first}`")))
            }
        }
    }

    fn value(&mut self, wanted: &dyn fmt::Display) -> Result<String, Failure> {
        let value = self.attached.take().map(OsString::from).or_else(|| self.rest.next());
        let Some(value) = value else {
            return Err(Failure::Usage(format!("{} needs a value: {wanted}", self.flag)));
        };
        value.into_string().map_err(|bad| self.bad(&bad.to_string_lossy(), wanted))
    }

    fn bad(&self, value: &str, wanted: &dyn fmt::Display) -> Failure {
        Failure::Usage(format!("{} takes {wanted}, not `{value}`", self.flag))
    }

    /// The flag's value, one of the words of `choices`.
    ///
    /// # Errors
    ///
    /// Names the words.
    pub fn choice<T: Copy>(&mut self, choices: &[(&str, T)]) -> Result<T, Failure> {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        let wanted = words.join(" or ");
        let value = self.value(&wanted)?;
        let found = choices.iter().find(|(word, _)| *word == value);
        found.map(|(_, choice)| *choice).ok_or_else(|| self.bad(&value, &wanted))
    }

    /// The flag's value, a whole number.
    ///
    /// # Errors
    ///
    /// Names the range.
    pub fn number<N>(&mut self, range: RangeInclusive<N>) -> Result<N, Failure>
    where
        N: FromStr + PartialOrd + fmt::Display,
    {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        let value = self.value(&wanted)?;
        let number = value.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| self.bad(&value, &wanted))
    }

    /// The flag's value, a time in seconds.
    ///
    /// # Errors
    ///
    /// If it is not one.
    pub fn seconds(&mut self) -> Result<Duration, Failure> {
        let wanted = "a number of seconds, such as 10 or 0.5";
        let value = self.value(&wanted)?;
        let seconds = value.parse().ok().filter(|seconds| *seconds > 0.0);
        let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        time.ok_or_else(|| self.bad(&value, &wanted))
    }

    /// The flag's value, an address with a port: all the addresses that a name stands for, to be
    /// tried in turn.
    ///
    /// # Errors
    ///
    /// If it is not one, or nobody knows the name.
    pub fn addresses(&mut self) -> Result<Vec<SocketAddr>, Failure> {
        let wanted = "an address and a port, such as 127.0.0.1:7878 or [::1]:7878";
        let value = self.value(&wanted)?;
        let found: Vec<_> = match value.to_socket_addrs() {
            Ok(found) => found.collect(),
            Err(error) => {
                let Failure::Usage(text) = self.bad(&value, &wanted) else { unreachable!() };
                return Err(Failure::Usage(format!("{text} ({error})")));
            }
        };
        if found.is_empty() { Err(self.bad(&value, &wanted)) } else { Ok(found) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Args {
        Args::new(line.split_whitespace().map(OsString::from))
    }

    fn usage<T: fmt::Debug>(result: Result<T, Failure>) -> String {
        match result {
            Err(Failure::Usage(text)) => text,
            other => panic!("no usage error: {other:?}"),
        }
    }

    #[test]
    fn a_value_may_stand_behind_a_space_or_an_equals_sign() {
        for line in ["--size 128 rest", "--size=128 rest", "rest --size 128"] {
            let mut args = args(line);
            assert_eq!(args.flag().unwrap().as_deref(), Some("--size"));
            assert_eq!(args.number(1..=1000_u32).unwrap(), 128);
            assert_eq!(args.flag().unwrap(), None);
            assert_eq!(args.operands(), ["rest"]);
        }
    }

    #[test]
    fn a_dash_is_an_operand_and_two_dashes_end_the_flags() {
        let mut args = args("- -- --size");
        assert_eq!(args.flag().unwrap(), None);
        assert_eq!(args.operands(), ["-", "--size"]);
    }

    #[test]
    fn bad_values_are_named_with_what_is_wanted() {
        for (value, word) in [("0", "`0`"), ("x", "`x`"), ("-1", "`-1`"), ("65537", "`65537`")] {
            let mut args = args(&format!("--size {value}"));
            args.flag().unwrap();
            let text = usage(args.number(1..=65_536_u32));
            assert!(text.contains(word) && text.contains("from 1 to 65536"), "{text}");
        }
        for value in ["localhost", "300.0.0.1:1", "127.0.0.1:70000", ":1:"] {
            let mut args = args(&format!("--listen {value}"));
            args.flag().unwrap();
            let text = usage(args.addresses());
            assert!(text.contains(value) && text.contains("127.0.0.1:7878"), "{text}");
        }
        for value in ["nan", "-1", "0", "1e400", "soon"] {
            let mut args = args(&format!("--seconds={value}"));
            args.flag().unwrap();
            assert!(usage(args.seconds()).contains(value));
        }
    }

    #[test]
    fn missing_and_superfluous_values_are_told() {
        let mut missing = args("--size");
        missing.flag().unwrap();
        assert!(usage(missing.number(1..=2_u8)).contains("needs a value"));
        let mut superfluous = args("--stats=yes");
        superfluous.flag().unwrap();
        assert!(usage(superfluous.flag()).contains("takes no value"));
        let mut operand = args("extra");
        operand.flag().unwrap();
        assert!(usage(operand.no_operands()).contains("`extra`"));
    }

    #[test]
    fn help_is_found_before_the_operands() {
        assert!(args("--listen x --help").asks_for(&["--help", "-h"]));
        assert!(args("-h").asks_for(&["--help", "-h"]));
        assert!(!args("-- --help").asks_for(&["--help", "-h"]));
    }
}
