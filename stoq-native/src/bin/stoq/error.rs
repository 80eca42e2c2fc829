//! How the command fails: one line that says what happened and what to do, and an exit code.

mod advice;

use crate::digest::Digest;
use crate::file_name::InvalidFileName;
use crate::protocol::{AnswerError, LineError, Refusal, RefusalCode};
use crate::signals::Signal;
use crate::store::OpenError;
use std::io;
use std::path::PathBuf;
use stoq_core::reader::Fault;
use stoq_native::{
    AccessError, AccessTokenFileError, BindError, ChannelError, Closed, Code, ConnectError,
    FalconKeyError, GrantError, GrantFileError, HandshakeFailed, HolderKey, HolderKeyError,
    IdentityError, IdentityRejected, InspectError, IssueError, OpenVerifiedError, PingError,
    PublicKeyFileError, ReadError, RotateError, ServiceName, SignError, StreamOpenError, Target,
    TransportConfigError, TrustError, VerifiedReadError, VerifiedWriteError, WriteError,
};

/// The exit codes. Those above 63 are the ones of sysexits.h; `EXIT_CODES` says them to users.
pub(crate) mod exit {
    pub(crate) const OK: u8 = 0;
    pub(crate) const FAILED: u8 = 1;
    pub(crate) const USAGE: u8 = 64;
    pub(crate) const DATA: u8 = 65;
    pub(crate) const NO_INPUT: u8 = 66;
    pub(crate) const UNREACHABLE: u8 = 69;
    pub(crate) const SYSTEM: u8 = 71;
    pub(crate) const NO_OUTPUT: u8 = 73;
    pub(crate) const UNTRUSTED: u8 = 77;
    pub(crate) const INTERRUPTED: u8 = 130;
    pub(crate) const TERMINATED: u8 = 143;
}

/// The end of `stoq --help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  the server or a relay refused: no such file, quota exceeded, unknown service, next hop not allowed, …
   64  a wrong word or setting
   65  the data or a key is damaged, or the server does not follow the protocol
   66  a local file cannot be read
   69  the server cannot be reached, or was lost; or the address to listen on cannot be had
   71  the system failed
   73  a local file or standard output cannot be written
   77  the server's identity is not trusted, or the server does not trust this end's, or its access token
  130  ended by SIGINT
  143  ended by SIGTERM";

/// Why the command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("{} cannot be the name of a stored file: {reason}; choose one with --name", file.display())]
    Name {
        file: PathBuf,
        reason: InvalidFileName,
    },
    #[error("the settings in {} are of no use: {error}", path.display())]
    Transport {
        path: PathBuf,
        error: TransportConfigError,
    },
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Identity(IdentityError),
    #[error("{0}")]
    Rotate(RotateError),
    #[error("cannot serve {}: {source}", dir.display())]
    Store { dir: PathBuf, source: OpenError },
    #[error("{0}{advice}", advice = advice::on_binding(.0))]
    Bind(BindError),
    #[error("{0}")]
    Client(BindError),
    #[error("cannot read {}: {source}", path.display())]
    Input { path: PathBuf, source: io::Error },
    #[error("{} changed while it was sent, so nothing is stored; send it again", path.display())]
    InputChanged { path: PathBuf },
    #[error("cannot write {}: {source}", path.display())]
    OutputFile { path: PathBuf, source: io::Error },
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    #[error("cannot connect to {target}: {source}{advice}", advice = advice::on_connecting(source))]
    Connect {
        target: Target,
        source: ConnectError,
    },
    #[error("the connection was lost: {0}{advice}", advice = advice::on_loss(.0))]
    Lost(Closed),
    #[error("{who} broke the transfer off: {0}{advice}", who = advice::who_broke_off(.0), advice = advice::on_breaking_off(.0))]
    BrokenOff(Code),
    #[error("the server refused: {0}{advice}", advice = advice::on_refusal(.0.code))]
    Refused(Refusal),
    #[error(
        "the server does not follow the protocol of the service `files`: {0}; check the service in the URL"
    )]
    Protocol(LineError),
    #[error("the data was damaged: SHA-256 here is {here}, at the server {there}; try again")]
    Damaged { here: Digest, there: Digest },
    #[error("the service {0} has two targets; a relay knows one of each")]
    ServiceTwice(ServiceName),
    #[error("what came is not what the origin sent: {0}")]
    NotVerified(ChannelError),
    #[error("no connection was left to load the server with: {0}")]
    NoneLeft(String),
    #[error("too many pings are on their way")]
    Pings,
    #[error(transparent)]
    Key(FalconKeyError),
    #[error("{0}; a key never takes the place of a file: choose another")]
    KeyFile(FalconKeyError),
    #[error("{0}{advice}", advice = advice::on_public_key(.0))]
    PublicKey(PublicKeyFileError),
    #[error("{0}; `stoq grant` makes one")]
    GrantFile(GrantFileError),
    #[error("{} is of no use: {error}; its authority can make another with `stoq grant`", path.display())]
    GrantUnusable { path: PathBuf, error: GrantError },
    #[error(
        "{name:?} cannot stand in a grant: a name is a host name or an address, without a port"
    )]
    GrantName { name: String },
    #[error("the grant cannot be made: {0}")]
    Grant(Fault),
    #[error("the access token was not issued: {0}")]
    Issue(IssueError),
    #[error("{0}{advice}", advice = advice::on_token_file(.0))]
    TokenFile(AccessTokenFileError),
    #[error("{0}")]
    TokenUnusable(AccessError),
    #[error("{} is for the holder of {holder}: give the key with --holder-key FILE", path.display())]
    NoHolderKey { path: PathBuf, holder: HolderKey },
    #[error("{} is the key of no holder that a --token names", path.display())]
    IdleHolderKey { path: PathBuf },
    #[error("{0}; `stoq token holder` makes one")]
    HolderKey(HolderKeyError),
    #[error("{0}; a key never takes the place of a file: choose another")]
    HolderKeyFile(HolderKeyError),
    #[error("the grant was not signed: {0}")]
    Sign(SignError),
    #[error("cannot inspect {target}: {source}{advice}", target = target.authority(), advice = advice::on_inspecting(source))]
    Inspect {
        target: Target,
        source: InspectError,
    },
    #[error("{} {}: {failed}", target.authority(), match failed {
        HandshakeFailed::Identity(_) => "did not prove what it shows",
        _ => "does not follow the protocol",
    })]
    Unproven {
        target: Target,
        failed: HandshakeFailed,
    },
    #[error("{} is not vouched for by this authority: {rejected}", target.authority())]
    NotVouchedFor {
        target: Target,
        rejected: IdentityRejected,
    },
    #[error("the system failed: {0}")]
    System(io::Error),
    #[error("{}", match .0 { Signal::Interrupt => "interrupted", Signal::Terminate => "terminated" })]
    Ended(Signal),
}

