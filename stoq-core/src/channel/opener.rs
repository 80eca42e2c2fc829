//! The receiving end of a channel.

mod frames;
mod signatures;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{ChannelError, MAX_IDLE_FRAMES, Sent};
use crate::falcon::VerifyingKey;
use crate::frame::{Priority, Token};
use crate::identity::FalconId;
use crate::replay::TimeWindow;
use crate::time::UnixMicros;
use crate::token::Scope;
use crate::varint::VarInt;
use frames::Reading;
use signatures::Unsigned;

/// When data is handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// At once, marked as pending; an [`Item::Verified`] follows when its signature has come.
    Pending,
    /// When its signature has come: up to 16 MiB are held back, and none of it is handed out if the signature is bad. The
    /// default, because who forgets to look at the mark does no harm then.
    #[default]
    Verified,
}

/// What came on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Data, in order and without gaps.
    Data {
        /// Its token's sequence.
        sequence: VarInt,
        /// The data; never empty.
        data: Bytes,
        /// Whether a signature vouches for it already. If not it is whole as far as its hash says, which any relay could have
        /// made anew.
        verified: bool,
    },
    /// A signature vouches for all data up to here.
    Verified {
        /// The last sequence that it vouches for.
        through: VarInt,
        /// Who signed; always the same on one channel.
        signer: FalconId,
        /// Whether the signer ended here.
        is_final: bool,
        /// How many frames of this end's data the run [answers](super::Request). No relay has changed them; that the signer
        /// was given no more may be a relay's doing.
        answers: VarInt,
        /// Whether those are all that this end had sent when the signature came.
        answers_all: bool,
    },
    /// How urgent the sender says that the channel is. Nobody vouches for it.
    Priority(Priority),
    /// The key of a trusted origin was announced.
    Key(FalconId),
}

/// Checks tokens and signatures, and hands out what they vouch for.
///
/// If no origins are named, signatures are not looked at: data is pending for ever, and an end that was cut off cannot be told
/// from one that the sender meant. If some are, an end without a signature of it is [`ChannelError::Truncated`].
///
/// Memory: the frame that is being read, at most 16 KiB; with origins 4 KB for the key of each, and 72 KiB of tags at most;
/// with [`Delivery::Verified`] 16 MiB of data at most. It reserves memory once for each DATA frame, of its length and 78 bytes,
/// which the application is then given.
///
/// ```
/// use stoq_core::channel::{ChannelId, Delivery, Item, Opener, Sealer, Sent};
/// use stoq_core::frame::TokenAlgorithm;
/// use stoq_core::stream::Direction;
/// use stoq_core::time::UnixMicros;
/// use stoq_core::token::{Flow, Scope};
/// use stoq_core::{SessionHash, VarInt};
///
/// let scope = Scope {
///     session: SessionHash::new(&[1; 32], &[2; 32], "files"),
///     flow: Flow::ToClient,
///     kind: Direction::Bidirectional,
///     channel: ChannelId::new([7; 16]),
/// };
/// let mut sealer = Sealer::new(scope, TokenAlgorithm::SHA256, None)?;
/// let mut wire = Vec::new();
/// sealer.seal(UnixMicros(0), b"data", &mut wire)?;
/// wire.extend_from_slice(b"data");
///
/// let mut opener = Opener::new(scope, [], Delivery::Pending);
/// let mut input = &wire[..];
/// let item = opener.next(UnixMicros(0), &mut Sent::default(), &mut input);
/// let (sequence, verified) = (VarInt::from_u32(0), false);
/// assert_eq!(item, Ok(Some(Item::Data { sequence, data: "data".into(), verified })));
/// assert_eq!(opener.end(), Ok(()));
/// # Ok::<_, stoq_core::channel::SealError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Opener {
    scope: Scope,
    origins: Arc<[FalconId]>,
    delivery: Delivery,
    time: TimeWindow,
    /// The sequence that is to come.
    next: u64,
    reading: Reading,
    /// Stands in front of the DATA frame that is to come.
    token: Option<Token>,
    /// Keys of origins, as they were announced or given.
    keys: Vec<VerifyingKey>,
    signer: Option<FalconId>,
    unsigned: Unsigned,
    ended: bool,
    /// Frames that may come without data.
    idle: u32,
    ready: VecDeque<Item>,
    failed: Option<Box<ChannelError>>,
}

