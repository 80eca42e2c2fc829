//! Relays between native peers, over real sockets on this machine: up to three in a row, and peers that do wrong. Every wait
//! is for an event.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[allow(
    dead_code,
    reason = "made for the tests of two peers, which need servers, too"
)]
#[path = "../native/bare.rs"]
mod bare;
mod carried;
mod chain;
mod end_to_end;
mod ending;
mod garbage;
mod pace;
mod priority;
mod refusals;
#[allow(
    dead_code,
    reason = "made for the tests of two peers, which lose datagrams, too"
)]
#[path = "../native/road.rs"]
mod road;
