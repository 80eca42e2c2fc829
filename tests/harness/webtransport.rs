//! The conformance traits over WebTransport, from Rust: what a browser does, without a browser.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use stoq_conformance::{Connect, Failure, RecvHalf, SendHalf, Session as SessionUnderTest};
use stoq_core::close::Code;
use stoq_core::datagram::{Content, Datagram};
use stoq_core::frame::Frame;
use stoq_core::service::ServiceName;
use stoq_core::session::{Config, Input, Output, PingId, Session as Machine, Side};
use stoq_core::session_id::SessionId;
use stoq_core::shards::{Cutter, Limits, Loss, Parity, Plan, PlanError, Reassembly, Received};
use stoq_core::stream::{Direction, Payload, StreamHeader};
use stoq_core::time::Timestamp;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use wtransport::endpoint::endpoint_side;
use wtransport::error::{SendDatagramError, StreamReadError, StreamWriteError};
use wtransport::tls::Sha256Digest;
use wtransport::{ClientConfig, Connection, Endpoint, RecvStream, SendStream, VarInt};

mod driver;

use driver::{Driver, Streams};

/// Connects to a gateway as a page would that knows its certificate's hash.
pub struct WebTransport {
    endpoint: Endpoint<endpoint_side::Client>,
    gateway: String,
}

impl WebTransport {
    /// A client of the gateway at `https://host:port`.
    pub fn new(gateway: &str, certificate_hash: [u8; 32]) -> Self {
        let config = ClientConfig::builder()
            .with_bind_default()
            .with_server_certificate_hashes([Sha256Digest::new(certificate_hash)])
            .build();
        let endpoint = Endpoint::client(config).expect("a client socket is free");
        Self {
            endpoint,
            gateway: gateway.to_owned(),
        }
    }
}

impl Connect for WebTransport {
    type Session = Session;

    async fn connect(&self, service: &str) -> Result<Session, Failure> {
        let service = ServiceName::new(service).map_err(|_| Failure(Code::INVALID_ARGUMENT))?;
        let url = format!("{}{}", self.gateway, service.path());
        let connected = self.endpoint.connect(url).await;
        Session::start(connected.map_err(|_| Failure(Code::HANDSHAKE))?, service).await
    }
}

/// A session with the service behind the gateway.
pub struct Session {
    connection: Connection,
    commands: mpsc::UnboundedSender<Command>,
    closed: watch::Receiver<Option<(Code, String)>>,
    incoming: Mutex<Incoming>,
    max_datagram_size: u32,
    /// Messages that were sent.
    messages: AtomicU32,
    _tasks: JoinSet<()>,
}

struct Incoming {
    bidirectional: mpsc::UnboundedReceiver<(SendStream, RecvStream)>,
    unidirectional: mpsc::UnboundedReceiver<RecvStream>,
    datagrams: mpsc::UnboundedReceiver<Bytes>,
    shards: mpsc::UnboundedReceiver<Bytes>,
    reassembly: Reassembly,
}

enum Command {
    Ping(oneshot::Sender<()>),
    Close(Code, String),
}

impl Session {
    async fn start(connection: Connection, service: ServiceName) -> Result<Self, Failure> {
        let lost = |_| Failure(Code::CONNECTION_LOST);
        let control = connection.open_uni().await.map_err(lost)?;
        let control = control.await.map_err(|_| Failure(Code::CONNECTION_LOST))?;
        let (commands, orders) = mpsc::unbounded_channel();
        let (opened, opening) = oneshot::channel();
        let (ended, closed) = watch::channel(None);
        let (bidirectional, accept_bi) = mpsc::unbounded_channel();
        let (unidirectional, accept_uni) = mpsc::unbounded_channel();
        let (datagrams, recv_datagram) = mpsc::unbounded_channel();
        let (shards, recv_shard) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        let driver = Driver {
            connection: connection.clone(),
            control,
            start: Instant::now(),
            orders,
            opened: Some(opened),
            ended,
            pings: Vec::new(),
            streams: Streams {
                bidirectional,
                unidirectional,
                datagrams,
                shards,
            },
        };
        tasks.spawn(driver.run(service));
        let opened = opening.await.map_err(|_| Failure(Code::CONNECTION_LOST))?;
        let incoming = Incoming {
            bidirectional: accept_bi,
            unidirectional: accept_uni,
            datagrams: recv_datagram,
            shards: recv_shard,
            reassembly: Reassembly::new(Limits::default()),
        };
        Ok(Self {
            connection,
            commands,
            closed,
            incoming: Mutex::new(incoming),
            max_datagram_size: opened?,
            messages: AtomicU32::new(0),
            _tasks: tasks,
        })
    }

