//! What the tests share: rings of each kind, their events, sockets and files.

use std::{
    env,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use uring::{Event, Features, OpCode, OpId, Operation, Ring, SetupFlags};

/// The kinds of ring that behave differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The best that the kernel has: completions come forward when they are asked for.
    Best,
    /// Completions wait for any system call; a flag says so.
    Coop,
    /// Completions interrupt the task.
    Plain,
    /// A kernel thread submits.
    Thread,
}

impl Mode {
    pub(crate) const ALL: [Self; 4] = [Self::Best, Self::Coop, Self::Plain, Self::Thread];

    /// A ring of this kind, or `None` where the kernel has none.
    #[track_caller]
    pub(crate) fn ring<O: Operation + 'static, C: 'static>(
        self,
        entries: u32,
        operations: u32,
    ) -> Option<Ring<O, C>> {
        let sizes = Ring::<O, C>::builder().entries(entries).completions(entries.max(128));
        let sizes = sizes.operations(operations);
        let coop = SetupFlags::COOP_TASKRUN | SetupFlags::TASKRUN_FLAG;
        let ring = match self {
            Self::Best => sizes.build(),
            // 5.19, like the opcode
            Self::Coop if has(OpCode::SOCKET) => sizes.flags(coop).build(),
            Self::Coop => return None,
            Self::Plain => sizes.flags(SetupFlags::empty()).build(),
            // before 5.11 the thread took registered files only
            Self::Thread if support().features.contains(Features::SQPOLL_NONFIXED) => {
                sizes.submission_thread(Duration::from_millis(1)).build()
            }
            Self::Thread => return None,
        };
        Some(ring.unwrap_or_else(|error| panic!("{self:?}: {error}")))
    }
}

/// A ring of the best kind.
#[track_caller]
pub(crate) fn ring<O: Operation + 'static, C: 'static>() -> Ring<O, C> {
    Mode::Best.ring(64, 256).expect("there is always a best one")
}

/// The next thing that happens to an operation, and to which; within half a minute.
#[track_caller]
pub(crate) fn next<O: Operation + 'static, C: 'static>(ring: &mut Ring<O, C>) -> Happened<O, C> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match ring.next() {
            Some(Event::Item { id, item, .. }) => return Happened::Item(id, item),
            Some(Event::Done { id, ctx, output, .. }) => return Happened::Done(id, ctx, output),
            _ => assert!(Instant::now() < deadline, "nothing happens"),
        }
        ring.wait(1, Some(deadline)).expect("a wait");
    }
}

/// An [`Event`] that does not borrow its ring.
pub(crate) enum Happened<O: Operation, C> {
    Item(OpId, O::Item),
    Done(OpId, C, O::Output),
}

/// The next end of an operation; items that come before are dropped.
#[track_caller]
pub(crate) fn done<O: Operation + 'static, C: 'static>(ring: &mut Ring<O, C>) -> (OpId, O::Output) {
    loop {
        if let Happened::Done(id, _, output) = next(ring) {
            return (id, output);
        }
    }
}

/// What the running kernel can do.
#[track_caller]
pub(crate) fn support() -> &'static uring::Support {
    static SUPPORT: OnceLock<uring::Support> = OnceLock::new();
    SUPPORT.get_or_init(|| uring::check().expect("these tests need io_uring"))
}

pub(crate) fn has(opcode: OpCode) -> bool {
    support().has(opcode)
}

/// Whether the kernel has pools of buffers: the opcodes of the same release say so.
pub(crate) fn has_pools() -> bool {
    has(OpCode::SOCKET)
}

/// Whether the kernel receives again and again (6.0, the release of `SEND_ZC`).
pub(crate) fn has_multishot_recv() -> bool {
    has(OpCode::SEND_ZC)
}

/// Whether the kernel accepts again and again (5.19).
pub(crate) fn has_multishot_accept() -> bool {
    has(OpCode::SOCKET)
}

/// Keeps a value for ever without dropping it, like `mem::forget`, but where a leak checker finds
/// what it owns.
pub(crate) fn forget<T: 'static>(value: T) {
    struct Forgotten(#[expect(dead_code, reason = "to be found in memory")] *mut ());
    // SAFETY: the pointer is never followed.
    unsafe impl Send for Forgotten {}
    static FORGOTTEN: Mutex<Vec<Forgotten>> = Mutex::new(Vec::new());
    let place = Box::into_raw(Box::new(value));
    FORGOTTEN.lock().expect("nobody panics here").push(Forgotten(place.cast()));
}

