//! Lists of tokens, their signatures and the keys, from the announcing stream.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{DatagramItem, DatagramOpener, Waiting};
use crate::channel::datagrams::digest;
use crate::channel::{ChannelError, ChannelId};
use crate::falcon::{Domain, Signature, VerifyingKey};
use crate::frame::{DecodeError, FalconKey, FalconSignature, Frame, FrameType, TokenRun};
use crate::hash::Sha256;
use crate::identity::{FalconId, SignatureAlgorithm};
use crate::run::Statement;
use crate::varint::VarInt;

impl DatagramOpener {
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
            tags: digest(&run),
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
                let tag = signed;
                self.wait(sequence, Waiting::Signed { tag, signer });
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
                signer: Some(signer),
            },
            (true, None) => DatagramItem::Verified { sequence, signer },
        };
        self.ready.push_back(item);
    }
}
