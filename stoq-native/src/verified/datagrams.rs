//! Verified datagrams of a session.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use stoq_core::channel::ChannelError;
use stoq_core::channel::RUN_TIME;
use stoq_core::channel::datagrams::{DatagramItem, DatagramOpener, DatagramSealer};
use stoq_core::datagram::{Content, ContentKind};
use stoq_core::falcon::Signature;
use stoq_core::frame::{FalconKey, Frame};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::signing::sign;
use super::{ChannelConfig, now};
use crate::closed::Closed;
use crate::falcon::FalconSigner;
use crate::session::{SendDatagramError, Session, WeakSession};

/// Both ends of the one channel that a session's datagrams have.
#[derive(Debug)]
pub(crate) struct Datagrams {
    sealing: Arc<Sealing>,
    receiving: tokio::sync::Mutex<Receiving>,
    signing: Option<AbortHandle>,
}

#[derive(Debug)]
struct Sealing {
    sealer: Mutex<(DatagramSealer, Option<Instant>)>,
    /// A list has begun, or is full.
    wake: Notify,
}

#[derive(Debug)]
struct Receiving {
    opener: DatagramOpener,
    /// Whether signatures can still come.
    listens: bool,
}

impl Session {
    /// Says how datagrams are [sent](Self::send_verified_datagram) and [received](Self::recv_verified_datagram) with tokens.
    /// Without it the default holds, which signs nothing and believes nobody.
    ///
    /// Lists of up to 400 datagrams, or what a quarter of a second brings, are signed on the announcing stream, so both ends
    /// must take framed streams.
    ///
    /// # Errors
    /// [`DatagramsInUse`] if it was called before, or one was sent or received: one session has one way.
    ///
    /// # Panics
    /// Outside of a Tokio runtime, if there is a signer.
    pub fn verify_datagrams(&self, config: &ChannelConfig) -> Result<(), DatagramsInUse> {
        let mut is_new = false;
        self.channels().datagrams.get_or_init(|| {
            is_new = true;
            Datagrams::new(self, config)
        });
        is_new.then_some(()).ok_or(DatagramsInUse)
    }

    /// Sends a datagram with a token, as [`send_datagram`](Self::send_datagram).
    ///
    /// # Errors
    /// [`SendDatagramError`] if it is larger than [`max_verified_datagram_size`](Self::max_verified_datagram_size), or the
    /// session is closed.
    pub fn send_verified_datagram(&self, data: &[u8]) -> Result<(), SendDatagramError> {
        let (limit, got) = (self.max_verified_datagram_size(), data.len());
        if got > limit {
            return Err(SendDatagramError::TooLarge { limit, got });
        }
        let mut content = BytesMut::with_capacity(DatagramSealer::MAX_HEADER_LEN + got);
        self.datagrams().sealing.seal(data, &mut content);
        content.extend_from_slice(data);
        self.send_content(content.freeze())
    }

    /// Largest datagram with a token, in bytes, that can be sent now.
    pub fn max_verified_datagram_size(&self) -> usize {
        let content = self.max_content_size();
        content.saturating_sub(DatagramSealer::MAX_HEADER_LEN)
    }

    /// The next datagram with a token, or word that one is verified. A datagram that was changed or came twice is dropped and
    /// [counted](crate::SessionStats::refused). One that was dropped on the way is not missed: datagrams may be lost.
    ///
    /// Signatures are heard while this, or the next seed event, is awaited.
    ///
    /// # Errors
    /// [`Closed`] when the session has ended and nothing is left.
    ///
    /// # Cancel safety
    /// If the future is dropped, no datagram is lost.
    pub async fn recv_verified_datagram(&self) -> Result<DatagramItem, Closed> {
        let mut receiving = self.datagrams().receiving.lock().await;
        let Receiving { opener, listens } = &mut *receiving;
        loop {
            // Datagrams that are not taken may come for long.
            tokio::task::consume_budget().await;
            let refused = &self.shared().counters.refused;
            refused.note_datagrams(opener.counters());
            if let Some(item) = opener.next_item() {
                return Ok(item);
            }
            let taken = tokio::select! {
                biased;
                frame = self.next_signature_frame(), if *listens => match frame {
                    Ok(frame) => opener.announced(&frame),
                    Err(_) => {
                        *listens = false;
                        if self.ending().get().is_none() {
                            opener.signatures_ended();
                        }
                        Ok(())
                    }
                },
                content = self.recv_kind(ContentKind::Sealed) => take(opener, content?),
            };
            if let Err(error) = taken {
                refused.count(error.code());
            }
        }
    }

