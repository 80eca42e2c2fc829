use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{MAX_HELD_BYTES, MAX_UNSIGNED};
use crate::channel::{ChannelError, ChannelId, Delivery};
use crate::falcon::{Domain, Signature, VerifyingKey};
use crate::frame::{
    DecodeError, FalconKey, FalconSignature, Frame, FrameType, Token, TokenAlgorithm, TokenRun,
};
use crate::hash::{SessionHash, Sha256};
use crate::identity::{FalconId, SignatureAlgorithm};
use crate::replay::{ReplayWindow, TimeWindow};
use crate::run::Statement;
use crate::time::UnixMicros;
use crate::token::{Flow, Scope};
use crate::varint::VarInt;

/// What came of a session's datagrams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatagramItem {
    /// A datagram whose token is right for it.
    Data {
        /// Its number.
        sequence: VarInt,
        /// Its data.
        data: Bytes,
        /// Whether a signature vouches for it already.
        verified: bool,
    },
    /// A signature vouches for a datagram that was handed out as pending.
    Verified {
        /// Its number.
        sequence: VarInt,
        /// Who signed.
        signer: FalconId,
    },
    /// No more signatures can come: what waits for one stays as it is, and what comes is never more than pending. Handed out once.
    SignaturesEnded,
    /// A datagram was handed out as pending, or was held back, and is not the one that was signed.
    Forged {
        /// Its number.
        sequence: VarInt,
    },
}

/// How many datagrams were not taken, or not to the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenedDatagrams {
    /// Held back, and given up for newer ones before their signature came.
    pub expired: u64,
    /// Not those that were signed.
    pub forged: u64,
}

/// Checks the tokens of datagrams, and the signatures of lists of them.
///
/// Memory: the replay window; with origins 4 KB for the key of each, and of [`MAX_UNSIGNED`] datagrams the tags, 64 KiB or so;
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
    Signed { tag: [u8; 32] },
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
        if let Some((_, Waiting::Signed { tag })) = place.map(|at| &self.waiting[at])
            && *tag != token.tag
        {
            self.counters.forged += 1;
            return Err(ChannelError::BadTag { sequence });
        }
        self.window.note(sequence);
        let signed = place.is_some();
        if let Some(at) = place {
            self.waiting.remove(at);
        }
        let hold = !signed && !self.origins.is_empty() && self.delivery == Delivery::Verified;
        if !hold {
            self.ready.push_back(DatagramItem::Data {
                sequence,
                data: data.clone(),
                verified: signed,
            });
        }
        if !signed && !self.origins.is_empty() {
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

    /// Takes a frame of the announcing stream: FALCON_KEY, TOKEN_RUN, or FALCON_SIGNATURE. Others are skipped.
    ///
    /// # Errors
    /// [`ChannelError`] if the frame is not taken. The others may be.
    pub fn announced(&mut self, frame: &[u8]) -> Result<(), ChannelError> {
        if self.origins.is_empty() || self.ended {
            return Ok(());
        }
        let sequence = VarInt::default();
        match Frame::decode(frame) {
            Err(fault) => Err(ChannelError::Malformed { sequence, fault }),
            Ok(None) => Err(ChannelError::Malformed {
                sequence,
                fault: DecodeError::NoData,
            }),
            Ok(Some((Frame::FalconKey(key), _))) => self.key(&key),
            Ok(Some((Frame::TokenRun(run), _))) => {
                let mut list = Vec::new();
                for (sequence, tag) in run.tokens() {
                    TokenRun::put(sequence, tag, &mut list);
                }
                self.run = Some(list);
                Ok(())
            }
            Ok(Some((Frame::FalconSignature(signed), _))) => self.signature(&signed),
            Ok(Some(_)) => Ok(()),
        }
    }

    fn key(&mut self, key: &FalconKey<'_>) -> Result<(), ChannelError> {
        let signer = FalconId::of(key.algorithm, key.key);
        let sequence = VarInt::default();
        if !self.origins.contains(&signer) {
            return Err(ChannelError::UntrustedOrigin { sequence, signer });
        }
        if self.keys.iter().any(|known| known.id() == signer) {
            return Ok(());
        }
        let key = match key.algorithm {
            SignatureAlgorithm::FALCON_PADDED_1024 => VerifyingKey::from_bytes(key.key).ok(),
            _ => None,
        };
        self.keys
            .push(key.ok_or(ChannelError::NoKey { sequence, signer })?);
        Ok(())
    }

    fn signature(&mut self, signed: &FalconSignature<'_>) -> Result<(), ChannelError> {
        let (sequence, last, signer) = (signed.first, signed.last, signed.signer);
        let list = self.run.take().ok_or(ChannelError::Unexpected {
            sequence,
            frame: FrameType::FALCON_SIGNATURE,
        })?;
        if !self.origins.contains(&signer) {
            return Err(ChannelError::UntrustedOrigin { sequence, signer });
        }
        let key = self.keys.iter().find(|key| key.id() == signer);
        let key = key.ok_or(ChannelError::NoKey { sequence, signer })?;
        let bad = ChannelError::BadSignature { sequence, last };
        let run = TokenRun::new(&list).map_err(|_| bad)?;
        let ends = (run.tokens().next(), run.tokens().last());
        if ends.0.map(|token| token.0) != Some(signed.first)
            || ends.1.map(|token| token.0) != Some(signed.last)
        {
            return Err(ChannelError::UnsentRun { sequence, last });
        }
        if signed.request != VarInt::default() {
            let request = signed.request;
            return Err(ChannelError::WrongRequest { sequence, request });
        }
        let statement = Statement {
            domain: Domain::DATAGRAM_RUN,
            session: self.scope.session,
            signer,
            channel: ChannelId::DATAGRAMS,
            request: Sha256::new().finish(),
            first: signed.first,
            last: signed.last,
            is_final: signed.is_final,
            tags: super::digest(&run),
        };
        let signature = Signature::new(*signed.signature);
        if signed.algorithm != key.algorithm() || statement.verify(key, &signature).is_err() {
            // Each costs a receiver more than it costs the sender.
            self.trials = self.trials.saturating_sub(1);
            if self.trials == 0 {
                self.signatures_ended();
            }
            return Err(bad);
        }
        self.signed = self.signed.max(last.into_inner() + 1);
        for (sequence, tag) in run.tokens() {
            self.vouch(sequence, *tag, signer);
        }
        Ok(())
    }

    /// Takes a signature's word for one datagram.
    fn vouch(&mut self, sequence: VarInt, signed: [u8; 32], signer: FalconId) {
        let Ok(at) = self.place(sequence) else {
            // Lost, or on its way. What came so long ago that it is not known any more does not come again.
            if self.window.check(sequence).is_ok() {
                self.wait(sequence, Waiting::Signed { tag: signed });
            }
            return;
        };
        if matches!(self.waiting[at].1, Waiting::Signed { .. }) {
            return;
        }
        let Some((_, Waiting::Arrived { tag, data })) = self.waiting.remove(at) else {
            return;
        };
        self.held -= data.as_ref().map_or(0, Bytes::len);
        let item = match (tag == signed, data) {
            (false, _) => {
                self.counters.forged += 1;
                DatagramItem::Forged { sequence }
            }
            (true, Some(data)) => DatagramItem::Data {
                sequence,
                data,
                verified: true,
            },
            (true, None) => DatagramItem::Verified { sequence, signer },
        };
        self.ready.push_back(item);
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
