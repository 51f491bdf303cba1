//! The same command line with our `cat` and with GNU's, in equal folders.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Command, ExitStatus},
};

use testing::{Test, skip};

use crate::util::{CAT, has_ring, run};

/// Ends the test if there is no GNU `cat` to compare with, or no io_uring.
macro_rules! need_twin {
    () => {
        if !$crate::twin::has_twin(this_test!()) {
            return;
        }
    };
}

/// A folder of files, gone after the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(test: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
        let _ = fs::remove_dir_all(&path); // of a run that was killed
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // leftovers of a test are no failure
    }
}

/// How a command line ended, and what it left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

/// Whether there is a ring, and GNU's `cat` to compare with.
pub(crate) fn has_twin(test: Test) -> bool {
    if !has_ring(test) {
        return false;
    }
    let version = Command::new("cat").arg("--version").output();
    let is_gnu = version.is_ok_and(|out| out.stdout.starts_with(b"cat (GNU coreutils)"));
    if !is_gnu {
        skip(test, "the cat of this machine is not GNU's");
    }
    is_gnu
}

/// Runs a script for `sh` in a folder that holds `files`. In it, `$CAT` is the program; a runaway
/// ends at some megabytes.
pub(crate) fn outcome(test: &str, cat: &str, script: &str, files: &[(&str, &[u8])]) -> Outcome {
    let folder = Folder::new(test);
    for (name, bytes) in files {
        folder.file(name, bytes);
    }
    let bounded = format!("ulimit -f 16384; {script}");
    let mut shell = Command::new("sh");
    let ended = run(
        shell.args(["-c", &bounded]).current_dir(&folder.0).env("CAT", cat).env("LC_ALL", "C"),
        b"",
    );
    let left = fs::read_dir(&folder.0).unwrap().map(Result::unwrap);
    let left = left.filter(|entry| entry.file_type().unwrap().is_file());
    let files = left
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()));
    Outcome {
        status: ended.status,
        stdout: ended.stdout,
        stderr: ended.stderr,
        files: files.collect(),
    }
}

/// Asserts that ours does what GNU's does, to the byte, and returns that.
pub(crate) fn same(test: &str, script: &str, files: &[(&str, &[u8])]) -> Outcome {
    let theirs = outcome(test, "cat", script, files);
    let ours = outcome(test, CAT, script, files);
    assert!(
        ours == theirs,
        "{script}: {:?}, {} bytes, {:?}; GNU's: {:?}, {} bytes, {:?}",
        ours.status,
        ours.stdout.len(),
        ours.stderr,
        theirs.status,
        theirs.stdout.len(),
        theirs.stderr
    );
    ours
}
