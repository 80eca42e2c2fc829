//! Verified channels: what a relay on the way can do to one, and how the receiver learns of it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "channel/datagrams.rs"]
mod datagrams;
#[path = "channel/end.rs"]
mod end;
#[path = "channel/requests.rs"]
mod requests;
#[path = "channel/rules.rs"]
mod rules;
#[path = "channel/sealing.rs"]
mod sealing;
#[path = "channel/signatures.rs"]
mod signatures;
#[path = "channel/signer.rs"]
mod signer;
#[path = "channel/tokens.rs"]
mod tokens;
#[path = "channel/vectors.rs"]
mod vectors;
#[path = "channel/wire.rs"]
mod wire;

use stoq_core::VarInt;

fn number(sequence: u32) -> VarInt {
    VarInt::from_u32(sequence)
}