impl CommandError {
    /// What the process ends with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Name { .. } | Self::Trust(_) | Self::Identity(_) => exit::USAGE,
            Self::Rotate(_) => exit::USAGE,
            Self::GrantName { .. } | Self::Grant(_) | Self::GrantUnusable { .. } => exit::USAGE,
            Self::Issue(IssueError::Sign(_)) => exit::SYSTEM,
            Self::Issue(_) | Self::NoHolderKey { .. } | Self::IdleHolderKey { .. } => exit::USAGE,
            Self::TokenFile(AccessTokenFileError::File { .. }) => exit::NO_INPUT,
            Self::TokenFile(_) | Self::TokenUnusable(_) => exit::DATA,
            Self::HolderKey(HolderKeyError::File { .. }) => exit::NO_INPUT,
            Self::HolderKey(_) => exit::DATA,
            Self::HolderKeyFile(_) => exit::NO_OUTPUT,
            Self::Transport { .. } => exit::USAGE,
            Self::ServiceTwice(_) | Self::Bind(BindError::Config(_)) => exit::USAGE,
            Self::Client(BindError::Config(_) | BindError::Trust(_)) => exit::USAGE,
            Self::Lost(closed) if is_about_access(closed.code) => exit::UNTRUSTED,
            Self::Refused(refusal) if refusal.code == RefusalCode::NotPermitted => exit::UNTRUSTED,
            Self::NoneLeft(_) => exit::UNREACHABLE,
            Self::Bind(_) | Self::Lost(_) | Self::BrokenOff(_) => exit::UNREACHABLE,
            Self::Client(_) | Self::System(_) | Self::Sign(_) => exit::SYSTEM,
            Self::Store { .. } | Self::OutputFile { .. } | Self::Output(_) => exit::NO_OUTPUT,
            Self::KeyFile(_) => exit::NO_OUTPUT,
            Self::Input { .. } | Self::InputChanged { .. } => exit::NO_INPUT,
            Self::Key(FalconKeyError::File { .. }) => exit::NO_INPUT,
            Self::PublicKey(PublicKeyFileError::File { .. }) => exit::NO_INPUT,
            Self::GrantFile(GrantFileError::File { .. }) => exit::NO_INPUT,
            Self::Key(FalconKeyError::Key { .. }) => exit::DATA,
            Self::PublicKey(_) | Self::GrantFile(_) => exit::DATA,
            Self::Connect { source, .. } => on_connecting(source),
            Self::Inspect { source, .. } => match source {
                InspectError::Socket(_) | InspectError::Endpoint(_) => exit::SYSTEM,
                InspectError::Connect(error) => on_connecting(error),
                _ => exit::UNREACHABLE,
            },
            Self::NotVouchedFor { .. } => exit::UNTRUSTED,
            Self::Unproven { failed, .. } => match failed {
                HandshakeFailed::Identity(_) => exit::UNTRUSTED,
                _ => exit::DATA,
            },
            Self::Refused(_) | Self::Pings => exit::FAILED,
            Self::Protocol(_) | Self::Damaged { .. } => exit::DATA,
            Self::NotVerified(ChannelError::UntrustedOrigin { .. }) => exit::UNTRUSTED,
            Self::NotVerified(_) => exit::DATA,
            Self::Ended(Signal::Interrupt) => exit::INTERRUPTED,
            Self::Ended(Signal::Terminate) => exit::TERMINATED,
        }
    }
}

