//! Messages that do not fit a datagram, sent as Reed–Solomon shards.
//!
//! ```text
//!   message ──▶ Plan ──▶ Cutter ──▶ k + m SHARD frames, a datagram each ─ ─ any k of them ─ ─▶ Reassembly ──▶ message
//!                ▲                                                                                  │
//!   Parity, and the Loss that a LossMeter sees                                     what was dropped, counted
//! ```
//!
//! A message is delivered whole, once, or not at all; messages overtake each other. The digest in each shard tells that
//! a message was put together rightly; it does not tell who sent it.
//!
//! ```
//! use bytes::Bytes;
//! use stoq_core::shards::{Cutter, Limits, Loss, Parity, Plan, Reassembly, Received};
//! use stoq_core::{VarInt, time::Timestamp};
//!
//! let message = Bytes::from(vec![7; 5_000]);
//! let plan = Plan::new(message.len(), 1_200, Parity::Fixed(2), Loss::UNKNOWN)?;
//! let cutter = Cutter::new(VarInt::from_u32(0), message.clone(), plan);
//!
//! let mut reassembly = Reassembly::new(Limits::default());
//! // The first two are lost.
//! for shard in cutter.shards().skip(2) {
//!     if let Ok(Received::Message(whole)) = reassembly.receive(Timestamp::default(), &shard) {
//!         assert_eq!(whole.bytes, message);
//!     }
//! }
//! assert_eq!(reassembly.counters().delivered, 1);
//! # Ok::<_, stoq_core::shards::PlanError>(())
//! ```
//!
//! # Memory and time
//!
//! What a peer can make a [`Reassembly`] hold is [`Limits::max_bytes`]. While a message is put together there is besides
//! the message itself, which is no larger than its shards, and if a data shard is missing what the code works in:
//! [`WORK_LEN`] and 128 KiB of stack.
//!
//! The code's tables are made when a message is first cut into several shards with parity, or first rebuilt from parity.
//! They are one set for the process and stay: 8.4 MiB made in 10 ms natively (8 MiB of products and three tables of
//! 128 KiB), 385 KiB made in 8 ms in WebAssembly. A message of 20 KB that has lost 4 of 25 shards is then rebuilt in some
//! 30 µs natively and 400 µs in WebAssembly, one of 4 bytes in 2 µs and 12 µs.

mod code;
mod cutter;
mod loss;
mod plan;
mod reassembly;

pub use code::WORK_LEN;
pub use cutter::Cutter;
pub use loss::{Loss, LossMeter};
pub use plan::{Parity, Plan, PlanError};
pub use reassembly::{Counters, Dropped, Limits, Message, Reassembly, Received};
