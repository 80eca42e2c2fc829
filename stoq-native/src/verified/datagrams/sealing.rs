//! The sending end: tokens at once, and lists of them that are signed beside it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use stoq_core::channel::RUN_TIME;
use stoq_core::channel::datagrams::DatagramSealer;
use stoq_core::close::Code;
use stoq_core::falcon::Signature;
use stoq_core::frame::{FalconKey, Frame, TokenRun};
use stoq_core::run::Statement;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

use crate::clock::now;
use crate::falcon::{FalconSigner, SignError};
use crate::session::{SendDatagramError, WeakSession};
use crate::stream::WriteError;
use crate::verified::signing::sign;

#[derive(Debug)]
pub(super) struct Sealing {
    state: Mutex<State>,
    /// A list has begun, or is full.
    wake: Notify,
}

#[derive(Debug)]
struct State {
    sealer: DatagramSealer,
    /// When the list that grows is to be signed.
    due: Option<Instant>,
    /// Why no more are signed.
    failed: Option<VerifiedDatagramError>,
}

/// When a list is to be signed.
enum Due {
    Now(Statement),
    At(Instant),
    /// When one has begun.
    Unknown,
}

impl Sealing {
    pub(super) fn new(sealer: DatagramSealer) -> Self {
        let state = State {
            sealer,
            due: None,
            failed: None,
        };
        Self {
            state: Mutex::new(state),
            wake: Notify::new(),
        }
    }

    /// Writes what stands in front of this datagram.
    pub(super) fn seal(
        &self,
        data: &[u8],
        out: &mut BytesMut,
    ) -> Result<(), VerifiedDatagramError> {
        let mut state = self.lock();
        let State {
            sealer,
            due,
            failed,
        } = &mut *state;
        if let Some(error) = failed {
            return Err(error.clone());
        }
        sealer.seal(now(), data, out);
        let is_full = sealer.tokens() == TokenRun::MAX_TOKENS;
        if sealer.tokens() == 1 || is_full {
            let wait = if is_full { Duration::ZERO } else { RUN_TIME };
            *due = Some(Instant::now() + wait);
            self.wake.notify_one();
        }
        Ok(())
    }

    /// The list that is due, or when it is.
    fn close(&self) -> Due {
        let mut state = self.lock();
        match state.due {
            None => Due::Unknown,
            Some(due) if due > Instant::now() => Due::At(due),
            Some(_) => {
                state.due = None;
                state.sealer.close().map_or(Due::Unknown, Due::Now)
            }
        }
    }

    fn signed(&self, signature: &Signature, out: &mut BytesMut) {
        let signed = self.lock().sealer.signed(signature, out);
        signed.expect("the list was closed, and nobody else signs");
    }

    fn fail(&self, error: VerifiedDatagramError) {
        tracing::warn!(%error, "datagrams are not signed any more");
        self.lock().failed = Some(error);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code of others runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Signs each list that is due and announces it, until the session is gone, its signer fails, or the peer wants no more: what is
/// sent then fails with the reason.
pub(super) async fn sign_lists(
    sealing: Arc<Sealing>,
    session: WeakSession,
    signer: Arc<dyn FalconSigner>,
) {
    let mut frames = BytesMut::new();
    let key = signer.verifying_key();
    Frame::FalconKey(FalconKey {
        algorithm: key.algorithm(),
        key: key.as_bytes(),
        created: now(),
    })
    .encode(&mut frames);
    // In front of the first list.
    let mut key = frames.len();
    loop {
        let statement = match sealing.close() {
            Due::Now(statement) => statement,
            Due::Unknown => {
                sealing.wake.notified().await;
                continue;
            }
            Due::At(due) => {
                tokio::select! {
                    () = sleep_until(due) => {}
                    () = sealing.wake.notified() => {}
                }
                continue;
            }
        };
        let signature = match sign(&signer, statement).await {
            Ok(signature) => signature,
            Err(error) => {
                sealing.fail(error.into());
                return;
            }
        };
        sealing.signed(&signature, &mut frames);
        // Not held while nothing is to be said: the session ends with its last handle.
        let Some(session) = session.upgrade() else {
            return;
        };
        match timeout(ANNOUNCE_TIMEOUT, session.announce_frames(&frames)).await {
            Ok(Ok(())) => key = 0,
            Ok(Err(WriteError::Stopped(code))) => {
                // The end of a session stops everything, and says why itself.
                if session.ending().get().is_none() {
                    sealing.fail(VerifiedDatagramError::Stopped(code));
                }
                return;
            }
            Ok(Err(_)) => return,
            // Nobody reads them. The datagrams of this list stay pending.
            Err(_) => {}
        }
        frames.truncate(key);
    }
}

/// A datagram with a token was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifiedDatagramError {
    /// As for any datagram.
    #[error(transparent)]
    Send(#[from] SendDatagramError),
    /// The peer, or a relay, stopped the announcements, so no signature reaches it: [`Code::UNSUPPORTED`], if it takes none.
    /// Datagrams that were sent since the last list stay pending there, and so would all that come.
    #[error("the peer stopped the announcements, so datagrams cannot be verified: {0}")]
    Stopped(Code),
    /// A list was not signed, so no receiver will believe it.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl VerifiedDatagramError {
    /// The code of the table that all sides share.
    pub fn code(&self) -> Code {
        match self {
            Self::Send(error) => error.code(),
            Self::Stopped(code) => *code,
            Self::Sign(_) => Code::INTERNAL,
        }
    }
}

/// How long a list may wait for a peer that reads no announcements, and keep the session alive: long beside a round trip.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(5);
