//! STOQ over QUIC, for native programs.
//!
//! ```text
//!   Endpoint ── connect("stoq://host:port/service") ──▶ ┌─────────┐ ◀── accept() ── Endpoint
//!   (a UDP socket)                                      │ Session │                (a UDP socket)
//!                     SendStream, RecvStream  ◀───────▶ │         │
//!                     datagrams               ◀───────▶ └─────────┘
//!                                                            │ one of many on a
//!   quinn ◀── QUIC packets ── Connection ◀───────────────────┘
//!                                 └── driver: one task that feeds stoq-core's state machine
//! ```
//!
//! A [`Session`] is a conversation with one service: reliable streams in both directions, unreliable datagrams, and a
//! close with a code and a reason. [`Endpoint::connect`] opens one, on a connection of its own; a gateway multiplexes
//! many on one [`Connection`]. Stream data goes from the caller to quinn and back without a copy, a frame or a task in
//! between.
//!
//! ```no_run
//! use stoq_native::{ClientConfig, Endpoint, Trust};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let trust = Trust::roots_from_pem_file("ca.pem")?;
//!     let endpoint = Endpoint::client(ClientConfig::new(trust))?;
//!     let session = endpoint.connect("stoq://localhost:4433/echo").await?;
//!
//!     let (mut send, mut receive) = session.open_bi().await?;
//!     send.write_all(b"hello").await?;
//!     send.finish()?;
//!     println!("{}", String::from_utf8(receive.read_to_end(64).await?)?);
//!
//!     session.close(stoq_native::Code::NO_ERROR, "done");
//!     endpoint.wait_idle().await;
//!     Ok(())
//! }
//! ```
//!
//! # What drop does
//!
//! | dropped | what happens | the peer sees |
//! |---|---|---|
//! | [`SendStream`], finished | the rest is still sent | the end of the stream |
//! | [`SendStream`], not finished | reset: what is cut off must not look complete | [`Code::CANCELLED`] |
//! | [`RecvStream`] before its end | the peer is told to stop | [`Code::CANCELLED`] |
//! | [`VerifiedSendStream`], not finished | reset | [`Code::CANCELLED`] |
//! | [`VerifiedRecvStream`] before its end | the peer is told to stop | [`Code::CANCELLED`] |
//! | [`SessionRequest`] | refused | [`Code::REFUSED`] |
//! | [`Session`] that is multiplexed, with its last clone and stream | closed | [`Code::NO_ERROR`] |
//! | [`Connection`], with its last clone and session | closed | [`Code::NO_ERROR`] |
//! | [`Endpoint`], with its last clone | no new sessions; those that run go on | |

#![deny(unsafe_code)]

mod acceptor;
mod access;
mod adapt;
mod announce;
mod certificate;
mod clock;
mod closed;
mod config;
mod congestion;
mod connect;
mod connection;
mod driver;
#[doc(hidden)]
pub mod due;
mod early;
mod endpoint;
mod falcon;
mod grant_file;
mod identity;
mod inspect;
mod lanes;
#[doc(hidden)]
pub mod meter;
mod metrics;
mod parameter;
mod policy;
mod pool;
mod qlog;
mod queue;
mod rejection;
pub mod relay;
mod request;
mod reset_key;
mod resolve;
mod security;
mod session;
mod socket;
mod stream;
mod target;
mod tls;
mod transport;
mod trust;
mod verified;
mod workers;

