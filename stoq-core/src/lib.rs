//! The STOQ protocol, as plain data and plain functions: no I/O, no clock, no randomness, no `unsafe`, no `std`.
//!
//! ```text
//!   bytes of a stream ──▶ StreamHeader::decode ──▶ whose stream, raw or framed
//!   bytes of frames   ──▶ Frame::decode        ──▶ one Frame, borrowed ──▶ Frame::encode ──▶ bytes
//!   a datagram        ──▶ Datagram::decode     ──▶ whose, and the data
//!
//!   data ──▶ Sealer ──▶ TOKEN, DATA, FALCON_SIGNATURE ──▶ relays ──▶ Opener ──▶ data, pending or verified
//!
//!   control bytes, stream headers, datagrams, ticks ──▶ ┌─────────┐ ──▶ bytes for the control stream
//!   open, accept, refuse, close, ping               ──▶ │ Session │ ──▶ what happened: opened, refused, closed,
//!                                                       └─────────┘     whose stream, whose datagram, when to tick
//! ```
//!
//! The entry types are [`Session`](session::Session), the state machine of one connection, and [`Frame`], what it
//! reads and writes. A driver (stoq-native over QUIC, stoq-wasm over the browser's WebTransport) carries the bytes. What
//! both sides of the carrier share besides stands in [`Code`], the close codes, and [`ServiceName`].
//!
//! ```
//! use stoq_core::{Code, Frame, SessionId, frame::CloseSession};
//!
//! let close = Frame::CloseSession(CloseSession {
//!     id: SessionId::ZERO,
//!     code: Code::GOING_AWAY,
//!     reason: "see you at ten",
//! });
//! let mut bytes = Vec::new();
//! close.encode(&mut bytes);
//! assert_eq!(bytes.len(), close.encoded_len());
//!
//! // A frame that has not arrived whole asks for more; a whole one says how many bytes it took.
//! assert_eq!(Frame::decode(&bytes[..5])?, None);
//! assert_eq!(Frame::decode(&bytes)?, Some((close, bytes.len())));
//! # Ok::<_, stoq_core::frame::DecodeError>(())
//! ```
//!
//! Numbers on the wire that this version does not know are values that can be shown and skipped. There is one encoding for
//! every value, and a named limit for every length, checked before anything is reserved.

#![no_std]
#![forbid(unsafe_code)]
#![warn(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::alloc_instead_of_core
)]

extern crate alloc;

/// The example of the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod access;
pub mod announce;
mod base64url;
pub mod channel;
pub mod close;
pub mod datagram;
pub mod endpoint_record;
pub mod falcon;
pub mod frame;
pub mod grant;
pub mod hash;
pub mod hops;
pub mod identity;
pub mod peek;
mod rate;
pub mod reader;
pub mod replay;
pub mod run;
pub mod seeds;
pub mod service;
pub mod session;
pub mod session_id;
pub mod shards;
mod signed;
pub mod stream;
mod table;
pub mod tier;
pub mod time;
pub mod token;
pub mod transport_parameter;
pub mod varint;

pub use close::Code;
pub use datagram::Datagram;
pub use frame::Frame;
pub use hash::{SessionHash, Sha256};
pub use identity::FalconId;
pub use service::ServiceName;
pub use session_id::SessionId;
pub use stream::StreamHeader;
pub use varint::VarInt;
