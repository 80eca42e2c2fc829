//! The stream from the peer.

use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stoq_core::announce::Announcements;
use stoq_core::close::Code;
use stoq_core::seeds;
use stoq_core::stream::{Direction, Payload};
use stoq_core::time::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::AnnouncementsError;
use crate::closed::ClosedBy;
use crate::session::Shared;

/// What has been announced, and the stream that it comes from.
#[derive(Debug)]
pub(crate) struct Receiving {
    taken: bool,
    start: Instant,
    announced: Mutex<Announcements>,
    /// Held by who reads, also while there is nothing to read. Others wait for it, and look again when they have it.
    stream: tokio::sync::Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// The peer has announced nothing.
    Waiting,
    Open(Stream),
    Ended,
    Failed(AnnouncementsError),
}

/// Stopped when it is dropped, unless it has ended.
#[derive(Debug)]
struct Stream(quinn::RecvStream);

impl Stream {
    fn stop(&mut self, code: Code) {
        // An error says that there is nothing left to stop.
        let _ = self.0.stop(code.value().into());
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop(Code::SESSION_CLOSED);
    }
}

impl Receiving {
    pub(super) fn new(taken: bool, limits: seeds::Limits) -> Self {
        Self {
            taken,
            start: Instant::now(),
            announced: Mutex::new(Announcements::new(limits)),
            stream: tokio::sync::Mutex::new(State::Waiting),
        }
    }

    /// What has been announced, as far as it has been read.
    pub(crate) fn announced(&self) -> MutexGuard<'_, Announcements> {
        // What a panic has interrupted is plain data, and whole enough to be dropped.
        self.announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads until `look` finds something, which is told whether the stream has ended. Nothing is lost if the future is dropped.
    pub(crate) async fn until<T>(
        &self,
        session: &Shared,
        look: impl Fn(&mut Announcements, bool) -> Option<T>,
    ) -> Result<T, AnnouncementsError> {
        if !self.taken {
            return Err(AnnouncementsError::NotTaken);
        }
        loop {
            // Given back after each read, in the order of those who wait: what was read may be what another waits for.
            let mut state = self.stream.lock().await;
            let due = {
                let mut announced = self.announced();
                announced.seeds().tick(self.now());
                if let Some(found) = look(&mut announced, matches!(*state, State::Ended)) {
                    return Ok(found);
                }
                announced.seeds().next_due()
            };
            let due = due.map(|due| self.start + Duration::from_micros(due.as_micros()));
            tokio::select! {
                biased;
                read = self.read(&mut state, session) => read?,
                () = async { sleep_until(due.unwrap_or(self.start)).await }, if due.is_some() => {}
            }
        }
    }

    /// Gets one step further; waits for it.
    async fn read(&self, state: &mut State, session: &Shared) -> Result<(), AnnouncementsError> {
        match state {
            State::Waiting => {
                let lanes = &session.arrived[Direction::Unidirectional as usize];
                let stream = lanes.pop(Payload::Announce as usize).await;
                *state = match stream.and_then(crate::stream::Arrived::into_bare) {
                    Some(stream) => State::Open(Stream(stream)),
                    None => State::Ended,
                };
                Ok(())
            }
            State::Ended => Err(session.ending.wait().await.into()),
            State::Failed(error) => Err(error.clone()),
            State::Open(stream) => {
                if let Some(closed) = session.ending.get()
                    && closed.by == ClosedBy::Local
                {
                    let closed = closed.clone();
                    *state = State::Ended;
                    return Err(closed.into());
                }
                let chunk = tokio::select! {
                    biased;
                    chunk = stream.0.read_chunk(READ, true) => chunk,
                    closed = session.ending.wait() => {
                        *state = State::Ended;
                        return Err(closed.into());
                    }
                };
                let failed = match chunk {
                    Ok(Some(chunk)) => match self.announced().feed(self.now(), &chunk.bytes) {
                        Ok(()) => return Ok(()),
                        Err(error) => {
                            stream.stop(error.code());
                            error.into()
                        }
                    },
                    Ok(None) => match self.announced().finish() {
                        Ok(()) => {
                            *state = State::Ended;
                            return Ok(());
                        }
                        Err(error) => error.into(),
                    },
                    Err(quinn::ReadError::Reset(code))
                        if Code::from_quic(code.into_inner()) != Code::SESSION_CLOSED =>
                    {
                        AnnouncementsError::Reset(Code::from_quic(code.into_inner()))
                    }
                    // The session has ended: how, is about to come on the control stream, or from QUIC.
                    Err(_) => {
                        *state = State::Ended;
                        return Ok(());
                    }
                };
                *state = State::Failed(failed);
                // What came before is told first.
                Ok(())
            }
        }
    }

    fn now(&self) -> Timestamp {
        let elapsed = self.start.elapsed().as_micros();
        Timestamp::from_micros(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }
}

/// Bytes that are read at once: the largest frame.
const READ: usize = 16 * 1024;
