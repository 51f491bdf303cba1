//! What each operation yields, and how it fails: as the system call of the same name.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::net::UnixStream,
    },
    time::{Duration, Instant},
};

use uring::{At, Current, OpCode, Operation as _, PollEvents, Ring, Sqe, op};

use crate::util::{self, Fd, Happened, Mode};

fn ring() -> Ring<op::Nop> {
    util::ring()
}

#[test]
fn a_descriptor_of_the_wrong_direction_is_ebadf() {
    let (reader, writer) = testing::pipe();
    let (result, ..) = ring().run(op::Read::new(&writer, [0; 8], Current));
    assert_eq!(util::errno(&result), libc::EBADF); // read(2)
    let (result, ..) = ring().run(op::Write::new(&reader, *b"12345678", Current));
    assert_eq!(util::errno(&result), libc::EBADF); // write(2)
}

#[test]
fn reading_a_folder_is_eisdir_and_an_offset_in_a_pipe_means_nothing() {
    let folder = std::fs::File::open("/").expect("there is one");
    let (result, ..) = ring().run(op::Read::new(&folder, [0; 8], At(0)));
    assert_eq!(util::errno(&result), libc::EISDIR);
    let (reader, writer) = testing::pipe();
    util::file(&writer).write_all(b"1234").expect("room");
    let (result, _, buf) = ring().run(op::Read::new(&reader, [0; 8], At(0)));
    assert_eq!((result.expect("the offset means nothing"), &buf[..4]), (4, &b"1234"[..]));
}

#[test]
fn more_than_1024_vectors_are_einval() {
    let temp = util::Temp::new(10);
    let bufs = vec![[0_u8; 1]; 1025]; // UIO_MAXIOV is 1024
    let (result, _, bufs) = ring().run(op::Readv::new(temp.file(), bufs, At(0)));
    assert_eq!(util::errno(&result), libc::EINVAL);
    let (result, ..) = ring().run(op::Writev::new(temp.file(), bufs, At(0)));
    assert_eq!(util::errno(&result), libc::EINVAL);
    let none: Vec<[u8; 1]> = Vec::new();
    let (result, ..) = ring().run(op::Readv::new(temp.file(), none, At(0)));
    assert_eq!(result.expect("nothing to read"), 0);
}

#[test]
fn a_write_to_a_pipe_that_nobody_reads_is_epipe_and_a_send_raises_no_signal() {
    isolated!();
    // SAFETY: the default disposition: a signal would end this process.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Nop, ()>(8, 8) else { continue };
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        drop(theirs);
        let (result, ..) = ring.run(op::Send::new(&ours, &b"to nobody"[..]));
        assert_eq!(util::errno(&result), libc::EPIPE, "{mode:?}");
        let (result, ..) = ring.run(op::Send::new(&ours, &b"to nobody"[..]).on_worker());
        assert_eq!(util::errno(&result), libc::EPIPE, "{mode:?}");
    }
    // SAFETY: the signal is ignored, as Rust programs start.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let (reader, writer) = testing::pipe();
    drop(reader);
    let (result, ..) = ring().run(op::Write::new(&writer, &b"to nobody"[..], Current));
    assert_eq!(util::errno(&result), libc::EPIPE);
}

#[test]
fn bytes_go_through_a_connection_unchanged_and_then_it_ends() {
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Nop, ()>(8, 8) else { continue };
        let (ours, mut theirs) = util::tcp_pair();
        let sent = util::content(0, 5000);
        let (result, ..) = ring.run(op::Send::new(&ours, &sent[..]).wait_all());
        assert_eq!(result.expect("sent"), 5000);
        let mut received = vec![0; 5000];
        theirs.read_exact(&mut received).expect("received");
        assert!(received == sent, "{mode:?}");

        theirs.write_all(&sent[..3000]).expect("sent");
        theirs.shutdown(Shutdown::Write).expect("open");
        let mut all = Vec::new();
        loop {
            let (result, _, buf) = ring.run(op::Recv::new(&ours, Vec::with_capacity(1024)));
            let count = result.expect("received");
            assert_eq!(count, buf.len());
            if count == 0 {
                break;
            }
            all.extend(buf);
        }
        assert!(all == sent[..3000], "{mode:?}");
    }
}

#[test]
fn a_peek_leaves_the_data_and_dont_wait_does_not_wait() {
    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    let mut ring = ring();
    let (result, ..) = ring.run(op::Recv::new(&ours, [0; 8]).dont_wait());
    assert_eq!(util::errno(&result), libc::EAGAIN);
    theirs.write_all(b"once").expect("room");
    for _ in 0..2 {
        let (result, _, buf) = ring.run(op::Recv::new(&ours, [0; 8]).peek());
        assert_eq!((result.expect("there"), &buf[..4]), (4, &b"once"[..]));
    }
    let (result, _, buf) = ring.run(op::Recv::new(&ours, [0; 8]));
    assert_eq!((result.expect("there"), &buf[..4]), (4, &b"once"[..]));
}

