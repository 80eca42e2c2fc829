//! What a page does: a WebTransport client that drives stoq-core's state machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use stoq_core::access::{TokenHash, proof_message};
use stoq_core::close::Code;
use stoq_core::datagram::{Content, Datagram};
use stoq_core::frame::Stats;
use stoq_core::hops::HopChain;
use stoq_core::service::ServiceName;
use stoq_core::session::{Config, Input, Output, Session, Side};
use stoq_core::session_id::SessionId;
use stoq_core::stream::{Direction, Payload, StreamHeader};
use stoq_core::time::Timestamp;
use stoq_gateway::Gateway;
use stoq_native::{FalconId, HolderKeyPair, HolderSigner as _};
use tokio::sync::{mpsc, oneshot, watch};
use wtransport::endpoint::ConnectOptions;
use wtransport::quinn;
use wtransport::tls::Sha256Digest;
use wtransport::{ClientConfig, Connection, Endpoint, RecvStream, SendStream};

/// An open session.
pub(crate) struct Page {
    pub(crate) connection: Connection,
    pub(crate) hash: [u8; 32],
    pub(crate) max_datagram_size: u32,
    pub(crate) hops: Option<HopChain>,
    calls: mpsc::UnboundedSender<Call>,
    ended: watch::Receiver<Option<(Code, String)>>,
    going_away: watch::Receiver<Option<(Code, Duration)>>,
    pub(crate) path: watch::Receiver<Option<Stats>>,
    /// Aborts the driver when dropped.
    _driver: tokio::task::JoinSet<()>,
}

/// The session's hash, the largest datagram of its path, and the relays that it passes.
type Opened = Result<([u8; 32], u32, Option<HopChain>), Refusal>;
type Call = Box<dyn FnOnce(&mut Session, Timestamp, &mut Vec<Output>) + Send>;

/// How a page asks.
pub(crate) struct Asking {
    pub(crate) path: String,
    /// Named in SETTINGS; the path's own if `None`.
    pub(crate) service: Option<ServiceName>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) transport: quinn::TransportConfig,
    pub(crate) max_datagram_size: u32,
    /// Hash of the certificate to trust; the one that the gateway serves if `None`.
    pub(crate) certificate: Option<[u8; 32]>,
    pub(crate) access_tokens: Vec<Bytes>,
    pub(crate) route: Vec<FalconId>,
    pub(crate) max_hops: Option<u8>,
    /// Tokens to prove, each with its key, or with a wrong one.
    pub(crate) proofs: Vec<(TokenHash, Arc<HolderKeyPair>)>,
}

impl Asking {
    pub(crate) fn path(path: &str) -> Self {
        Self {
            path: path.into(),
            service: None,
            headers: Vec::new(),
            transport: quinn::TransportConfig::default(),
            max_datagram_size: 65_535,
            certificate: None,
            access_tokens: Vec::new(),
            route: Vec::new(),
            max_hops: None,
            proofs: Vec::new(),
        }
    }
}

/// Why there is no session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not even a WebTransport session: HTTP status other than 200, or no connection.
    Carrier,
    InBand(Code, String),
}

/// QUIC for HTTP/3 that trusts this certificate.
fn quic(certificate: [u8; 32], transport: quinn::TransportConfig) -> quinn::ClientConfig {
    let hash = Sha256Digest::new(certificate);
    // Only for its TLS settings: these differ from the default ones in whom they trust.
    let trusting = ClientConfig::builder()
        .with_bind_default()
        .with_server_certificate_hashes([hash])
        .build();
    let mut quic = trusting.quic_config().clone();
    quic.transport_config(Arc::new(transport));
    quic
}

/// A QUIC connection that asks for nothing.
pub(crate) async fn silent(gateway: &Gateway) -> quinn::Connection {
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let transport = quinn::TransportConfig::default();
    endpoint.set_default_client_config(quic(gateway.certificate_hash(), transport));
    let connecting = endpoint.connect(gateway.local_addr(), "localhost").unwrap();
    connecting.await.unwrap()
}

