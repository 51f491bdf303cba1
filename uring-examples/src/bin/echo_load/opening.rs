//! Opening connections: some at a time, so that no listener's queue overflows.

use std::{io, rc::Rc, time::Duration};

use uring::op;
use uring_examples::{Failure, connecting_socket, explained, limit_socket_buffers};

use crate::{
    connection::Flow,
    load::{Client, Key, Load},
};

/// So many connections are made at once: well below what a listener keeps for its server.
const OPENING_MAX: u32 = 128;
/// When no port is free: connections that were closed a second ago give theirs back.
const PORTS_PAUSE: Duration = Duration::from_millis(20);
/// What the kernel keeps for a connection that does not read.
const SLOW_BYTES: i32 = 64 << 10;

impl Load {
    /// Opens as many as are missing and as may be under way at once.
    pub(crate) fn open_connections(&mut self) -> Result<(), Failure> {
        if self.open_again.is_some_and(|at| at > self.now) {
            return Ok(());
        }
        self.open_again = None;
        let most = self.options.all_connections() as usize;
        while self.to_open > 0 || self.slow_to_open > 0 {
            if self.opening >= OPENING_MAX || self.clients.len() >= most {
                break;
            }
            let slow = self.slow_to_open > 0;
            let peer = self.options.connect[self.address];
            let socket = match connecting_socket(&peer) {
                Ok(socket) => socket,
                Err(_) if self.report.connected == 0 && self.try_next_address() => continue,
                Err(error) => return Err(Failure::advised("cannot make a socket", &error)),
            };
            if slow {
                self.slow_to_open -= 1;
                limit_socket_buffers(&socket, SLOW_BYTES)
                    .map_err(|e| Failure::new("cannot limit the buffers of a socket", &e))?;
            } else {
                self.to_open -= 1;
                self.fast += 1;
            }
            let client = Client {
                address: self.address,
                socket: Rc::new(socket),
                stream: 0,
                flow: Flow::new(self.shape, slow),
                receive: None,
                send: None,
            };
            self.opening += 1;
            let connect = op::Connect::new(client.socket.clone(), &peer);
            let key = self.clients.insert(client);
            self.submit(connect, key)?;
        }
        Ok(())
    }

    /// A connection stands, or does not.
    pub(crate) fn connected(&mut self, key: Key, result: io::Result<()>) -> Result<(), Failure> {
        self.opening -= 1;
        let Err(error) = result else {
            self.last_progress = self.now;
            self.report.connected += 1;
            self.clients[key].stream = self.report.connected;
            if self.started.is_none() && !self.ending {
                self.ready.push(key);
                return Ok(());
            }
            let flow = &mut self.clients[key].flow;
            flow.connected();
            if self.ending {
                flow.end();
            }
            return self.advance(key);
        };
        let client = self.clients.remove(key);
        self.fast -= u64::from(!client.flow.slow);
        // others that were under way may have changed to the next address
        let next = client.address < self.address
            || (self.report.connected == 0 && self.try_next_address());
        match error.raw_os_error() {
            _ if next && !self.ending => self.open_once_more(&client),
            Some(libc::EADDRNOTAVAIL | libc::EAGAIN) if !self.ending => {
                self.open_again = Some(self.now + PORTS_PAUSE);
                self.open_once_more(&client);
            }
            _ if self.report.connected == 0 => {
                let peer = self.options.connect[client.address];
                return Err(Failure::advised(format!("cannot connect to {peer}"), &error));
            }
            _ => self.count_lost(&format!("a connection was not made: {}", explained(&error))),
        }
        Ok(())
    }

    /// Changes to the next of the server's addresses, if there is one.
    fn try_next_address(&mut self) -> bool {
        let more = self.address + 1 < self.options.connect.len();
        self.address += usize::from(more);
        more
    }

    const fn open_once_more(&mut self, client: &Client) {
        if client.flow.slow {
            self.slow_to_open += 1;
        } else {
            self.to_open += 1;
        }
    }
}
