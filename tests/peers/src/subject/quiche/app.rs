//! What tokio-quiche calls back: moves bytes between a connection and the channels of its handle.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio_quiche::metrics::Metrics;
use tokio_quiche::quic::{HandshakeInfo, QuicheConnection};
use tokio_quiche::quiche::Error;
use tokio_quiche::{ApplicationOverQuic, QuicResult};

use super::{Handle, Receiving, Sending};

/// What a handle wants.
pub(super) enum Command {
    Open(oneshot::Sender<(Sending, Receiving)>),
    Write(u64, Bytes),
    Finish(u64),
    Datagram(Bytes),
    Close,
}

/// Bytes of one stream that may wait to be read; more stay with quiche, so that its flow control counts them.
pub(super) const WAITING: usize = 1024 * 1024;
/// Bytes of all streams that may wait for quiche to take them.
const QUEUED: usize = 1024 * 1024;
/// Commands that may wait.
const COMMANDS: usize = 256;
/// Datagrams that may wait with quiche to be sent, or to be received.
const DATAGRAMS: usize = 1024;
/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;

pub(super) struct App {
    commands: mpsc::Receiver<Command>,
    /// For streams that the peer opens.
    commander: mpsc::Sender<Command>,
    arrived: mpsc::UnboundedSender<(Sending, Receiving)>,
    datagrams: mpsc::Sender<usize>,
    max_datagram: Arc<AtomicUsize>,
    packet: Arc<AtomicUsize>,
    established: Option<oneshot::Sender<()>>,
    resume: Arc<Notify>,
    outgoing: HashMap<u64, Outgoing>,
    incoming: HashMap<u64, Incoming>,
    queued: usize,
    next: u64,
    /// A stream has more than its reader may have waiting.
    paused: bool,
    buffer: BytesMut,
}

#[derive(Default)]
struct Outgoing {
    chunks: VecDeque<Bytes>,
    finished: bool,
}

struct Incoming {
    chunks: mpsc::UnboundedSender<Bytes>,
    waiting: Arc<AtomicUsize>,
}

impl App {
    /// With its handle, and what resolves when the handshake is done.
    pub(super) fn new(client: bool) -> (Self, Handle, oneshot::Receiver<()>) {
        let (commander, commands) = mpsc::channel(COMMANDS);
        let (arrived, accept) = mpsc::unbounded_channel();
        let (datagrams, datagram) = mpsc::channel(DATAGRAMS);
        let (established, done) = oneshot::channel();
        let max_datagram = Arc::new(AtomicUsize::new(0));
        let packet = Arc::new(AtomicUsize::new(0));
        let handle = Handle {
            commands: commander.clone(),
            arrived: Arc::new(Mutex::new(accept)),
            datagrams: Arc::new(Mutex::new(datagram)),
            max_datagram: max_datagram.clone(),
            packet: packet.clone(),
        };
        let app = Self {
            commands,
            commander,
            arrived,
            datagrams,
            max_datagram,
            packet,
            established: Some(established),
            resume: Arc::default(),
            outgoing: HashMap::new(),
            incoming: HashMap::new(),
            queued: 0,
            next: if client { 0 } else { 1 },
            paused: false,
            buffer: BytesMut::new(),
        };
        (app, handle, done)
    }

    fn take(&mut self, command: Command, connection: &mut QuicheConnection) {
        match command {
            Command::Open(reply) => {
                let id = self.next;
                self.next += 4;
                // Who asked may have gone.
                let _ = reply.send(self.stream(id));
            }
            Command::Write(id, data) => {
                self.queued += data.len();
                self.outgoing.entry(id).or_default().chunks.push_back(data);
            }
            Command::Finish(id) => self.outgoing.entry(id).or_default().finished = true,
            Command::Datagram(data) => {
                // Its only refusal here is that the path has shrunk, and then it is lost.
                let _ = connection.dgram_send(&data);
            }
            Command::Close => {
                // It may be closed already.
                let _ = connection.close(true, 0, b"");
            }
        }
    }

    fn stream(&mut self, id: u64) -> (Sending, Receiving) {
        let (sender, chunks) = mpsc::unbounded_channel();
        let waiting = Arc::<AtomicUsize>::default();
        let incoming = Incoming {
            chunks: sender,
            waiting: waiting.clone(),
        };
        self.incoming.insert(id, incoming);
        let sending = Sending {
            id,
            commands: self.commander.clone(),
        };
        let receiving = Receiving {
            chunks,
            waiting,
            resume: self.resume.clone(),
        };
        (sending, receiving)
    }

