//! An echo server on compio: its io_uring driver, a task per connection.

use std::io;
use std::thread;
use std::time::Duration;

use compio::BufResult;
use compio::driver::ProactorBuilder;
use compio::io::{AsyncRead, AsyncWriteExt};
use compio::net::{TcpListener, TcpStream};
use compio::runtime::RuntimeBuilder;

fn main() -> io::Result<()> {
    let options = peers::startup::options();
    let listener = peers::startup::listen(options, false)?;
    peers::startup::announce(&listener)?;
    let mut proactor = ProactorBuilder::new();
    proactor.capacity(4096).single_issuer(true).defer_taskrun(true);
    let runtime = RuntimeBuilder::new().with_proactor(proactor).build()?;
    runtime.block_on(async move {
        let listener = TcpListener::from_std(listener)?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    compio::runtime::spawn(echo(stream, options.buffer_size)).detach();
                }
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
    })
}

async fn echo(mut stream: TcpStream, buffer_size: usize) {
    let mut buffer = Vec::with_capacity(buffer_size);
    loop {
        let BufResult(result, filled) = stream.read(buffer).await;
        let Ok(1..) = result else { return };
        let BufResult(result, written) = stream.write_all(filled).await;
        if result.is_err() {
            return;
        }
        buffer = written;
        buffer.clear();
    }
}
