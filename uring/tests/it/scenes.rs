//! Operations that wait for something, with what they wait for still to come.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error},
    io::Write as _,
    net::{SocketAddr, TcpListener, TcpStream},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::{fs::FileExt, net::UnixStream},
    },
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::NonNull,
    sync::{Arc, OnceLock},
    time::Duration,
};

use testing::alloc::FREED;
use uring::{At, BufMut, Current, OnWorker, Operation, PollEvents, Pool, PoolError, Ring, op};

use crate::util::{self, Fd, Temp};

uring::operations! {
    /// Every kind of operation that can wait.
    pub(crate) enum Op, Item, Output {
        Read(op::Read<Fd, Vec<u8>>),
        Worker(OnWorker<op::Read<Fd, Vec<u8>>>),
        Direct(op::Read<Fd, Aligned>),
        Readv(op::Readv<Fd, Vec<u8>>),
        Write(op::Write<Fd, Vec<u8>>),
        Recv(op::Recv<Fd, Vec<u8>>),
        RecvMulti(op::RecvMulti<Fd>),
        Send(op::Send<Fd, Vec<u8>>),
        Accept(op::Accept<Fd>),
        AcceptFrom(op::AcceptFrom<Fd>),
        AcceptMulti(op::AcceptMulti<Fd>),
        Connect(op::Connect<Fd>),
        Poll(op::Poll<Fd>),
        PollMulti(op::PollMulti<Fd>),
        Timeout(op::Timeout),
        Nop(op::Nop),
    }
}

/// Makes a pool of a ring.
pub(crate) type MakePool<'r> = &'r mut dyn FnMut(u16, u32) -> Result<Pool, PoolError>;
/// Makes a scene; `None` where the kernel has no such operation.
pub(crate) type Make = fn(MakePool<'_>) -> Option<Scene>;

/// Operations that wait, and what comes later.
pub(crate) struct Scene {
    pub(crate) ops: Vec<Op>,
    /// Lets arrive what they were waiting for.
    pub(crate) feed: Box<dyn FnOnce()>,
    /// Checks that nobody has taken it: for a ring that is gone.
    pub(crate) check: Box<dyn FnOnce()>,
}

impl Scene {
    fn new(
        ops: impl IntoIterator<Item = Op>,
        feed: impl FnOnce() + 'static,
        check: impl FnOnce() + 'static,
    ) -> Option<Self> {
        Some(Self { ops: ops.into_iter().collect(), feed: Box::new(feed), check: Box::new(check) })
    }
}

#[track_caller]
pub(crate) fn write(to: &OwnedFd, bytes: &[u8]) {
    util::file(to).write_all(bytes).expect("there is room");
}

pub(crate) fn read(from: &Fd, bytes: usize) -> Op {
    op::Read::new(from.clone(), Vec::with_capacity(bytes), Current).into()
}

/// What waits on a pipe, and gets four bytes when it is too late.
fn on_a_pipe(op: fn(Fd) -> Op) -> Option<Scene> {
    let (reader, writer) = testing::pipe();
    let reader = Arc::new(reader);
    Scene::new(
        [op(reader.clone())],
        move || write(&writer, b"late"),
        move || assert_eq!(util::read_now(reader.as_fd(), 64).expect("still there"), b"late"),
    )
}

pub(crate) fn pipe_read(_: MakePool<'_>) -> Option<Scene> {
    on_a_pipe(|fd| read(&fd, 4096))
}

pub(crate) fn pipe_read_on_worker(_: MakePool<'_>) -> Option<Scene> {
    on_a_pipe(|fd| op::Read::new(fd, Vec::with_capacity(4096), Current).on_worker().into())
}

pub(crate) fn pipe_readv(_: MakePool<'_>) -> Option<Scene> {
    on_a_pipe(|fd| {
        let bufs = (0..4).map(|_| Vec::with_capacity(512)).collect();
        op::Readv::new(fd, bufs, Current).into()
    })
}

/// What waits on a socket, and gets four bytes when it is too late.
fn on_a_socket(op: impl FnOnce(Fd) -> Op) -> Option<Scene> {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let ours = Arc::new(OwnedFd::from(ours));
    Scene::new(
        [op(ours.clone())],
        move || (&theirs).write_all(b"late").expect("the other end is open"),
        move || assert_eq!(util::read_now(ours.as_fd(), 64).expect("still there"), b"late"),
    )
}

pub(crate) fn recv(_: MakePool<'_>) -> Option<Scene> {
    on_a_socket(|fd| op::Recv::new(fd, Vec::with_capacity(4096)).into())
}

pub(crate) fn recv_multi(pool: MakePool<'_>) -> Option<Scene> {
    if !util::has_multishot_recv() {
        return None;
    }
    let pool = pool(8, 4096).expect("a pool");
    on_a_socket(|fd| op::RecvMulti::new(fd, &pool).into())
}

/// What waits for a connection, which comes when it is too late.
fn on_a_listener(op: fn(Fd) -> Op) -> Option<Scene> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let addr = listener.local_addr().expect("bound");
    let ours = Arc::new(OwnedFd::from(listener.try_clone().expect("a descriptor")));
    Scene::new(
        [op(ours)],
        move || util::forget(TcpStream::connect(addr).expect("it listens")),
        move || {
            // its last packet may still be on its way when the connect returns
            util::until_readable(listener.as_fd());
            listener.set_nonblocking(true).expect("a socket");
            listener.accept().expect("the connection is still there");
        },
    )
}

