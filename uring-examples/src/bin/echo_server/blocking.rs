//! Echo by threads: the code that would run on `std::net`, on streams of `uring-net`.

use std::{
    io::{self, Read, Write},
    sync::Arc,
    thread,
};

use uring_examples::print_error;
use uring_net::{TcpListener, TcpStream};

use crate::Messages;

/// Accepts until the listener is closed.
pub(crate) fn accept(listener: &TcpListener, messages: &Arc<Messages>) {
    while let Ok((stream, _peer)) = listener.accept() {
        let messages = Arc::clone(messages);
        let thread = thread::Builder::new().name("connection".into()).stack_size(64 * 1024);
        if let Err(error) = thread.spawn(move || echo(&stream, &messages)) {
            // the stream is dropped, and so closed; others are served
            print_error(&format!(
                "echo_server: cannot start a thread for a connection: {error}; raise `ulimit -u`, \
                 or the pids.max of the container"
            ));
        }
    }
}

/// Serves one connection to its end. A reset is the peer's business.
fn echo(stream: &TcpStream, messages: &Messages) {
    let mut count = 0;
    let _ended = copy(stream, &mut count);
    messages.add(count);
}

fn copy(mut stream: &TcpStream, count: &mut u64) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(()); // what was written still goes out, then the connection is closed
        }
        *count += 1;
        stream.write_all(&buffer[..length])?;
    }
}
