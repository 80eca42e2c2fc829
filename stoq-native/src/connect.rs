//! From a target to a session: names, addresses, handshake, the server's answer.

use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use stoq_core::close::Code;
use stoq_core::session::SessionError;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::closed::Closed;
use crate::config::{ClientConfig, ConfigError, IpVersions};
use crate::connection::Connection;
use crate::driver::{self, Role};
use crate::resolve::{race, resolve};
use crate::session::Session;
use crate::target::{Target, TargetError};
use crate::trust::TrustError;

/// What an endpoint needs in order to connect.
#[derive(Debug)]
pub(crate) struct Connector {
    quinn: quinn::ClientConfig,
    ip: IpVersions,
    timeout: Duration,
}

/// Why a [`Connector`] cannot be made.
pub(crate) enum ConnectorError {
    Config(ConfigError),
    Trust(TrustError),
}

impl Connector {
    pub(crate) fn new(config: &ClientConfig) -> Result<Self, ConnectorError> {
        let transport = config
            .limits
            .transport(config.idle_timeout, config.keep_alive)
            .map_err(ConnectorError::Config)?;
        let tls = config.trust.tls().map_err(ConnectorError::Trust)?;
        let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls)
            .expect("the provider has QUIC's initial cipher suite");
        let mut quinn = quinn::ClientConfig::new(Arc::new(tls));
        quinn.transport_config(Arc::new(transport));
        Ok(Self {
            quinn,
            ip: config.ip,
            timeout: config.connect_timeout,
        })
    }

    /// Connects, and asks for the target's service if it names one.
    pub(crate) async fn connect(
        &self,
        endpoint: &quinn::Endpoint,
        drivers: &Arc<driver::Shared>,
        target: &Target,
    ) -> Result<(Connection, Option<Session>), ConnectError> {
        let connecting = async {
            let quinn = self.reach(endpoint, target).await?;
            let (opened, answer) = oneshot::channel();
            let role = Role::Client {
                service: target.service.clone(),
                opened,
            };
            let connection = driver::start(quinn, role, drivers.clone());
            match answer.await {
                Ok(session) => Ok((connection, session?)),
                Err(_) => Err(ConnectError::Lost(connection.closed().await)),
            }
        };
        let after = self.timeout;
        timeout(after, connecting)
            .await
            .unwrap_or(Err(ConnectError::Timeout { after }))
    }

    /// The first of the target's addresses with which the handshake succeeds.
    async fn reach(
        &self,
        endpoint: &quinn::Endpoint,
        target: &Target,
    ) -> Result<quinn::Connection, ConnectError> {
        let Target { host, port, .. } = target;
        let addresses = resolve(host, *port, self.ip).await;
        let addresses = addresses.map_err(|error| ConnectError::Resolve {
            host: host.clone(),
            error,
        })?;
        let attempt = |address| {
            let connecting = endpoint.connect_with(self.quinn.clone(), address, host);
            async move {
                let connecting =
                    connecting.map_err(|error| ConnectError::not_begun(address, error))?;
                connecting
                    .await
                    .map_err(|error| ConnectError::from_quic(&error))
            }
        };
        race(addresses, attempt).await.map_err(|failures| {
            // The address that got furthest says most.
            let telling = failures.into_iter().max_by_key(ConnectError::progress);
            telling.unwrap_or_else(|| ConnectError::NoAddress { host: host.clone() })
        })
    }
}

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
    /// The server's certificate is not one that is trusted.
    #[error("the server's certificate is not trusted: {reason}")]
    Certificate {
        /// Why.
        reason: String,
    },
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
        /// [`ClientConfig::connect_timeout`].
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
            Self::EndpointClosed => Code::GOING_AWAY,
            Self::Resolve { .. } | Self::NoAddress { .. } | Self::Address { .. } => {
                Code::CONNECTION_LOST
            }
            Self::Certificate { .. } | Self::Handshake { .. } => Code::HANDSHAKE,
            Self::Alpn { .. } | Self::Version { .. } => Code::VERSION,
            Self::Refused { code, .. } => *code,
            Self::Timeout { .. } => Code::TIMEOUT,
            Self::Protocol(error) => error.code(),
            Self::Lost(closed) => closed.code,
        }
    }

    /// How far the attempt got that ended so: of several, the furthest is reported.
    fn progress(&self) -> u8 {
        match self {
            Self::Address { .. } => 0,
            Self::Lost(_) | Self::Timeout { .. } => 1,
            Self::Refused { .. } => 2,
            _ => 3,
        }
    }

    fn not_begun(address: SocketAddr, error: quinn::ConnectError) -> Self {
        match error {
            quinn::ConnectError::EndpointStopping => Self::EndpointClosed,
            other => Self::Address {
                address,
                reason: other.to_string(),
            },
        }
    }

    /// The peer's own refusal.
    pub(crate) fn refused(code: Code, reason: String) -> Self {
        match code {
            Code::VERSION => Self::Version { reason },
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
            // Only our own alert says what we think of the server's certificate.
            FIRST_CERTIFICATE_ALERT..=LAST_CERTIFICATE_ALERT if ours => {
                Self::Certificate { reason: reason() }
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
/// bad_certificate to access_denied, and what lies between.
const FIRST_CERTIFICATE_ALERT: u64 = 0x100 + 42;
const LAST_CERTIFICATE_ALERT: u64 = 0x100 + 49;

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
        // Of the two, only what this end found out is about the certificate.
        let certificate = |error| {
            matches!(
                ConnectError::from_quic(&error),
                ConnectError::Certificate { .. }
            )
        };
        assert!(certificate(ours(48)) && !certificate(theirs(crypto(48))));
    }
}
