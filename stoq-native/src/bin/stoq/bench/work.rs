//! What one connection does, until it fails or is dropped because the time is up.

use core::convert::Infallible;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};
use stoq_native::{RecvStream, SendStream, Session};
use tokio::time::timeout_at;

use super::tally::{Failure, Tally};
use crate::arguments::Mode;

/// Does what `mode` says on this session, the `by`th, over and over.
///
/// # Errors
/// [`Failure`] says why it cannot go on.
pub(super) async fn load(
    session: &Session,
    mode: Mode,
    size: usize,
    tally: &Tally,
    by: usize,
) -> Result<Infallible, Failure> {
    match mode {
        Mode::Bulk => bulk(session, tally, by).await,
        Mode::Datagram => datagrams(session, size, tally, by).await,
        // Handshakes have no session to load, so what comes here are requests.
        Mode::Rr | Mode::Handshake => requests(session, size, tally, by).await,
    }
}

async fn requests(
    session: &Session,
    size: usize,
    tally: &Tally,
    by: usize,
) -> Result<Infallible, Failure> {
    let (mut send, mut receive) = open(session).await?;
    let mut back = vec![0; size];
    for number in 0u64.. {
        let request = numbered(number, size);
        let start = Instant::now();
        let written = send.write_chunk(request.clone()).await;
        written.map_err(|error| Failure::Code(error.code()))?;
        tally.sent(size);
        let mut filled = 0;
        while filled < size {
            let read = receive.read(&mut back[filled..]).await;
            let read = read.map_err(|error| Failure::Code(error.code()))?;
            filled += read.ok_or(Failure::Ended)?;
        }
        tally.done(by, start.elapsed());
        tally.received(size);
        if back != request {
            return Err(Failure::Damaged);
        }
    }
    Err(Failure::Ended)
}

async fn bulk(session: &Session, tally: &Tally, by: usize) -> Result<Infallible, Failure> {
    let (send, receive) = open(session).await?;
    // Bounded by what the windows of both streams hold.
    let written = Mutex::default();
    let failure = tokio::select! {
        Err(failure) = write(send, &written, tally) => failure,
        Err(failure) = read_back(receive, &written, tally, by) => failure,
    };
    Err(failure)
}

/// When each piece was handed over that has not come back.
type Written = Mutex<VecDeque<Instant>>;

async fn write(
    mut send: SendStream,
    written: &Written,
    tally: &Tally,
) -> Result<Infallible, Failure> {
    let piece = numbered(0, PIECE);
    loop {
        lock(written).push_back(Instant::now());
        let result = send.write_chunk(piece.clone()).await;
        result.map_err(|error| Failure::Code(error.code()))?;
        tally.sent(PIECE);
    }
}

async fn read_back(
    mut receive: RecvStream,
    written: &Written,
    tally: &Tally,
    by: usize,
) -> Result<Infallible, Failure> {
    let piece = numbered(0, PIECE);
    let mut filled = 0;
    loop {
        // Never over the end of a piece.
        let read = receive.read_chunk(PIECE - filled).await;
        let read = read.map_err(|error| Failure::Code(error.code()))?;
        let bytes = read.ok_or(Failure::Ended)?;
        if bytes != piece[filled..filled + bytes.len()] {
            return Err(Failure::Damaged);
        }
        tally.received(bytes.len());
        filled += bytes.len();
        if filled == PIECE {
            filled = 0;
            let handed_over = lock(written).pop_front().ok_or(Failure::Damaged)?;
            tally.done(by, handed_over.elapsed());
        }
    }
}

async fn datagrams(
    session: &Session,
    size: usize,
    tally: &Tally,
    by: usize,
) -> Result<Infallible, Failure> {
    let mut away: VecDeque<(u64, Instant)> = VecDeque::with_capacity(IN_FLIGHT);
    let mut next = 0u64;
    loop {
        while away.len() < IN_FLIGHT {
            away.push_back((next, Instant::now()));
            let sent = session.send_datagram(numbered(next, size));
            sent.map_err(|error| Failure::Code(error.code()))?;
            tally.sent(size);
            next += 1;
        }
        let given_up = away.front().map_or_else(Instant::now, |(_, at)| *at) + LOST_AFTER;
        let Ok(came) = timeout_at(given_up.into(), session.recv_datagram()).await else {
            away.pop_front();
            tally.lost();
            continue;
        };
        let datagram = came.map_err(|closed| Failure::Code(closed.code))?;
        let number = datagram
            .first_chunk()
            .map(|bytes| u64::from_be_bytes(*bytes));
        let number = number.ok_or(Failure::Damaged)?;
        if number >= next || datagram != numbered(number, size) {
            return Err(Failure::Damaged);
        }
        // One that is not there came twice, or after it was given up.
        if let Some(place) = away.iter().position(|(away, _)| *away == number)
            && let Some((_, at)) = away.remove(place)
        {
            tally.done(by, at.elapsed());
            tally.received(size);
        }
    }
}

async fn open(session: &Session) -> Result<(SendStream, RecvStream), Failure> {
    let opened = session.open_bi().await;
    opened.map_err(|error| Failure::Code(error.code()))
}

/// `size` bytes, at least eight, that begin with a number and tell of a byte in the wrong place.
fn numbered(number: u64, size: usize) -> Bytes {
    let mut bytes = BytesMut::with_capacity(size);
    bytes.put_u64(number);
    bytes.extend((bytes.len()..size).map(|at| (at % 251) as u8));
    bytes.freeze()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What bulk writes and times at once: as much as the echo moves at once.
const PIECE: usize = 64 * 1024;
/// Datagrams of one connection: enough that the way there and back does not bound the rate, few enough for any buffer.
const IN_FLIGHT: usize = 16;
/// Many times any path that is fit for datagrams.
const LOST_AFTER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_has_its_size_and_number() {
        let bytes = numbered(7, 300);
        assert_eq!(bytes.len(), 300);
        assert_eq!(bytes[..8], 7u64.to_be_bytes());
        assert!(bytes != numbered(8, 300) && bytes[8..] == numbered(8, 300)[8..]);
    }
}
