//! A file system of the test's own, for files whose close fails.

use std::{
    env, fs,
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

/// Numbers of `include/uapi/linux/fuse.h`, v6.18.
mod op {
    pub(super) const LOOKUP: u32 = 1;
    pub(super) const FORGET: u32 = 2;
    pub(super) const GETATTR: u32 = 3;
    pub(super) const OPEN: u32 = 14;
    pub(super) const RELEASE: u32 = 18;
    pub(super) const FLUSH: u32 = 25;
    pub(super) const INIT: u32 = 26;
    pub(super) const BATCH_FORGET: u32 = 42;
}

/// The smallest buffer for requests that the kernel takes, and some more.
const REQUEST_MAX: usize = 1 << 18;

/// A mounted file system with one file, whose `close(2)` waits for the test and then fails.
pub(crate) struct Fuse {
    folder: PathBuf,
    /// Somebody closes the file: its number is free by now.
    pub(crate) closing: mpsc::Receiver<()>,
    /// What the close is to say.
    pub(crate) errno: mpsc::Sender<i32>,
}

impl Fuse {
    /// Mounts it, for this thread and those that it makes; `None` where that cannot be had.
    pub(crate) fn mount() -> Option<Self> {
        let device = File::options().read(true).write(true).open("/dev/fuse").ok()?;
        if !crate::refusals::own_mounts() {
            return None;
        }
        let folder = env::temp_dir().join(format!("uring-fuse-{}", std::process::id()));
        fs::create_dir(&folder).expect("a temporary folder");
        let path = |path: &Path| std::ffi::CString::new(path.to_str().expect("plain")).expect("it");
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        let options = std::ffi::CString::new(options).expect("no zero");
        let (target, name) = (path(&folder), c"uring".as_ptr());
        let flags = libc::MS_NOSUID | libc::MS_NODEV;
        // SAFETY: the call reads four strings.
        let mounted = unsafe {
            libc::mount(name, target.as_ptr(), c"fuse".as_ptr(), flags, options.as_ptr().cast())
        };
        if mounted != 0 {
            eprintln!("mount: {}", io::Error::last_os_error());
            return None;
        }
        let (closes, closing) = mpsc::channel();
        let (errno, errnos) = mpsc::channel();
        let device = Arc::new(device);
        let others = Arc::clone(&device);
        // one answers flushes when it is told to, the other everything else meanwhile
        let (flushes, flush) = mpsc::channel::<u64>();
        thread::spawn(move || {
            for unique in flush {
                let told = closes.send(()).is_ok();
                // a close that the test does not know of must not hang it
                let errno = errnos.recv_timeout(Duration::from_secs(3)).unwrap_or(0);
                if !told || answer(&device, unique, errno, &[]).is_err() {
                    return;
                }
            }
        });
        thread::spawn(move || serve(&others, &flushes));
        Some(Self { folder, closing, errno })
    }

    pub(crate) fn open(&self) -> File {
        File::open(self.folder.join("file")).expect("the file system has it")
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        let folder = std::ffi::CString::new(self.folder.to_str().expect("plain")).expect("no zero");
        // SAFETY: the call reads a path.
        unsafe { libc::umount2(folder.as_ptr(), libc::MNT_DETACH) };
        let _ = fs::remove_dir(&self.folder); // it is in the way of nobody
    }
}

fn answer(mut device: &File, unique: u64, errno: i32, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(16 + body.len()).expect("small");
    let mut message = Vec::with_capacity(16 + body.len());
    message.extend(length.to_ne_bytes());
    message.extend((-errno).to_ne_bytes());
    message.extend(unique.to_ne_bytes());
    message.extend(body);
    device.write_all(&message)
}

/// `fuse_attr`: the folder is inode 1, the file 2.
fn attributes(inode: u64) -> Vec<u8> {
    let mode = if inode == 1 { libc::S_IFDIR | 0o755 } else { libc::S_IFREG | 0o644 };
    let mut attributes = Vec::new();
    attributes.extend(inode.to_ne_bytes());
    attributes.extend([0; 40]); // size, blocks, times
    attributes.extend([0; 12]); // nanoseconds
    attributes.extend(mode.to_ne_bytes());
    attributes.extend(1_u32.to_ne_bytes()); // links
    attributes.extend([0; 20]); // user, group, device, block size, flags
    assert_eq!(attributes.len(), 88);
    attributes
}

fn serve(mut device: &File, flushes: &mpsc::Sender<u64>) {
    let mut request = vec![0; REQUEST_MAX];
    loop {
        let Ok(length) = device.read(&mut request) else { return };
        assert!(length >= 40, "a header");
        let word = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().expect("four"));
        let long = |at: usize| u64::from_ne_bytes(request[at..at + 8].try_into().expect("eight"));
        let (opcode, unique, inode) = (word(4), long(8), long(16));
        let answered = match opcode {
            op::INIT => {
                let mut body = Vec::new();
                body.extend(7_u32.to_ne_bytes());
                body.extend(31_u32.to_ne_bytes());
                body.extend([0; 12]); // read-ahead, flags, background
                body.extend(4096_u32.to_ne_bytes()); // the largest write
                body.resize(64, 0);
                answer(device, unique, 0, &body)
            }
            op::LOOKUP => {
                let mut body = Vec::new();
                body.extend(2_u64.to_ne_bytes());
                body.extend([0; 32]); // generation, and how long it is good for
                body.extend(attributes(2));
                answer(device, unique, 0, &body)
            }
            op::GETATTR => {
                let mut body = vec![0; 16];
                body.extend(attributes(inode));
                answer(device, unique, 0, &body)
            }
            op::OPEN => answer(device, unique, 0, &[0; 16]),
            op::RELEASE => answer(device, unique, 0, &[]),
            op::FLUSH => {
                flushes.send(unique).expect("somebody answers");
                Ok(())
            }
            op::FORGET | op::BATCH_FORGET => Ok(()), // has no answer
            _ => answer(device, unique, libc::ENOSYS, &[]),
        };
        // an answer to what was interrupted meanwhile is ENOENT
        if let Err(error) = answered {
            assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{opcode}: {error}");
        }
    }
}
