//! s2n-quic with its defaults: s2n-tls for TLS, its own packet protection over AWS-LC. Its TLS library has no setting for a single suite
//! but prefers AES-128-GCM; an observer of its events checks that this is what was agreed on.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, ensure};
use bytes::Bytes;
use s2n_quic::client::Connect;
use s2n_quic::connection::{Handle, StreamAcceptor};
use s2n_quic::provider::datagram::default::{Endpoint as Datagrams, Receiver, Sender};
use s2n_quic::provider::event::events::{CipherSuite, KeyUpdate};
use s2n_quic::provider::event::{ConnectionInfo, ConnectionMeta, Subscriber};
use s2n_quic::provider::{io, tls};
use s2n_quic::stream::{ReceiveStream, SendStream};
use tokio::sync::Mutex;

use crate::pki::{ALPN, NAME};
use crate::transport::{
    Client, Connecting, Connection, ReceiveHalf, SendHalf, Server, Setup, Transport,
};

pub(crate) struct S2n;

impl Transport for S2n {
    type Server = s2n_quic::Server;
    type Client = Dialer;
    type Connection = Opened;

    async fn server(setup: &Setup) -> Result<s2n_quic::Server> {
        let tls = tls::default::Server::builder()
            .with_certificate(setup.pki.leaf().as_path(), setup.pki.key().as_path())
            .map_err(|error| anyhow!("{error}"))?
            .with_application_protocols([ALPN])
            .map_err(|error| anyhow!("{error}"))?
            .build()
            .map_err(|error| anyhow!("{error}"))?;
        let server = s2n_quic::Server::builder()
            .with_tls(tls)?
            .with_io(io(setup)?)?
            .with_datagram(datagrams()?)?
            .with_event(Watch)?
            .start()?;
        Ok(server)
    }

    async fn client(setup: &Setup) -> Result<Dialer> {
        let tls = tls::default::Client::builder()
            .with_certificate(setup.pki.authority().as_path())
            .map_err(|error| anyhow!("{error}"))?
            .with_application_protocols([ALPN])
            .map_err(|error| anyhow!("{error}"))?
            .build()
            .map_err(|error| anyhow!("{error}"))?;
        let client = s2n_quic::Client::builder()
            .with_tls(tls)?
            .with_io(io(setup)?)?
            .with_datagram(datagrams()?)?
            .with_event(Watch)?
            .start()?;
        Ok(Dialer {
            client,
            server: setup.target()?,
            mtu: setup.mtu,
        })
    }
}

/// Its MTU counts the IP and UDP headers.
fn io(setup: &Setup) -> Result<io::tokio::Provider> {
    let headers = match setup.address {
        IpAddr::V4(_) => 28,
        IpAddr::V6(_) => 48,
    };
    let mtu = setup.mtu.checked_add(headers);
    let mtu = mtu.context("the packet is larger than its MTU can say")?;
    let io = io::tokio::Provider::builder()
        .with_receive_address((setup.address, 0).into())?
        .with_max_mtu(mtu)?
        .with_initial_mtu(mtu)?
        .with_base_mtu(mtu)?
        .build()?;
    Ok(io)
}

/// As many as its queues hold by themselves: those that its builder makes hold none until it is told.
fn datagrams() -> Result<Datagrams> {
    let queue = 200;
    let builder = Datagrams::builder().with_send_capacity(queue);
    let builder = builder.and_then(|builder| builder.with_recv_capacity(queue));
    let builder = builder.map_err(|error| anyhow!("{error}"))?;
    Ok(builder.build()?)
}

/// Ends the process if another suite than AES-128-GCM protects data.
struct Watch;

impl Subscriber for Watch {
    type ConnectionContext = ();

    fn create_connection_context(&mut self, _: &ConnectionMeta, _: &ConnectionInfo<'_>) {}

    fn on_key_update(&mut self, (): &mut (), _: &ConnectionMeta, event: &KeyUpdate) {
        assert!(
            matches!(
                event.cipher_suite,
                CipherSuite::TLS_AES_128_GCM_SHA256 { .. }
            ),
            "the suite is {:?}",
            event.cipher_suite
        );
    }
}

pub(crate) struct Dialer {
    client: s2n_quic::Client,
    server: SocketAddr,
    mtu: u16,
}

impl Client for Dialer {
    type Connection = Opened;

    async fn connect(&self) -> Result<Opened> {
        let connect = Connect::new(self.server).with_server_name(NAME);
        let connection = self.client.connect(connect).await?;
        Ok(Opened::new(connection, self.mtu))
    }
}

impl Server for s2n_quic::Server {
    type Connection = Opened;

    fn port(&self) -> Result<u16> {
        Ok(self.local_addr()?.port())
    }

    async fn accept(&mut self) -> Option<Connecting<Opened>> {
        let connection = Self::accept(self).await?;
        Some(Box::pin(async move { Ok(Opened::new(connection, 0)) }))
    }
}

/// A connection that can be accepted from by several.
#[derive(Clone)]
pub(crate) struct Opened {
    handle: Handle,
    acceptor: Arc<Mutex<StreamAcceptor>>,
    mtu: u16,
}

impl Opened {
    fn new(connection: s2n_quic::Connection, mtu: u16) -> Self {
        let (handle, acceptor) = connection.split();
        Self {
            handle,
            acceptor: Arc::new(Mutex::new(acceptor)),
            mtu,
        }
    }
}

impl Connection for Opened {
    type Send = SendStream;
    type Receive = ReceiveStream;

    async fn open(&self) -> Result<(SendStream, ReceiveStream)> {
        let stream = self.handle.clone().open_bidirectional_stream().await?;
        let (receive, send) = stream.split();
        Ok((send, receive))
    }

    async fn accept(&self) -> Result<(SendStream, ReceiveStream)> {
        let mut acceptor = self.acceptor.lock().await;
        let stream = acceptor.accept_bidirectional_stream().await?;
        let (receive, send) = stream.context("closed")?.split();
        Ok((send, receive))
    }

    /// It does not say. A short header with a connection ID of 16 bytes, a packet number of 4, the tag and the frame's own take 40.
    fn max_datagram(&self) -> usize {
        usize::from(self.mtu).saturating_sub(40)
    }

    async fn send_datagram(&self, mut data: Bytes) -> Result<()> {
        poll_fn(|cx| {
            let sent = self
                .handle
                .datagram_mut(|sender: &mut Sender| sender.poll_send_datagram(&mut data, cx));
            match sent {
                Ok(sent) => sent.map_err(|error| anyhow!("{error:?}")),
                Err(error) => std::task::Poll::Ready(Err(anyhow!("{error}"))),
            }
        })
        .await
    }

    async fn datagram(&self) -> Result<usize> {
        let received = poll_fn(|cx| {
            let received = self
                .handle
                .datagram_mut(|receiver: &mut Receiver| receiver.poll_recv_datagram(cx));
            match received {
                Ok(received) => received.map_err(|error| anyhow!("{error:?}")),
                Err(error) => std::task::Poll::Ready(Err(anyhow!("{error}"))),
            }
        })
        .await?;
        ensure!(!received.is_empty(), "empty");
        Ok(received.len())
    }

    fn close(&self) {
        self.handle.close(0_u32.into());
    }
}

impl SendHalf for SendStream {
    async fn write(&mut self, data: Bytes) -> Result<()> {
        Ok(self.send(data).await?)
    }

    async fn finish(&mut self) -> Result<()> {
        Ok(Self::finish(self)?)
    }
}

impl ReceiveHalf for ReceiveStream {
    async fn read(&mut self) -> Result<Option<Bytes>> {
        Ok(self.receive().await?)
    }
}
