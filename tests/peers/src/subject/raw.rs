//! UDP as fast as the kernel takes it: batches of segments sent at once (GSO) and received at once (GRO), without encryption, order or
//! anybody who slows down: the ceiling. It has no connections, so it has no handshakes and no idle ones.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::gate::{Gate, Listening, say};
use crate::transport::Setup;
use crate::workload::datagrams::OVERHEAD;
use crate::workload::latencies::Latencies;
use crate::workload::{ANSWER, Outcome, REQUEST, WARM, Workload};

/// The first byte of a datagram.
mod kind {
    pub(super) const DATA: u8 = 1;
    /// Followed by which of those in flight it is.
    pub(super) const REQUEST: u8 = 2;
    /// What came from me so far? Bytes and datagrams, 8 bytes each, little endian.
    pub(super) const COUNT: u8 = 3;
}

/// A UDP datagram is no longer over IPv4, batches of segments neither.
const LONGEST: usize = 65_507;

/// What stoq-native asks for.
const BUFFER: usize = 4 * 1024 * 1024;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl Socket {
    async fn bind(setup: &Setup) -> Result<Self> {
        let socket = UdpSocket::bind((setup.address, 0)).await?;
        let state = UdpSocketState::new((&socket).into())?;
        state.set_send_buffer_size((&socket).into(), BUFFER)?;
        state.set_recv_buffer_size((&socket).into(), BUFFER)?;
        Ok(Self { socket, state })
    }

    async fn send(&self, to: SocketAddr, contents: &[u8], segment: Option<usize>) -> Result<()> {
        let transmit = Transmit {
            destination: to,
            ecn: None,
            contents,
            segment_size: segment,
            src_ip: None,
        };
        let send = || self.state.try_send((&self.socket).into(), &transmit);
        Ok(self.socket.async_io(Interest::WRITABLE, send).await?)
    }

    /// Fills buffers; returns how many.
    async fn receive(&self, buffers: &mut [Vec<u8>], metas: &mut [RecvMeta]) -> io::Result<usize> {
        let receive = || {
            let mut slices: Vec<_> = buffers.iter_mut().map(|b| IoSliceMut::new(b)).collect();
            self.state.recv((&self.socket).into(), &mut slices, metas)
        };
        self.socket.async_io(Interest::READABLE, receive).await
    }
}

fn buffers() -> (Vec<Vec<u8>>, Vec<RecvMeta>) {
    let buffers = vec![vec![0; 1 << 16]; BATCH_SIZE];
    (buffers, vec![RecvMeta::default(); BATCH_SIZE])
}

/// Serves until the process ends.
pub(crate) async fn serve(setup: &Setup) -> Result<()> {
    let socket = Socket::bind(setup).await?;
    say(&Listening {
        port: socket.socket.local_addr()?.port(),
        note: String::new(),
    })?;
    let (mut buffers, mut metas) = buffers();
    let mut counts: HashMap<SocketAddr, [u64; 2]> = HashMap::new();
    loop {
        let received = socket.receive(&mut buffers, &mut metas).await?;
        for (buffer, meta) in buffers.iter().zip(&metas).take(received) {
            for datagram in buffer[..meta.len].chunks(meta.stride.max(1)) {
                let count = counts.entry(meta.addr).or_default();
                match datagram[0] {
                    kind::DATA => *count = [count[0] + datagram.len() as u64, count[1] + 1],
                    kind::REQUEST => {
                        let mut answer = [0; ANSWER];
                        answer[..REQUEST].copy_from_slice(&datagram[..REQUEST]);
                        socket.send(meta.addr, &answer, None).await?;
                    }
                    kind::COUNT => {
                        let answer = count.map(u64::to_le_bytes).concat();
                        socket.send(meta.addr, &answer, None).await?;
                    }
                    other => bail!("a datagram of kind {other}"),
                }
            }
        }
    }
}

/// A client's part.
pub(crate) async fn run(
    setup: &Setup,
    workload: Workload,
    time: Duration,
    gate: &mut Gate,
) -> Result<Outcome> {
    match workload {
        Workload::Bulk1 => flood(setup, 1, setup.mtu, time, gate).await,
        Workload::Bulk8 => flood(setup, 8, setup.mtu, time, gate).await,
        Workload::Datagrams => flood(setup, 1, setup.mtu - OVERHEAD, time, gate).await,
        Workload::Requests1 => requests(setup, 1, time, gate).await,
        Workload::Requests64 => requests(setup, 64, time, gate).await,
        Workload::Handshakes | Workload::Idle | Workload::Bulk8Two => {
            bail!("raw UDP has no such thing")
        }
    }
}

