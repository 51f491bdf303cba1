//! Echo by callbacks: the whole server is `on_data`.

use std::sync::Arc;

use uring_net::{Conn, Handler};
use uring_reactor::uring::Payload;

use crate::Messages;

/// One connection.
pub(crate) struct Echo {
    count: u64,
    messages: Arc<Messages>,
}

impl Echo {
    pub(crate) const fn new(messages: Arc<Messages>) -> Self {
        Self { count: 0, messages }
    }
}

impl Handler for Echo {
    fn on_data(&mut self, conn: &mut Conn<'_, '_>, data: Payload) {
        self.count += 1;
        conn.send(data); // the very buffer that the kernel filled
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.messages.add(self.count);
    }
}
