//! The command line.

use std::{net::SocketAddr, time::Duration};

use uring_examples::{Args, Failure};

pub(crate) const HELP: &str = "\
Loads an echo server over many connections, and measures how long messages take to come back.

Usage: echo_load [--connect ADDR] [--connections N] [--size B] [--depth D] [--seconds S] [...]

  --connect ADDR     the server [127.0.0.1:7878]; the addresses of a name are tried in turn
  --connections N    how many connections [1]
  --size B           bytes of a message [128]
  --depth D          messages in flight on each connection [1]
  --seconds S        how long to send [10, or without end if there is --messages]
  --messages M       how many messages to send, over all connections
  --verify           check each byte: what is lost, doubled, swapped or another's shows
  --half-close       at the end finish sending first: all bytes must come back, then the end
  --churn            open and close connections, one message each; --messages says how many
  --slow N           so many more connections, which send and do not read until the end
  --json             print the result as one JSON object
  -h, --help         print this
  --version          print the version

After the time is up it waits for what is in flight. It fails with exit code 1 if a byte is wrong
or a connection is lost. Ctrl-C ends the time early.
";

/// How long to send if nothing is said.
const SECONDS: Duration = Duration::from_secs(10);

/// What the command line says.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The addresses of the server, to be tried in turn.
    pub(crate) connect: Vec<SocketAddr>,
    pub(crate) connections: u32,
    pub(crate) size: u32,
    pub(crate) depth: u32,
    pub(crate) time: Option<Duration>,
    pub(crate) messages: Option<u64>,
    pub(crate) verify: bool,
    pub(crate) half_close: bool,
    pub(crate) churn: bool,
    pub(crate) slow: u32,
    pub(crate) json: bool,
}

impl Options {
    pub(crate) fn parse(mut args: Args) -> Result<Self, Failure> {
        let mut options = Self {
            connect: vec![SocketAddr::from(([127, 0, 0, 1], 7878))],
            connections: 1,
            size: 128,
            depth: 1,
            time: None,
            messages: None,
            verify: false,
            half_close: false,
            churn: false,
            slow: 0,
            json: false,
        };
        while let Some(flag) = args.flag()? {
            match flag.as_str() {
                "--connect" => options.connect = args.addresses()?,
                "--connections" => options.connections = args.number(1..=1_000_000)?,
                "--size" => options.size = args.number(1..=1 << 24)?,
                "--depth" => options.depth = args.number(1..=65_536)?,
                "--seconds" => options.time = Some(args.seconds()?),
                "--messages" => options.messages = Some(args.number(1..=u64::MAX)?),
                "--verify" => options.verify = true,
                "--half-close" => options.half_close = true,
                "--churn" => options.churn = true,
                "--slow" => options.slow = args.number(0..=1_000_000)?,
                "--json" => options.json = true,
                _ => return Err(args.unknown()),
            }
        }
        args.no_operands()?;
        if options.messages.is_none() {
            options.time.get_or_insert(SECONDS);
        }
        Ok(options)
    }

    /// How many connections are open at once.
    pub(crate) const fn all_connections(&self) -> u32 {
        self.connections + self.slow
    }
}