async fn flood(
    setup: &Setup,
    sockets: usize,
    size: u16,
    time: Duration,
    gate: &mut Gate,
) -> Result<Outcome> {
    let server = setup.target()?;
    let begun = gate.open().await?;
    let mut pushing = JoinSet::new();
    for _ in 0..sockets {
        let socket = Socket::bind(setup).await?;
        pushing.spawn(async move { push(&socket, server, size.into(), time).await });
    }
    let (mut bytes, mut count, mut sent) = (0, 0, 0);
    while let Some(pushed) = pushing.join_next().await {
        let (pushed_bytes, pushed_count, pushed_sent) = pushed??;
        bytes += pushed_bytes;
        count += pushed_count;
        sent += pushed_sent;
    }
    Ok(Outcome {
        bytes: Some(bytes),
        count: Some(count),
        sent: Some(sent),
        time: begun.elapsed(),
        ..Outcome::default()
    })
}

/// Bytes and datagrams received, datagrams sent.
async fn push(
    socket: &Socket,
    server: SocketAddr,
    size: usize,
    time: Duration,
) -> Result<(u64, u64, u64)> {
    let segments = socket.state.max_gso_segments().min(LONGEST / size).max(1);
    let block = vec![kind::DATA; size * segments];
    let segment = (segments > 1).then_some(size);
    let end = Instant::now() + time;
    let mut sent = 0;
    while Instant::now() < end {
        socket.send(server, &block, segment).await?;
        sent += segments as u64;
    }
    let answer = count(socket, server).await?;
    let number = |bytes: &[u8]| Some(u64::from_le_bytes(bytes.try_into().ok()?));
    let received = number(&answer[..8]).zip(number(&answer[8..]));
    let (bytes, received) = received.context("two numbers have 16 bytes")?;
    Ok((bytes, received, sent))
}

/// Asks until there is an answer: what is asked can be lost, too.
async fn count(socket: &Socket, server: SocketAddr) -> Result<Vec<u8>> {
    let end = Instant::now() + PATIENCE;
    let (mut buffers, mut metas) = buffers();
    while Instant::now() < end {
        socket.send(server, &[kind::COUNT], None).await?;
        let answer = socket.receive(&mut buffers, &mut metas);
        if timeout(PATIENCE / 20, answer)
            .await
            .is_ok_and(|got| got.is_ok())
        {
            return Ok(buffers[0][..16].to_vec());
        }
    }
    bail!("the server does not say what it received")
}

async fn requests(
    setup: &Setup,
    in_flight: usize,
    time: Duration,
    gate: &mut Gate,
) -> Result<Outcome> {
    let socket = Socket::bind(setup).await?;
    let server = setup.target()?;
    ask(&socket, server, in_flight, WARM).await?;
    let begun = gate.open().await?;
    let latencies = ask(&socket, server, in_flight, time).await?;
    Ok(latencies.outcome(begun.elapsed()))
}

/// Keeps this many requests in flight.
async fn ask(
    socket: &Socket,
    server: SocketAddr,
    in_flight: usize,
    time: Duration,
) -> Result<Latencies> {
    let (mut buffers, mut metas) = buffers();
    let mut latencies = Latencies::default();
    let mut question = [0; REQUEST];
    question[0] = kind::REQUEST;
    let mut begun = Vec::new();
    for place in 0..in_flight {
        question[1] = u8::try_from(place)?;
        begun.push(Instant::now());
        socket.send(server, &question, None).await?;
    }
    let end = Instant::now() + time;
    let mut left = in_flight;
    while left > 0 {
        let received = socket.receive(&mut buffers, &mut metas);
        let received = timeout(PATIENCE, received)
            .await
            .context("an answer was lost")??;
        for (buffer, meta) in buffers.iter().zip(&metas).take(received) {
            for answer in buffer[..meta.len].chunks(meta.stride.max(1)) {
                ensure!(
                    answer.len() == ANSWER,
                    "an answer of {} bytes",
                    answer.len()
                );
                let place = usize::from(answer[1]);
                let now = Instant::now();
                latencies.push(now - begun[place]);
                if now >= end {
                    left -= 1;
                    continue;
                }
                begun[place] = now;
                question[1] = answer[1];
                socket.send(server, &question, None).await?;
            }
        }
    }
    Ok(latencies)
}