/// A WebTransport connection without any STOQ on it.
pub(crate) async fn carrier(
    gateway: &Gateway,
    asking: Asking,
) -> Result<Connection, wtransport::error::ConnectingError> {
    let certificate = asking.certificate;
    let certificate = certificate.unwrap_or_else(|| gateway.certificate_hash());
    carrier_at(gateway.url(), certificate, asking).await
}

/// As [`carrier`], where only the URL of the gateway is known.
async fn carrier_at(
    url: &str,
    certificate: [u8; 32],
    asking: Asking,
) -> Result<Connection, wtransport::error::ConnectingError> {
    let config = ClientConfig::builder()
        .with_bind_default()
        .build_with_quic_config(quic(certificate, asking.transport));
    let mut options = ConnectOptions::builder(format!("{url}{}", asking.path));
    for (name, value) in asking.headers {
        options = options.add_header(name, value);
    }
    Endpoint::client(config)
        .unwrap()
        .connect(options.build())
        .await
}

impl Page {
    pub(crate) async fn open(gateway: &Gateway, path: &str) -> Result<Self, Refusal> {
        Self::ask(gateway, Asking::path(path)).await
    }

    pub(crate) async fn ask(gateway: &Gateway, asking: Asking) -> Result<Self, Refusal> {
        let certificate = asking.certificate;
        let certificate = certificate.unwrap_or_else(|| gateway.certificate_hash());
        Self::ask_at(gateway.url(), certificate, asking).await
    }

    /// As [`ask`](Self::ask), where only the URL of the gateway is known.
    pub(crate) async fn ask_at(
        url: &str,
        certificate: [u8; 32],
        asking: Asking,
    ) -> Result<Self, Refusal> {
        let named = ServiceName::from_path(&asking.path).ok();
        let max_datagram_size = asking.max_datagram_size;
        let proofs = asking.proofs.clone();
        let service = asking.service.clone().or(named);
        let mut config = Config::new(Side::Client, [7; 32]);
        config.service = Some(service.unwrap_or_else(|| "none".parse().unwrap()));
        config.limits.max_datagram_size = max_datagram_size;
        config.access_tokens.clone_from(&asking.access_tokens);
        config.holders = proofs.iter().map(|(token, _)| *token).collect();
        config.route.clone_from(&asking.route);
        config.max_hops = asking.max_hops;
        let connection = carrier_at(url, certificate, asking)
            .await
            .map_err(|_| Refusal::Carrier)?;
        let (calls, inbox) = mpsc::unbounded_channel();
        let (opened, answer) = oneshot::channel();
        let (ended_sender, ended) = watch::channel(None);
        let (away_sender, going_away) = watch::channel(None);
        let (path_sender, path) = watch::channel(None);
        let mut driver = tokio::task::JoinSet::new();
        let driving = Driver {
            connection: connection.clone(),
            started: Instant::now(),
            opened: Some(opened),
            ended: ended_sender,
            going_away: away_sender,
            path: path_sender,
            proofs,
        };
        driver.spawn(driving.run(config, inbox));
        let (hash, max_datagram_size, hops) = answer.await.map_err(|_| Refusal::Carrier)??;
        Ok(Self {
            connection,
            hash,
            max_datagram_size,
            hops,
            calls,
            ended,
            going_away,
            path,
            _driver: driver,
        })
    }

    pub(crate) fn close(&self, code: Code, reason: &'static str) {
        self.call(move |machine, now, out| machine.close(now, SessionId::ZERO, code, reason, out));
    }

    pub(crate) fn call(
        &self,
        call: impl FnOnce(&mut Session, Timestamp, &mut Vec<Output>) + Send + 'static,
    ) {
        let _ = self.calls.send(Box::new(call));
    }

    /// How the session ended, in band.
    pub(crate) async fn closed(&self) -> (Code, String) {
        let mut ended = self.ended.clone();
        let ended = ended
            .wait_for(Option::is_some)
            .await
            .expect("the driver says how it ends");
        ended.clone().unwrap()
    }

