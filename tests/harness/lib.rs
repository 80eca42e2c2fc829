//! What the tests share: a simulated link and world for the session machine, and real services, gateways
//! and clients on ports that the system gives.

pub mod channels;
pub mod gateway;
pub mod link;
pub mod messages;
pub mod native;
pub mod services;
pub mod tampering;
pub mod webtransport;
pub mod world;

/// The README's Rust client compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
