//! The stream to the peer.

mod pace;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use stoq_core::close::Code;
use stoq_core::session_id::SessionId;
use stoq_core::stream::{Direction, Payload, StreamHeader};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::closed::Closed;
use crate::connection::Connection;
use crate::driver::Command;
use crate::session::Shared;

use pace::Pace;

/// The stream, and the order of those who write to it.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    stream: Arc<Mutex<State>>,
    /// Who announces a seed holds it until the seed is sent, so that their order is that of the turns.
    seeds: Mutex<Pace>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Unopened,
    Open(Stream),
    Stopped(Code),
}

/// Reset when it is dropped: quinn would finish it, as if all had been said.
#[derive(Debug)]
struct Stream(quinn::SendStream);

impl Drop for Stream {
    fn drop(&mut self) {
        // An error says that there is nothing left to reset.
        let _ = self.0.reset(Code::SESSION_CLOSED.value().into());
    }
}

/// Why frames were not written.
pub(crate) enum Unwritten {
    Stopped(Code),
    Closed(Closed),
    Lost(quinn::ConnectionError),
}

impl Sending {
    /// Waits for those who came before.
    pub(crate) async fn turn(&self, session: &Arc<Shared>) -> Result<Turn, Unwritten> {
        let turn = tokio::select! {
            biased;
            closed = session.ending.wait() => return Err(Unwritten::Closed(closed)),
            turn = self.stream.clone().lock_owned() => turn,
        };
        if let State::Stopped(code) = *turn {
            return Err(Unwritten::Stopped(code));
        }
        Ok(Turn {
            session: session.clone(),
            state: turn,
        })
    }

    /// Waits until the peer takes one more seed. The next one waits as long as what this gives is kept.
    pub(crate) async fn seed_turn(
        &self,
        session: &Shared,
    ) -> Result<impl Drop + use<'_>, Unwritten> {
        let paced = async {
            let mut pace = self.seeds.lock().await;
            pace.wait().await;
            pace
        };
        tokio::select! {
            biased;
            closed = session.ending.wait() => Err(Unwritten::Closed(closed)),
            paced = paced => Ok(paced),
        }
    }

    /// The session has ended. Who is writing now finds out by itself.
    pub(crate) fn end(&self) {
        if let Ok(mut state) = self.stream.try_lock()
            && matches!(*state, State::Open(_))
        {
            *state = State::Stopped(Code::SESSION_CLOSED);
        }
    }
}

/// Exclusive use of the stream.
pub(crate) struct Turn {
    session: Arc<Shared>,
    state: OwnedMutexGuard<State>,
}

impl Turn {
    /// Opens the stream, if it is not open yet, and begins to write these frames.
    pub(crate) async fn write<'a>(
        mut self,
        frames: &[u8],
        connection: &'a Connection,
    ) -> Result<Writing<'a>, Unwritten> {
        let mut bytes = BytesMut::with_capacity(StreamHeader::MAX_LEN + frames.len());
        if matches!(*self.state, State::Unopened) {
            // It takes no place among the streams of the application: a session has one, and its receiver counts it apart.
            let stream = tokio::select! {
                biased;
                closed = self.session.ending.wait() => return Err(Unwritten::Closed(closed)),
                opened = connection.quinn().open_uni() => opened.map_err(Unwritten::Lost)?,
            };
            *self.state = State::Open(Stream(stream));
            header(self.session.id).encode(Direction::Unidirectional, &mut bytes);
        }
        bytes.extend_from_slice(frames);
        let begun = Begun {
            turn: self,
            left: bytes.freeze(),
        };
        Ok(Writing {
            connection,
            begun: Some(begun),
        })
    }
}

/// Frames that are on their way into the stream. If it is dropped before they are, the connection's driver writes the rest:
/// a frame that is cut would spoil all that come after it.
pub(crate) struct Writing<'a> {
    connection: &'a Connection,
    begun: Option<Begun>,
}

impl Writing<'_> {
    /// Resolves when all has been written.
    pub(crate) async fn finish(mut self) -> Result<(), Unwritten> {
        let written = match &mut self.begun {
            Some(begun) => begun.write().await,
            None => Ok(()),
        };
        self.begun = None;
        written
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if let Some(mut begun) = self.begun.take() {
            self.connection.command(Command::Linger {
                until: Box::pin(async move { drop(begun.write().await) }),
                place: None,
            });
        }
    }
}

struct Begun {
    turn: Turn,
    left: Bytes,
}

impl Begun {
    async fn write(&mut self) -> Result<(), Unwritten> {
        let Turn { session, state } = &mut self.turn;
        while !self.left.is_empty() {
            let State::Open(stream) = &mut **state else {
                return Ok(());
            };
            let written = tokio::select! {
                biased;
                closed = session.ending.wait() => {
                    **state = State::Stopped(Code::SESSION_CLOSED);
                    return Err(Unwritten::Closed(closed));
                }
                written = stream.0.write_chunks(core::slice::from_mut(&mut self.left)) => written,
            };
            match written {
                Ok(_) => {}
                Err(quinn::WriteError::Stopped(code)) => {
                    let code = Code::from_quic(code.into_inner());
                    **state = State::Stopped(code);
                    return Err(Unwritten::Stopped(code));
                }
                Err(quinn::WriteError::ConnectionLost(error)) => {
                    return Err(Unwritten::Lost(error));
                }
                Err(quinn::WriteError::ClosedStream) => unreachable!("it is finished by nobody"),
                Err(quinn::WriteError::ZeroRttRejected) => unreachable!("no 0-RTT"),
            }
        }
        Ok(())
    }
}

const fn header(session: SessionId) -> StreamHeader {
    StreamHeader::Data {
        session,
        payload: Payload::Announce,
    }
}
