//! An echo server on one ring and one thread, with nothing but `uring`.
//!
//! - `main`: the command line, the listening socket, the report.
//! - `server`: the turn, and what each completion means.
//! - `connection`: what one connection may do next; no I/O, so that it can be tested by itself.
//! - `counters`: what was done, for people.
//! - `printer`: how they are told without waiting for their terminal.

mod connection;
mod counters;
mod printer;
mod server;

use std::{net::SocketAddr, process::ExitCode};

use server::Server;
use uring::OpCode;
use uring_examples::{Args, Failure, Signals, listen, print_line, raise_descriptor_limit, run};

const HELP: &str = "\
Sends back what it receives, on one io_uring and one thread.

Usage: echo_ring [--listen ADDR] [--buffers N] [--buffer-size B] [--stats]

  --listen ADDR      where to listen [127.0.0.1:7878]; port 0 picks a free one, and of the
                     addresses of a name it is the first that can be had
  --buffers N        how many buffers to receive into, a power of two [1024]
  --buffer-size B    bytes of each [4096]
  --stats            print the counters once a second
  -h, --help         print this
  --version          print the version

It prints `listening on ADDR` when it is ready. Ctrl-C ends it with a report.
Try it: `echo_load --connect ADDR --verify`, or `nc 127.0.0.1 7878`.
";

/// What the command line says.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) buffers: u16,
    pub(crate) buffer_bytes: u32,
    pub(crate) stats: bool,
}

impl Options {
    fn parse(mut args: Args) -> Result<Self, Failure> {
        let listen = vec![SocketAddr::from(([127, 0, 0, 1], 7878))];
        let mut options = Self { listen, buffers: 1024, buffer_bytes: 4096, stats: false };
        while let Some(flag) = args.flag()? {
            match flag.as_str() {
                "--listen" => options.listen = args.addresses()?,
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
}

fn serve(args: Args) -> Result<(), Failure> {
    let options = Options::parse(args)?;
    let signals =
        Signals::block().map_err(|e| Failure::new("cannot wait for signals with signalfd", &e))?;
    let descriptors = raise_descriptor_limit()
        .map_err(|e| Failure::new("cannot raise the limit of open files", &e))?;
    let support = uring::check().map_err(|e| Failure::new("io_uring is not available", &e))?;
    // Multishot receive has no bit of its own. SEND_ZC came with the same kernel.
    if !support.has(OpCode::SEND_ZC) {
        let text = "the kernel is too old for multishot receive; it needs Linux 6.0 or newer";
        return Err(Failure::Failed(text.to_owned()));
    }
    let listener = listen(&options.listen)?;
    let address = listener
        .local_addr()
        .map_err(|e| Failure::new("cannot tell the address of the listening socket", &e))?;
    let mut server = Server::new(listener, &options, descriptors)?;
    let flags = server.setup_flags();
    server.print(&format!("kernel {}, {flags:?}\nlistening on {address}", support.release))?;
    let served = server.serve(&signals, options.stats);
    signals.unblock();
    print_line(&server.shut_down());
    served
}

fn main() -> ExitCode {
    run("echo_ring", HELP, serve)
}