    fn datagrams(&self) -> &Datagrams {
        let new = || Datagrams::new(self, &ChannelConfig::default());
        self.channels().datagrams.get_or_init(new)
    }
}

fn take(opener: &mut DatagramOpener, content: Bytes) -> Result<(), ChannelError> {
    let sequence = Default::default();
    match Content::decode(content) {
        Ok(Content::Sealed(token, data)) => opener.datagram(now(), &token, data),
        Ok(_) => Ok(()),
        Err(fault) => Err(ChannelError::Malformed { sequence, fault }),
    }
}

impl Datagrams {
    fn new(session: &Session, config: &ChannelConfig) -> Self {
        let (hash, flow) = (session.hash(), session.shared().flow);
        let id = config.signer.as_ref().map(|it| it.verifying_key().id());
        let sealer = DatagramSealer::new(hash, flow, config.hash.algorithm(), id);
        let sealing = Arc::new(Sealing {
            sealer: Mutex::new((sealer.expect("a hash that tokens have"), None)),
            wake: Notify::new(),
        });
        let origins = config.origins.clone();
        let opener = DatagramOpener::new(hash, flow.reversed(), origins, config.delivery);
        let opener = opener
            .with_window(config.replay_window.clone())
            .with_time_window(config.time_window);
        let keys = config.keys.iter().cloned();
        let signing = config.signer.clone().map(|signer| {
            let task = sign_lists(sealing.clone(), session.downgrade(), signer);
            tokio::spawn(task).abort_handle()
        });
        Self {
            sealing,
            receiving: tokio::sync::Mutex::new(Receiving {
                opener: keys.fold(opener, DatagramOpener::with_key),
                listens: !config.origins.is_empty(),
            }),
            signing,
        }
    }
}

impl Sealing {
    fn seal(&self, data: &[u8], out: &mut BytesMut) {
        let mut sealer = self.lock();
        let (sealer, due) = &mut *sealer;
        sealer.seal(now(), data, out);
        let is_full = sealer.tokens() == stoq_core::frame::TokenRun::MAX_TOKENS;
        if sealer.tokens() == 1 || is_full {
            let wait = if is_full { Duration::ZERO } else { RUN_TIME };
            *due = Some(Instant::now() + wait);
            self.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, (DatagramSealer, Option<Instant>)> {
        // No code of others runs under the lock.
        self.sealer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signed(&self, signature: &Signature, out: &mut BytesMut) {
        let signed = self.lock().0.signed(signature, out);
        signed.expect("the list was closed, and nobody else signs");
    }
}

/// Signs each list that is due and announces it, until the session is gone or its signer fails.
async fn sign_lists(sealing: Arc<Sealing>, session: WeakSession, signer: Arc<dyn FalconSigner>) {
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
        let due = sealing.lock().1;
        match due {
            None => {
                sealing.wake.notified().await;
                continue;
            }
            Some(due) if due > Instant::now() => {
                tokio::select! {
                    () = sleep_until(due) => {}
                    () = sealing.wake.notified() => {}
                }
                continue;
            }
            Some(_) => {}
        }
        let statement = {
            let mut sealer = sealing.lock();
            sealer.1 = None;
            sealer.0.close()
        };
        let Some(statement) = statement else { continue };
        let signature = match sign(&signer, statement).await {
            Ok(signature) => signature,
            Err(error) => {
                tracing::warn!(%error, "datagrams are not signed any more");
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
            Ok(Err(_)) => return,
            // Nobody reads them. The datagrams of this list stay pending.
            Err(_) => {}
        }
        frames.truncate(key);
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        if let Some(signing) = &self.signing {
            signing.abort();
        }
    }
}

/// The session's datagrams have their way already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session's datagrams are in use already")]
pub struct DatagramsInUse;

/// How long a list may wait for a peer that reads no announcements, and keep the session alive: long beside a round trip.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(5);
