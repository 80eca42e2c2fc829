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
mod flights;
mod gone;
mod harness;
mod hostile;
mod identity;
mod inspect;
mod messages;
mod metrics;
mod multiplexed;
mod pool;
mod refusals;
mod road;
mod runtimes;
mod sockets;
mod stats;
mod streams;
mod verified;
mod workers;
