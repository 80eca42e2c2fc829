//! What a FALCON signature over a run of tokens covers.

use crate::channel::ChannelId;
use crate::falcon::{BadSignature, Domain, Signature, VerifyingKey};
use crate::hash::SessionHash;
use crate::identity::FalconId;
use crate::varint::VarInt;

/// What an origin signs of a run of tokens.
///
/// ```text
/// domain label · session hash [32] · signer FalconId [32] · channel [16] · request digest [32] · first [8] · last [8]
///   · final [1] · digest of the tags [32]
/// ```
///
/// On a stream the label is [`Domain::TOKEN_RUN`] and the last digest is SHA-256 of the tags, one after the other. For
/// datagrams the label is [`Domain::DATAGRAM_RUN`], the channel is zeros, there is no request, and the digest is SHA-256 of
/// the payload of the TOKEN_RUN with its sequences in eight bytes each.
///
/// The session hash makes it worthless in another session, the channel on another stream, the request digest as the answer to
/// another question; the tags hold direction, kind of stream, place, time and data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// For which kind of run.
    pub domain: Domain,
    /// The session.
    pub session: SessionHash,
    /// Who signs.
    pub signer: FalconId,
    /// The channel.
    pub channel: ChannelId,
    /// SHA-256 of what the run answers: see [`Request`](crate::channel::Request).
    pub request: [u8; 32],
    /// The first sequence.
    pub first: VarInt,
    /// The last.
    pub last: VarInt,
    /// Whether the sender ended behind it.
    pub is_final: bool,
    /// The digest of the tags.
    pub tags: [u8; 32],
}

impl Statement {
    /// Bytes of [`to_be_signed`](Self::to_be_signed).
    pub const LEN: usize = 32 + 32 + ChannelId::LEN + 32 + 8 + 8 + 1 + 32;

    /// What stands behind the domain's label.
    pub fn to_be_signed(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        let mut rest = &mut out[..];
        for part in [
            &self.session.as_bytes()[..],
            self.signer.as_bytes(),
            self.channel.as_bytes(),
            &self.request,
            &self.first.into_inner().to_be_bytes(),
            &self.last.into_inner().to_be_bytes(),
            &[self.is_final.into()],
            &self.tags,
        ] {
            let (room, after) = rest.split_at_mut(part.len());
            room.copy_from_slice(part);
            rest = after;
        }
        out
    }

    /// Whether the holder of `key` has signed this.
    ///
    /// # Errors
    /// [`BadSignature`], also if the key is another's than the signer's.
    pub fn verify(&self, key: &VerifyingKey, signature: &Signature) -> Result<(), BadSignature> {
        if key.id() != self.signer {
            return Err(BadSignature);
        }
        key.verify(self.domain, &[&self.to_be_signed()], signature)
    }
}
