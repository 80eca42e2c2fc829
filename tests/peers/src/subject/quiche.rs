//! quiche, driven by tokio-quiche with its defaults: sockets with everything that it can ask of them (GSO, GRO), Cubic, a Retry for every
//! client. It gives streams to an application that is called back, so ours hands them on through channels, as its own HTTP/3 driver does.
//! Its TLS library, BoringSSL, has no setting for the suites of TLS 1.3 but prefers AES-128-GCM; what was agreed on is checked.

mod app;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, anyhow};
use boring::ssl::{SslContextBuilder, SslMethod, SslVerifyMode};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::net::UdpSocket;
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio_quiche::metrics::DefaultMetrics;
use tokio_quiche::quic::{ConnectionHook, connect_with_config};
use tokio_quiche::settings::{CertificateKind, Hooks, QuicSettings, TlsCertificatePaths};
use tokio_quiche::socket::Socket;
use tokio_quiche::{ConnectionParams, QuicConnectionStream, listen};

use self::app::{App, Command};
use crate::pki::{ALPN, NAME};
use crate::transport::{
    Client, Connecting, Connection, ReceiveHalf, SendHalf, Server, Setup, Transport,
};

pub(crate) struct Quiche;

impl Transport for Quiche {
    type Server = Listener;
    type Client = Dialer;
    type Connection = Handle;

    async fn server(setup: &Setup) -> Result<Listener> {
        let socket = UdpSocket::bind((setup.address, 0)).await?;
        let port = socket.local_addr()?.port();
        let (leaf, key) = (text(setup.pki.leaf())?, text(setup.pki.key())?);
        let tls = TlsCertificatePaths {
            cert: &leaf,
            private_key: &key,
            kind: CertificateKind::X509,
        };
        let params = ConnectionParams::new_server(settings(setup), tls, Hooks::default());
        let mut streams = listen([socket], params, DefaultMetrics)?;
        let incoming = streams.pop().context("one socket, one stream")?;
        Ok(Listener { incoming, port })
    }

    async fn client(setup: &Setup) -> Result<Dialer> {
        setup.target()?;
        Ok(Dialer(setup.clone()))
    }
}

fn settings(setup: &Setup) -> QuicSettings {
    let mut settings = QuicSettings::default();
    settings.alpn = vec![ALPN.to_vec()];
    settings.max_send_udp_payload_size = setup.mtu.into();
    settings.max_recv_udp_payload_size = setup.mtu.into();
    settings
}

fn text(path: PathBuf) -> Result<String> {
    let text = path.into_os_string().into_string();
    text.map_err(|path| anyhow!("{} is not text", path.display()))
}

pub(crate) struct Dialer(Setup);

impl Client for Dialer {
    type Connection = Handle;

    /// On a socket of its own, because tokio-quiche's clients share none.
    async fn connect(&self) -> Result<Handle> {
        let setup = &self.0;
        let socket = UdpSocket::bind((setup.address, 0)).await?;
        socket.connect(setup.target()?).await?;
        let mut socket = Socket::try_from(socket)?;
        socket.apply_max_capabilities();
        let mut settings = settings(setup);
        settings.verify_peer = true;
        let hooks = Hooks {
            connection_hook: Some(Arc::new(Trust(setup.pki.authority()))),
        };
        // Only with paths is the hook asked, which then does not look at them.
        let paths = TlsCertificatePaths {
            cert: "",
            private_key: "",
            kind: CertificateKind::X509,
        };
        let params = ConnectionParams::new_client(settings, Some(paths), hooks);
        let (app, handle, established) = App::new(true);
        connect_with_config(socket, Some(NAME), &params, app)
            .await
            .map_err(|error| anyhow!("{error}"))?;
        established.await?;
        Ok(handle)
    }
}

/// Believes one authority.
struct Trust(PathBuf);

