//! An echo server on monoio: its io_uring driver, a task per connection.

use std::io;
use std::thread;
use std::time::Duration;

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let options = peers::startup::options();
    let listener = peers::startup::listen(options, false)?;
    peers::startup::announce(&listener)?;
    let mut ring = io_uring_06::IoUring::builder();
    ring.setup_single_issuer().setup_defer_taskrun();
    let mut runtime = monoio::RuntimeBuilder::<monoio::IoUringDriver>::new()
        .with_entries(4096)
        .uring_builder(ring)
        .build()?;
    runtime.block_on(async move {
        let listener = TcpListener::from_std(listener)?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(monoio::spawn(echo(stream, options.buffer_size))),
                // Only at the descriptor limit: nobody waits for a better pause than this.
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
    })
}

async fn echo(mut stream: TcpStream, buffer_size: usize) {
    let mut buffer = Vec::with_capacity(buffer_size);
    loop {
        let (result, filled) = stream.read(buffer).await;
        let Ok(1..) = result else { return };
        let (result, written) = stream.write_all(filled).await;
        if result.is_err() {
            return;
        }
        buffer = written;
        buffer.clear();
    }
}
