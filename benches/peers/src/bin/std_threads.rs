//! An echo server on `std::net`: a blocking thread per connection.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

fn main() -> io::Result<()> {
    let options = peers::startup::options();
    let listener = peers::startup::listen(options, false)?;
    peers::startup::announce(&listener)?;
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // At the descriptor limit accept fails at once; without a pause this would spin.
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        // A small stack: with thousands of threads the default of 2 MiB is a lot of page tables.
        let builder = thread::Builder::new().stack_size(64 * 1024);
        if let Err(error) = builder.spawn(move || echo(stream, options.buffer_size)) {
            eprintln!("a connection is refused: cannot start a thread: {error}");
        }
    }
}

/// Ends at the end of input or at an error; either way dropping the stream closes it.
fn echo(mut stream: TcpStream, buffer_size: usize) {
    let mut buffer = vec![0; buffer_size];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(len) => {
                if stream.write_all(&buffer[..len]).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