impl ConnectionHook for Trust {
    fn create_custom_ssl_context_builder(
        &self,
        _: TlsCertificatePaths<'_>,
    ) -> Option<SslContextBuilder> {
        let mut builder = SslContextBuilder::new(SslMethod::tls()).ok()?;
        builder.set_ca_file(&self.0).ok()?;
        builder.set_verify(SslVerifyMode::PEER);
        builder.set_curves_list("X25519").ok()?;
        Some(builder)
    }
}

pub(crate) struct Listener {
    incoming: QuicConnectionStream<DefaultMetrics>,
    port: u16,
}

impl Server for Listener {
    type Connection = Handle;

    fn port(&self) -> Result<u16> {
        Ok(self.port)
    }

    async fn accept(&mut self) -> Option<Connecting<Handle>> {
        let incoming = self.incoming.next().await?;
        Some(Box::pin(async move {
            let (app, handle, established) = App::new(false);
            incoming?.start(app);
            established.await?;
            Ok(handle)
        }))
    }
}

/// A connection, seen from outside the task that drives it.
#[derive(Clone)]
pub(crate) struct Handle {
    commands: mpsc::Sender<Command>,
    arrived: Arc<Mutex<mpsc::UnboundedReceiver<(Sending, Receiving)>>>,
    datagrams: Arc<Mutex<mpsc::Receiver<usize>>>,
    max_datagram: Arc<AtomicUsize>,
    packet: Arc<AtomicUsize>,
}

impl Handle {
    async fn command(&self, command: Command) -> Result<()> {
        let sent = self.commands.send(command).await;
        sent.map_err(|_| anyhow!("the connection is closed"))
    }
}

impl Connection for Handle {
    type Send = Sending;
    type Receive = Receiving;

    async fn open(&self) -> Result<(Sending, Receiving)> {
        let (reply, opened) = oneshot::channel();
        self.command(Command::Open(reply)).await?;
        Ok(opened.await?)
    }

    async fn accept(&self) -> Result<(Sending, Receiving)> {
        let arrived = self.arrived.lock().await.recv().await;
        arrived.context("the connection is closed")
    }

    fn packet(&self) -> Option<u16> {
        u16::try_from(self.packet.load(Ordering::Relaxed)).ok()
    }

    fn max_datagram(&self) -> usize {
        self.max_datagram.load(Ordering::Relaxed)
    }

    async fn send_datagram(&self, data: Bytes) -> Result<()> {
        self.command(Command::Datagram(data)).await
    }

    async fn datagram(&self) -> Result<usize> {
        let datagram = self.datagrams.lock().await.recv().await;
        datagram.context("the connection is closed")
    }

    fn close(&self) {
        // One that is full belongs to a connection that is busy, and its process is about to end.
        let _ = self.commands.try_send(Command::Close);
    }
}

pub(crate) struct Sending {
    id: u64,
    commands: mpsc::Sender<Command>,
}

impl Sending {
    async fn command(&self, command: Command) -> Result<()> {
        let sent = self.commands.send(command).await;
        sent.map_err(|_| anyhow!("the connection is closed"))
    }
}

impl SendHalf for Sending {
    async fn write(&mut self, data: Bytes) -> Result<()> {
        self.command(Command::Write(self.id, data)).await
    }

    async fn finish(&mut self) -> Result<()> {
        self.command(Command::Finish(self.id)).await
    }
}

pub(crate) struct Receiving {
    chunks: mpsc::UnboundedReceiver<Bytes>,
    /// Bytes in `chunks`.
    waiting: Arc<AtomicUsize>,
    /// Told when there is room again.
    resume: Arc<Notify>,
}

impl ReceiveHalf for Receiving {
    async fn read(&mut self) -> Result<Option<Bytes>> {
        let Some(chunk) = self.chunks.recv().await else {
            return Ok(None);
        };
        let before = self.waiting.fetch_sub(chunk.len(), Ordering::Relaxed);
        if before > app::WAITING && before - chunk.len() <= app::WAITING {
            self.resume.notify_one();
        }
        Ok(Some(chunk))
    }
}
