//! Verified datagrams of a session.

mod sealing;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use stoq_core::channel::ChannelError;
use stoq_core::channel::datagrams::{DatagramItem, DatagramOpener, DatagramSealer};
use stoq_core::datagram::{Content, ContentKind};
use tokio::task::AbortHandle;

pub use sealing::VerifiedDatagramError;
use sealing::{Sealing, sign_lists};

use super::ChannelConfig;
use crate::clock::now;
use crate::closed::Closed;
use crate::session::{SendDatagramError, Session};

/// Both ends of the one channel that a session's datagrams have.
#[derive(Debug)]
pub(crate) struct Datagrams {
    sealing: Arc<Sealing>,
    receiving: tokio::sync::Mutex<Receiving>,
    signing: Option<AbortHandle>,
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
    /// [`VerifiedDatagramError`] if it is larger than [`max_verified_datagram_size`](Self::max_verified_datagram_size), the
    /// session is closed, or there is a signer whose signatures reach nobody any more. The last shows when a list is to be
    /// announced: a quarter of a second and a round trip after the peer's stop, and not before something more is sent.
    pub fn send_verified_datagram(&self, data: &[u8]) -> Result<(), VerifiedDatagramError> {
        if let Some(closed) = self.ending().get() {
            return Err(SendDatagramError::SessionClosed(closed.clone()).into());
        }
        let (limit, got) = (self.max_verified_datagram_size(), data.len());
        if got > limit {
            return Err(SendDatagramError::TooLarge { limit, got }.into());
        }
        let mut content = BytesMut::with_capacity(DatagramSealer::MAX_HEADER_LEN + got);
        self.datagrams().sealing.seal(data, &mut content)?;
        content.extend_from_slice(data);
        Ok(self.send_content(content.freeze())?)
    }

    /// Largest datagram with a token, in bytes, that can be sent now.
    pub fn max_verified_datagram_size(&self) -> usize {
        let content = self.max_content_size();
        content.saturating_sub(DatagramSealer::MAX_HEADER_LEN)
    }

    /// The next datagram with a token, or word that one is verified. A datagram that was changed or came twice is dropped and
    /// [counted](crate::SessionStats::refused). One that was dropped on the way is not missed: datagrams may be lost.
    ///
    /// When the peer, or a relay, has ended its announcements in whatever way, [`DatagramItem::SignaturesEnded`] says so once,
    /// behind what the signatures that came before it vouch for.
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
                    Ok(Some(frame)) => opener.announced(&frame),
                    Ok(None) | Err(_) => {
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
        let sealing = Arc::new(Sealing::new(sealer.expect("a hash that tokens have")));
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