pub(crate) fn accept(_: MakePool<'_>) -> Option<Scene> {
    on_a_listener(|fd| op::Accept::new(fd).into())
}

pub(crate) fn accept_from(_: MakePool<'_>) -> Option<Scene> {
    on_a_listener(|fd| op::AcceptFrom::new(fd).into())
}

pub(crate) fn accept_multi(_: MakePool<'_>) -> Option<Scene> {
    if !util::has_multishot_accept() {
        return None;
    }
    on_a_listener(|fd| op::AcceptMulti::new(fd).into())
}

/// A listener whose queue is full: a connect to it waits.
pub(crate) fn full_listener() -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    // SAFETY: the call takes no pointer.
    let answer = unsafe { libc::listen(listener.as_raw_fd(), 0) };
    assert_eq!(answer, 0, "a listener may listen again");
    let addr = listener.local_addr().expect("bound");
    // a queue of 0 takes one
    (listener, vec![TcpStream::connect(addr).expect("the first has room")])
}

pub(crate) fn connect(_: MakePool<'_>) -> Option<Scene> {
    let (listener, queue) = full_listener();
    let addr: SocketAddr = listener.local_addr().expect("bound");
    let socket = util::socket(libc::AF_INET, libc::SOCK_STREAM);
    let op = op::Connect::new(Arc::new(socket), &addr);
    Scene::new([op.into()], || {}, move || drop((listener, queue)))
}

pub(crate) fn polls_and_timeouts(_: MakePool<'_>) -> Option<Scene> {
    let (reader, writer) = testing::pipe();
    let reader = Arc::new(reader);
    let mut ops: Vec<Op> = vec![
        op::Poll::new(reader.clone(), PollEvents::IN).into(),
        op::Timeout::new(Duration::from_secs(3600)).into(),
        op::Timeout::new(Duration::MAX).into(),
    ];
    if util::support().features.contains(uring::Features::RSRC_TAGS) {
        // 5.13, as the feature
        ops.push(op::PollMulti::new(reader.clone(), PollEvents::IN).into());
    }
    Scene::new(
        ops,
        move || write(&writer, b"late"),
        move || assert_eq!(util::read_now(reader.as_fd(), 64).expect("still there"), b"late"),
    )
}

/// Fills a stream until it takes no more, and reads all of it back in the end.
fn full(ours: OwnedFd, theirs: OwnedFd, op: fn(Fd, Vec<u8>) -> Op) -> Option<Scene> {
    util::set_nonblocking(ours.as_fd(), true);
    let mut filler = util::file(&ours);
    for bytes in [4096, 1] {
        while filler.write(&vec![0x11; bytes]).is_ok() {}
    }
    util::set_nonblocking(ours.as_fd(), false);
    let ops = [op(Arc::new(ours), vec![0x22; 1 << 16])];
    Scene::new(
        ops,
        || {},
        move || {
            let mut freed = 0;
            while let Ok(bytes) = util::read_now(theirs.as_fd(), 1 << 16) {
                if bytes.is_empty() {
                    break;
                }
                freed += bytes.iter().filter(|byte| **byte == FREED).count();
            }
            assert_eq!(freed, 0, "bytes of freed memory were sent");
        },
    )
}

pub(crate) fn send(_: MakePool<'_>) -> Option<Scene> {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    full(ours.into(), theirs.into(), |fd, buf| op::Send::new(fd, buf).wait_all().into())
}

pub(crate) fn pipe_write(_: MakePool<'_>) -> Option<Scene> {
    let (reader, writer) = testing::pipe();
    full(writer, reader, |fd, buf| op::Write::new(fd, buf, Current).into())
}

pub(crate) const DIRECT_BYTES: usize = 2 << 20;

/// A buffer that direct reads take.
#[derive(Debug)]
pub(crate) struct Aligned {
    start: NonNull<u8>,
    layout: Layout,
}

impl Aligned {
    pub(crate) fn new(bytes: usize) -> Self {
        let layout = Layout::from_size_align(bytes, 4096).expect("a layout");
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc_zeroed(layout) };
        let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout));
        Self { start, layout }
    }

    pub(crate) fn start(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }
}