impl Opener {
    /// The receiving end of a channel whose data one of `origins` must have signed; with none, nobody must.
    pub fn new(scope: Scope, origins: impl Into<Arc<[FalconId]>>, delivery: Delivery) -> Self {
        Self {
            scope,
            origins: origins.into(),
            delivery,
            time: TimeWindow::default(),
            next: 0,
            reading: Reading::default(),
            token: None,
            keys: Vec::new(),
            signer: None,
            unsigned: Unsigned::default(),
            ended: false,
            idle: MAX_IDLE_FRAMES,
            ready: VecDeque::new(),
            failed: None,
        }
    }

    /// Takes only tokens whose time is within this window around now.
    #[must_use]
    pub fn with_time_window(mut self, window: TimeWindow) -> Self {
        self.time = window;
        self
    }

    /// Knows the key of an origin that need not announce it. Does nothing if it is not one of the origins.
    #[must_use]
    pub fn with_key(mut self, key: VerifyingKey) -> Self {
        if self.origins.contains(&key.id()) && !self.knows(&key.id()) {
            self.keys.push(key);
        }
        self
    }

    /// Takes bytes from the front of `input`, in pieces as they come, until something is there to be handed out. `None` when
    /// `input` is used up: call again when more has come. `sent` is what this end has sent the other way.
    ///
    /// # Errors
    /// [`ChannelError`], and the same again from then on. What was handed out before stays as good as it was said to be; what
    /// was held back is lost.
    pub fn next(
        &mut self,
        now: UnixMicros,
        sent: &mut Sent,
        input: &mut &[u8],
    ) -> Result<Option<Item>, ChannelError> {
        if let Some(item) = self.ready.pop_front() {
            return Ok(Some(item));
        }
        if let Some(error) = &self.failed {
            return Err(**error);
        }
        let item = self.read(now, sent, input);
        if let Err(error) = &item {
            self.failed = Some(Box::new(*error));
            self.unsigned = Unsigned::default();
            self.reading = Reading::default();
        }
        item
    }

    /// Says that no more bytes come: whether what came is all that was sent, as far as this end can tell.
    ///
    /// # Errors
    /// [`ChannelError::Truncated`], or what was wrong before.
    pub fn end(&self) -> Result<(), ChannelError> {
        if let Some(error) = &self.failed {
            return Err(**error);
        }
        let is_whole = self.reading.is_between_frames() && self.token.is_none();
        let sequence = self.unsigned_from();
        match is_whole && (self.ended || !self.expects_signatures()) {
            true => Ok(()),
            false => Err(ChannelError::Truncated { sequence }),
        }
    }

    /// Whether data must be signed: whether there are origins.
    pub fn expects_signatures(&self) -> bool {
        !self.origins.is_empty()
    }

    /// Who has signed data on this channel.
    pub const fn signer(&self) -> Option<FalconId> {
        self.signer
    }

    /// Whether the signed end has come.
    pub const fn is_final(&self) -> bool {
        self.ended
    }

    /// Bytes that are held back until their signature comes.
    pub fn held_bytes(&self) -> usize {
        match self.delivery {
            Delivery::Verified => self.unsigned.bytes(),
            Delivery::Pending => 0,
        }
    }

    /// Waits no longer for the signature of what is held back: the channel fails with [`ChannelError::RunTooLong`], if nothing
    /// was wrong before.
    pub fn give_up(&mut self) -> ChannelError {
        let sequence = self.unsigned_from();
        let error = ChannelError::RunTooLong { sequence };
        self.unsigned = Unsigned::default();
        **(self.failed).get_or_insert_with(|| Box::new(error))
    }

    /// The first sequence that no signature vouches for; without origins, the next.
    pub fn unsigned_from(&self) -> VarInt {
        sequence(self.next - self.unsigned.tokens() as u64)
    }

    fn knows(&self, id: &FalconId) -> bool {
        self.keys.iter().any(|key| key.id() == *id)
    }

    fn upcoming(&self) -> VarInt {
        sequence(self.next)
    }
}

/// A receiver of 2^62 frames would be older than the world.
fn sequence(number: u64) -> VarInt {
    VarInt::saturating(number.into())
}
