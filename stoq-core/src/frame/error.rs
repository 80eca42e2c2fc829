use super::FrameType;
use crate::{close::Code, reader::Fault};

/// The bytes are no frame, stream header or datagram. The peer broke a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A frame says that it is longer than its type allows. Nothing was reserved for it.
    #[error("{frame} frame of {got} bytes, more than {limit}")]
    TooLarge {
        /// Its type.
        frame: FrameType,
        /// The most bytes of payload that the type allows.
        limit: usize,
        /// What it says.
        got: u64,
    },
    /// The payload of a frame breaks a rule of its type.
    #[error("{frame} frame: {fault}")]
    Malformed {
        /// Its type.
        frame: FrameType,
        /// What is wrong.
        fault: Fault,
    },
    /// A frame's type or length cannot be read; in a datagram, also if the frame is cut.
    #[error("frame header: {0}")]
    Header(Fault),
    /// The first bytes of a stream cannot be read.
    #[error("stream header: {0}")]
    Stream(Fault),
    /// A datagram without a DATA frame: nothing in it is for the application.
    #[error("datagram without DATA")]
    NoData,
}

impl DecodeError {
    /// What the peer is told.
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } => Code::FRAME_TOO_LARGE,
            Self::Malformed { .. } | Self::Header(_) | Self::Stream(_) | Self::NoData => {
                Code::FRAME
            }
        }
    }
}
