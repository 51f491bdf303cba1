//! An echo server on tokio: the current-thread runtime, a task per connection.

use std::io;
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let options = peers::startup::options();
    let listener = peers::startup::listen(options, true)?;
    peers::startup::announce(&listener)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async move {
        let listener = TcpListener::from_std(listener)?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(echo(stream, options.buffer_size))),
                // Only at the descriptor limit: nobody waits for a better pause than this.
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
    })
}

async fn echo(mut stream: TcpStream, buffer_size: usize) {
    let mut buffer = vec![0; buffer_size];
    while let Ok(len @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..len]).await.is_err() {
            return;
        }
    }
}