    /// Why, and how long it may stay.
    pub(crate) async fn told_to_go(&self) -> (Code, Duration) {
        let mut going_away = self.going_away.clone();
        let told = going_away.wait_for(Option::is_some).await.unwrap();
        told.unwrap()
    }

    pub(crate) async fn open_bi(&self) -> (SendStream, RecvStream) {
        self.open_bi_with(&[0x01]).await
    }

    /// Opens a stream that begins with these bytes.
    pub(crate) async fn open_bi_with(&self, header: &[u8]) -> (SendStream, RecvStream) {
        let (mut send, receive) = self.connection.open_bi().await.unwrap().await.unwrap();
        send.write_all(header).await.unwrap();
        (send, receive)
    }

    pub(crate) async fn open_uni(&self) -> SendStream {
        self.open_uni_with(&[0x01]).await
    }

    pub(crate) async fn open_uni_with(&self, header: &[u8]) -> SendStream {
        let mut send = self.connection.open_uni().await.unwrap().await.unwrap();
        send.write_all(header).await.unwrap();
        send
    }

    pub(crate) async fn accept_bi(&self) -> (SendStream, RecvStream, Payload) {
        let (send, mut receive) = self.connection.accept_bi().await.unwrap();
        let payload = payload(&mut receive, Direction::Bidirectional).await;
        (send, receive, payload)
    }

    pub(crate) async fn accept_uni(&self) -> (RecvStream, Payload) {
        let mut receive = self.connection.accept_uni().await.unwrap();
        let payload = payload(&mut receive, Direction::Unidirectional).await;
        (receive, payload)
    }

    pub(crate) fn send_datagram(&self, payload: &[u8]) {
        let mut datagram = BytesMut::new();
        Datagram::header(SessionId::ZERO, &mut datagram);
        datagram.extend_from_slice(payload);
        self.connection.send_datagram(&datagram).unwrap();
    }

    pub(crate) async fn recv_datagram(&self) -> Bytes {
        let datagram = self.connection.receive_datagram().await.unwrap();
        match Datagram::decode(datagram.payload())
            .and_then(|datagram| Content::decode(datagram.content))
        {
            Ok(Content::Data(data)) => data,
            other => panic!("{other:?}"),
        }
    }

    /// A stream without bytes, there and back.
    pub(crate) async fn round_trip(&self, session: &stoq_native::Session) {
        let (mut page_send, mut page_receive) = self.open_bi().await;
        page_send.quic_stream_mut().finish().unwrap();
        let (mut send, mut receive) = session.accept_bi().await.unwrap();
        assert_eq!(receive.read_to_end(0).await.unwrap(), b"");
        send.finish().unwrap();
        assert_eq!(read_to_end(&mut page_receive).await.unwrap(), b"");
    }
}

async fn payload(receive: &mut RecvStream, direction: Direction) -> Payload {
    let mut first = [0];
    receive.read_exact(&mut first).await.unwrap();
    match StreamHeader::decode(&first, direction) {
        Ok(Some((
            StreamHeader::Data {
                session: SessionId::ZERO,
                payload,
            },
            1,
        ))) => payload,
        other => panic!("{other:?}"),
    }
}

/// All that comes, or the code of the reset.
pub(crate) async fn read_to_end(receive: &mut RecvStream) -> Result<Vec<u8>, Code> {
    let mut all = Vec::new();
    loop {
        match receive.quic_stream_mut().read_chunk(usize::MAX, true).await {
            Ok(Some(chunk)) => all.extend_from_slice(&chunk.bytes),
            Ok(None) => return Ok(all),
            Err(quinn::ReadError::Reset(code)) => return Err(Code::from_http3(code.into_inner())),
            Err(_) => return Err(Code::CONNECTION_LOST),
        }
    }
}

pub(crate) fn http3(code: Code) -> quinn::VarInt {
    quinn::VarInt::from_u64(code.to_http3()).unwrap()
}

