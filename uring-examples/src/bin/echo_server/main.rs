//! An echo server on `uring-net`, with callbacks or with blocking threads.
//!
//! - `main`: the command line, the start, the report.
//! - `callback`: each connection is a handler on a loop.
//! - `blocking`: each connection is a thread that reads and writes.

mod blocking;
mod callback;

use std::{
    net::SocketAddr,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use uring_examples::{
    Args, Failure, Signals, explained, print_error, print_line, raise_descriptor_limit, run,
};
use uring_net::{Listener, ListenerBuilder, ListenerStats, TcpListener};
use uring_reactor::{Handle, Reactor, Stats};

const HELP: &str = "\
Sends back what it receives, with event loops on io_uring.

Usage: echo_server [--listen ADDR] [--loops N] [--reuseport] [--mode callback|blocking]
                   [--buffers N] [--buffer-size B] [--stats]

  --listen ADDR      where to listen [127.0.0.1:7878]; port 0 picks a free one, and of the
                     addresses of a name it is the first that can be had
  --loops N          how many event loops, each a thread with a ring of its own [1]
  --reuseport        a listening socket for each loop, instead of handing connections over
  --mode MODE        callback: handlers on the loops; blocking: a thread for each connection
                     [callback]
  --buffers N        how many buffers each loop receives into, a power of two [1024]
  --buffer-size B    bytes of each [4096]
  --stats            print the counters once a second
  -h, --help         print this
  --version          print the version

It prints `listening on ADDR` when it is ready. Ctrl-C ends it with a report.
Try it: `echo_load --connect ADDR --verify`, or `nc 127.0.0.1 7878`.
";

/// How long the end may take.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
enum Mode {
    Callback,
    Blocking,
}

/// What the command line says.
#[derive(Debug)]
struct Options {
    listen: Vec<SocketAddr>,
    loops: usize,
    reuseport: bool,
    mode: Mode,
    buffers: u16,
    buffer_bytes: u32,
    stats: bool,
}

impl Options {
    fn parse(mut args: Args) -> Result<Self, Failure> {
        let mut options = Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 7878))],
            loops: 1,
            reuseport: false,
            mode: Mode::Callback,
            buffers: 1024,
            buffer_bytes: 4096,
            stats: false,
        };
        let modes = [("callback", Mode::Callback), ("blocking", Mode::Blocking)];
        while let Some(flag) = args.flag()? {
            match flag.as_str() {
                "--listen" => options.listen = args.addresses()?,
                "--loops" => options.loops = args.number(1..=1024)?,
                "--reuseport" => options.reuseport = true,
                "--mode" => options.mode = args.choice(&modes)?,
                "--buffers" => options.buffers = args.number(1..=32_768)?,
                "--buffer-size" => options.buffer_bytes = args.number(1..=1 << 24)?,
                "--stats" => options.stats = true,
                _ => return Err(args.unknown()),
            }
        }
        args.no_operands()?;
        if !options.buffers.is_power_of_two() {
            let next = options.buffers.next_power_of_two();
            let text = format!("--buffers is {}, no power of two; try {next}", options.buffers);
            return Err(Failure::Usage(text));
        }
        Ok(options)
    }

    fn listener(&self) -> ListenerBuilder {
        // a program without descriptors fails again and again; the rest are counted
        let told = AtomicBool::new(false);
        let tell = move |error: &std::io::Error| {
            if !told.swap(true, Ordering::Relaxed) {
                let text = format!(
                    "echo_server: cannot accept: {}; connections wait until others are closed",
                    explained(error)
                );
                // a loop does not wait for a terminal; without a thread nothing is told
                let _ = thread::Builder::new().spawn(move || print_error(&text));
            }
        };
        Listener::builder().reuse_port(self.reuseport).on_error(tell)
    }
}

/// How many times data arrived, on all connections.
#[derive(Debug, Default)]
struct Messages(AtomicU64);

