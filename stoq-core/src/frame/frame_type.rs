use core::fmt;

use super::{
    Auth, CloseSession, DecodeError, FalconKey, FalconSignature, Frame, GoAway, Headers, Hop, Ping,
    Priority, RstStream, Seed, Settings, Shard, Stats, Token, TokenRun, WindowUpdate,
};
use crate::{reader::Reader, varint::VarInt};

/// What kind of frame: a number from the wire, of which some have names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameType(VarInt);

impl FrameType {
    /// The type with this number.
    pub const fn new(value: VarInt) -> Self {
        Self(value)
    }

    /// The number.
    pub const fn value(self) -> u64 {
        self.0.into_inner()
    }

    /// The most bytes of payload that a frame of this type may have. The reason stands by each type's `MAX_LEN`.
    pub const fn max_len(self) -> usize {
        match self {
            Self::DATA => Frame::MAX_DATA,
            Self::HEADERS => Headers::MAX_LEN,
            Self::PRIORITY => Priority::MAX_LEN,
            Self::RST_STREAM => RstStream::MAX_LEN,
            Self::SETTINGS => Settings::MAX_LEN,
            Self::PING => Ping::MAX_LEN,
            Self::GOAWAY => GoAway::MAX_LEN,
            Self::WINDOW_UPDATE => WindowUpdate::MAX_LEN,
            Self::CLOSE_SESSION => CloseSession::MAX_LEN,
            Self::STATS => Stats::MAX_LEN,
            Self::AUTH => Auth::MAX_LEN,
            Self::SESSION_DATAGRAM => VarInt::MAX_LEN,
            Self::TOKEN => Token::MAX_LEN,
            Self::SHARD => Shard::MAX_LEN,
            Self::HOP => Hop::MAX_LEN,
            Self::SEED => Seed::MAX_LEN,
            Self::FALCON_SIGNATURE => FalconSignature::MAX_LEN,
            Self::FALCON_KEY => FalconKey::MAX_LEN,
            Self::TOKEN_RUN => TokenRun::MAX_LEN,
            _ => Frame::MAX_UNKNOWN,
        }
    }

    /// Whether a frame of this type is read into something else than [`Frame::Unknown`].
    pub(super) const fn is_decoded(self) -> bool {
        self.name().is_some()
            && !matches!(
                self,
                Self::PUSH_PROMISE | Self::CONTINUATION | Self::CHUNK_ANNOUNCE | Self::ROUTE_UPDATE
            )
    }

    /// Reads the length and the payload of a frame whose type has just been read.
    pub(crate) fn payload<'a>(self, reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
        let got = reader.varint().map_err(DecodeError::Header)?.into_inner();
        let limit = self.max_len();
        match usize::try_from(got) {
            Ok(len) if len <= limit => reader.bytes(len).map_err(DecodeError::Header),
            _ => Err(DecodeError::TooLarge {
                frame: self,
                limit,
                got,
            }),
        }
    }
}

/// Writes the constants, [`FrameType::ALL`] and [`FrameType::name`] from one table.
macro_rules! table {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl FrameType {
            $($(#[$doc])* pub const $name: Self = Self(VarInt::from_u32($value));)*

            /// Every type that has a name, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name in the registry; `None` for a number that has none.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

table! {
    /// [`Frame::Data`]. In a datagram it has no length and takes the rest.
    DATA = 0x00;
    /// [`Frame::Headers`].
    HEADERS = 0x01;
    /// [`Frame::Priority`].
    PRIORITY = 0x02;
    /// [`Frame::RstStream`].
    RST_STREAM = 0x03;
    /// [`Frame::Settings`].
    SETTINGS = 0x04;
    /// The number is reserved: it stood for a push in HTTP/2 and HTTP/3.
    PUSH_PROMISE = 0x05;
    /// [`Frame::Ping`].
    PING = 0x06;
    /// [`Frame::GoAway`].
    GOAWAY = 0x07;
    /// [`Frame::WindowUpdate`].
    WINDOW_UPDATE = 0x08;
    /// The number is reserved: it stood for a header's second part in HTTP/2.
    CONTINUATION = 0x09;
    /// The number is reserved for the content layer.
    CHUNK_ANNOUNCE = 0x0a;
    /// The number is reserved for the content layer.
    ROUTE_UPDATE = 0x0b;
    /// [`Frame::CloseSession`].
    CLOSE_SESSION = 0x10;
    /// [`Frame::Stats`].
    STATS = 0x11;
    /// [`Frame::Auth`].
    AUTH = 0x12;
    /// [`Frame::SessionDatagram`].
    SESSION_DATAGRAM = 0x31;
    /// [`Frame::Token`].
    TOKEN = 0xfe00_0001;
    /// [`Frame::Shard`].
    SHARD = 0xfe00_0002;
    /// [`Frame::Hop`].
    HOP = 0xfe00_0003;
    /// [`Frame::Seed`].
    SEED = 0xfe00_0004;
    /// [`Frame::FalconSignature`].
    FALCON_SIGNATURE = 0xfe00_0005;
    /// [`Frame::FalconKey`].
    FALCON_KEY = 0xfe00_0006;
    /// [`Frame::TokenRun`].
    TOKEN_RUN = 0xfe00_0007;
}

impl From<FrameType> for VarInt {
    fn from(ty: FrameType) -> Self {
        ty.0
    }
}

/// The name, or the number in hexadecimal.
impl fmt::Display for FrameType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x}", self.value()),
        }
    }
}

impl fmt::Debug for FrameType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