#[test]
fn an_operation_on_what_is_no_socket_is_enotsock() {
    let (reader, writer) = testing::pipe();
    let mut ring = ring();
    assert_eq!(util::errno(&ring.run(op::Recv::new(&reader, [0; 8])).0), libc::ENOTSOCK);
    assert_eq!(util::errno(&ring.run(op::Send::new(&writer, [0; 8])).0), libc::ENOTSOCK);
    assert_eq!(util::errno(&ring.run(op::Accept::new(&reader)).0), libc::ENOTSOCK);
    let addr: SocketAddr = ([127, 0, 0, 1], 1).into();
    assert_eq!(util::errno(&ring.run(op::Connect::new(&reader, &addr)).0), libc::ENOTSOCK);
}

#[test]
fn an_accept_says_where_the_connection_comes_from() {
    let mut ring = ring();
    for local in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(local) else { continue };
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let (accepted, _) = ring.run(op::AcceptFrom::new(&listener));
        let (fd, from) = accepted.expect("a client waits");
        assert_eq!(from, Some(client.local_addr().expect("connected")));
        let accepted = TcpStream::from(fd);
        assert_eq!(accepted.peer_addr().expect("connected"), from.expect("an address"));
    }
}

#[test]
fn an_accept_on_a_socket_that_does_not_listen_is_einval() {
    let socket = util::socket(libc::AF_INET, libc::SOCK_STREAM);
    let mut ring = ring();
    assert_eq!(util::errno(&ring.run(op::Accept::new(&socket)).0), libc::EINVAL); // accept(2)
    assert_eq!(util::errno(&ring.run(op::AcceptFrom::new(&socket)).0), libc::EINVAL);
}

#[test]
fn an_accept_at_the_limit_of_descriptors_is_emfile_and_the_listener_lives_on() {
    isolated!();
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let mut ring = ring();
    let _client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    // 0 and up are taken: the lowest free number is at the limit
    let free = std::fs::File::open("/dev/null").expect("it").as_raw_fd();
    let before = testing::limit(libc::RLIMIT_NOFILE, free.unsigned_abs().into());
    let (result, _) = ring.run(op::Accept::new(&listener));
    assert_eq!(util::errno(&result), libc::EMFILE);
    testing::limit(libc::RLIMIT_NOFILE, before);
    // accept(2): the connection was not taken from the queue
    let (result, _) = ring.run(op::Accept::new(&listener));
    result.expect("there is room again");
}

#[test]
fn a_connect_completes_when_it_stands_and_is_econnrefused_where_nobody_listens() {
    let mut ring = ring();
    for (local, domain) in [("127.0.0.1:0", libc::AF_INET), ("[::1]:0", libc::AF_INET6)] {
        let Ok(listener) = TcpListener::bind(local) else { continue };
        let addr = listener.local_addr().expect("bound");
        let ours = util::socket(domain, libc::SOCK_STREAM);
        let (result, ours) = ring.run(op::Connect::new(ours, &addr));
        result.expect("it listens");
        let ours = TcpStream::from(ours);
        assert_eq!(listener.accept().expect("it is there").1, ours.local_addr().expect("bound"));
        let (result, _) = ring.run(op::Connect::new(&ours, &addr));
        assert_eq!(util::errno(&result), libc::EISCONN);

        drop(listener);
        let (result, _) =
            ring.run(op::Connect::new(util::socket(domain, libc::SOCK_STREAM), &addr));
        assert_eq!(util::errno(&result), libc::ECONNREFUSED);
    }
}

#[test]
fn a_connect_of_the_wrong_family_is_eafnosupport() {
    let socket = util::socket(libc::AF_INET, libc::SOCK_STREAM);
    let addr: SocketAddr = "[::1]:1".parse().expect("an address");
    let (result, _) = ring().run(op::Connect::new(&socket, &addr));
    assert_eq!(util::errno(&result), libc::EAFNOSUPPORT); // connect(2)
}