impl Messages {
    fn add(&self, count: u64) {
        // Relaxed: a count, read for people
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}

/// The listener of either mode.
enum Server {
    Callback(Listener),
    Blocking { listener: Arc<TcpListener>, acceptor: thread::JoinHandle<()> },
}

impl Server {
    fn start(
        options: &Options,
        reactor: &Reactor,
        messages: &Arc<Messages>,
    ) -> std::io::Result<Self> {
        Ok(match options.mode {
            Mode::Callback => {
                let messages = Arc::clone(messages);
                let make = move || callback::Echo::new(Arc::clone(&messages));
                Self::Callback(options.listener().serve(reactor, &options.listen[..], make)?)
            }
            Mode::Blocking => {
                let listener = Arc::new(options.listener().bind(reactor, &options.listen[..])?);
                let accepting = Arc::clone(&listener);
                let messages = Arc::clone(messages);
                let acceptor = thread::Builder::new()
                    .name("acceptor".into())
                    .spawn(move || blocking::accept(&accepting, &messages))?;
                Self::Blocking { listener, acceptor }
            }
        })
    }

    fn local_addr(&self) -> SocketAddr {
        match self {
            Self::Callback(listener) => listener.local_addr(),
            Self::Blocking { listener, .. } => listener.local_addr(),
        }
    }

    fn stats(&self) -> ListenerStats {
        match self {
            Self::Callback(listener) => listener.stats(),
            Self::Blocking { listener, .. } => listener.stats(),
        }
    }

    fn close(self) {
        match self {
            Self::Callback(listener) => listener.close(),
            Self::Blocking { listener, acceptor } => {
                listener.shutdown();
                // it panicked: the panic was printed, and there is no more to accept
                let _ended = acceptor.join();
                if let Ok(listener) = Arc::try_unwrap(listener) {
                    listener.close();
                }
            }
        }
    }
}

/// Prints the counters once a second, until the sender hangs up.
fn print_stats(handles: &[Handle], stop: &mpsc::Receiver<()>) {
    let mut before = Stats::default();
    while stop.recv_timeout(Duration::from_secs(1)) == Err(mpsc::RecvTimeoutError::Timeout) {
        let mut now = Stats::default();
        for handle in handles {
            now += handle.stats();
        }
        let completions = now.completions - before.completions;
        let enters = now.enters - before.enters;
        print_line(&format!("{completions} completions/s, {enters} enters/s; {now}"));
        before = now;
    }
}

fn serve(args: Args) -> Result<(), Failure> {
    let options = Options::parse(args)?;
    let signals =
        Signals::block().map_err(|e| Failure::new("cannot wait for signals with signalfd", &e))?;
    raise_descriptor_limit()
        .map_err(|e| Failure::new("cannot raise the limit of open files", &e))?;
    let support = uring_reactor::check().map_err(|e| Failure::new("cannot run event loops", &e))?;
    let reactor = Reactor::builder()
        .loops(options.loops)
        .buffers(options.buffers, options.buffer_bytes)
        .build()
        .map_err(|e| Failure::new("cannot start the event loops", &e))?;
    let messages = Arc::new(Messages::default());
    let server = Server::start(&options, &reactor, &messages)
        .map_err(|e| Failure::advised("cannot start the server", &e))?;
    let flags = reactor.handle().setup_flags();
    let start =
        format!("kernel {}, {flags:?}\nlistening on {}", support.release, server.local_addr());

    let (running, stopped) = mpsc::channel();
    let handles: Vec<Handle> = reactor.handles().cloned().collect();
    // on a thread of its own: a terminal may be stopped, and signals are waited for here
    let printer = thread::spawn(move || {
        print_line(&start);
        if options.stats {
            print_stats(&handles, &stopped);
        }
    });
    let signal = signals.wait().map_err(|e| Failure::new("cannot wait for a signal", &e))?;
    signals.unblock();
    drop(running);
    // it panicked: the panic was printed
    let _ended = printer.join();
    let ListenerStats { accepted, errors, .. } = server.stats();
    server.close();
    let report = reactor.shutdown(SHUTDOWN_LIMIT);
    print_line(&format!("{signal}: {accepted} connections, {errors} errors while accepting"));
    print_line(&report.to_string());
    let messages = messages.0.load(Ordering::Relaxed);
    print_line(&format!("enters {} messages {messages}", report.stats.enters));
    Ok(())
}

fn main() -> ExitCode {
    run("echo_server", HELP, serve)
}
