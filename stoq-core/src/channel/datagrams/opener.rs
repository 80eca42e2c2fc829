mod lists;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{DatagramItem, MAX_HELD_BYTES, MAX_UNSIGNED, OpenedDatagrams};
use crate::channel::{ChannelError, ChannelId, Delivery};
use crate::falcon::VerifyingKey;
use crate::frame::{Token, TokenAlgorithm};
use crate::hash::SessionHash;
use crate::identity::FalconId;
use crate::replay::{ReplayWindow, TimeWindow};
use crate::stream::Direction;
use crate::time::UnixMicros;
use crate::token::{Flow, Scope};
use crate::varint::VarInt;

/// Checks the tokens of datagrams, and the signatures of lists of them.
///
/// Memory: the replay window; with origins 4 KB for the key of each, and of [`MAX_UNSIGNED`] datagrams the tags and signers, 100 KiB or
/// so;
/// with [`Delivery::Verified`] their data as well, [`MAX_HELD_BYTES`] at most.
#[derive(Clone, Debug)]
pub struct DatagramOpener {
    scope: Scope,
    origins: Arc<[FalconId]>,
    delivery: Delivery,
    window: ReplayWindow,
    time: TimeWindow,
    keys: Vec<VerifyingKey>,
    /// The payload of the TOKEN_RUN that the next signature is for.
    run: Option<Vec<u8>>,
    /// By sequence, ascending. The lowest go first, and most come last.
    waiting: VecDeque<(VarInt, Waiting)>,
    held: usize,
    ready: VecDeque<DatagramItem>,
    counters: OpenedDatagrams,
    /// One more than the highest sequence that a signature has named.
    signed: u64,
    /// Signatures that may still be bad.
    trials: u32,
    ended: bool,
}

#[derive(Clone, Debug)]
enum Waiting {
    /// The datagram has come; its data is held back, or was handed out.
    Arrived { tag: [u8; 32], data: Option<Bytes> },
    /// Its signature has come.
    Signed { tag: [u8; 32], signer: FalconId },
}

impl DatagramOpener {
    /// The receiving end of a session's datagrams, which one of `origins` must have signed; with none, nobody must, and all
    /// are pending for ever. `flow` is the way that they go.
    pub fn new(
        session: SessionHash,
        flow: Flow,
        origins: impl Into<Arc<[FalconId]>>,
        delivery: Delivery,
    ) -> Self {
        Self {
            scope: Scope {
                session,
                flow,
                kind: Direction::Bidirectional,
                channel: ChannelId::DATAGRAMS,
            },
            origins: origins.into(),
            delivery,
            window: ReplayWindow::default(),
            time: TimeWindow::default(),
            keys: Vec::new(),
            run: None,
            waiting: VecDeque::new(),
            held: 0,
            ready: VecDeque::new(),
            counters: OpenedDatagrams::default(),
            signed: 0,
            trials: MAX_BAD_SIGNATURES,
            ended: false,
        }
    }

    /// Knows of this many of the newest sequences whether they came.
    #[must_use]
    pub fn with_window(mut self, window: ReplayWindow) -> Self {
        self.window = window;
        self
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
        if self.origins.contains(&key.id()) {
            self.keys.push(key);
        }
        self
    }

    /// What is ready to be handed out.
    pub fn next_item(&mut self) -> Option<DatagramItem> {
        self.ready.pop_front()
    }

    /// What was given up so far.
    pub const fn counters(&self) -> OpenedDatagrams {
        self.counters
    }

    /// Takes a datagram, which [`next_item`](Self::next_item) then hands out, at once or when its signature has come.
    ///
    /// # Errors
    /// [`ChannelError`] if the datagram is not taken. It concerns no other.
    pub fn datagram(
        &mut self,
        now: UnixMicros,
        token: &Token,
        data: Bytes,
    ) -> Result<(), ChannelError> {
        let sequence = token.sequence;
        self.window.check(sequence)?;
        self.reach(sequence)?;
        self.time.check(now, sequence, token.timestamp)?;
        let algorithm = token.algorithm;
        let (TokenAlgorithm::SHA256 | TokenAlgorithm::BLAKE3) = algorithm else {
            return Err(ChannelError::UnknownAlgorithm {
                sequence,
                algorithm,
            });
        };
        let tag = self.scope.tag(algorithm, sequence, token.timestamp, &data);
        if tag != Some(token.tag) {
            return Err(ChannelError::BadTag { sequence });
        }
        let place = self.place(sequence).ok();
        let signer = match place.map(|at| &self.waiting[at].1) {
            Some(Waiting::Signed { tag, .. }) if *tag != token.tag => {
                self.counters.forged += 1;
                return Err(ChannelError::BadTag { sequence });
            }
            Some(Waiting::Signed { signer, .. }) => Some(*signer),
            // What has arrived does not come again: the window has seen it.
            Some(Waiting::Arrived { .. }) | None => None,
        };
        self.window.note(sequence);
        if signer.is_some()
            && let Some(at) = place
        {
            self.waiting.remove(at);
        }
        let awaits = signer.is_none() && !self.origins.is_empty();
        let hold = awaits && self.delivery == Delivery::Verified;
        if !hold {
            self.ready.push_back(DatagramItem::Data {
                sequence,
                data: data.clone(),
                signer,
            });
        }
        if awaits {
            let data = hold.then_some(data);
            self.held += data.as_ref().map_or(0, Bytes::len);
            let tag = token.tag;
            self.wait(sequence, Waiting::Arrived { tag, data });
        }
        Ok(())
    }

    /// Says that no more signatures can come.
    pub fn signatures_ended(&mut self) {
        if !core::mem::replace(&mut self.ended, true) && !self.origins.is_empty() {
            self.ready.push_back(DatagramItem::SignaturesEnded);
        }
    }

    /// Whether the sequence is near those that were signed. Anybody on the way can make a token: one that is far ahead would have
    /// the window forget what it knows, and those that are sent be too late for it.
    fn reach(&self, sequence: VarInt) -> Result<(), ChannelError> {
        let reach = self.signed + (self.window.size() + MAX_UNSIGNED) as u64;
        match self.origins.is_empty() || self.ended || sequence.into_inner() < reach {
            true => Ok(()),
            false => Err(ChannelError::Ahead { sequence }),
        }
    }

    /// Where what is known of a datagram stands, or would.
    fn place(&self, sequence: VarInt) -> Result<usize, usize> {
        self.waiting
            .binary_search_by_key(&sequence, |(known, _)| *known)
    }

    fn wait(&mut self, sequence: VarInt, waiting: Waiting) {
        if let Err(at) = self.place(sequence) {
            self.waiting.insert(at, (sequence, waiting));
        }
        while self.waiting.len() > MAX_UNSIGNED || self.held > MAX_HELD_BYTES {
            let Some((_, oldest)) = self.waiting.pop_front() else {
                return;
            };
            if let Waiting::Arrived {
                data: Some(data), ..
            } = oldest
            {
                self.held -= data.len();
                self.counters.expired += 1;
            }
        }
    }
}

/// Bad signatures after which none is looked at any more: 4, which no origin makes, and no path.
const MAX_BAD_SIGNATURES: u32 = 4;
