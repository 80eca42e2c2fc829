//! Frames: what control streams, framed streams and datagrams are made of.

mod access_tokens;
mod auth;
mod close_session;
mod error;
mod falcon_key;
mod falcon_signature;
mod frame_type;
mod go_away;
mod headers;
mod hop;
mod mux;
mod ping;
mod priority;
mod route;
mod seed;
mod settings;
mod shard;
mod stats;
mod token;
mod token_run;

use bytes::BufMut;

pub use access_tokens::AccessTokens;
pub use auth::Auth;
pub use close_session::CloseSession;
pub use error::DecodeError;
pub use falcon_key::FalconKey;
pub use falcon_signature::FalconSignature;
pub use frame_type::FrameType;
pub use go_away::GoAway;
pub use headers::{AnswerHeaders, Headers, RequestHeaders};
pub use hop::{Hop, Relay};
pub use mux::{RstStream, WindowUpdate};
pub use ping::Ping;
pub use priority::Priority;
pub use route::Route;
pub use seed::{Seed, SeedNode, SeedPriority};
pub use settings::{SettingId, Settings};
pub use shard::Shard;
pub use stats::Stats;
pub use token::{Token, TokenAlgorithm};
pub use token_run::TokenRun;

use crate::{
    reader::{Fault, Reader},
    session_id::SessionId,
    varint::VarInt,
};

