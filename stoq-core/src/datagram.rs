//! What a datagram holds.

use bytes::{BufMut, Bytes};

use crate::{
    frame::{DecodeError, FrameType},
    reader::{Fault, Reader},
    session_id::SessionId,
    varint::VarInt,
};

/// One datagram of the application, and the session it belongs to.
///
/// ```text
/// session 0       other frames, skipped · 00 · data, the rest
/// session N > 0   31 · length [1] · N [1..8] · other frames, skipped · 00 · data, the rest
/// ```
///
/// A DATA frame in a datagram has no length: the carrier knows it. Session 0 has no long form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Whose it is.
    pub session: SessionId,
    /// The application's bytes; they share memory with the datagram that was decoded.
    pub payload: Bytes,
}

impl Datagram {
    /// The longest header that [`header`](Self::header) makes: type, length, eight bytes of session id, DATA.
    pub const MAX_HEADER_LEN: usize = 11;

    /// Reads a whole datagram. Copies nothing.
    ///
    /// # Errors
    /// [`DecodeError`] if a frame in it is cut or longer than its type allows, if the session is not named first and
    /// once, or if there is no DATA. A datagram is unreliable, so the receiver drops such a one and counts it.
    pub fn decode(datagram: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(&datagram);
        let mut session = SessionId::ZERO;
        let mut first = true;
        while reader.left() > 0 {
            let frame = FrameType::new(reader.varint().map_err(DecodeError::Header)?);
            if frame == FrameType::DATA {
                let payload = datagram.slice(datagram.len() - reader.left()..);
                return Ok(Self { session, payload });
            }
            let payload = frame.payload(&mut reader)?;
            if frame == FrameType::SESSION_DATAGRAM {
                session = read_session(payload, first)
                    .map_err(|fault| DecodeError::Malformed { frame, fault })?;
            }
            first = false;
        }
        Err(DecodeError::NoData)
    }

    /// Exact number of bytes that [`header`](Self::header) appends: what a session's data has less than the carrier's
    /// largest datagram.
    pub const fn header_len(session: SessionId) -> usize {
        match session.value() {
            0 => 1,
            value => 3 + VarInt::saturating(value as u128).encoded_len(),
        }
    }

    /// Appends what stands in front of the data of a datagram of `session`.
    pub fn header(session: SessionId, out: &mut impl BufMut) {
        if session != SessionId::ZERO {
            let id = VarInt::from(session);
            VarInt::from(FrameType::SESSION_DATAGRAM).encode(out);
            out.put_u8(id.encoded_len() as u8);
            id.encode(out);
        }
        VarInt::from(FrameType::DATA).encode(out);
    }
}

fn read_session(payload: &[u8], first: bool) -> Result<SessionId, Fault> {
    let mut reader = Reader::new(payload);
    let session = SessionId::from(reader.varint()?);
    reader.end()?;
    match session {
        SessionId::ZERO => Err(Fault::OutOfRange {
            field: "session id of a datagram",
            got: 0,
        }),
        // Behind other frames it would be a second way to say the same.
        _ if !first => Err(Fault::Duplicate {
            field: "session",
            got: session.value(),
        }),
        _ => Ok(session),
    }
}
