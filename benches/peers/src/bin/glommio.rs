//! An echo server on glommio: one executor, a task per connection.

use std::io;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::thread;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::net::{TcpListener, TcpStream};
use glommio::{LocalExecutorBuilder, Placement};

fn main() -> io::Result<()> {
    let options = peers::startup::options();
    let listener = peers::startup::listen(options, false)?;
    peers::startup::announce(&listener)?;
    // The runner pins the process; glommio's own placement would ask for the whole machine's CPUs.
    let executor = LocalExecutorBuilder::new(Placement::Unbound).ring_depth(4096).make()?;
    executor.run(async move {
        // SAFETY: the descriptor was just given up by its owner, and listens.
        let listener = unsafe { TcpListener::from_raw_fd(listener.into_raw_fd()) };
        loop {
            match listener.accept().await {
                Ok(stream) => glommio::spawn_local(echo(stream, options.buffer_size)).detach(),
                Err(_) => {
                    thread::sleep(Duration::from_millis(10));
                    continue;
                }
            };
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
