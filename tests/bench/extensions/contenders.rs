//! The measurements, the same over every way.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use stoq_native::{ChannelConfig, HashFunction, Session};
use tokio::io::AsyncReadExt as _;

use crate::Result;
use crate::allocations::reservations;
use crate::origin::{BULK, ECHO, ECHO_LEN, MESSAGES, Origin};
use crate::way::Way;

/// How data is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    Raw,
    /// Handed out at once, and known to be verified when the signature has come.
    Pending(HashFunction),
    /// Held back until then.
    HeldBack(HashFunction),
    /// In shards, over a path that loses so many of a thousand datagrams.
    Messages(u32),
}

impl Contender {
    pub(crate) const ALL: [Self; 7] = [
        Self::Raw,
        Self::Pending(HashFunction::Blake3),
        Self::HeldBack(HashFunction::Blake3),
        Self::Pending(HashFunction::Sha256),
        Self::HeldBack(HashFunction::Sha256),
        Self::Messages(0),
        Self::Messages(100),
    ];

    pub(crate) fn name(self) -> String {
        match self {
            Self::Raw => "raw stream".into(),
            Self::Pending(hash) => format!("verified, {hash:?}, pending at once"),
            Self::HeldBack(hash) => format!("verified, {hash:?}, held back"),
            Self::Messages(loss) => format!("messages in shards, {} % loss", loss / 10),
        }
    }
}

/// One round of one contender.
pub(crate) struct Sample {
    /// Bytes a second that arrived.
    pub(crate) rate: f64,
    /// Processor time of all threads.
    pub(crate) cpu: Duration,
    /// Bytes that arrived.
    pub(crate) bytes: u64,
    /// Reservations of memory for each message, or each 16 KiB of a stream.
    pub(crate) reservations: f64,
    /// Messages that arrived, of a hundred.
    pub(crate) delivered: f64,
}

/// Sent on one stream in a round.
const STREAM_BYTES: u64 = 128 * 1024 * 1024;
const BLOCK: usize = 64 * 1024;
/// What counts as a message of a stream: the most that a DATA frame holds.
const PIECE: u64 = 16 * 1024;
/// Messages in a round, and the bytes of each: 17 data shards of usual datagrams.
const MESSAGE_COUNT: u64 = 1_000;
/// The same where datagrams are lost, which leaves congestion control a hundredth of the rate.
const LOSSY_COUNT: u64 = 200;
const MESSAGE_LEN: usize = 20_000;
/// Round trips in a round over each way.
const ECHOES: usize = 500;

/// Connects, sends, and asks what arrived.
pub(crate) async fn round(way: &Way, origin: &Origin, contender: Contender) -> Result<Sample> {
    let held_back = matches!(contender, Contender::HeldBack(_));
    let loss = match contender {
        Contender::Messages(loss) => loss,
        _ => 0,
    };
    let (session, road) = way.connect(held_back, loss).await?;
    let (cpu, before) = (process_cpu(), reservations());
    let (bytes, time, messages) = match contender {
        Contender::Raw => stream(&session).await?,
        Contender::Pending(hash) | Contender::HeldBack(hash) => {
            let mut config = ChannelConfig::default().signed_by(origin.signer.clone());
            config.hash = hash;
            verified(&session, &config).await?
        }
        Contender::Messages(0) => messages(&session, MESSAGE_COUNT, road.is_some()).await?,
        Contender::Messages(_) => messages(&session, LOSSY_COUNT, road.is_some()).await?,
    };
    let (cpu, reserved) = (process_cpu() - cpu, reservations() - before);
    let sent = match contender {
        Contender::Messages(0) => MESSAGE_COUNT,
        Contender::Messages(_) => LOSSY_COUNT,
        _ => messages,
    };
    Ok(Sample {
        rate: bytes as f64 / time.as_secs_f64(),
        cpu,
        bytes,
        reservations: reserved as f64 / sent as f64,
        delivered: messages as f64 * 100.0 / sent as f64,
    })
}

async fn stream(session: &Session) -> Result<(u64, Duration, u64)> {
    let block = Bytes::from(vec![7; BLOCK]);
    let (mut send, mut recv) = session.open_bi().await?;
    let start = Instant::now();
    send.write_all(&[BULK]).await?;
    for _ in 0..STREAM_BYTES / BLOCK as u64 {
        send.write_chunk(block.clone()).await?;
    }
    send.finish()?;
    let count = recv.read_to_end(8).await?;
    counted(&count, start)
}

async fn verified(session: &Session, config: &ChannelConfig) -> Result<(u64, Duration, u64)> {
    let block = Bytes::from(vec![7; BLOCK]);
    let (mut send, mut recv) = session.open_verified_bi(config).await?;
    let start = Instant::now();
    for _ in 0..STREAM_BYTES / BLOCK as u64 {
        send.write(block.clone()).await?;
    }
    send.finish().await?;
    let count = recv.read_to_end(8).await?;
    counted(&count, start)
}

fn counted(count: &[u8], start: Instant) -> Result<(u64, Duration, u64)> {
    if count != STREAM_BYTES.to_be_bytes() {
        return Err("the origin counted other bytes than were sent".into());
    }
    Ok((STREAM_BYTES, start.elapsed(), STREAM_BYTES / PIECE))
}

async fn messages(session: &Session, sent: u64, lossy: bool) -> Result<(u64, Duration, u64)> {
    let message = Bytes::from(vec![7; MESSAGE_LEN]);
    for _ in 0..sent {
        session.send_message(message.clone()).await?;
    }
    let (mut send, mut recv) = session.open_bi().await?;
    send.write_all(&[MESSAGES]).await?;
    send.write_all(&sent.to_be_bytes()).await?;
    send.finish()?;
    let answer = recv.read_to_end(16).await?;
    let (count, nanos) = answer.split_first_chunk().ok_or("the origin said less")?;
    let count = u64::from_be_bytes(*count);
    let nanos = u64::from_be_bytes(nanos.try_into()?);
    if count < sent / 2 && !lossy {
        return Err(format!("only {count} of {sent} messages arrived").into());
    }
    let bytes = count * MESSAGE_LEN as u64;
    Ok((bytes, Duration::from_nanos(nanos.max(1)), count))
}

/// The times of round trips over each way, taken in turn.
pub(crate) async fn echo(ways: &[Way]) -> Result<Vec<Vec<Duration>>> {
    let mut streams = Vec::new();
    for way in ways {
        let (session, _) = way.connect(false, 0).await?;
        let (mut send, recv) = session.open_bi().await?;
        send.write_all(&[ECHO]).await?;
        streams.push((session, send, recv));
    }
    let mut times = vec![Vec::with_capacity(ECHOES); ways.len()];
    let mut back = [0; ECHO_LEN];
    for round in 0..ECHOES {
        for (place, (_, send, recv)) in streams.iter_mut().enumerate() {
            let message = [round as u8; ECHO_LEN];
            let start = Instant::now();
            send.write_all(&message).await?;
            recv.read_exact(&mut back).await?;
            times[place].push(start.elapsed());
            if back != message {
                return Err("the echo differs from what was sent".into());
            }
        }
    }
    Ok(times)
}

fn process_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