fn on_connecting(error: &ConnectError) -> u8 {
    match error {
        ConnectError::Identity(_)
        | ConnectError::IdentityRefused { .. }
        | ConnectError::NotPostQuantum { .. } => exit::UNTRUSTED,
        ConnectError::Refused { code, .. } if is_about_access(*code) => exit::UNTRUSTED,
        // A relay could not reach who is behind it.
        ConnectError::Refused {
            code: Code::UPSTREAM_UNREACHABLE | Code::UPSTREAM_LOST,
            ..
        } => exit::UNREACHABLE,
        ConnectError::Refused { .. } => exit::FAILED,
        ConnectError::Route(_) => exit::USAGE,
        ConnectError::Protocol(_) => exit::DATA,
        _ => exit::UNREACHABLE,
    }
}

/// Whether an access token was asked for, and not good enough.
fn is_about_access(code: Code) -> bool {
    (Code::TOKEN_MALFORMED..=Code::HOLDER_WRONG).contains(&code)
}

impl From<IdentityError> for CommandError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::FalconKey(error) => Self::Key(error),
            IdentityError::GrantFile(error) => Self::GrantFile(error),
            IdentityError::GrantUnusable { path, error } => Self::GrantUnusable { path, error },
            other => Self::Identity(other),
        }
    }
}

impl From<WriteError> for CommandError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::SessionClosed(closed) => Self::Lost(closed),
            other => Self::BrokenOff(other.code()),
        }
    }
}

impl From<ReadError> for CommandError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::SessionClosed(closed) => Self::Lost(closed),
            other => Self::BrokenOff(other.code()),
        }
    }
}

impl From<StreamOpenError> for CommandError {
    fn from(error: StreamOpenError) -> Self {
        match error {
            StreamOpenError::SessionClosed(closed) => Self::Lost(closed),
            other => Self::BrokenOff(other.code()),
        }
    }
}

impl From<OpenVerifiedError> for CommandError {
    fn from(error: OpenVerifiedError) -> Self {
        match error {
            OpenVerifiedError::Open(error) => error.into(),
            other => Self::BrokenOff(other.code()),
        }
    }
}

impl From<VerifiedWriteError> for CommandError {
    fn from(error: VerifiedWriteError) -> Self {
        match error {
            VerifiedWriteError::Write(error) => error.into(),
            VerifiedWriteError::Sign(error) => Self::Sign(error),
            VerifiedWriteError::CutShort(_) => Self::BrokenOff(error.code()),
        }
    }
}

impl From<VerifiedReadError> for CommandError {
    fn from(error: VerifiedReadError) -> Self {
        match error {
            VerifiedReadError::Channel(error) => Self::NotVerified(error),
            VerifiedReadError::Read(error) => error.into(),
        }
    }
}

impl From<PingError> for CommandError {
    fn from(error: PingError) -> Self {
        match error {
            PingError::SessionClosed(closed) => Self::Lost(closed),
            PingError::TooMany { .. } => Self::Pings,
        }
    }
}

impl From<LineError> for CommandError {
    fn from(error: LineError) -> Self {
        match error {
            LineError::Stream(error) => from_read(error),
            error => Self::Protocol(error),
        }
    }
}

impl From<AnswerError> for CommandError {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Refused(refusal) => Self::Refused(refusal),
            AnswerError::Line(error) => error.into(),
        }
    }
}

/// What a stream said through tokio's traits, which carry its own error inside.
pub(crate) fn from_read(error: io::Error) -> CommandError {
    let error = match error.downcast::<VerifiedReadError>() {
        Ok(error) => return error.into(),
        Err(error) => error,
    };
    error
        .downcast()
        .map_or_else(CommandError::System, ReadError::into)
}
