//! What a datagram holds.

use bytes::{BufMut, Bytes};

use crate::{
    frame::{DecodeError, Frame, FrameType, Shard, Token},
    reader::{Fault, Reader},
    session_id::SessionId,
    varint::VarInt,
};

/// One datagram, and the session it belongs to.
///
/// ```text
/// session 0       content, the rest
/// session N > 0   31 · length [1] · N [1..8] · content, the rest
/// ```
///
/// Session 0 has no long form. A relay passes the content on unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Whose it is.
    pub session: SessionId,
    /// What [`Content::decode`] reads; it shares memory with the datagram that was decoded.
    pub content: Bytes,
}

/// What a session's datagram says.
///
/// ```text
/// other frames, skipped · TOKEN, if there is one · 00 · data, the rest
/// other frames, skipped · SHARD
/// ```
///
/// A DATA frame in a datagram has no length: the carrier knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Bytes of the application; they share memory with the content that was decoded.
    Data(Bytes),
    /// Bytes of the application and the token that vouches for them. Nothing has been checked yet.
    Sealed(Token, Bytes),
    /// A part of a message: the payload of a SHARD frame, to be read by [`Content::shard`].
    Shard(Bytes),
}

impl Datagram {
    /// The longest header that [`header`](Self::header) makes: type, length, eight bytes of session id, DATA.
    pub const MAX_HEADER_LEN: usize = 11;

    /// Reads whose a whole datagram is. Copies nothing, and does not look into the content.
    ///
    /// # Errors
    /// [`DecodeError`] if the frame that names the session cannot be read. A datagram is unreliable, so the receiver drops
    /// such a one and counts it.
    pub fn decode(datagram: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(&datagram);
        let frame = FrameType::new(reader.varint().map_err(DecodeError::Header)?);
        if frame != FrameType::SESSION_DATAGRAM {
            let session = SessionId::ZERO;
            return Ok(Self {
                session,
                content: datagram,
            });
        }
        let payload = frame.payload(&mut reader)?;
        let session =
            read_session(payload).map_err(|fault| DecodeError::Malformed { frame, fault })?;
        let content = datagram.slice(datagram.len() - reader.left()..);
        Ok(Self { session, content })
    }

    /// Exact number of bytes that [`header`](Self::header) appends: what a session's data has less than the carrier's
    /// largest datagram.
    pub const fn header_len(session: SessionId) -> usize {
        Self::prefix_len(session) + 1
    }

    /// Appends what stands in front of the data of a datagram of `session`.
    pub fn header(session: SessionId, out: &mut impl BufMut) {
        Self::prefix(session, out);
        VarInt::from(FrameType::DATA).encode(out);
    }

    /// Exact number of bytes that [`prefix`](Self::prefix) appends.
    pub const fn prefix_len(session: SessionId) -> usize {
        match session.value() {
            0 => 0,
            value => 2 + VarInt::saturating(value as u128).encoded_len(),
        }
    }

    /// Appends what stands in front of the content of a datagram of `session`; nothing for session 0.
    pub fn prefix(session: SessionId, out: &mut impl BufMut) {
        if session != SessionId::ZERO {
            let id = VarInt::from(session);
            VarInt::from(FrameType::SESSION_DATAGRAM).encode(out);
            out.put_u8(id.encoded_len() as u8);
            id.encode(out);
        }
    }
}

/// What kind of [`Content`] a datagram has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContentKind {
    /// [`Content::Data`], and whatever cannot be read.
    Data,
    /// [`Content::Sealed`].
    Sealed,
    /// [`Content::Shard`].
    Shard,
}

impl Content {
    /// What the content will be when it is decoded, if it can be: a look at the types of its frames only.
    pub fn kind(content: &[u8]) -> ContentKind {
        let mut reader = Reader::new(content);
        while let Ok(ty) = reader.varint() {
            let ty = FrameType::new(ty);
            match ty {
                FrameType::TOKEN => return ContentKind::Sealed,
                FrameType::SHARD => return ContentKind::Shard,
                FrameType::DATA => break,
                _ if ty.payload(&mut reader).is_err() => break,
                _ => {}
            }
        }
        ContentKind::Data
    }

    /// Reads the content of a datagram. Copies nothing.
    ///
    /// # Errors
    /// [`DecodeError`] if a frame in it is cut or longer than its type allows, a token or shard breaks the rules of its
    /// frame, something follows a shard, the session is named again, or there is neither DATA nor SHARD.
    pub fn decode(content: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(&content);
        let mut token = None;
        while reader.left() > 0 {
            let frame = FrameType::new(reader.varint().map_err(DecodeError::Header)?);
            if frame == FrameType::DATA {
                let data = content.slice(content.len() - reader.left()..);
                return Ok(match token {
                    Some(token) => Self::Sealed(token, data),
                    None => Self::Data(data),
                });
            }
            let payload = frame.payload(&mut reader)?;
            let malformed = |fault| DecodeError::Malformed { frame, fault };
            match frame {
                FrameType::TOKEN => token = Some(Token::decode(payload).map_err(malformed)?),
                FrameType::SHARD => {
                    Shard::decode(payload).map_err(malformed)?;
                    let end = content.len() - reader.left();
                    let shard = content.slice(end - payload.len()..end);
                    return reader.end().map(|()| Self::Shard(shard)).map_err(malformed);
                }
                // Behind other frames it would be a second way to say the same.
                FrameType::SESSION_DATAGRAM => {
                    let field = "session";
                    return Err(malformed(Fault::Duplicate { field, got: 0 }));
                }
                _ => {}
            }
        }
        Err(DecodeError::NoData)
    }

    /// Exact number of bytes that [`encode`](Self::encode) appends.
    pub fn encoded_len(&self) -> usize {
        match self {
            Self::Data(data) => 1 + data.len(),
            Self::Sealed(token, data) => Frame::Token(*token).encoded_len() + 1 + data.len(),
            Self::Shard(payload) => {
                let length = VarInt::saturating(payload.len() as u128);
                let header = VarInt::from(FrameType::SHARD).encoded_len() + length.encoded_len();
                header + payload.len()
            }
        }
    }

    /// Appends the content without frames that are skipped. Reserves nothing.
    pub fn encode(&self, out: &mut impl BufMut) {
        let data = match self {
            Self::Data(data) => data,
            Self::Sealed(token, data) => {
                Frame::Token(*token).encode(out);
                data
            }
            Self::Shard(payload) => {
                VarInt::from(FrameType::SHARD).encode(out);
                VarInt::saturating(payload.len() as u128).encode(out);
                out.put_slice(payload);
                return;
            }
        };
        VarInt::from(FrameType::DATA).encode(out);
        out.put_slice(data);
    }

    /// The shard in the payload that [`Content::Shard`] holds.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] if it breaks a rule of its frame; never for one that [`decode`](Self::decode) gave.
    pub fn shard(payload: &[u8]) -> Result<Shard<'_>, DecodeError> {
        let frame = FrameType::SHARD;
        Shard::decode(payload).map_err(|fault| DecodeError::Malformed { frame, fault })
    }
}

fn read_session(payload: &[u8]) -> Result<SessionId, Fault> {
    let mut reader = Reader::new(payload);
    let session = SessionId::from(reader.varint()?);
    reader.end()?;
    if session == SessionId::ZERO {
        return Err(Fault::OutOfRange {
            field: "session id of a datagram",
            got: 0,
        });
    }
    Ok(session)
}