#[test]
fn a_shutdown_ends_one_direction_and_is_enotconn_without_a_connection() {
    if !util::has(OpCode::SHUTDOWN) {
        skip!("no shutdown before 5.11");
    }
    let mut ring = ring();
    let lonely = util::socket(libc::AF_INET, libc::SOCK_STREAM);
    let (result, _) = ring.run(op::Shutdown::new(&lonely, Shutdown::Both));
    assert_eq!(util::errno(&result), libc::ENOTCONN); // shutdown(2)
    let (ours, mut theirs) = util::tcp_pair();
    let (result, _) = ring.run(op::Shutdown::new(&ours, Shutdown::Write));
    result.expect("connected");
    assert_eq!(theirs.read(&mut [0]).expect("the end"), 0);
    theirs.write_all(b"the other direction is open").expect("open");
    let (result, ..) = ring.run(op::Recv::new(&ours, [0; 64]));
    assert_eq!(result.expect("open"), 27);
    let (result, _) = ring.run(op::Shutdown::new(&ours, Shutdown::Read));
    result.expect("connected");
    let (result, ..) = ring.run(op::Recv::new(&ours, [0; 64]));
    assert_eq!(result.expect("the end"), 0);
}

#[test]
fn a_file_and_a_folder_are_synced_and_a_pipe_and_a_socket_are_einval() {
    let (reader, _writer) = testing::pipe();
    let socket = util::socket(libc::AF_INET, libc::SOCK_STREAM);
    let folder = std::fs::File::open(std::env::temp_dir()).expect("there is one");
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Nop, ()>(8, 8) else { continue };
        let temp = util::Temp::new(0);
        let (result, ..) = ring.run(op::Write::new(temp.file(), &b"to be kept"[..], At(0)));
        result.expect("room");
        ring.run(op::Fsync::new(temp.file())).0.expect("the disk takes it");
        ring.run(op::Fsync::new(temp.file()).data_only()).0.expect("the disk has it");
        ring.run(op::Fsync::new(&folder)).0.expect("the disk takes it");
        for fd in [&reader, &socket] {
            let (result, _) = ring.run(op::Fsync::new(fd));
            assert_eq!(util::errno(&result), libc::EINVAL, "{mode:?}"); // fsync(2)
            let (result, _) = ring.run(op::Fsync::new(fd).data_only());
            assert_eq!(util::errno(&result), libc::EINVAL, "{mode:?}");
        }
    }
}

/// No error and no result tells the two apart: the entry does.
#[test]
fn a_sync_is_of_the_whole_file_and_of_its_data_alone_if_it_is_told() {
    let temp = util::Temp::new(1);
    // include/uapi/linux/io_uring.h, Linux 6.18: IORING_FSYNC_DATASYNC is bit 0
    for (mut op, flags) in
        [(op::Fsync::new(temp.file()), 0), (op::Fsync::new(temp.file()).data_only(), 1)]
    {
        let mut entry = Sqe::default();
        // SAFETY: the entry is not submitted.
        unsafe { op.prepare(&mut entry) };
        let raw = entry.raw();
        assert_eq!((raw.op_flags, raw.off, raw.len), (flags, 0, 0)); // io_uring_enter(2)
    }
}

#[test]
fn a_datagram_longer_than_the_buffer_is_cut_and_the_count_is_what_was_written() {
    let (ours, theirs) = (UdpSocket::bind("127.0.0.1:0"), UdpSocket::bind("127.0.0.1:0"));
    let (ours, theirs) = (ours.expect("loopback"), theirs.expect("loopback"));
    let addr = ours.local_addr().expect("bound");
    let mut ring = ring();
    theirs.send_to(b"longer than eight", addr).expect("sent");
    let (result, _, buf) = ring.run(op::Recv::new(&ours, Box::<[u8]>::from([0; 8])));
    assert_eq!((result.expect("it"), &buf[..]), (8, &b"longer t"[..]));
    theirs.send_to(b"", addr).expect("sent");
    let (result, ..) = ring.run(op::Recv::new(&ours, [0; 8]));
    assert_eq!(result.expect("an empty one"), 0);
}

#[test]
fn a_poll_tells_the_events_that_are_there() {
    let mut ring = util::ring::<op::Poll<Fd>, ()>();
    let (reader, writer) = testing::pipe();
    let (reader, writer) = (Fd::new(reader), Fd::new(writer));
    let (result, _) = ring.run(op::Poll::new(&writer, PollEvents::OUT | PollEvents::IN));
    assert_eq!(result.expect("room"), PollEvents::OUT);
    ring.submit(op::Poll::new(reader, PollEvents::IN), ()).expect("room");
    ring.wait(0, None).expect("the kernel takes it");
    assert!(ring.next().is_none(), "there is nothing to read");
    util::file(&writer).write_all(b"x").expect("room");
    let (_, (result, reader)) = util::done(&mut ring);
    assert_eq!(result.expect("data").bits(), 1); // POLLIN in poll(2) is 1
    drop(writer);
    let (result, _) = ring.run(op::Poll::new(&reader, PollEvents::IN));
    // POLLHUP is 16: not asked for, always told
    assert_eq!(result.expect("the end").bits(), 1 | 16);
    // regular files cannot be polled: as epoll_ctl(2), EPERM, or ready at once
    let (result, _) = ring.run(op::Poll::new(util::Temp::new(1).file(), PollEvents::IN));
    assert!(result.is_ok() || util::errno(&result) == libc::EPERM);
}

