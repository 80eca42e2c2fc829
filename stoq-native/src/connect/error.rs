//! Why a session did not come about.

use core::time::Duration;
use std::io;
use std::net::SocketAddr;

use stoq_core::close::Code;
use stoq_core::hops::HopError;
use stoq_core::session::SessionError;
use stoq_core::transport_parameter::ParameterError;

use crate::closed::Closed;
use crate::rejection::IdentityRejected;
use crate::target::TargetError;

/// A session did not come about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is not one of STOQ.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The URL names no service. [`Endpoint::connect_to`](crate::Endpoint::connect_to) connects without one.
    #[error("{url} names no service")]
    NoService {
        /// The URL.
        url: String,
    },
    /// Nobody could go this way: it passes a relay twice, or more relays than it may.
    #[error("{0}")]
    Route(HopError),
    /// The endpoint is a server's.
    #[error("a server endpoint does not connect")]
    NotAClient,
    /// The endpoint was closed, or is being shut down.
    #[error("the endpoint is closed")]
    EndpointClosed,
    /// The system cannot resolve the name.
    #[error("cannot resolve {host:?}: {error}")]
    Resolve {
        /// The name.
        host: String,
        /// What the system says.
        error: io::Error,
    },
    /// The name has no address of an IP version that the endpoint uses.
    #[error("{host:?} has no address of a usable IP version")]
    NoAddress {
        /// The name.
        host: String,
    },
    /// QUIC cannot connect to this address or name.
    #[error("cannot connect to {address}: {reason}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
    /// The server is not one that is trusted, or did not prove who it is.
    #[error("the server's identity was rejected: {0}")]
    Identity(#[from] IdentityRejected),
    /// The server did not accept who this end is, or that it is nobody.
    #[error("the server rejected this end's identity: {reason}")]
    IdentityRefused {
        /// What it says.
        reason: String,
    },
    /// The server ended the handshake at once when it read what the policy requires. An alert is all that a server says
    /// that has no FALCON identity, or not the hybrid key exchange; it may have ended it for another reason.
    #[error(
        "the server seems unable to do what the policy requires (FALCON, X25519MLKEM768): {reason}"
    )]
    NotPostQuantum {
        /// What it says.
        reason: String,
    },
    /// The server's transport parameter of STOQ breaks a rule.
    #[error("the server's {0}")]
    Parameter(ParameterError),
    /// The TLS handshake failed for another reason.
    #[error("the handshake failed: {reason}")]
    Handshake {
        /// Why.
        reason: String,
    },
    /// The server speaks QUIC, but not STOQ (no protocol in common, ALPN).
    #[error("the server does not speak STOQ version 1 over QUIC (ALPN): {reason}")]
    Alpn {
        /// What TLS says.
        reason: String,
    },
    /// The server speaks another version, of STOQ or of QUIC.
    #[error("no version in common: {reason}")]
    Version {
        /// What is known of it.
        reason: String,
    },
    /// The server does not want the session.
    #[error("the server refused: {code} ({reason})")]
    Refused {
        /// Why, for programs.
        code: Code,
        /// Why, for people; may be empty.
        reason: String,
    },
    /// There was no answer in time.
    #[error("no connection after {after:?}")]
    Timeout {
        /// [`ClientConfig::connect_timeout`](crate::ClientConfig::connect_timeout).
        after: Duration,
    },
    /// The server broke a rule of the protocol.
    #[error(transparent)]
    Protocol(SessionError),
    /// The connection ended before it was of use.
    #[error(transparent)]
    Lost(Closed),
}

impl ConnectError {
    /// The code of the table that all sides share.
    pub fn code(&self) -> Code {
        match self {
            Self::Target(_) | Self::NoService { .. } | Self::NotAClient => Code::INVALID_ARGUMENT,
            Self::Route(error) => error.code(),
            Self::EndpointClosed => Code::GOING_AWAY,
            Self::Resolve { .. } | Self::NoAddress { .. } | Self::Address { .. } => {
                Code::CONNECTION_LOST
            }
            Self::Identity(_) | Self::IdentityRefused { .. } => Code::UNTRUSTED,
            Self::Handshake { .. } | Self::NotPostQuantum { .. } | Self::Parameter(_) => {
                Code::HANDSHAKE
            }
            Self::Alpn { .. } | Self::Version { .. } => Code::VERSION,
            Self::Refused { code, .. } => *code,
            Self::Timeout { .. } => Code::TIMEOUT,
            Self::Protocol(error) => error.code(),
            Self::Lost(closed) => closed.code,
        }
    }

    /// How far the attempt got that ended so: of several, the furthest is reported.
    pub(super) fn progress(&self) -> u8 {
        match self {
            Self::Address { .. } => 0,
            Self::Lost(_) | Self::Timeout { .. } => 1,
            Self::Refused { .. } => 2,
            _ => 3,
        }
    }

    pub(crate) fn not_begun(address: SocketAddr, error: quinn::ConnectError) -> Self {
        match error {
            quinn::ConnectError::EndpointStopping => Self::EndpointClosed,
            other => Self::Address {
                address,
                reason: other.to_string(),
            },
        }
    }

    /// The same, where the policy may be the reason: if it is strict, and the server ended the handshake.
    pub(super) fn under(self, strict: bool, error: &quinn::ConnectionError) -> Self {
        let theirs = matches!(error, quinn::ConnectionError::ConnectionClosed(_));
        match self {
            Self::Handshake { reason } if strict && theirs => Self::NotPostQuantum { reason },
            other => other,
        }
    }

