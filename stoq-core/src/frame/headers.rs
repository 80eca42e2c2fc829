use alloc::vec::Vec;

use bytes::BufMut;

use super::{AccessTokens, CloseSession, Hop, Route, at_most, counted_len, length, put_counted};
use crate::{
    close::Code,
    reader::{Fault, Reader},
    session_id::SessionId,
    varint::VarInt,
};

/// A session is asked for, or answered.
///
/// ```text
/// kind [1], 0 request | 1 answer · the fields of the kind
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Headers<'a> {
    /// From the client.
    Request(RequestHeaders<'a>),
    /// From the server.
    Answer(AnswerHeaders<'a>),
}

/// Asks for a session.
///
/// ```text
/// id varint [1..8] · client random [32]
/// authority: length varint [1..2], UTF-8 [0..259] · path: length varint [1..2], UTF-8 [0..2048]
/// fields: count varint [1..2], then name and value of each: length varint [1..4], UTF-8
/// access tokens, see [`AccessTokens`] · route, see [`Route`]
/// the payload of a HOP frame [the rest, perhaps nothing]
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeaders<'a> {
    /// The session; the client numbers them from 1, rising.
    pub id: SessionId,
    /// The random of the client at the far end.
    pub random: [u8; 32],
    /// Host and perhaps port that the client wants to reach.
    pub authority: &'a str,
    /// The path it asked for, `/stoq/v1/<service>`.
    pub path: &'a str,
    /// Whatever else the target should know: names and values.
    pub fields: Vec<(&'a str, &'a str)>,
    /// What the client shows to be let in.
    pub access_tokens: AccessTokens<'a>,
    /// The relays that the request has still to pass.
    pub route: Route,
    /// The relays that the request has passed.
    pub hop: Option<Hop<'a>>,
}

/// Answers a request for a session.
///
/// ```text
/// id varint [1..8] · status [4] · reason: length varint [1..2], UTF-8 [0..1024]
/// target random [32] · largest datagram [4]
/// the payload of a HOP frame [the rest, perhaps nothing]
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerHeaders<'a> {
    /// The session.
    pub id: SessionId,
    /// [`Code::NO_ERROR`] if it is open now.
    pub status: Code,
    /// Why not, for people.
    pub reason: &'a str,
    /// The random of the target at the far end; zeros if there is none.
    pub random: [u8; 32],
    /// The largest payload of a datagram that the path takes, in bytes.
    pub max_datagram_size: u32,
    /// The relays that the request had passed, as the target saw them.
    pub hop: Option<Hop<'a>>,
}

impl<'a> Headers<'a> {
    /// 16 KiB, as much as the largest DATA frame: what browsers and HTTP servers take as request headers.
    pub const MAX_LEN: usize = 16 * 1024;

    pub(super) fn payload_len(&self) -> usize {
        1 + match self {
            Self::Request(request) => request.len(),
            Self::Answer(answer) => answer.len(),
        }
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        match reader.u8()? {
            REQUEST => RequestHeaders::read(reader).map(Self::Request),
            ANSWER => AnswerHeaders::read(reader).map(Self::Answer),
            got => Err(Fault::OutOfRange {
                field: "kind",
                got: got.into(),
            }),
        }
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        let hop = match self {
            Self::Request(request) => {
                request.check()?;
                &request.hop
            }
            Self::Answer(answer) => {
                at_most("reason", CloseSession::MAX_REASON, answer.reason.len())?;
                &answer.hop
            }
        };
        hop.as_ref().map_or(Ok(()), Hop::check)
    }

    pub(super) fn write(&self, out: &mut impl BufMut) {
        match self {
            Self::Request(request) => request.write(out),
            Self::Answer(answer) => answer.write(out),
        }
    }
}

impl<'a> RequestHeaders<'a> {
    /// The longest authority, in bytes: a DNS name of 253, a colon and a port of five digits.
    pub const MAX_AUTHORITY: usize = 259;

    /// The longest path, in bytes. A service's path has at most 72; a target behind a relay may put more into it.
    pub const MAX_PATH: usize = 2048;

    /// The most fields: more than browsers send to HTTP servers, and a bound on what is reserved for them.
    pub const MAX_FIELDS: usize = 64;

    fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        Ok(Self {
            id: reader.varint()?.into(),
            random: *reader.array()?,
            authority: reader.text("authority", Self::MAX_AUTHORITY)?,
            path: reader.text("path", Self::MAX_PATH)?,
            fields: read_pairs(
                reader,
                "number of fields",
                Self::MAX_FIELDS,
                Headers::MAX_LEN,
            )?,
            access_tokens: AccessTokens::read(reader)?,
            route: Route::read(reader)?,
            hop: read_hop(reader)?,
        })
    }

    fn check(&self) -> Result<(), Fault> {
        at_most("authority", Self::MAX_AUTHORITY, self.authority.len())?;
        at_most("path", Self::MAX_PATH, self.path.len())?;
        at_most("number of fields", Self::MAX_FIELDS, self.fields.len())?;
        self.access_tokens.check()?;
        self.route.check()
    }

    fn len(&self) -> usize {
        VarInt::from(self.id).encoded_len()
            + self.random.len()
            + counted_len(self.authority.as_bytes())
            + counted_len(self.path.as_bytes())
            + pairs_len(&self.fields)
            + self.access_tokens.len()
            + self.route.len()
            + self.hop.as_ref().map_or(0, Hop::payload_len)
    }

    fn write(&self, out: &mut impl BufMut) {
        out.put_u8(REQUEST);
        VarInt::from(self.id).encode(out);
        out.put_slice(&self.random);
        put_counted(self.authority.as_bytes(), out);
        put_counted(self.path.as_bytes(), out);
        put_pairs(&self.fields, out);
        self.access_tokens.write(out);
        self.route.write(out);
        if let Some(hop) = &self.hop {
            hop.write(out);
        }
    }
}

impl<'a> AnswerHeaders<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        Ok(Self {
            id: reader.varint()?.into(),
            status: Code::new(reader.u32()?),
            reason: reader.text("reason", CloseSession::MAX_REASON)?,
            random: *reader.array()?,
            max_datagram_size: reader.u32()?,
            hop: read_hop(reader)?,
        })
    }

    fn len(&self) -> usize {
        VarInt::from(self.id).encoded_len()
            + 4
            + counted_len(self.reason.as_bytes())
            + self.random.len()
            + 4
            + self.hop.as_ref().map_or(0, Hop::payload_len)
    }

    fn write(&self, out: &mut impl BufMut) {
        out.put_u8(ANSWER);
        VarInt::from(self.id).encode(out);
        out.put_u32(self.status.value());
        put_counted(self.reason.as_bytes(), out);
        out.put_slice(&self.random);
        out.put_u32(self.max_datagram_size);
        if let Some(hop) = &self.hop {
            hop.write(out);
        }
    }
}

/// A HOP payload has two bytes at least, so that none is there can be told from the end of the frame.
fn read_hop<'a>(reader: &mut Reader<'a>) -> Result<Option<Hop<'a>>, Fault> {
    if reader.left() == 0 {
        return Ok(None);
    }
    at_most("HOP", Hop::MAX_LEN, reader.left())?;
    Hop::read(reader).map(Some)
}

/// Names and values behind a varint that counts the pairs. `field` names the count in the error.
pub(super) fn read_pairs<'a>(
    reader: &mut Reader<'a>,
    field: &'static str,
    limit: usize,
    text_limit: usize,
) -> Result<Vec<(&'a str, &'a str)>, Fault> {
    let got = reader.varint()?.into_inner();
    if got > limit as u64 {
        return Err(Fault::TooLong { field, limit, got });
    }
    (0..got)
        .map(|_| {
            Ok((
                reader.text("name", text_limit)?,
                reader.text("value", text_limit)?,
            ))
        })
        .collect()
}

/// Exact number of bytes that [`put_pairs`] appends.
pub(super) fn pairs_len(pairs: &[(&str, &str)]) -> usize {
    let texts = pairs
        .iter()
        .map(|(name, value)| counted_len(name.as_bytes()) + counted_len(value.as_bytes()));
    length(pairs.len()).encoded_len() + texts.sum::<usize>()
}

/// Appends what [`read_pairs`] reads.
pub(super) fn put_pairs(pairs: &[(&str, &str)], out: &mut impl BufMut) {
    length(pairs.len()).encode(out);
    for (name, value) in pairs {
        put_counted(name.as_bytes(), out);
        put_counted(value.as_bytes(), out);
    }
}

const REQUEST: u8 = 0;
const ANSWER: u8 = 1;