    fn has_room(&self, connection: &QuicheConnection) -> bool {
        self.queued < QUEUED && connection.dgram_send_queue_len() < DATAGRAMS
    }

    fn read(&mut self, connection: &mut QuicheConnection) {
        self.paused = false;
        for id in connection.readable() {
            if !self.incoming.contains_key(&id) {
                let halves = self.stream(id);
                // Nobody accepts any more: the connection is about to close.
                let _ = self.arrived.send(halves);
            }
            let ended = loop {
                let incoming = &self.incoming[&id];
                if incoming.waiting.load(Ordering::Relaxed) > WAITING {
                    self.paused = true;
                    break false;
                }
                self.buffer.reserve(CHUNK);
                match connection.stream_recv_buf(id, (&mut self.buffer).limit(CHUNK)) {
                    Ok((read, end)) => {
                        incoming.waiting.fetch_add(read, Ordering::Relaxed);
                        if read > 0 {
                            // A reader that has gone wants no more.
                            let _ = incoming.chunks.send(self.buffer.split().freeze());
                        }
                        if end {
                            break true;
                        }
                    }
                    Err(Error::Done) => break false,
                    Err(_) => break true,
                }
            };
            if ended {
                self.incoming.remove(&id);
            }
        }
        while let Ok(datagram) = connection.dgram_recv_buf() {
            // One that finds the queue full is lost, as datagrams may be.
            let _ = self.datagrams.try_send(datagram.as_ref().len());
        }
    }

    fn write(&mut self, connection: &mut QuicheConnection) {
        self.outgoing.retain(|id, outgoing| {
            while let Some(chunk) = outgoing.chunks.pop_front() {
                let length = chunk.len();
                match connection.stream_send_zc(*id, chunk.clone(), false) {
                    Ok((sent, rest)) => {
                        self.queued -= sent;
                        if let Some(rest) = rest {
                            outgoing.chunks.push_front(rest);
                        } else if sent < length {
                            outgoing.chunks.push_front(chunk.slice(sent..));
                        }
                        if sent < length {
                            return true;
                        }
                    }
                    Err(Error::Done | Error::StreamLimit) => {
                        outgoing.chunks.push_front(chunk);
                        return true;
                    }
                    Err(_) => {
                        self.queued -= length;
                        self.queued -= outgoing.chunks.iter().map(Bytes::len).sum::<usize>();
                        return false;
                    }
                }
            }
            if outgoing.finished {
                let ended = connection.stream_send(*id, b"", true);
                return matches!(ended, Err(Error::Done | Error::StreamLimit));
            }
            true
        });
    }
}

impl ApplicationOverQuic for App {
    fn on_conn_established(
        &mut self,
        connection: &mut QuicheConnection,
        _: &HandshakeInfo,
    ) -> QuicResult<()> {
        let tls: &mut boring::ssl::SslRef = connection.as_mut();
        let suite = tls.current_cipher().map(|cipher| cipher.name());
        if suite != Some("TLS_AES_128_GCM_SHA256") {
            return Err(format!("the suite is {suite:?}").into());
        }
        let max = connection.dgram_max_writable_len().unwrap_or(0);
        self.max_datagram.store(max, Ordering::Relaxed);
        let packet = connection.max_send_udp_payload_size();
        self.packet.store(packet, Ordering::Relaxed);
        if let Some(established) = self.established.take() {
            // Who asked may have gone.
            let _ = established.send(());
        }
        Ok(())
    }

    fn should_act(&self) -> bool {
        true
    }

    async fn wait_for_data(&mut self, connection: &mut QuicheConnection) -> QuicResult<()> {
        let has_room = self.has_room(connection);
        tokio::select! {
            Some(command) = self.commands.recv(), if has_room => self.take(command, connection),
            () = self.resume.notified() => {}
        }
        Ok(())
    }

    fn process_reads(&mut self, connection: &mut QuicheConnection) -> QuicResult<()> {
        self.read(connection);
        Ok(())
    }

    fn process_writes(&mut self, connection: &mut QuicheConnection) -> QuicResult<()> {
        if self.paused {
            self.read(connection);
        }
        self.write(connection);
        while self.has_room(connection) {
            let Ok(command) = self.commands.try_recv() else {
                break;
            };
            self.take(command, connection);
        }
        self.write(connection);
        Ok(())
    }

    fn on_conn_close<M: Metrics>(
        &mut self,
        connection: &mut QuicheConnection,
        _: &M,
        result: &QuicResult<()>,
    ) {
        if let Err(error) = result {
            let (local, peer) = (connection.local_error(), connection.peer_error());
            eprintln!("quiche ended: {error}, {local:?} here, {peer:?} there");
        }
    }
}
