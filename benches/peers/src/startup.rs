//! What every Rust peer does before its runtime starts: the command line and the listening socket.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// The same for every peer: `listen(2)` cuts it down to `net.core.somaxconn`.
pub const BACKLOG: i32 = 4096;

/// What the command line asked for.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Bytes of one receive buffer.
    pub buffer_size: usize,
}

/// Parses `--listen ADDR [--buffer-size BYTES]`, or says how it is used and exits.
#[must_use]
pub fn options() -> Options {
    let mut listen = None;
    let mut buffer_size = 4096;
    let mut args = std::env::args();
    let name = args.next().unwrap_or_default();
    while let Some(arg) = args.next() {
        let value = args.next();
        match (arg.as_str(), value.as_deref()) {
            ("--listen", Some(value)) => listen = value.parse().ok(),
            ("--buffer-size", Some(value)) => buffer_size = value.parse().unwrap_or(0),
            _ => listen = None,
        }
    }
    match listen {
        Some(listen) if buffer_size > 0 => Options { listen, buffer_size },
        _ => {
            eprintln!("usage: {name} --listen ADDR:PORT [--buffer-size BYTES]");
            std::process::exit(2);
        }
    }
}

/// Opens the listening socket: non-blocking if the runtime needs that.
///
/// `TCP_NODELAY` is set here and not on each connection, because accepted sockets inherit it: the
/// option is the same for all, and costs none of them a call per connection.
///
/// # Errors
///
/// Those of `socket(2)`, `setsockopt(2)`, `bind(2)` and `listen(2)`.
pub fn listen(options: Options, nonblocking: bool) -> io::Result<TcpListener> {
    raise_file_limit();
    let domain = Domain::for_address(options.listen);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(nonblocking)?;
    socket.bind(&options.listen.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Prints the one line that tells a parent where to connect. The socket listens already, so this
/// may come before the runtime starts.
///
/// # Errors
///
/// If standard output is closed.
pub fn announce(listener: &TcpListener) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening on {}", listener.local_addr()?)?;
    out.flush()
}

/// A thousand connections and more need more descriptors than the usual soft limit of 1024.
fn raise_file_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place to write to.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0 {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: `limit` is initialized.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
}