/// A descriptor that several owners share.
pub(crate) type Fd = Arc<OwnedFd>;

/// A socket that is not connected.
#[track_caller]
pub(crate) fn socket(domain: i32, kind: i32) -> OwnedFd {
    // SAFETY: the call takes no pointer.
    let fd = unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, 0) };
    assert!(fd >= 0, "socket: {}", io::Error::last_os_error());
    // SAFETY: the call has made the descriptor, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// An operation whose opcode no kernel has.
pub(crate) struct Unknown;

// SAFETY: there are no operands.
unsafe impl Operation for Unknown {
    type Item = ();
    type Output = io::Result<()>;

    unsafe fn prepare(&mut self, sqe: &mut uring::Sqe) {
        *sqe = uring::Sqe::nop();
        // SAFETY: an entry without pointers.
        unsafe { sqe.raw_mut() }.opcode = 250;
    }

    unsafe fn item(_: *mut Self, _: uring::Cqe) {}

    unsafe fn finish(self, cqe: uring::Cqe) -> Self::Output {
        cqe.result().map(drop)
    }

    fn refuse(self, error: io::Error) -> Self::Output {
        Err(error)
    }

    fn ring(&self) -> Option<uring::RingId> {
        None
    }
}

/// A connection over TCP.
#[track_caller]
pub(crate) fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    (client, listener.accept().expect("a client waits").0)
}

/// The same open file, for plain system calls.
pub(crate) fn file(fd: impl AsFd) -> File {
    fd.as_fd().try_clone_to_owned().expect("a descriptor is left").into()
}

#[track_caller]
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>, on: bool) {
    let mut value = i32::from(on);
    // SAFETY: FIONBIO reads one int.
    let answer = unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONBIO, &raw mut value) };
    assert_eq!(answer, 0, "FIONBIO: {}", io::Error::last_os_error());
}

/// Waits until there is something to read, or to accept.
#[track_caller]
pub(crate) fn until_readable(fd: BorrowedFd<'_>) {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let limit = i32::try_from(testing::LONG.as_millis()).expect("it fits");
    // SAFETY: the call reads and writes one `pollfd`.
    let ready = unsafe { libc::poll(&raw mut poll, 1, limit) };
    assert_eq!(ready, 1, "nothing came in time");
}

/// What can be read without waiting.
pub(crate) fn read_now(fd: BorrowedFd<'_>, max: usize) -> io::Result<Vec<u8>> {
    set_nonblocking(fd, true);
    let mut bytes = vec![0; max];
    let length = file(fd).read(&mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

/// A file without a name, filled with bytes that tell their offset.
pub(crate) struct Temp {
    file: File,
    direct: Option<OwnedFd>,
}

impl Temp {
    #[track_caller]
    pub(crate) fn new(bytes: usize) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("uring-{}-{number}", std::process::id()));
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        let mut file = options.open(&path).expect("a temporary file");
        let direct = File::options().read(true).custom_flags(libc::O_DIRECT).open(&path);
        fs::remove_file(&path).expect("it was there");
        file.write_all(&content(0, bytes)).expect("room for a temporary file");
        file.sync_all().expect("the disk takes it");
        Self { file, direct: direct.map(OwnedFd::from).ok() }
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The same file past the page cache; `None` where the file system has no such thing.
    pub(crate) fn direct(&self) -> Option<OwnedFd> {
        self.direct.as_ref().map(|direct| direct.try_clone().expect("a descriptor is left"))
    }

    /// Takes its pages out of the cache, so that a read has to wait for the disk.
    pub(crate) fn uncache(&self) {
        let fd = self.file.as_raw_fd();
        // SAFETY: the call takes no pointer.
        let answer = unsafe { libc::posix_fadvise(fd, 0, 0, libc::POSIX_FADV_DONTNEED) };
        assert_eq!(answer, 0, "posix_fadvise");
    }
}

/// The bytes of a [`Temp`]: never 0xdb, which freed memory is filled with.
pub(crate) fn content(offset: usize, length: usize) -> Vec<u8> {
    (offset..offset + length).map(|at| ((at ^ (at >> 9)) % 199).to_le_bytes()[0]).collect()
}

/// The errno of an error.
#[track_caller]
pub(crate) fn errno<T>(result: &io::Result<T>) -> i32 {
    let error = result.as_ref().err().expect("an error");
    error.raw_os_error().unwrap_or_else(|| panic!("no errno: {error}"))
}
