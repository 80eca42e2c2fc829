//! What a QUIC stack has to do here, in its own words: small traits that one file per subject implements. They are generic, so what is
//! measured is the stack's own functions, not a layer of boxes above them.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::pin::Pin;

use anyhow::Result;
use bytes::Bytes;
use tokio::runtime::Handle;

use crate::pki::Pki;

/// How an end is set up.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Where a server listens; a client binds any port of the same family.
    pub(crate) address: IpAddr,
    /// Bytes of UDP payload that packets have from the first on; STOQ's, which begin with 1200, grow to it. Nothing larger is looked
    /// for.
    pub(crate) mtu: u16,
    /// For STOQ's server: sockets on its port, each with a thread.
    pub(crate) sockets: NonZeroU16,
    pub(crate) pki: Pki,
    /// For clients: where the server is.
    pub(crate) server: Option<SocketAddr>,
    /// For clients: what the server said beside its port, as its identity's name.
    pub(crate) note: String,
}

impl Setup {
    /// Where a client connects to.
    pub(crate) fn target(&self) -> Result<SocketAddr> {
        self.server
            .ok_or_else(|| anyhow::anyhow!("a client needs a server's address"))
    }
}

/// A QUIC stack.
pub(crate) trait Transport: 'static {
    type Server: Server<Connection = Self::Connection>;
    type Client: Client<Connection = Self::Connection>;
    type Connection: Connection;

    fn server(setup: &Setup) -> impl Future<Output = Result<Self::Server>> + Send;

    fn client(setup: &Setup) -> impl Future<Output = Result<Self::Client>> + Send;
}

/// A handshake under way.
pub(crate) type Connecting<C> = Pin<Box<dyn Future<Output = Result<C>> + Send>>;

pub(crate) trait Server: Send + 'static {
    type Connection: Connection;

    fn port(&self) -> Result<u16>;

    /// What clients have to know beside the port.
    fn note(&self) -> String {
        String::new()
    }

    /// The next client that comes. Its handshake is done by the future that is returned, beside those of others.
    fn accept(&mut self) -> impl Future<Output = Option<Connecting<Self::Connection>>> + Send;
}

pub(crate) trait Client: Send + Sync + 'static {
    type Connection: Connection;

    /// A connection with a full handshake.
    fn connect(&self) -> impl Future<Output = Result<Self::Connection>> + Send;
}

pub(crate) trait Connection: Clone + Send + Sync + 'static {
    type Send: SendHalf;
    type Receive: ReceiveHalf;

    /// Opens a stream in both directions.
    fn open(&self) -> impl Future<Output = Result<(Self::Send, Self::Receive)>> + Send;

    /// The next stream in both directions that the peer opens.
    fn accept(&self) -> impl Future<Output = Result<(Self::Send, Self::Receive)>> + Send;

    /// Where tasks that work with it belong, if not where they are.
    fn runtime(&self) -> Option<Handle> {
        None
    }

    /// Bytes of UDP payload that packets have now, if they are not what they were set to be.
    fn packet(&self) -> Option<u16> {
        None
    }

    /// Largest datagram now.
    fn max_datagram(&self) -> usize;

    /// Hands over a datagram; waits for room where the stack can.
    fn send_datagram(&self, data: Bytes) -> impl Future<Output = Result<()>> + Send;

    /// Takes a datagram; returns its length.
    fn datagram(&self) -> impl Future<Output = Result<usize>> + Send;

    fn close(&self);
}

pub(crate) trait SendHalf: Send + 'static {
    fn write(&mut self, data: Bytes) -> impl Future<Output = Result<()>> + Send;

    /// Ends the stream. Does not wait for the peer.
    fn finish(&mut self) -> impl Future<Output = Result<()>> + Send;
}

pub(crate) trait ReceiveHalf: Send + 'static {
    /// What has come, `None` at the end.
    fn read(&mut self) -> impl Future<Output = Result<Option<Bytes>>> + Send;
}
