//! What the headers of this machine say, asked by a C program that is made from the table.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::{env, fs, process};

use crate::table::{self, Fact, Facts};

/// The headers to look for: the kernel's, and that of liburing. Each is asked on its own, since
/// both define the same names.
const HEADERS: [(&str, &str); 2] =
    [("linux/io_uring.h", "linux/io_uring/"), ("liburing/io_uring.h", "liburing/io_uring/")];

/// What each header says that is there; empty if there is none, or no C compiler.
pub(crate) fn on_this_machine() -> Vec<(&'static str, Facts)> {
    static FACTS: OnceLock<Vec<(&str, Facts)>> = OnceLock::new();
    FACTS
        .get_or_init(|| HEADERS.iter().filter_map(|&(name, folder)| ask(name, folder)).collect())
        .clone()
}

/// A compiler, in a directory that is removed in the end.
struct Compiler {
    directory: PathBuf,
}

impl Drop for Compiler {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.directory);
    }
}

impl Compiler {
    fn new(name: &str) -> Self {
        let unique = format!("uring-sys-abi-{}-{}", process::id(), name.replace('/', "-"));
        let directory = env::temp_dir().join(unique);
        fs::create_dir_all(&directory).expect("a directory for the C program");
        Self { directory }
    }

    fn run(&self, arguments: &[&str], source: &str) -> Option<Output> {
        fs::write(self.directory.join("abi.c"), source).expect("the C program is written");
        Command::new("cc").args(arguments).arg("abi.c").current_dir(&self.directory).output().ok()
    }

    fn program(&self) -> &Path {
        &self.directory
    }
}

fn ask(name: &'static str, folder: &str) -> Option<(&'static str, Facts)> {
    let compiler = Compiler::new(name);
    // Older headers use the timespec without bringing it; in newer ones there are more files.
    let mut includes = format!("#include <linux/time_types.h>\n#include <{name}>\n");
    for file in ["query.h", "bpf_filter.h"] {
        let file = format!("{folder}{file}");
        writeln!(includes, "#if __has_include(<{file}>)\n#include <{file}>\n#endif").ok()?;
    }
    // All that the headers say, macros included: to tell what is absent from what does not compile.
    let text = match compiler.run(&["-E", "-dD", "-P"], &includes) {
        None => {
            println!("{name} is not asked: there is no `cc`");
            return None;
        }
        Some(output) if !output.status.success() => {
            let why = String::from_utf8_lossy(&output.stderr);
            println!("{name} is not asked: {}", why.lines().next().unwrap_or("`cc` failed"));
            return None;
        }
        Some(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
    };

    let rows = table::rows();
    let mut lines: Vec<(&str, String)> =
        rows.iter().map(|(name, fact)| (name.as_str(), statement(name, *fact))).collect();
    // The compiler names the lines whose name it does not know: without those it compiles.
    loop {
        let mut source = includes.clone();
        source.push_str("#include <stddef.h>\n#include <stdio.h>\nint main(void) {\n");
        source.push_str("#line 1 \"table\"\n");
        for (_, line) in &lines {
            source.push_str(line);
        }
        source.push_str("return 0; }\n");
        let output = compiler.run(&["-w", "-o", "abi"], &source).expect("cc runs");
        if output.status.success() {
            break;
        }
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let mut absent: Vec<usize> = errors
            .lines()
            .filter_map(|line| line.strip_prefix("table:")?.split(':').next()?.parse().ok())
            .collect();
        absent.sort_unstable();
        absent.dedup();
        assert!(!absent.is_empty(), "the C program for {name} does not compile:\n{errors}");
        for index in absent.into_iter().rev() {
            let (row, _) = lines.remove(index - 1);
            assert!(!has(&text, row), "{name} has {row}, but the compiler says:\n{errors}");
        }
    }

    let output = Command::new(compiler.program().join("abi")).output().expect("the program runs");
    let output = String::from_utf8(output.stdout).expect("text");
    let facts: Facts = output
        .lines()
        .map(|line| table::row(line).unwrap_or_else(|| panic!("not a row: {line:?}")))
        .map(|(name, fact)| (name.to_owned(), fact))
        .collect();
    assert_eq!(facts.len(), lines.len());
    Some((name, facts))
}

/// The line of C that prints a row.
fn statement(name: &str, expected: Fact) -> String {
    match (expected, name.split_once('.')) {
        (Fact::Value(_), _) => {
            format!("printf(\"const\\t{name}\\t%lld\\t\\n\", (long long)({name}));\n")
        }
        (Fact::Layout { .. }, _) => format!(
            "printf(\"struct\\t{name}\\t%zu\\tbytes, align %zu\\n\", \
             sizeof(struct {name}), _Alignof(struct {name}));\n"
        ),
        (Fact::Member { size, .. }, Some((of, member))) => {
            let size = match size {
                Some(0) => "(size_t)0".to_owned(),
                _ => format!("sizeof(((struct {of} *)0)->{member})"),
            };
            format!(
                "printf(\"field\\t{name}\\t%zu\\t%zu bytes\\n\", \
                 offsetof(struct {of}, {member}), {size});\n"
            )
        }
        (Fact::Member { .. }, None) => unreachable!("members are named with their struct"),
    }
}

/// Whether a header has a row: for a member, whether the struct's definition names it.
fn has(text: &str, row: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mentions = |text: &str, word: &str| text.split(|c| !is_word(c)).any(|found| found == word);
    match row.split_once('.') {
        None => mentions(text, row),
        Some((of, member)) => {
            let Some(start) = text.find(&format!("struct {of} {{")) else { return false };
            let end = text[start..].find("\n};").map_or(text.len(), |end| start + end);
            member.split('.').all(|part| mentions(&text[start..end], part))
        }
    }
}