    /// A bidirectional stream as wtransport has it, its STOQ header already written.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn open_raw(
        &self,
    ) -> Result<(SendStream, RecvStream), wtransport::error::ConnectionError> {
        let opening = self.connection.open_bi().await?;
        let Ok((mut send, recv)) = opening.await else {
            return Err(self.connection.closed().await);
        };
        match write_header(&mut send, Direction::Bidirectional).await {
            Ok(()) => Ok((send, recv)),
            Err(_) => Err(self.connection.closed().await),
        }
    }

    fn ended(&self) -> Failure {
        Failure(
            self.closed
                .borrow()
                .as_ref()
                .map_or(Code::CONNECTION_LOST, |(code, _)| *code),
        )
    }
}

impl SessionUnderTest for Session {
    type Send = Sending;
    type Recv = Receiving;

    async fn open_bi(&self) -> Result<(Sending, Receiving), Failure> {
        let opening = self.connection.open_bi().await.map_err(|_| self.ended())?;
        let (mut send, recv) = opening.await.map_err(|_| self.ended())?;
        write_header(&mut send, Direction::Bidirectional).await?;
        Ok((Sending(send), Receiving(recv)))
    }

    async fn open_uni(&self) -> Result<Sending, Failure> {
        let opening = self.connection.open_uni().await.map_err(|_| self.ended())?;
        let mut send = opening.await.map_err(|_| self.ended())?;
        write_header(&mut send, Direction::Unidirectional).await?;
        Ok(Sending(send))
    }

    async fn accept_bi(&self) -> Result<(Sending, Receiving), Failure> {
        let accepted = self.incoming.lock().await.bidirectional.recv().await;
        let (send, recv) = accepted.ok_or_else(|| self.ended())?;
        Ok((Sending(send), Receiving(recv)))
    }

    async fn accept_uni(&self) -> Result<Receiving, Failure> {
        let accepted = self.incoming.lock().await.unidirectional.recv().await;
        Ok(Receiving(accepted.ok_or_else(|| self.ended())?))
    }

    async fn send_datagram(&self, payload: &[u8]) -> Result<(), Failure> {
        let mut datagram = BytesMut::new();
        Datagram::header(SessionId::ZERO, &mut datagram);
        if payload.len() > self.max_datagram_size() {
            return Err(Failure(Code::DATAGRAM_TOO_LARGE));
        }
        datagram.extend_from_slice(payload);
        self.connection
            .send_datagram(&datagram)
            .map_err(|error| match error {
                SendDatagramError::TooLarge => Failure(Code::DATAGRAM_TOO_LARGE),
                _ => self.ended(),
            })
    }

    async fn recv_datagram(&self) -> Result<Vec<u8>, Failure> {
        let datagram = self.incoming.lock().await.datagrams.recv().await;
        Ok(datagram.ok_or_else(|| self.ended())?.to_vec())
    }

    fn max_datagram_size(&self) -> usize {
        let carrier = self.connection.max_datagram_size().unwrap_or(0);
        let header = Datagram::header_len(SessionId::ZERO);
        carrier
            .saturating_sub(header)
            .min(self.max_datagram_size as usize)
    }