    /// The peer's own refusal.
    pub(crate) fn refused(code: Code, reason: String) -> Self {
        match code {
            Code::VERSION => Self::Version { reason },
            Code::UNTRUSTED | Code::REVOKED => Self::IdentityRefused { reason },
            code => Self::Refused { code, reason },
        }
    }

    /// The end of a connection that was not of use yet.
    pub(crate) fn from_quic(error: &quinn::ConnectionError) -> Self {
        use quinn::ConnectionError as Quic;
        let reason = || error.to_string();
        let (code, ours) = match error {
            Quic::TransportError(error) => (u64::from(error.code), true),
            Quic::ConnectionClosed(close) => (u64::from(close.error_code), false),
            Quic::VersionMismatch => return Self::Version { reason: reason() },
            Quic::ApplicationClosed(close) => {
                let text = String::from_utf8_lossy(&close.reason).into_owned();
                return Self::refused(Code::from_quic(close.error_code.into_inner()), text);
            }
            _ => return Self::Lost(Closed::from_quic(error)),
        };
        match code {
            CONNECTION_REFUSED => Self::Refused {
                code: Code::REFUSED,
                reason: reason(),
            },
            NO_APPLICATION_PROTOCOL => Self::Alpn { reason: reason() },
            ILLEGAL_PARAMETER => Self::Handshake { reason: reason() },
            // What this end thinks of the server's certificate is known without its alert.
            FIRST_CERTIFICATE_ALERT..=LAST_CERTIFICATE_ALERT | CERTIFICATE_REQUIRED if !ours => {
                Self::IdentityRefused { reason: reason() }
            }
            FIRST_ALERT..=LAST_ALERT => Self::Handshake { reason: reason() },
            _ => Self::Lost(Closed::from_quic(error)),
        }
    }
}

impl From<SessionError> for ConnectError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Version { .. } => Self::Version {
                reason: error.to_string(),
            },
            error => Self::Protocol(error),
        }
    }
}

/// RFC 9000, section 20.1.
const CONNECTION_REFUSED: u64 = 0x02;
/// RFC 9001, section 4.8: 0x100 and the TLS alert (RFC 8446, section 6; RFC 7301 for ALPN).
const FIRST_ALERT: u64 = 0x100;
const LAST_ALERT: u64 = 0x1ff;
const NO_APPLICATION_PROTOCOL: u64 = 0x100 + 120;
/// bad_certificate to unknown_ca, and what lies between but the one below. decrypt_error, by which other servers may mean a
/// client's signature, is not among them: it says the same of a broken handshake.
const FIRST_CERTIFICATE_ALERT: u64 = 0x100 + 42;
const LAST_CERTIFICATE_ALERT: u64 = 0x100 + 48;
const ILLEGAL_PARAMETER: u64 = 0x100 + 47;
const CERTIFICATE_REQUIRED: u64 = 0x100 + 116;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_of_a_handshake_has_its_code() {
        let crypto = quinn::TransportErrorCode::crypto;
        let ours = |alert| quinn::ConnectionError::TransportError(crypto(alert).into());
        let theirs = |error_code| {
            quinn::ConnectionError::ConnectionClosed(quinn::ConnectionClose {
                error_code,
                frame_type: None,
                reason: "".into(),
            })
        };
        let closed = |code: Code| {
            quinn::ConnectionError::ApplicationClosed(quinn::ApplicationClose {
                error_code: code.value().into(),
                reason: "".into(),
            })
        };
        let refused = quinn::TransportErrorCode::CONNECTION_REFUSED;
        for (error, code) in [
            (ours(48), Code::HANDSHAKE),
            (ours(120), Code::VERSION),
            (theirs(crypto(120)), Code::VERSION),
            (theirs(crypto(40)), Code::HANDSHAKE),
            (theirs(refused), Code::REFUSED),
            (closed(Code::UNKNOWN_SERVICE), Code::UNKNOWN_SERVICE),
            (closed(Code::VERSION), Code::VERSION),
            (quinn::ConnectionError::VersionMismatch, Code::VERSION),
            (quinn::ConnectionError::TimedOut, Code::TIMEOUT),
            (quinn::ConnectionError::Reset, Code::CONNECTION_LOST),
        ] {
            assert_eq!(ConnectError::from_quic(&error).code(), code, "{error}");
        }
        // Of the two, only what the server says is about this end's certificate.
        let identity = |error| {
            matches!(
                ConnectError::from_quic(&error),
                ConnectError::IdentityRefused { .. }
            )
        };
        assert!(!identity(ours(48)) && identity(theirs(crypto(48))));
        assert!(identity(theirs(crypto(42))) && identity(theirs(crypto(116))));
        // illegal_parameter stands among the alerts about certificates, and is about something else.
        assert!(!identity(theirs(crypto(47))));
        // Nor does a fault that this end finds say that the server cannot do FALCON.
        let lacks = |error| {
            let under = ConnectError::from_quic(&error).under(true, &error);
            matches!(under, ConnectError::NotPostQuantum { .. })
        };
        assert!(lacks(theirs(crypto(40))) && lacks(theirs(crypto(47))) && !lacks(ours(40)));
    }
}
