//! STOQ over the browser's WebTransport: what the npm package `stoq` runs on.
//!
//! ```text
//!   JavaScript ──▶ StoqClient · Session · SendStream · ReceiveStream · Datagrams        (classes, promises)
//!                       │              ▲
//!                       ▼              │ what happened
//!                  ┌──────────────────────┐  inputs   ┌────────────────────┐
//!                  │ driver               │ ────────▶ │ stoq-core          │
//!                  │ (runs on the page's  │ ◀──────── │ the session state  │
//!                  │  own event loop)     │  outputs  │ machine            │
//!                  └──────────────────────┘           └────────────────────┘
//!                       │              ▲
//!                       ▼              │ control bytes, stream headers, datagrams
//!                   the browser's WebTransport
//! ```
//!
//! Where the page has pinned the gateway's identity, the gateway's endpoint record is fetched and verified before anything
//! else, and the browser is told to accept the certificates that it lists and no others.
//!
//! The bytes of raw streams never enter WebAssembly: the header of a stream is read or written, and from then on
//! chunks pass from the browser's stream to the page as the objects that they are. Those of verified streams do: they are
//! hashed here, and held against the signatures of their origin.
//!
//! The JavaScript side is documented in `js/index.d.ts`, whose example starts with `await init()` and
//! `new StoqClient()`. On other targets than `wasm32` the crate holds the [words](word) for the codes and nothing else.

#![cfg_attr(target_arch = "wasm32", no_std)]

#[cfg(target_arch = "wasm32")]
extern crate alloc;

mod word;

pub use word::word;

#[cfg(target_arch = "wasm32")]
mod access;
#[cfg(target_arch = "wasm32")]
mod authority;
#[cfg(target_arch = "wasm32")]
mod channels;
#[cfg(target_arch = "wasm32")]
mod client;
#[cfg(target_arch = "wasm32")]
mod control;
#[cfg(target_arch = "wasm32")]
mod datagrams;
#[cfg(target_arch = "wasm32")]
mod download;
#[cfg(target_arch = "wasm32")]
mod driver;
#[cfg(target_arch = "wasm32")]
mod ending;
#[cfg(target_arch = "wasm32")]
mod error;
#[cfg(target_arch = "wasm32")]
mod hash;
#[cfg(target_arch = "wasm32")]
mod inbox;
#[cfg(target_arch = "wasm32")]
mod incoming;
#[cfg(target_arch = "wasm32")]
mod js;
#[cfg(target_arch = "wasm32")]
mod line;
#[cfg(target_arch = "wasm32")]
mod messages;
#[cfg(target_arch = "wasm32")]
mod options;
#[cfg(target_arch = "wasm32")]
mod pinning;
#[cfg(target_arch = "wasm32")]
mod pins;
#[cfg(target_arch = "wasm32")]
mod record;
#[cfg(target_arch = "wasm32")]
mod request;
#[cfg(target_arch = "wasm32")]
mod runtime;
#[cfg(target_arch = "wasm32")]
mod seal;
#[cfg(target_arch = "wasm32")]
mod seeds;
#[cfg(target_arch = "wasm32")]
mod serials;
#[cfg(target_arch = "wasm32")]
mod session;
#[cfg(target_arch = "wasm32")]
mod signal;
#[cfg(target_arch = "wasm32")]
mod stream;
#[cfg(target_arch = "wasm32")]
mod verified;
#[cfg(target_arch = "wasm32")]
mod whatwg;

#[cfg(target_arch = "wasm32")]
pub use {
    access::{generate_holder_key, holder_public_key},
    client::StoqClient,
    datagrams::Datagrams,
    error::set_error_class,
    hash::Sha256,
    record::verify_endpoint_record,
    session::Session,
    stream::{BidirectionalStream, ReceiveStream, SendStream},
    verified::{VerifiedBidirectionalStream, VerifiedDatagrams, VerifiedReceiveStream},
};
