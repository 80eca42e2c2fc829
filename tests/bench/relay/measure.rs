//! The two measurements, the same for every contender: both ends see nothing but a byte stream.

use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::Result;
use crate::contenders::Connection;

/// One round of one contender.
pub(crate) struct Sample {
    pub(crate) bytes_per_second: f64,
    pub(crate) echoes: Vec<Duration>,
}

/// Sent in one direction per round.
const BULK: usize = 256 * 1024 * 1024;
/// Round trips per round, one after the other.
const ECHOES: usize = 3_000;
const ECHO_SIZE: usize = 64;
const BLOCK: usize = 64 * 1024;

/// From the first byte written to the answer that the last has been read.
pub(crate) async fn bulk(connection: &Connection) -> Result<f64> {
    let (mut send, mut recv) = connection.open().await?;
    let block = vec![7; BLOCK];
    let start = Instant::now();
    for _ in 0..BULK / BLOCK {
        send.write_all(&block).await?;
    }
    send.shutdown().await?;
    let mut total = [0; 8];
    recv.read_exact(&mut total).await?;
    let seconds = start.elapsed().as_secs_f64();
    if u64::from_be_bytes(total) != BULK as u64 {
        return Err("the server counted other bytes than were sent".into());
    }
    Ok(BULK as f64 / seconds)
}

/// The time of each round trip on one stream.
pub(crate) async fn echo(connection: &Connection) -> Result<Vec<Duration>> {
    let (mut send, mut recv) = connection.open().await?;
    let mut times = Vec::with_capacity(ECHOES);
    let mut back = [0; ECHO_SIZE];
    send.write_all(&[ECHO_SIZE as u8]).await?;
    for round in 0..ECHOES {
        let message = [round as u8; ECHO_SIZE];
        let start = Instant::now();
        send.write_all(&message).await?;
        recv.read_exact(&mut back).await?;
        times.push(start.elapsed());
        if back != message {
            return Err("the echo differs from what was sent".into());
        }
    }
    send.shutdown().await?;
    Ok(times)
}

/// The server's side of both: a stream whose first byte is [`ECHO_SIZE`] comes back, any other is counted.
pub(crate) async fn serve(
    mut send: impl AsyncWrite + Unpin,
    mut recv: impl AsyncRead + Unpin,
) -> Result<()> {
    let mut buffer = vec![0; BLOCK];
    let mut first = [0];
    recv.read_exact(&mut first).await?;
    if usize::from(first[0]) == ECHO_SIZE {
        loop {
            let length = recv.read(&mut buffer).await?;
            if length == 0 {
                break;
            }
            send.write_all(&buffer[..length]).await?;
        }
    } else {
        let mut total = 1;
        loop {
            let length = recv.read(&mut buffer).await?;
            if length == 0 {
                break;
            }
            total += length as u64;
        }
        send.write_all(&total.to_be_bytes()).await?;
    }
    send.shutdown().await?;
    Ok(())
}