struct Driver {
    connection: Connection,
    started: Instant,
    opened: Option<oneshot::Sender<Opened>>,
    ended: watch::Sender<Option<(Code, String)>>,
    going_away: watch::Sender<Option<(Code, Duration)>>,
    path: watch::Sender<Option<Stats>>,
    proofs: Vec<(TokenHash, Arc<HolderKeyPair>)>,
}

impl Driver {
    async fn run(mut self, config: Config, mut calls: mpsc::UnboundedReceiver<Call>) {
        let mut out = Vec::new();
        let mut machine = Session::new(Timestamp::default(), config, &mut out).unwrap();
        let mut send = self.connection.open_uni().await.unwrap().await.unwrap();
        let mut receive = None;
        loop {
            while !out.is_empty() {
                let output = out.remove(0);
                match output {
                    // What the gateway has ended does not take it.
                    Output::Send(bytes) => drop(send.write_all(&bytes).await),
                    Output::Prove { id, hash, token } => {
                        let (_, key) = self.proofs.iter().find(|(own, _)| *own == token).unwrap();
                        let proof = key.sign(&proof_message(&token, &hash)).unwrap();
                        machine.prove(id, &token, &proof, &mut out);
                    }
                    other => self.carry_out(other),
                }
            }
            if self.ended.borrow().is_some() {
                return;
            }
            let due = machine.next_due().map(|due| {
                tokio::time::Instant::from(self.started + Duration::from_micros(due.as_micros()))
            });
            let now = || Timestamp::from_micros(self.started.elapsed().as_micros() as u64);
            let handled = tokio::select! {
                biased;
                input = control(&self.connection, &mut receive) => match input {
                    Some(bytes) if receive.is_some() => {
                        machine.handle(now(), Input::Control(&bytes), &mut out)
                    }
                    _ => machine.handle(now(), Input::ControlClosed, &mut out),
                },
                call = calls.recv() => match call {
                    Some(call) => {
                        call(&mut machine, now(), &mut out);
                        Ok(None)
                    }
                    None => return,
                },
                () = async { tokio::time::sleep_until(due.unwrap()).await }, if due.is_some() => {
                    machine.handle(now(), Input::Tick, &mut out)
                }
            };
            if let Err(error) = handled {
                self.end(error.code(), error.to_string());
            }
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Opened {
                hash,
                max_datagram_size,
                hops,
                ..
            } => {
                let opened = self.opened.take().unwrap();
                let _ = opened.send(Ok((*hash.as_bytes(), max_datagram_size, hops)));
            }
            Output::Refused { code, reason, .. } => {
                let opened = self.opened.take().unwrap();
                let _ = opened.send(Err(Refusal::InBand(code, reason.clone())));
                self.end(code, reason);
            }
            Output::Closed { code, reason, .. } | Output::CloseCarrier { code, reason } => {
                self.end(code, reason);
            }
            Output::Stats(stats) => drop(self.path.send_replace(Some(stats))),
            Output::GoAway { code, grace, .. } => {
                self.going_away.send_replace(Some((code, grace)));
            }
            other => panic!("{other:?}"),
        }
    }

    fn end(&self, code: Code, reason: String) {
        self.connection
            .quic_connection()
            .close(http3(code), reason.as_bytes());
        self.ended.send_replace(Some((code, reason)));
    }
}

/// The next bytes of the gateway's control stream, which is its first stream.
async fn control(connection: &Connection, receive: &mut Option<RecvStream>) -> Option<Bytes> {
    if receive.is_none() {
        let mut stream = connection.accept_uni().await.ok()?;
        let mut first = [1];
        stream.read_exact(&mut first).await.ok()?;
        assert_eq!(first, [0], "the control stream comes first");
        *receive = Some(stream);
    }
    let stream = receive.as_mut()?.quic_stream_mut();
    Some(stream.read_chunk(usize::MAX, true).await.ok()??.bytes)
}
