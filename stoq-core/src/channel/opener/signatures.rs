//! Keys, and the signatures of runs.

use alloc::collections::VecDeque;

use super::{Item, Opener, sequence};
use crate::channel::{ChannelError, MAX_RUN_BYTES, MAX_RUN_TOKENS, MAX_RUNS, Sent};
use crate::falcon::{Domain, Signature, VerifyingKey};
use crate::frame::{FalconKey, FalconSignature};
use crate::hash::Sha256;
use crate::identity::{FalconId, SignatureAlgorithm};
use crate::run::Statement;

/// Tokens whose signature has not come, and the data that is held back until it does.
#[derive(Clone, Debug, Default)]
pub(super) struct Unsigned {
    tokens: VecDeque<([u8; 32], u32)>,
    bytes: usize,
    held: VecDeque<Item>,
}

impl Unsigned {
    pub(super) fn tokens(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether one more token may come, with so much data.
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.tokens.len() < MAX_RUNS * MAX_RUN_TOKENS
            && self.bytes + len <= MAX_RUNS * MAX_RUN_BYTES
    }

    pub(super) fn push(&mut self, tag: [u8; 32], len: usize) {
        self.tokens.push_back((tag, len as u32));
        self.bytes += len;
    }

    pub(super) fn hold(&mut self, item: Item) {
        self.held.push_back(item);
    }

    fn digest(&self, tokens: usize) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (tag, _) in self.tokens.iter().take(tokens) {
            hash.update(tag);
        }
        hash.finish()
    }

    /// Lets go of the first `tokens`.
    fn release(&mut self, tokens: usize) {
        for (_, len) in self.tokens.drain(..tokens) {
            self.bytes -= len as usize;
        }
    }
}

impl Opener {
    pub(super) fn key(&mut self, key: &FalconKey<'_>) -> Result<Option<Item>, ChannelError> {
        if !self.expects_signatures() {
            return Ok(None);
        }
        let signer = FalconId::of(key.algorithm, key.key);
        self.trust(signer)?;
        if self.knows(&signer) {
            return Ok(None);
        }
        let sequence = self.unsigned_from();
        let key = match key.algorithm {
            SignatureAlgorithm::FALCON_PADDED_1024 => VerifyingKey::from_bytes(key.key).ok(),
            _ => None,
        };
        self.keys
            .push(key.ok_or(ChannelError::NoKey { sequence, signer })?);
        Ok(Some(Item::Key(signer)))
    }

    pub(super) fn signature(
        &mut self,
        sent: &mut Sent,
        signed: &FalconSignature<'_>,
    ) -> Result<Option<Item>, ChannelError> {
        if !self.expects_signatures() {
            return Ok(None);
        }
        self.trust(signed.signer)?;
        let tokens = self.run(signed)?;
        let (first, last) = (signed.first, signed.last);
        let bad = ChannelError::BadSignature {
            sequence: first,
            last,
        };
        let key = self.keys.iter().find(|key| key.id() == signed.signer);
        let key = key.ok_or(ChannelError::NoKey {
            sequence: first,
            signer: signed.signer,
        })?;
        let request = sent.digest(signed.request);
        let statement = Statement {
            domain: Domain::TOKEN_RUN,
            session: self.scope.session,
            signer: signed.signer,
            channel: self.scope.channel,
            request: request.ok_or(ChannelError::WrongRequest {
                sequence: first,
                request: signed.request,
            })?,
            first,
            last,
            is_final: signed.is_final,
            tags: self.unsigned.digest(tokens),
        };
        if signed.algorithm != key.algorithm() {
            return Err(bad);
        }
        let signature = Signature::new(*signed.signature);
        statement.verify(key, &signature).map_err(|_| bad)?;
        if signed.is_final {
            if !sent.may_be_last(signed.request) {
                return Err(ChannelError::WrongRequest {
                    sequence: first,
                    request: signed.request,
                });
            }
            sent.answer_ended(signed.request);
        }
        sent.answered(signed.request);
        self.unsigned.release(tokens);
        self.signer = Some(signed.signer);
        self.ended = signed.is_final;
        self.release_through(signed, sent.is_all(signed.request));
        Ok(self.ready.pop_front())
    }

    /// How many tokens the signature covers, if those are the next that have none.
    fn run(&self, signed: &FalconSignature<'_>) -> Result<usize, ChannelError> {
        let (expected, upcoming) = (self.unsigned_from(), self.upcoming());
        if self.ended {
            return Err(ChannelError::BehindEnd { sequence: upcoming });
        }
        if signed.first < expected {
            return Err(ChannelError::Replayed {
                sequence: signed.first,
            });
        }
        if signed.last >= upcoming {
            return Err(ChannelError::UnsentRun {
                sequence: upcoming,
                last: signed.last,
            });
        }
        if signed.first > expected {
            return Err(ChannelError::Unsigned {
                sequence: expected,
                got: signed.first,
            });
        }
        let behind = sequence(signed.last.into_inner() + 1);
        if signed.is_final && (behind < upcoming || self.token.is_some()) {
            return Err(ChannelError::BehindEnd { sequence: behind });
        }
        // Both lie within the tokens that are kept, which are few.
        Ok((behind.into_inner() - expected.into_inner()) as usize)
    }

    /// Whether this may be who signs the channel.
    fn trust(&self, signer: FalconId) -> Result<(), ChannelError> {
        let is_first = self.signer.is_none_or(|first| first == signer);
        if self.origins.contains(&signer) && is_first {
            return Ok(());
        }
        let sequence = self.unsigned_from();
        Err(ChannelError::UntrustedOrigin { sequence, signer })
    }

    /// Hands out what was held back until this signature, and says that it has come.
    fn release_through(&mut self, signed: &FalconSignature<'_>, answers_all: bool) {
        while let Some(Item::Data { sequence, .. }) = self.unsigned.held.front()
            && *sequence <= signed.last
            && let Some(Item::Data { sequence, data, .. }) = self.unsigned.held.pop_front()
        {
            let verified = true;
            self.ready.push_back(Item::Data {
                sequence,
                data,
                verified,
            });
        }
        self.ready.push_back(Item::Verified {
            through: signed.last,
            signer: signed.signer,
            is_final: signed.is_final,
            answers: signed.request,
            answers_all,
        });
    }
}
