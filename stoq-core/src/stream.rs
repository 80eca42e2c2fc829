//! The first bytes of a stream: what kind it is, and whose.

use bytes::BufMut;

use crate::{
    frame::DecodeError,
    reader::{Fault, Reader},
    session_id::SessionId,
    varint::VarInt,
};

/// What stands in front of a stream's data.
///
/// ```text
/// CONTROL         00                                       unidirectional, one each way
/// session 0       01 raw | 02 framed                       either direction
///                 04 announce                              unidirectional, at most one each way
/// early           03                                       native peers, in early data only; see [`Early`](Self::Early)
/// session N > 0   type [2] · N [1..8] · 01 | 02 | 04        type 41 on bidirectional, 54 on unidirectional streams
/// anything else   type [1..8]                              read and thrown away
/// ```
///
/// Types are varints, so 41 and 54 (hexadecimal) take two bytes. Session 0 has no long form, so a header has one encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamHeader {
    /// Frames that steer the connection, until it ends.
    Control,
    /// A stream of a session.
    Data {
        /// Whose.
        session: SessionId,
        /// How the rest is to be read.
        payload: Payload,
    },
    /// A stream that came as early data, before SETTINGS: what follows is the service that it is for, as text behind a varint
    /// that counts it, and then data of the application. Whoever recorded it can send it again.
    Early,
    /// A type that this version does not know, or [`grease`](Self::grease): read the stream and throw it away.
    Unknown(VarInt),
}

/// Which ways data flows on a stream. It is not in the header: the carrier tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both peers send.
    Bidirectional,
    /// Only the opener sends.
    Unidirectional,
}

/// How the rest of a stream is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Payload {
    /// Bytes of the application, as they are.
    Raw,
    /// A channel id, and then frames: data with tokens and signatures.
    Framed,
    /// Frames that concern the whole session from end to end: seeds, and signatures of datagrams. One stream each way.
    Announce,
}

impl StreamHeader {
    /// The longest header that [`encode`](Self::encode) makes: two bytes of type, eight of session, one of payload.
    pub const MAX_LEN: usize = 11;

    /// The `n`th type that means nothing, `0x21 + 0x1f * n`. Senders open such streams now and then, so that receivers
    /// keep ignoring what they do not know ([RFC 9114, section 7.2.8] does the same).
    ///
    /// [RFC 9114, section 7.2.8]: https://www.rfc-editor.org/rfc/rfc9114#section-7.2.8
    pub const fn grease(n: u32) -> Self {
        Self::Unknown(VarInt::saturating(0x21 + 0x1f * n as u128))
    }

    /// Reads the header from the front of a stream's bytes. What follows is the stream's data.
    ///
    /// `Ok(None)` means `input` ends too early: append more bytes and call again.
    /// `Ok(Some((header, n)))` means the header covered the first `n` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Stream`] if a known type stands on a stream of the other direction, session 0 is written in the long
    /// form, its payload is neither raw nor framed, or an integer is longer than it need be.
    pub fn decode(
        input: &[u8],
        direction: Direction,
    ) -> Result<Option<(Self, usize)>, DecodeError> {
        let mut reader = Reader::new(input);
        match Self::read(&mut reader, direction) {
            Ok(header) => Ok(Some((header, input.len() - reader.left()))),
            Err(Fault::Truncated { .. }) => Ok(None),
            Err(fault) => Err(DecodeError::Stream(fault)),
        }
    }

    /// Exact number of bytes that [`encode`](Self::encode) appends.
    pub fn encoded_len(&self, direction: Direction) -> usize {
        match *self {
            Self::Control => CONTROL.encoded_len(),
            Self::Early => EARLY.encoded_len(),
            Self::Data {
                session: SessionId::ZERO,
                payload,
            } => payload.stream_type().encoded_len(),
            Self::Data { session, payload } => {
                direction.session_type().encoded_len()
                    + VarInt::from(session).encoded_len()
                    + payload.stream_type().encoded_len()
            }
            Self::Unknown(stream_type) => stream_type.encoded_len(),
        }
    }

