use alloc::string::String;

use crate::close::Code;
use crate::frame::{DecodeError, FrameType};
use crate::session_id::SessionId;

/// The peer broke a rule of the protocol, or did not speak in time: the whole connection ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Bytes that cannot be a frame.
    #[error("control stream: {0}")]
    Frame(#[from] DecodeError),
    /// The control stream ended while the session lived.
    #[error("the peer ended its control stream, which must last as long as the session")]
    ControlClosed,
    /// A second control stream.
    #[error("the peer opened a second control stream")]
    ControlRepeated,
    /// The control stream began with something other than SETTINGS.
    #[error("the first control frame must be SETTINGS, got {got}")]
    SettingsMissing {
        /// The frame that came instead.
        got: FrameType,
    },
    /// SETTINGS came twice.
    #[error("the peer sent SETTINGS a second time")]
    SettingsRepeated,
    /// A setting that must be there is not, or has a value that it cannot have.
    #[error("setting {setting} is missing or malformed")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
    },
    /// The peer asked for another service than the one that its carrier request names.
    #[error("the peer asks for service \"{asked}\" on a connection made for \"{carrier}\"")]
    ServiceMismatch {
        /// The service in SETTINGS, or empty.
        asked: String,
        /// The service of the carrier request.
        carrier: String,
    },
    /// The peer speaks another version.
    #[error("the peer speaks STOQ version {theirs}, this end version {ours}")]
    Version {
        /// The version of this library.
        ours: u64,
        /// The version in the peer's SETTINGS.
        theirs: u64,
    },
    /// A frame that has no place on the control stream, or not from this side, or not yet.
    #[error("frame {frame} is not allowed here")]
    FrameNotAllowed {
        /// The frame that came.
        frame: FrameType,
    },
    /// A session id that was used before, or that the peer cannot know.
    #[error("session id {id} is not one that the peer may name now")]
    SessionId {
        /// The id that came.
        id: SessionId,
    },
    /// More control frames than the rate allows.
    #[error("more control frames than {limit} a second")]
    ControlFlood {
        /// Frames a second that are allowed over time.
        limit: u64,
    },
    /// The proof that a token is its holder's was not confirmed in time.
    #[error("the proof of the access token's holder was not confirmed in time")]
    ProofTimeout,
    /// SETTINGS did not come in time.
    #[error("no SETTINGS from the peer in time")]
    SettingsTimeout,
}

impl SessionError {
    /// The code that the peer and the user see.
    pub fn code(&self) -> Code {
        match self {
            Self::Frame(error) => error.code(),
            Self::ControlClosed => Code::CONTROL_CLOSED,
            Self::SettingsMissing { .. }
            | Self::SettingsRepeated
            | Self::Setting { .. }
            | Self::ServiceMismatch { .. } => Code::SETTINGS,
            Self::Version { .. } => Code::VERSION,
            Self::ControlRepeated | Self::FrameNotAllowed { .. } | Self::SessionId { .. } => {
                Code::PROTOCOL
            }
            Self::ControlFlood { .. } => Code::CONTROL_FLOOD,
            Self::SettingsTimeout | Self::ProofTimeout => Code::TIMEOUT,
        }
    }
}

/// A multiplexed session could not be asked for; the connection is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Servers answer sessions, they do not open them.
    #[error("only the client of a connection opens sessions")]
    NotClient,
    /// The connection is not open (yet, or any more).
    #[error("the connection is not open")]
    NotOpen,
    /// The peer said GOAWAY: connect anew.
    #[error("the peer takes no new sessions on this connection; connect anew")]
    GoingAway,
    /// The peer takes no more sessions at once: use another connection.
    #[error("the peer takes {limit} sessions at once on a connection, all are in use")]
    TooMany {
        /// The peer's limit.
        limit: u32,
    },
    /// The request's authority or headers are more than a HEADERS frame takes.
    #[error("the request is too large: {error}")]
    TooLarge {
        /// What the peer would have said to it.
        error: DecodeError,
    },
}

impl OpenError {
    /// The code that the user sees.
    pub fn code(&self) -> Code {
        match self {
            Self::NotClient | Self::TooLarge { .. } => Code::INVALID_ARGUMENT,
            Self::NotOpen => Code::SESSION_CLOSED,
            Self::GoingAway => Code::GOING_AWAY,
            Self::TooMany { .. } => Code::LIMIT,
        }
    }
}

/// A ping was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PingError {
    /// The connection is not open (yet, or any more).
    #[error("the connection is not open")]
    NotOpen,
    /// Too many wait for their answers: wait for one.
    #[error("{limit} pings are already on their way")]
    TooMany {
        /// Pings that may be on their way at once.
        limit: usize,
    },
}

impl PingError {
    /// The code that the user sees.
    pub fn code(&self) -> Code {
        match self {
            Self::NotOpen => Code::SESSION_CLOSED,
            Self::TooMany { .. } => Code::LIMIT,
        }
    }
}
