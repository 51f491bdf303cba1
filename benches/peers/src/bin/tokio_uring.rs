//! An echo server on tokio-uring: a task per connection, on its current-thread runtime.

use std::io;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use tokio_uring::buf::BoundedBuf;
use tokio_uring::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let options = peers::startup::options();
    let listener = peers::startup::listen(options, false)?;
    peers::startup::announce(&listener)?;
    let mut ring = tokio_uring::uring_builder();
    // The runtime waits in epoll for the ring, so completions need no interrupt of the task, and
    // deferred task work would never run: cooperative is the best that it can do.
    ring.setup_coop_taskrun().setup_cqsize(16384);
    tokio_uring::builder().entries(4096).uring_builder(&ring).start(async move {
        let listener = TcpListener::from_std(listener);
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    drop(tokio_uring::spawn(echo(Rc::new(stream), options.buffer_size)));
                }
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
    })
}

async fn echo(stream: Rc<TcpStream>, buffer_size: usize) {
    let mut buffer = vec![0; buffer_size];
    loop {
        let (result, filled) = stream.read(buffer).await;
        let Ok(len @ 1..) = result else { return };
        let (result, slice) = stream.write_all(filled.slice(..len)).await;
        if result.is_err() {
            return;
        }
        buffer = slice.into_inner();
    }
}
