//! The crate `uring-net`: one echo of 128 bytes there and back over loopback.
//!
//! The client is the standard library's in all of them, so the difference is the server's. Server
//! and client sleep and wake in turn: this is a latency, and most of it is the kernel's.

use std::{
    error::Error,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream as StdStream},
    thread,
    time::Duration,
};

use criterion::Criterion;
use uring_net::{
    Conn, Handler, Listener, TcpListener,
    uring_reactor::{Reactor, uring::Payload},
};

type Outcome = Result<(), Box<dyn Error>>;

/// The bytes of a message.
const MESSAGE: usize = 128;

struct Echo;

impl Handler for Echo {
    fn on_data(&mut self, conn: &mut Conn<'_, '_>, data: Payload) {
        conn.send(data);
    }
}

/// Until the peer has finished.
fn echo(mut stream: impl Read + Write) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            bytes => stream.write_all(&buffer[..bytes])?,
        }
    }
}

fn measure(criterion: &mut Criterion, name: &str, server: SocketAddr) -> Outcome {
    let mut client = StdStream::connect(server)?;
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(Duration::from_secs(10)))?;
    let message = [7; MESSAGE];
    let mut answer = [0; MESSAGE];
    criterion.bench_function(&format!("uring_net/echo-128/{name}"), |bencher| {
        bencher.iter(|| {
            client.write_all(&message).expect("the server receives");
            client.read_exact(&mut answer).expect("the server answers");
            assert_eq!(answer, message);
        });
    });
    Ok(())
}

fn callback(criterion: &mut Criterion) -> Outcome {
    let reactor = Reactor::builder().build()?;
    let listener = Listener::builder().serve(&reactor, "127.0.0.1:0", || Echo)?;
    measure(criterion, "callback", listener.local_addr())?;
    listener.close();
    println!("{}", reactor.shutdown(Duration::from_secs(1)));
    Ok(())
}

fn blocking(criterion: &mut Criterion) -> Outcome {
    let reactor = Reactor::builder().build()?;
    let listener = TcpListener::bind(&reactor, "127.0.0.1:0")?;
    let server = listener.local_addr();
    let thread = thread::spawn(move || listener.accept().and_then(|(stream, _)| echo(stream)));
    measure(criterion, "blocking", server)?;
    thread.join().expect("the server does not panic")?;
    println!("{}", reactor.shutdown(Duration::from_secs(1)));
    Ok(())
}

fn std_threads(criterion: &mut Criterion) -> Outcome {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let server = listener.local_addr()?;
    let thread = thread::spawn(move || {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        echo(stream)
    });
    measure(criterion, "std-threads", server)?;
    Ok(thread.join().expect("the server does not panic")?)
}

fn main() -> Outcome {
    if let Err(why) = uring_reactor::check() {
        println!("skipped: {why}");
        return Ok(());
    }
    let mut criterion = benches::criterion();
    callback(&mut criterion)?;
    blocking(&mut criterion)?;
    std_threads(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}
