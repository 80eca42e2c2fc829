//! Both ends of stoq-native over real sockets on this machine. Nothing here waits by the clock: every wait is for an
//! event, and [`harness::within`] only keeps a test that would wait for ever from doing so.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod access;
mod adaptation;
mod addresses;
mod announcements;
mod bare;
mod closing;
mod datagrams;
mod early;
mod examples;
mod falcon;
mod faults;
mod flights;
mod gone;
mod harness;
mod headers;
mod hostile;
mod identity;
mod inspect;
mod messages;
mod metrics;
mod migration;
mod multiplexed;
mod pool;
mod probes;
#[cfg(feature = "qlog")]
mod qlog;
mod refusals;
mod road;
mod rotation;
mod runtimes;
mod shutdown;
mod sockets;
mod stats;
mod streams;
mod transfer;
mod verified;
mod workers;
