//! The runtime that drives an endpoint.

use core::pin::Pin;
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Instant;

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};
use tokio::runtime::Handle;

use crate::socket::Turns;

/// The runtime that an endpoint was made in. quinn's own is always the caller's: whoever connects from another runtime, which may
/// end before the connection does, would take the connection with it.
#[derive(Debug)]
pub(super) struct Home(Handle);

impl Home {
    /// Must be called within a tokio runtime.
    pub(super) fn current() -> Self {
        Self(Handle::current())
    }
}

impl Runtime for Home {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        let _within = self.0.enter();
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.0.spawn(Turns::of(future));
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let _within = self.0.enter();
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}