#[test]
fn a_multishot_poll_reports_each_arrival_until_it_is_cancelled() {
    if !util::support().features.contains(uring::Features::RSRC_TAGS) {
        skip!("no multishot poll before 5.13");
    }
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::PollMulti<Fd>, ()>(8, 8) else { continue };
        let (reader, writer) = testing::pipe();
        let reader = Fd::new(reader);
        let id = ring.submit(op::PollMulti::new(reader.clone(), PollEvents::IN), ()).expect("room");
        ring.wait(0, None).expect("the kernel takes it");
        for _ in 0..5 {
            util::file(&writer).write_all(b"x").expect("room");
            let Happened::Item(of, item) = util::next(&mut ring) else { panic!("it goes on") };
            assert_eq!((of, item.expect("data")), (id, PollEvents::IN), "{mode:?}");
            util::read_now(reader.as_fd(), 8).expect("what was written");
        }
        ring.cancel(id).expect("room");
        let (of, (result, _)) = util::done(&mut ring);
        assert_eq!((of, util::errno(&result)), (id, libc::ECANCELED), "{mode:?}");
    }
}

#[test]
fn a_timeout_ends_with_success_and_not_before_its_time() {
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Timeout, ()>(8, 8) else { continue };
        let after = Duration::from_millis(30);
        let began = Instant::now();
        ring.submit(op::Timeout::new(after), ()).expect("room");
        ring.submit(op::Timeout::new(Duration::MAX), ()).expect("room");
        ring.submit(op::Timeout::new(Duration::from_secs(u64::MAX / 2)), ()).expect("room");
        util::done(&mut ring).1.expect("that the time is up is success");
        assert!(began.elapsed() >= after, "{mode:?}");
        assert_eq!(ring.in_flight(), 2, "{mode:?}: the endless ones are neither EINVAL nor over");
        ring.cancel_all().expect("room");
        for _ in 0..2 {
            assert_eq!(util::errno(&util::done(&mut ring).1), libc::ECANCELED);
        }
        ring.run(op::Timeout::new(Duration::ZERO)).expect("no time at all");
    }
}

/// How many threads of this process the kernel has made to work for its rings.
fn workers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("procfs");
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        // a thread may end while the list is read
        std::fs::read_to_string(task.expect("an entry").path().join("comm")).unwrap_or_default()
    };
    tasks.map(name).filter(|name| name.starts_with("iou-wrk")).count()
}

#[test]
fn an_operation_can_run_on_a_worker() {
    isolated!();
    // before 5.12 they were threads of the kernel, which belonged to no process
    let visible = util::support().features.contains(uring::Features::NATIVE_WORKERS);
    let (reader, _writer) = testing::pipe();
    let reader = Fd::new(reader);
    let mut ring = util::ring::<uring::AnyOperation, ()>();
    let read = || op::Read::new(reader.clone(), vec![0; 8], Current);
    ring.submit(uring::AnyOperation::new(read()), ()).expect("room");
    ring.wait(0, None).expect("the kernel takes it");
    assert_eq!(workers(), 0, "a read that waits needs none");
    ring.submit(uring::AnyOperation::new(read().on_worker()), ()).expect("room");
    ring.wait(0, None).expect("the kernel takes it");
    if visible {
        testing::until("there is a worker", || workers() > 0);
    }
    drop(ring);
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Nop, ()>(8, 8) else { continue };
        ring.run(op::Nop::new().on_worker()).expect("nothing");
        let temp = util::Temp::new(100);
        let (result, _, buf) = ring.run(op::Read::new(temp.file(), [0; 8], At(3)).on_worker());
        assert_eq!((result.expect("a read"), &buf[..]), (8, &util::content(3, 8)[..]));
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        theirs.write_all(b"data").expect("room");
        let (result, ..) = ring.run(op::Recv::new(&ours, [0; 8]).on_worker());
        assert_eq!(result.expect("data"), 4, "{mode:?}");
    }
}

