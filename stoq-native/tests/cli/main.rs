//! The command `stoq`, as processes: what a user and an operator see of it.
//!
//! Nothing here sleeps: tests wait for a line, for the end of a process, or for the protocol.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod access;
mod bench;
mod drain;
mod echo;
mod identities;
mod inspect;
mod keys;
mod kills;
mod process;
mod refusals;
mod relays;
mod rotation;
mod tokens;
mod transfer;
mod verified;