pub use access::{
    AccessRefusals, AccessRules, AccessTokenFileError, HolderKeyError, HolderKeyPair, HolderKeys,
    HolderSigner, IssueError, access_token_from_file, fresh_nonce, issue_access_token, relay_auths,
    revocations_from_file,
};
pub use adapt::{
    AdaptationConfig, AdaptationStats, LiveConfig, LiveConfigError, NewConnectionProfile, Profiles,
    Sample,
};
pub use announce::{AnnouncementsError, SendSeedError};
pub use certificate::{CertificateFault, FALCON_KEY_OID, GRANT_OID, falcon_key_extension};
pub use closed::{Closed, ClosedBy};
pub use config::{Cipher, ClientConfig, ConfigError, ServerConfig};
pub use congestion::{CongestionAlgorithm, UnknownAlgorithm};
pub use connect::{ConnectError, ConnectOptions, EarlyConnection};
pub use connection::{Connection, ConnectionStats};
pub use early::{EarlyRecvStream, EarlyRequest, EarlySendStream, EarlyStreamError};
pub use endpoint::{BindError, Endpoint, PolicyError, RotateError};
pub use falcon::{
    FalconKey, FalconKeyError, FalconSigner, KeyFileFault, PublicKeyFault, PublicKeyFileError,
    SignError, verifying_key_from_pem_file, verifying_key_to_pem,
};
pub use grant_file::{GrantFileError, grant_from_pem_file, grant_to_pem};
pub use identity::{
    Identity, IdentityError, IdentitySource, LoadedIdentity, Rotation, RotationConfig,
    RotationError, RotationStats,
};
pub use inspect::{
    Agreed, AsksClients, ClassicalCertificate, FalconCertificate, HandshakeFailed, InspectError,
    Inspection, Offer, inspect,
};
pub use metrics::EndpointStats;
pub use policy::{Authority, ClientPolicy, ClientTrust, FalconTrust, Pins, PqPolicy};
pub use pool::{Pool, PoolConfig, PoolError, PoolStats};
pub use qlog::QlogConfig;
pub use rejection::IdentityRejected;
pub use request::{OpenError, Request, SessionRequest};
pub use reset_key::{ResetKey, ResetKeyError};
pub use security::{KeyExchange, Security};
pub use session::{
    PingError, SendDatagramError, SendMessageError, Session, SessionStats, StreamOpenError,
};
pub use socket::SocketConfig;
pub use stoq_core::access::{
    Access, AccessError, AccessToken, HolderKey, HolderProof, Nonce, Revocations,
    SignedAccessToken, TokenHash, Verifier,
};
pub use stoq_core::announce::AnnounceError;
pub use stoq_core::channel::datagrams::DatagramItem;
pub use stoq_core::channel::{ChannelError, ChannelId, CutShort, Delivery, Item};
pub use stoq_core::close::Code;
pub use stoq_core::falcon::{Domain, Signature, VerifyingKey};
pub use stoq_core::frame::{DecodeError, Priority, Seed, SeedNode, SeedPriority};
pub use stoq_core::grant::{Grant, GrantError, SignedGrant};
pub use stoq_core::hash::SessionHash;
pub use stoq_core::hops::{HopChain, PassedHop};
pub use stoq_core::identity::FalconId;
pub use stoq_core::replay::{ReplayWindow, TimeWindow};
pub use stoq_core::seeds::{Limits as SeedLimits, SeedCounters, SeedEvent};
pub use stoq_core::service::ServiceName;
pub use stoq_core::session::{Answer, ForeignAuth};
pub use stoq_core::session_id::SessionId;
pub use stoq_core::shards::Counters as MessageCounters;
pub use stoq_core::stream::Payload;
pub use stoq_core::tier::Tier;
pub use stoq_core::time::UnixMicros;
pub use stoq_core::transport_parameter::{Capabilities, ParameterError, TransportParameter};
pub use stream::{ClosedStream, ReadError, RecvStream, SendStream, WriteError};
pub use target::{Target, TargetError};
pub use transport::{
    AckFrequency, IpVersions, KeepAlive, Limits, MessageConfig, Parity, TransportConfig,
    TransportConfigError,
};
pub use trust::{Trust, TrustError};
pub use verified::{
    ChannelConfig, DatagramsInUse, HashFunction, OpenVerifiedError, RefusedChannels,
    VerifiedDatagramError, VerifiedReadError, VerifiedRecvStream, VerifiedSendStream,
    VerifiedWriteError,
};

/// The name by which both ends agree in the TLS handshake that they speak STOQ version 1 (ALPN, RFC 7301).
pub const ALPN: &[u8] = b"stoq/1";

/// The examples of the README, so that they are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