impl Drop for Aligned {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and dropped once.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

// SAFETY: the memory is owned, zeroed, and stays where it is until the drop.
unsafe impl BufMut for Aligned {
    fn region_mut(&mut self) -> *mut [u8] {
        std::ptr::slice_from_raw_parts_mut(self.start.as_ptr(), self.layout.size())
    }

    unsafe fn set_filled(&mut self, _bytes: usize) {}
}

/// Reads the whole file behind whatever the disk was asked for before.
pub(crate) fn read_all_direct(direct: &OwnedFd) {
    let mut buffer = Aligned::new(DIRECT_BYTES);
    // SAFETY: the memory is zeroed and borrowed for as long as `buffer` is.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.start(), DIRECT_BYTES) };
    for _ in 0..2 {
        util::file(direct).read_exact_at(bytes, 0).expect("a direct read");
    }
}

/// A file of [`DIRECT_BYTES`], written once.
fn on_disk() -> &'static Temp {
    static TEMP: OnceLock<Temp> = OnceLock::new();
    TEMP.get_or_init(|| Temp::new(DIRECT_BYTES))
}

pub(crate) fn direct_read(_: MakePool<'_>) -> Option<Scene> {
    let direct = Arc::new(on_disk().direct()?);
    let op = op::Read::new(direct.clone(), Aligned::new(DIRECT_BYTES), At(0));
    Scene::new([op.into()], || {}, move || read_all_direct(&direct))
}

pub(crate) fn worker_reads(_: MakePool<'_>) -> Option<Scene> {
    const PART: usize = DIRECT_BYTES / 4;
    let temp = on_disk();
    temp.uncache();
    let file: Fd = Arc::new(temp.file().try_clone().expect("a descriptor").into());
    let at = |part: usize| At((part * PART) as u64);
    let op = |part| op::Read::new(file.clone(), Vec::with_capacity(PART), at(part)).on_worker();
    let ops: Vec<Op> = (0..4).map(|part| op(part).into()).collect();
    Scene::new(
        ops,
        || {},
        move || {
            // behind what the disk was asked for before
            let mut bytes = vec![0; 4 * PART];
            temp.file().read_exact_at(&mut bytes, 0).expect("a read");
        },
    )
}

/// All scenes in one ring.
pub(crate) fn everything(pool: MakePool<'_>) -> Option<Scene> {
    let makes: [Make; 14] = [
        pipe_read,
        pipe_read_on_worker,
        pipe_readv,
        recv,
        recv_multi,
        accept,
        accept_multi,
        accept_from,
        connect,
        polls_and_timeouts,
        send,
        pipe_write,
        direct_read,
        worker_reads,
    ];
    let (mut ops, mut feeds, mut checks) = (Vec::new(), Vec::new(), Vec::new());
    for scene in makes.into_iter().filter_map(|make| make(pool)) {
        ops.extend(scene.ops);
        feeds.push(scene.feed);
        checks.push(scene.check);
    }
    Scene::new(
        ops,
        move || feeds.into_iter().for_each(|feed| feed()),
        move || checks.into_iter().for_each(|check| check()),
    )
}

/// Lends buffers to a scope, ends it, frees them at once, and then lets the data arrive.
pub(crate) fn borrowed(ring: &mut Ring<Op>, panics: bool, on_workers: bool) {
    let (reader, writer) = testing::pipe();
    let direct = on_disk().direct();
    let mut small = vec![0; 4096];
    let mut disk = Aligned::new(DIRECT_BYTES);
    let mut ops = vec![op::Read::new(&reader, &mut small[..], Current)];
    if let Some(direct) = &direct {
        // SAFETY: the memory is zeroed and borrowed for as long as `disk` is.
        let bytes = unsafe { std::slice::from_raw_parts_mut(disk.start(), DIRECT_BYTES) };
        ops.push(op::Read::new(direct, bytes, At(0)));
    }
    if on_workers {
        lend(ring, panics, ops.into_iter().map(Operation::on_worker));
    } else {
        lend(ring, panics, ops.into_iter());
    }
    drop((small, disk));
    write(&writer, b"late");
    assert_eq!(util::read_now(reader.as_fd(), 64).expect("still there"), b"late");
    if let Some(direct) = &direct {
        read_all_direct(direct);
    }
}

fn lend<P: Operation>(ring: &mut Ring<Op>, panics: bool, ops: impl Iterator<Item = P>) {
    let result = catch_unwind(AssertUnwindSafe(|| {
        ring.scope(4, |scope| {
            for op in ops {
                scope.submit(op, ()).expect("room");
            }
            scope.wait(0, None).expect("the kernel takes them");
            if panics {
                std::panic::resume_unwind(Box::new("in a scope"));
            }
        });
    }));
    assert_eq!(result.is_err(), panics);
}
