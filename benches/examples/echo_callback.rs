//! `echo_server --mode callback` on one thread, for `instructions/run`.
//!
//! Valgrind runs one thread at a time, and does not let another go on while one sleeps in
//! `io_uring_enter(2)`. The server's own thread would wait for its loop for ever. Here the loop
//! runs on the main thread: same crates, same handler, same sizes.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use uring_examples::Signals;
use uring_net::{
    Conn, Handler, Listener,
    uring_reactor::{EventLoop, uring::Payload},
};

/// As in `echo_server`: each connection counts for itself.
struct Echo {
    count: u64,
    messages: Arc<AtomicU64>,
}

impl Handler for Echo {
    fn on_data(&mut self, conn: &mut Conn<'_, '_>, data: Payload) {
        self.count += 1;
        conn.send(data);
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.messages.fetch_add(self.count, Ordering::Relaxed);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = match std::env::args().collect::<Vec<_>>().as_slice() {
        [_, flag, address] if flag == "--listen" => address.clone(),
        _ => return Err("usage: echo_callback --listen ADDR:PORT".into()),
    };
    let signals = Signals::block()?;
    let mut event_loop = EventLoop::builder().buffers(1024, 4096).build()?;
    let handle = event_loop.handle();
    let messages = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&messages);
    let make = move || Echo { count: 0, messages: Arc::clone(&counted) };
    let listener = Listener::builder().serve_on([&handle], address, make)?;
    println!("listening on {}", listener.local_addr());
    event_loop.with(|cx| {
        cx.submit(signals.next(), |_, cx| {
            // the loop runs this, so it has not ended
            let _sent = cx.handle().shutdown(Duration::from_secs(5));
        });
    });
    let report = event_loop.run()?;
    println!("enters {} messages {}", report.stats.enters, messages.load(Ordering::Relaxed));
    Ok(())
}
