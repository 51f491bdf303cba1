//! TCP on io_uring: listeners and streams on the loops of `uring-reactor`.
//!
//! A stream is two queues of bytes. Its loop pumps: one multishot receive fills the one from the
//! loop's buffers, one send at a time drains the other. Whoever reads and writes only touches the
//! queues, so nothing of the caller's is ever lent to the kernel, and giving up a read loses
//! nothing.
//!
//! # Front ends
//!
//! | front end | for | copies | allocations |
//! | --- | --- | --- | --- |
//! | [`Handler`]: callbacks on the loop | servers | 0 | 0 a message |
//! | [`TcpStream`]: `std::io::Read` and `Write`, from any thread | the rest | 1 each way | |
//!
//! # Example: an echo server of callbacks
//!
//! ```
//! use std::time::Duration;
//! use uring_net::{Conn, Handler, Listener};
//! use uring_reactor::{Reactor, uring::Payload};
//!
//! struct Echo;
//!
//! impl Handler for Echo {
//!     fn on_data(&mut self, conn: &mut Conn<'_, '_>, data: Payload) {
//!         conn.send(data); // the very buffer that the kernel filled
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let Ok(_) = uring_reactor::check() else { return Ok(()) };
//! let reactor = Reactor::builder().loops(2).build()?;
//! let listener = Listener::builder().serve(&reactor, "127.0.0.1:0", || Echo)?;
//! println!("listening on {}", listener.local_addr());
//! listener.close();
//! println!("{}", reactor.shutdown(Duration::from_secs(1)));
//! # Ok(()) }
//! ```
//!
//! # Example: blocking streams
//!
//! ```
//! use std::io::{Read, Write};
//! use uring_net::{TcpListener, TcpStream};
//! use uring_reactor::Reactor;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let Ok(_) = uring_reactor::check() else { return Ok(()) };
//! let reactor = Reactor::builder().build()?;
//! let listener = TcpListener::bind(&reactor, "127.0.0.1:0")?;
//! let mut client = TcpStream::connect(&reactor, listener.local_addr())?;
//! let (mut server, _peer) = listener.accept()?;
//! client.write_all(b"hello")?;
//! let mut buffer = [0; 5];
//! server.read_exact(&mut buffer)?;
//! assert_eq!(&buffer, b"hello");
//! # Ok(()) }
//! ```

#![deny(unsafe_code)]

mod addr;
mod blocking;
mod conn;
mod connect;
mod core;
mod deadline;
mod error;
mod home;
mod limits;
mod link;
mod listener;
mod loads;
mod options;
mod pump;
mod stream;
mod sys;

pub use conn::{Conn, Handler};
pub use connect::{Connecting, Connector, connect};
pub use error::{End, LocallyClosed, Lost};
pub use listener::{Listener, ListenerBuilder, ListenerStats, TcpListener};
pub use stream::TcpStream;
pub use uring_reactor;