/// One frame. What it points to is borrowed from the bytes it was read from.
///
/// ```text
/// type varint [1..8] · length varint [1..8] · payload [length]
/// ```
///
/// A frame that was read obeys every rule of its type. One that is put together from a caller's values may not (text
/// may be too long, say), so ask [`check`](Self::check) before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Bytes of the application on a framed stream, at most [`MAX_DATA`](Self::MAX_DATA).
    Data(&'a [u8]),
    /// A session is asked for, or answered.
    Headers(Headers<'a>),
    /// How urgent the stream is that this frame travels on.
    Priority(Priority),
    /// A stream ends early (mux carrier only).
    RstStream(RstStream),
    /// What a peer can do and wants; the first frame on a control stream.
    Settings(Settings<'a>),
    /// Are you there, or the answer.
    Ping(Ping),
    /// No new sessions, please.
    GoAway(GoAway<'a>),
    /// More may be sent on a stream (mux carrier only).
    WindowUpdate(WindowUpdate),
    /// A session ends.
    CloseSession(CloseSession<'a>),
    /// What the gateway measures.
    Stats(Stats),
    /// The holder of an access token shows that it is.
    Auth(Auth<'a>),
    /// The datagram belongs to this session.
    SessionDatagram(SessionId),
    /// Vouches for the next DATA frame.
    Token(Token),
    /// A part of a message.
    Shard(Shard<'a>),
    /// Relays that were passed.
    Hop(Hop<'a>),
    /// Nodes that hold content.
    Seed(Seed),
    /// Vouches for a run of tokens.
    FalconSignature(FalconSignature<'a>),
    /// A public key.
    FalconKey(FalconKey<'a>),
    /// The tokens of datagrams that the next FALCON_SIGNATURE vouches for.
    TokenRun(TokenRun<'a>),
    /// A type that this version does not know, or whose number is only reserved: skip it.
    Unknown {
        /// The type.
        ty: FrameType,
        /// The bytes, at most [`MAX_UNKNOWN`](Self::MAX_UNKNOWN).
        payload: &'a [u8],
    },
}

/// One expression for the body of every frame that has a type of its own; what is left over follows as arms.
macro_rules! body {
    ($frame:expr, $body:ident => $result:expr, $($rest:tt)+) => {
        match $frame {
            Self::Headers($body) => $result,
            Self::Priority($body) => $result,
            Self::RstStream($body) => $result,
            Self::Settings($body) => $result,
            Self::Ping($body) => $result,
            Self::GoAway($body) => $result,
            Self::WindowUpdate($body) => $result,
            Self::CloseSession($body) => $result,
            Self::Stats($body) => $result,
            Self::Auth($body) => $result,
            Self::Token($body) => $result,
            Self::Shard($body) => $result,
            Self::Hop($body) => $result,
            Self::Seed($body) => $result,
            Self::FalconSignature($body) => $result,
            Self::FalconKey($body) => $result,
            Self::TokenRun($body) => $result,
            $($rest)+
        }
    };
}

impl<'a> Frame<'a> {
    /// The most bytes in a DATA frame, 16 KiB: what a receiver holds before it can check a token, and as much as a TLS
    /// record; larger frames would save less than 0.1 % of the bytes.
    pub const MAX_DATA: usize = 16 * 1024;

    /// The most bytes in a frame that is skipped: as much as DATA, so that unknown frames cost a receiver no more
    /// memory than known ones.
    pub const MAX_UNKNOWN: usize = 16 * 1024;

    /// Reads one frame from the front of `input`; payloads borrow from it.
    ///
    /// `Ok(None)` means `input` ends too early: append more bytes and call again.
    /// `Ok(Some((frame, n)))` means the frame covered the first `n` bytes. A frame is judged when it is whole, but its
    /// type and length as soon as they are, so a caller never holds more than the type's limit.
    ///
    /// # Errors
    /// [`DecodeError`] if no continuation of `input` could be a valid frame.
    pub fn decode(input: &'a [u8]) -> Result<Option<(Self, usize)>, DecodeError> {
        let mut reader = Reader::new(input);
        let (ty, payload) = match Self::split(&mut reader) {
            Err(DecodeError::Header(Fault::Truncated { .. })) => return Ok(None),
            split => split?,
        };
        let frame =
            Self::read(ty, payload).map_err(|fault| DecodeError::Malformed { frame: ty, fault })?;
        Ok(Some((frame, input.len() - reader.left())))
    }

    /// The frame's type.
    pub const fn ty(&self) -> FrameType {
        match self {
            Self::Data(_) => FrameType::DATA,
            Self::Headers(_) => FrameType::HEADERS,
            Self::Priority(_) => FrameType::PRIORITY,
            Self::RstStream(_) => FrameType::RST_STREAM,
            Self::Settings(_) => FrameType::SETTINGS,
            Self::Ping(_) => FrameType::PING,
            Self::GoAway(_) => FrameType::GOAWAY,
            Self::WindowUpdate(_) => FrameType::WINDOW_UPDATE,
            Self::CloseSession(_) => FrameType::CLOSE_SESSION,
            Self::Stats(_) => FrameType::STATS,
            Self::Auth(_) => FrameType::AUTH,
            Self::SessionDatagram(_) => FrameType::SESSION_DATAGRAM,
            Self::Token(_) => FrameType::TOKEN,
            Self::Shard(_) => FrameType::SHARD,
            Self::Hop(_) => FrameType::HOP,
            Self::Seed(_) => FrameType::SEED,
            Self::FalconSignature(_) => FrameType::FALCON_SIGNATURE,
            Self::FalconKey(_) => FrameType::FALCON_KEY,
            Self::TokenRun(_) => FrameType::TOKEN_RUN,
            Self::Unknown { ty, .. } => *ty,
        }
    }

    /// Whether [`decode`](Self::decode) would read what [`encode`](Self::encode) writes.
    ///
    /// # Errors
    /// What it would answer instead.
    pub fn check(&self) -> Result<(), DecodeError> {
        let frame = self.ty();
        let (limit, got) = (frame.max_len(), self.payload_len());
        if got > limit {
            return Err(DecodeError::TooLarge {
                frame,
                limit,
                got: got as u64,
            });
        }
        self.check_body()
            .map_err(|fault| DecodeError::Malformed { frame, fault })
    }

    /// Exact number of bytes that [`encode`](Self::encode) appends.
    pub fn encoded_len(&self) -> usize {
        let payload = self.payload_len();
        VarInt::from(self.ty()).encoded_len() + length(payload).encoded_len() + payload
    }

    /// Appends the only valid encoding of this frame.
    pub fn encode(&self, out: &mut impl BufMut) {
        debug_assert_eq!(self.check(), Ok(()), "a frame of unchecked values was sent");
        VarInt::from(self.ty()).encode(out);
        length(self.payload_len()).encode(out);
        body!(self, body => body.write(out),
            Self::Data(payload) | Self::Unknown { payload, .. } => out.put_slice(payload),
            Self::SessionDatagram(id) => VarInt::from(*id).encode(out),
        );
    }

    fn split(reader: &mut Reader<'a>) -> Result<(FrameType, &'a [u8]), DecodeError> {
        let ty = FrameType::new(reader.varint().map_err(DecodeError::Header)?);
        Ok((ty, ty.payload(reader)?))
    }

    fn read(ty: FrameType, payload: &'a [u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(payload);
        let from = &mut reader;
        let frame = match ty {
            FrameType::DATA => Self::Data(from.rest()),
            FrameType::HEADERS => Self::Headers(Headers::read(from)?),
            FrameType::PRIORITY => Self::Priority(Priority::read(from)?),
            FrameType::RST_STREAM => Self::RstStream(RstStream::read(from)?),
            FrameType::SETTINGS => Self::Settings(Settings::read(from)?),
            FrameType::PING => Self::Ping(Ping::read(from)?),
            FrameType::GOAWAY => Self::GoAway(GoAway::read(from)?),
            FrameType::WINDOW_UPDATE => Self::WindowUpdate(WindowUpdate::read(from)?),
            FrameType::CLOSE_SESSION => Self::CloseSession(CloseSession::read(from)?),
            FrameType::STATS => Self::Stats(Stats::read(from)?),
            FrameType::AUTH => Self::Auth(Auth::read(from)?),
            FrameType::SESSION_DATAGRAM => Self::SessionDatagram(from.varint()?.into()),
            FrameType::TOKEN => Self::Token(Token::read(from)?),
            FrameType::SHARD => Self::Shard(Shard::read(from)?),
            FrameType::HOP => Self::Hop(Hop::read(from)?),
            FrameType::SEED => Self::Seed(Seed::read(from)?),
            FrameType::FALCON_SIGNATURE => Self::FalconSignature(FalconSignature::read(from)?),
            FrameType::FALCON_KEY => Self::FalconKey(FalconKey::read(from)?),
            FrameType::TOKEN_RUN => Self::TokenRun(TokenRun::read(from)?),
            _ => Self::Unknown {
                ty,
                payload: from.rest(),
            },
        };
        reader.end()?;
        frame.check_body()?;
        Ok(frame)
    }

    fn check_body(&self) -> Result<(), Fault> {
        body!(self, body => body.check(),
            Self::Data(_) => Ok(()),
            // Session 0 is said by leaving this frame out.
            Self::SessionDatagram(SessionId::ZERO) => Err(Fault::OutOfRange { field: "session id", got: 0 }),
            Self::SessionDatagram(_) => Ok(()),
            // It would be read as the known type.
            Self::Unknown { ty, .. } if ty.is_decoded() => Err(Fault::OutOfRange { field: "unknown type", got: ty.value() }),
            Self::Unknown { .. } => Ok(()),
        )
    }

    fn payload_len(&self) -> usize {
        body!(self, body => body.payload_len(),
            Self::Data(payload) | Self::Unknown { payload, .. } => payload.len(),
            Self::SessionDatagram(id) => VarInt::from(*id).encoded_len(),
        )
    }
}

/// The length of something in memory, which is below 2^62 on every machine.
fn length(len: usize) -> VarInt {
    VarInt::saturating(len as u128)
}

/// Exact number of bytes that [`put_counted`] appends.
fn counted_len(bytes: &[u8]) -> usize {
    length(bytes.len()).encoded_len() + bytes.len()
}

/// Appends a varint count and the bytes.
fn put_counted(bytes: &[u8], out: &mut impl BufMut) {
    length(bytes.len()).encode(out);
    out.put_slice(bytes);
}

/// Refuses text or a list over its limit.
fn at_most(field: &'static str, limit: usize, got: usize) -> Result<(), Fault> {
    if got > limit {
        Err(Fault::TooLong {
            field,
            limit,
            got: got as u64,
        })
    } else {
        Ok(())
    }
}