#[test]
fn a_sync_goes_to_a_worker_by_itself() {
    if !util::support().features.contains(uring::Features::NATIVE_WORKERS) {
        skip!("workers are no threads of the process before 5.12");
    }
    isolated!();
    let temp = util::Temp::new(100);
    let mut ring = ring();
    assert_eq!(workers(), 0);
    ring.run(op::Fsync::new(temp.file())).0.expect("the disk has it");
    assert!(workers() > 0, "the last one stays, with the thread");
}

#[test]
fn an_opcode_that_the_kernel_does_not_have_is_einval() {
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Nop, ()>(8, 8) else { continue };
        assert_eq!(util::errno(&ring.run(util::Unknown)), libc::EINVAL, "{mode:?}");
        ring.run(op::Nop::new()).expect("the ring goes on");
    }
}

#[test]
fn lengths_over_four_gibibytes_are_cut_to_what_the_kernel_moves_and_never_wrap() {
    isolated!();
    const HUGE: usize = (1 << 32) + 4096;
    // read-only zeroes that take no memory: all pages are the same
    let start = std::ptr::null_mut();
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: no address is asked for, so no existing mapping can be replaced.
    let map = unsafe { libc::mmap(start, HUGE, libc::PROT_READ, flags, -1, 0) };
    if map == libc::MAP_FAILED {
        skip!("no 4 GiB of addresses");
    }
    // SAFETY: the mapping has that many bytes, is zero, and stays to the end of the process.
    let zeroes = unsafe { std::slice::from_raw_parts(map.cast::<u8>(), HUGE) };
    let null = std::fs::File::options().write(true).open("/dev/null").expect("it");
    for length in [1 << 31, (1 << 31) + 1, 1 << 32, (1 << 32) + 1, HUGE] {
        // read(2): Linux transfers at most 0x7ffff000 bytes
        let (result, ..) = ring().run(op::Write::new(&null, &zeroes[..length], At(0)));
        assert_eq!(result.expect("it takes all"), 0x7fff_f000, "{length:#x}");
        let bufs = vec![&zeroes[..length]];
        let (result, ..) = ring().run(op::Writev::new(&null, bufs, At(0)));
        assert_eq!(result.expect("it takes all"), 0x7fff_f000, "{length:#x}");
    }
}

#[test]
fn the_descriptor_and_the_buffer_come_back() {
    let (reader, writer) = testing::pipe();
    let (number, buffer) = (reader.as_raw_fd(), vec![7_u8; 3]);
    let place = buffer.as_ptr();
    drop(writer);
    let (result, reader, buffer) = ring().run(op::Read::new(reader, buffer, Current));
    assert_eq!(result.expect("the end"), 0);
    assert_eq!((reader.as_raw_fd(), buffer.as_ptr()), (number, place));
    let borrowed: BorrowedFd<'_> = reader.as_fd();
    let (result, ..) = ring().run(op::Read::new(borrowed, [0; 1], Current));
    assert_eq!(result.expect("the end"), 0);

    let (ours, theirs) = UnixStream::pair().expect("a pair");
    drop(theirs);
    let number = ours.as_raw_fd();
    let mut fd = std::os::fd::OwnedFd::from(ours);
    // also of those that fail: nobody listens any more
    macro_rules! come_back {
        ($($op:expr),*) => {$({
            let buffer = vec![7_u8; 3];
            let place = buffer.as_ptr();
            let (_, again, buffer) = ring().run($op(fd, buffer));
            assert_eq!((again.as_raw_fd(), buffer.as_ptr()), (number, place), stringify!($op));
            fd = again;
        })*};
    }
    come_back!(
        op::Send::new,
        |fd, buffer| op::Send::new(fd, buffer).on_worker(),
        op::Recv::new,
        |fd, buffer| op::Write::new(fd, buffer, Current),
        |fd, buffer| op::Read::new(fd, buffer, Current)
    );
    let bufs = vec![vec![7_u8; 3], vec![8; 4]];
    let places = [bufs[0].as_ptr(), bufs[1].as_ptr()];
    let (_, fd, bufs) = ring().run(op::Writev::new(fd, bufs, Current));
    let (_, fd, bufs) = ring().run(op::Readv::new(fd, bufs, Current));
    assert_eq!([bufs[0].as_ptr(), bufs[1].as_ptr()], places);
    let (_, fd) = ring().run(op::Accept::new(fd));
    let (_, fd) = ring().run(op::AcceptFrom::new(fd));
    let (_, fd) = ring().run(op::Connect::new(fd, &([127, 0, 0, 1], 1).into()));
    let (_, fd) = ring().run(op::Shutdown::new(fd, Shutdown::Both));
    let (_, fd) = ring().run(op::Fsync::new(fd));
    assert_eq!(fd.as_raw_fd(), number);
}