    /// Appends the only valid encoding of this header on a stream of this direction.
    pub fn encode(&self, direction: Direction, out: &mut impl BufMut) {
        match *self {
            Self::Control => CONTROL.encode(out),
            Self::Early => EARLY.encode(out),
            Self::Data {
                session: SessionId::ZERO,
                payload,
            } => payload.stream_type().encode(out),
            Self::Data { session, payload } => {
                direction.session_type().encode(out);
                VarInt::from(session).encode(out);
                payload.stream_type().encode(out);
            }
            Self::Unknown(stream_type) => stream_type.encode(out),
        }
    }

    fn read(reader: &mut Reader<'_>, direction: Direction) -> Result<Self, Fault> {
        match reader.varint()? {
            CONTROL if direction == Direction::Unidirectional => Ok(Self::Control),
            RAW => Ok(Self::Data {
                session: SessionId::ZERO,
                payload: Payload::Raw,
            }),
            FRAMED => Ok(Self::Data {
                session: SessionId::ZERO,
                payload: Payload::Framed,
            }),
            ANNOUNCE if direction == Direction::Unidirectional => Ok(Self::Data {
                session: SessionId::ZERO,
                payload: Payload::Announce,
            }),
            EARLY => Ok(Self::Early),
            session_type if session_type == direction.session_type() => {
                let session = SessionId::from(reader.varint()?);
                if session == SessionId::ZERO {
                    return Err(Fault::OutOfRange {
                        field: "session id of a stream",
                        got: 0,
                    });
                }
                let payload = match reader.varint()? {
                    RAW => Payload::Raw,
                    FRAMED => Payload::Framed,
                    ANNOUNCE if direction == Direction::Unidirectional => Payload::Announce,
                    other => {
                        return Err(Fault::OutOfRange {
                            field: "payload type",
                            got: other.into_inner(),
                        });
                    }
                };
                Ok(Self::Data { session, payload })
            }
            wrong @ (CONTROL | ANNOUNCE | SESSION_BIDI | SESSION_UNI) => {
                let field = match direction {
                    Direction::Bidirectional => "type of a bidirectional stream",
                    Direction::Unidirectional => "type of a unidirectional stream",
                };
                Err(Fault::OutOfRange {
                    field,
                    got: wrong.into_inner(),
                })
            }
            unknown => Ok(Self::Unknown(unknown)),
        }
    }
}

impl Direction {
    const fn session_type(self) -> VarInt {
        match self {
            Self::Bidirectional => SESSION_BIDI,
            Self::Unidirectional => SESSION_UNI,
        }
    }
}

impl Payload {
    const fn stream_type(self) -> VarInt {
        match self {
            Self::Raw => RAW,
            Self::Framed => FRAMED,
            Self::Announce => ANNOUNCE,
        }
    }
}

const CONTROL: VarInt = VarInt::from_u32(0x00);
const RAW: VarInt = VarInt::from_u32(0x01);
const FRAMED: VarInt = VarInt::from_u32(0x02);
const EARLY: VarInt = VarInt::from_u32(0x03);
const ANNOUNCE: VarInt = VarInt::from_u32(0x04);
const SESSION_BIDI: VarInt = VarInt::from_u32(0x41);
const SESSION_UNI: VarInt = VarInt::from_u32(0x54);

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn a_raw_stream_of_session_0_costs_one_byte() {
        let header = StreamHeader::Data {
            session: SessionId::ZERO,
            payload: Payload::Raw,
        };
        let mut out = Vec::new();
        header.encode(Direction::Bidirectional, &mut out);
        assert_eq!(out, [0x01]);
    }

    #[test]
    fn no_type_of_ours_is_grease() {
        for ours in [
            CONTROL,
            RAW,
            FRAMED,
            EARLY,
            ANNOUNCE,
            SESSION_BIDI,
            SESSION_UNI,
        ] {
            for n in 0..4 {
                assert_ne!(StreamHeader::grease(n), StreamHeader::Unknown(ours));
            }
        }
    }
}
