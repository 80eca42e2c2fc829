//! What a native peer says of STOQ in its QUIC transport parameters, before any stream is open.

use bytes::BufMut;

use crate::identity::FalconId;
use crate::reader::{Fault, Reader};
use crate::varint::VarInt;

/// The parameter's number ([RFC 9000, section 18]); peers that do not know it ignore it.
///
/// [RFC 9000, section 18]: https://www.rfc-editor.org/rfc/rfc9000#section-18
pub const ID: VarInt = VarInt::from_u32(0xfe00);

/// What a peer is and can do.
///
/// ```text
/// version varint · capabilities varint · identities [1] (0 or 1) · FalconId [0 or 32] · token algorithm [1]
///   · largest shard varint
/// ```
///
/// The FalconId is a claim that helps to choose and to show; what counts is what the handshake has verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportParameter {
    /// The STOQ version that the peer prefers.
    pub version: VarInt,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Who it says it is.
    pub identity: Option<FalconId>,
    /// The algorithm that it prefers for packet tokens.
    pub token_algorithm: u8,
    /// Bytes of the largest shard that it takes; 0 if it takes none.
    pub max_shard: VarInt,
}

/// Abilities, one in each bit. Bits without a name are kept and mean nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capabilities(pub VarInt);

impl Capabilities {
    /// It serves streams that arrive as early data (0-RTT).
    pub const EARLY_DATA: Self = Self(VarInt::from_u32(1));
    /// It takes framed streams.
    pub const FRAMED: Self = Self(VarInt::from_u32(2));

    /// Whether all of these are among its own.
    pub const fn contains(self, all: Self) -> bool {
        self.0.into_inner() & all.0.into_inner() == all.0.into_inner()
    }

    /// These and those.
    #[must_use]
    pub const fn with(self, more: Self) -> Self {
        Self(VarInt::saturating(
            (self.0.into_inner() | more.0.into_inner()) as u128,
        ))
    }
}

impl TransportParameter {
    /// The longest value that is read; 58 bytes is the longest there is. Nothing may follow the last field: what a later version
    /// adds goes into a parameter of its own.
    pub const MAX_LEN: usize = 64;

    /// Reads the parameter's value.
    ///
    /// # Errors
    /// [`ParameterError`].
    pub fn decode(value: &[u8]) -> Result<Self, ParameterError> {
        if value.len() > Self::MAX_LEN {
            let got = value.len() as u64;
            return Err(ParameterError::TooLong { got });
        }
        let mut reader = Reader::new(value);
        let parameter = Self::read(&mut reader)?;
        reader.end()?;
        Ok(parameter)
    }

    /// Finds the parameter among all that a peer sent, as TLS carries them: `id varint · length varint · value`, repeated.
    ///
    /// # Errors
    /// [`ParameterError`] if it is there twice, too long or malformed, or the list cannot be read.
    pub fn find(parameters: &[u8]) -> Result<Option<Self>, ParameterError> {
        let mut found = None;
        let mut reader = Reader::new(parameters);
        while reader.left() > 0 {
            // QUIC does not ask for the shortest form here.
            let (id, length) = (any_varint(&mut reader)?, any_varint(&mut reader)?);
            let left = reader.left();
            let value = match usize::try_from(length) {
                Ok(length) => reader.bytes(length)?,
                // More than this machine can address.
                Err(_) => {
                    let wanted = length;
                    return Err(Fault::Truncated { wanted, left }.into());
                }
            };
            if id != ID.into_inner() {
                continue;
            }
            if found.is_some() {
                return Err(ParameterError::Duplicate);
            }
            found = Some(Self::decode(value)?);
        }
        Ok(found)
    }

    /// Exact number of bytes that [`encode`](Self::encode) appends.
    pub fn encoded_len(&self) -> usize {
        let value = self.value_len();
        ID.encoded_len() + VarInt::from(value as u8).encoded_len() + value
    }

    /// Appends the parameter, with its number and length, to a list of them.
    pub fn encode(&self, out: &mut impl BufMut) {
        ID.encode(out);
        VarInt::from(self.value_len() as u8).encode(out);
        self.version.encode(out);
        self.capabilities.0.encode(out);
        out.put_u8(self.identity.is_some().into());
        if let Some(identity) = &self.identity {
            out.put_slice(identity.as_bytes());
        }
        out.put_u8(self.token_algorithm);
        self.max_shard.encode(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            version: reader.varint()?,
            capabilities: Capabilities(reader.varint()?),
            identity: match reader.bool("identities")? {
                true => Some(FalconId::new(*reader.array()?)),
                false => None,
            },
            token_algorithm: reader.u8()?,
            max_shard: reader.varint()?,
        })
    }

    fn value_len(&self) -> usize {
        let identity = self
            .identity
            .map_or(0, |identity| identity.as_bytes().len());
        self.version.encoded_len()
            + self.capabilities.0.encoded_len()
            + 1
            + identity
            + 1
            + self.max_shard.encoded_len()
    }
}

/// The peer's parameter breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// It is there twice ([RFC 9000, section 7.4]).
    ///
    /// [RFC 9000, section 7.4]: https://www.rfc-editor.org/rfc/rfc9000#section-7.4
    #[error("the transport parameter 0xfe00 is there twice")]
    Duplicate,
    /// It is longer than [`TransportParameter::MAX_LEN`].
    #[error(
        "the transport parameter 0xfe00 has {got} bytes, more than {}",
        TransportParameter::MAX_LEN
    )]
    TooLong {
        /// Its length.
        got: u64,
    },
    /// It, or the list that it stands in, cannot be read.
    #[error("transport parameters: {0}")]
    Malformed(#[from] Fault),
}

/// A varint in any of its forms.
fn any_varint(reader: &mut Reader<'_>) -> Result<u64, Fault> {
    let first = reader.u8()?;
    let mut value = u64::from(first & 0x3f);
    for &byte in reader.bytes((1 << (first >> 6)) - 1)? {
        value = value << 8 | u64::from(byte);
    }
    Ok(value)
}