    async fn send_message(&self, message: &[u8]) -> Result<(), Failure> {
        let room = self.max_datagram_size() + 1;
        let plan = Plan::new(message.len(), room, Parity::Auto, Loss::UNKNOWN);
        let plan = plan.map_err(|error| match error {
            PlanError::Empty => Failure(Code::INVALID_ARGUMENT),
            PlanError::TooLarge { .. } => Failure(Code::DATAGRAM_TOO_LARGE),
            PlanError::NoRoom { .. } => Failure(Code::UNSUPPORTED),
        })?;
        let id = self.messages.fetch_add(1, Ordering::Relaxed).into();
        for shard in Cutter::new(id, Bytes::copy_from_slice(message), plan).shards() {
            let mut datagram = BytesMut::new();
            Frame::Shard(shard).encode(&mut datagram);
            let sent = self.connection.send_datagram(&datagram);
            sent.map_err(|_| self.ended())?;
        }
        Ok(())
    }

    async fn recv_message(&self) -> Result<Vec<u8>, Failure> {
        let mut incoming = self.incoming.lock().await;
        loop {
            let shard = incoming.shards.recv().await.ok_or_else(|| self.ended())?;
            let shard = Content::shard(&shard).expect("the driver has looked");
            let received = incoming.reassembly.receive(Timestamp::default(), &shard);
            if let Ok(Received::Message(message)) = received {
                return Ok(message.bytes.to_vec());
            }
        }
    }

    fn max_message_size(&self) -> usize {
        Plan::max_message_len(self.max_datagram_size() + 1, Parity::Auto)
    }

    async fn ping(&self) -> Result<(), Failure> {
        let (answer, answered) = oneshot::channel();
        self.commands
            .send(Command::Ping(answer))
            .map_err(|_| self.ended())?;
        answered.await.map_err(|_| self.ended())
    }

    async fn close(&self, code: Code, reason: &str) {
        let _ = self.commands.send(Command::Close(code, reason.to_owned()));
    }

    async fn closed(&self) -> (Code, String) {
        let mut closed = self.closed.clone();
        let ended = closed
            .wait_for(Option::is_some)
            .await
            .expect("the driver says how it ended");
        ended.clone().expect("it was waited for")
    }
}

async fn write_header(send: &mut SendStream, direction: Direction) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    let header = StreamHeader::Data {
        session: SessionId::ZERO,
        payload: Payload::Raw,
    };
    header.encode(direction, &mut bytes);
    send.write_all(&bytes)
        .await
        .map_err(|_| Failure(Code::CONNECTION_LOST))
}

/// A sending half.
pub struct Sending(SendStream);

/// A receiving half.
pub struct Receiving(RecvStream);

impl SendHalf for Sending {
    async fn write(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.0.write_all(data).await.map_err(|error| match error {
            StreamWriteError::Stopped(code) => Failure(Code::from_http3(code.into_inner())),
            _ => Failure(Code::SESSION_CLOSED),
        })
    }

    async fn finish(&mut self) -> Result<(), Failure> {
        self.0
            .quic_stream_mut()
            .finish()
            .map_err(|_| Failure(Code::INVALID_ARGUMENT))
    }

    async fn reset(&mut self, code: Code) {
        let code = VarInt::try_from_u64(code.to_http3()).expect("HTTP/3 codes are varints");
        let _ = self.0.reset(code);
    }
}

impl RecvHalf for Receiving {
    async fn read(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut buffer = vec![0; 64 * 1024];
        match self.0.read(&mut buffer).await {
            Ok(length) => Ok(length.map(|length| buffer[..length].to_vec())),
            Err(StreamReadError::Reset(code)) => Err(Failure(Code::from_http3(code.into_inner()))),
            Err(_) => Err(Failure(Code::SESSION_CLOSED)),
        }
    }

    async fn stop(&mut self, code: Code) {
        let code = Code::to_http3(code)
            .try_into()
            .expect("HTTP/3 codes are varints");
        let _ = self.0.quic_stream_mut().stop(code);
    }
}
