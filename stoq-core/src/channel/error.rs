use crate::close::Code;
use crate::frame::{DecodeError, FrameType, TokenAlgorithm};
use crate::identity::FalconId;
use crate::replay::ReplayError;
use crate::varint::VarInt;

/// What arrived on a channel is not what its origin sent, or not in a form that can be read. Each says at which sequence:
/// all data before it is as good as it was said to be, and none from it on is to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// A frame cannot be read.
    #[error("before token {sequence}: {fault}")]
    Malformed {
        /// The sequence that was to come.
        sequence: VarInt,
        /// What is wrong.
        fault: DecodeError,
    },
    /// A frame that has no place on a channel, or not here: DATA must stand behind its TOKEN.
    #[error("a {frame} frame that does not belong there, before token {sequence}")]
    Unexpected {
        /// The sequence that was to come.
        sequence: VarInt,
        /// The type.
        frame: FrameType,
    },
    /// The tag was made in a way that is not known here.
    #[error("token {sequence} has the unknown algorithm {}", algorithm.0)]
    UnknownAlgorithm {
        /// The sequence.
        sequence: VarInt,
        /// The algorithm.
        algorithm: TokenAlgorithm,
    },
    /// The data is not that for which the token was made, or it was made for another session, channel, direction, kind of stream
    /// or place.
    #[error("the data of token {sequence} was changed")]
    BadTag {
        /// The sequence.
        sequence: VarInt,
    },
    /// The token, or the signature of the run that begins with it, came before.
    #[error("token {sequence} came twice")]
    Replayed {
        /// The sequence.
        sequence: VarInt,
    },
    /// A token of a datagram is too old for the window to know whether it came before.
    #[error("token {sequence} is too late for the window")]
    Late {
        /// The sequence.
        sequence: VarInt,
    },
    /// A token was dropped, or overtaken by a later one.
    #[error("token {sequence} is missing, {got} came in its place")]
    Missing {
        /// The sequence that was to come.
        sequence: VarInt,
        /// The one that came.
        got: VarInt,
    },
    /// A token of a datagram is further ahead of those that were signed than signatures stay behind.
    #[error("token {sequence} is too far ahead of those that are signed")]
    Ahead {
        /// The sequence.
        sequence: VarInt,
    },
    /// The token's time is outside of the receiver's window.
    #[error("the time of token {sequence} is outside of the window")]
    Stale {
        /// The sequence.
        sequence: VarInt,
    },
    /// More than two full runs came without a signature, or it did not come in time.
    #[error("the signature of token {sequence} has not come for too long")]
    RunTooLong {
        /// The first sequence that has no signature.
        sequence: VarInt,
    },
    /// Too many frames came that hand out no data.
    #[error("too many frames without data, before token {sequence}")]
    Flood {
        /// The sequence that was to come.
        sequence: VarInt,
    },
    /// A key or a signature is that of an identity whose data is not wanted here, or that is not the channel's first signer.
    #[error("{signer} is not an origin that is trusted, before token {sequence}")]
    UntrustedOrigin {
        /// The first sequence that has no signature.
        sequence: VarInt,
        /// Who it is.
        signer: FalconId,
    },
    /// The key of a signer has not come, or is none.
    #[error("no key of {signer} has come, for the run that begins with token {sequence}")]
    NoKey {
        /// The first sequence that has no signature.
        sequence: VarInt,
        /// Whose.
        signer: FalconId,
    },
    /// The signature of a run was left out: that of a later one has come.
    #[error("the signature of token {sequence} is missing, that of {got} came in its place")]
    Unsigned {
        /// The first sequence that has no signature.
        sequence: VarInt,
        /// Where the run begins whose signature came.
        got: VarInt,
    },
    /// A signature names tokens that have not come.
    #[error("a signature names token {last}, but {sequence} has not come")]
    UnsentRun {
        /// The first of them.
        sequence: VarInt,
        /// The last that it names.
        last: VarInt,
    },
    /// The run answers a request that this end has not made, or makes no more; or it is the last, and answers only a part of
    /// what this end has sent and ended.
    #[error(
        "the run that begins with token {sequence} answers {request} frames, which are not awaiting an answer"
    )]
    WrongRequest {
        /// The first of the run.
        sequence: VarInt,
        /// The frames that it says it answers.
        request: VarInt,
    },
    /// The signature does not hold: it is forged, or was made for another session or channel, for other tokens, or as the answer
    /// to another request.
    #[error("the signature of tokens {sequence} to {last} is not good")]
    BadSignature {
        /// The first of the run.
        sequence: VarInt,
        /// The last.
        last: VarInt,
    },
    /// Something came behind the signed end.
    #[error("token {sequence} or a signature came behind the signed end")]
    BehindEnd {
        /// The first sequence behind it.
        sequence: VarInt,
    },
    /// The channel ended without the signature of its end, or within a frame.
    #[error("the channel was cut: what comes from token {sequence} on is not vouched for")]
    Truncated {
        /// The first sequence that is not vouched for.
        sequence: VarInt,
    },
}

impl ChannelError {
    /// The first sequence that is not to be used.
    pub const fn sequence(&self) -> VarInt {
        match *self {
            Self::Malformed { sequence, .. }
            | Self::Unexpected { sequence, .. }
            | Self::UnknownAlgorithm { sequence, .. }
            | Self::BadTag { sequence }
            | Self::Replayed { sequence }
            | Self::Late { sequence }
            | Self::Ahead { sequence }
            | Self::Missing { sequence, .. }
            | Self::Stale { sequence }
            | Self::RunTooLong { sequence }
            | Self::Flood { sequence }
            | Self::UntrustedOrigin { sequence, .. }
            | Self::NoKey { sequence, .. }
            | Self::Unsigned { sequence, .. }
            | Self::UnsentRun { sequence, .. }
            | Self::WrongRequest { sequence, .. }
            | Self::BadSignature { sequence, .. }
            | Self::BehindEnd { sequence }
            | Self::Truncated { sequence } => sequence,
        }
    }

    /// What the peer is told.
    pub const fn code(&self) -> Code {
        match self {
            Self::Malformed { fault, .. } => fault.code(),
            Self::Unexpected { .. } | Self::BehindEnd { .. } => Code::PROTOCOL,
            Self::UnknownAlgorithm { .. } => Code::UNSUPPORTED,
            Self::BadTag { .. } | Self::Missing { .. } => Code::BAD_TOKEN,
            Self::Replayed { .. } | Self::Late { .. } => Code::REPLAYED_TOKEN,
            Self::Stale { .. } => Code::STALE_TOKEN,
            Self::RunTooLong { .. } | Self::Ahead { .. } => Code::LIMIT,
            Self::Flood { .. } => Code::CONTROL_FLOOD,
            Self::UntrustedOrigin { .. } => Code::UNTRUSTED_ORIGIN,
            Self::NoKey { .. } | Self::Unsigned { .. } | Self::BadSignature { .. } => {
                Code::BAD_SIGNATURE
            }
            Self::UnsentRun { .. } => Code::UNSENT_RUN,
            Self::WrongRequest { .. } => Code::WRONG_REQUEST,
            Self::Truncated { .. } => Code::TRUNCATED,
        }
    }
}

impl From<ReplayError> for ChannelError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Replayed { sequence } => Self::Replayed { sequence },
            ReplayError::Late { sequence } => Self::Late { sequence },
            ReplayError::Stale { sequence } => Self::Stale { sequence },
        }
    }
}
