//! The STOQ gateway: browsers on one side, native STOQ services on the other.
//!
//! ```text
//!   page ── WebTransport, https://gateway/stoq/v1/<service> ──▶ ┌─────────┐ ── QUIC ──▶ service
//!   page ── WebTransport ─────────────────────────────────────▶ │ Gateway │   (sessions multiplexed on
//!   page ── http://…/.well-known/stoq/endpoint, /stoq.json ───▶ └─────────┘    pooled connections)
//!                                      │
//!        one task for each session: admission, control streams, the end and its reason
//!        one task for each stream:  bytes, FIN, RESET and STOP, each way, as they come
//! ```
//!
//! The gateway forwards what it does not read: streams and datagrams of a session pass unchanged between a page and the
//! service that it asked for. It decides who may enter (`Origin`, caps), where a service is (routes), and bounds what each
//! session can make it hold ([`config`]).
//!
//! ```no_run
//! use std::time::Duration;
//! use stoq_gateway::{Config, Gateway};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let gateway = Gateway::bind(Config::from_file("gateway.toml")?).await?;
//! println!("{}", gateway.url());
//! tokio::signal::ctrl_c().await?;
//! gateway.shutdown(Duration::from_secs(10)).await;
//! # Ok(())
//! # }
//! ```
//!
//! Reading order: this file, `session.rs` (one browser's visit), `streams.rs` and [`stoq_native::relay`] (one stream), `control.rs`
//! (the protocol's state machine), `upstream.rs` (the way to a service); and `rotation.rs` (the certificate and the record).

#![forbid(unsafe_code)]

mod access;
mod admission;
mod carrier;
mod certificate;
pub mod config;
mod control;
mod datagrams;
mod gateway;
mod hops;
mod http;
mod listed;
mod metrics;
mod path;
mod record;
mod rotation;
mod session;
mod shared;
mod streams;
mod tasks;
mod upstream;

pub use config::{Config, ConfigError};
pub use gateway::{BindError, Drained, Gateway};
pub use metrics::{Refused, Snapshot};
pub use record::RecordError;
pub use rotation::RenewError;
