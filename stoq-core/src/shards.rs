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
//!
//! # The code
//!
//! For other implementations; `tests/vectors/shards.txt` has known answers.
//!
//! Words are elements of GF(2^16) modulo `x^16 + x^5 + x^3 + x^2 + 1`: bit `i` of a word, and of the number of a point,
//! stands for the `i`th of `0001 acca 3c0e 163e c582 ed2e 914c 4012 6c98 10d8 6a72 b900 fdb8 fb34 ff38 991e`. A shard is
//! read in columns of 64 bytes, the last perhaps shorter; of a column of `2h` bytes, word `i` has byte `i` as its low and
//! byte `h + i` as its high half. Each place of a word is coded on its own. Let `k` and `m` be the data and parity shards
//! and `P(m)` the least power of two that is not below `m`.
//!
//! Data shards form groups of `c = P(m)`, the last filled up with zeros. Group `g = 1, 2, …` has the points
//! `gc … gc + c − 1` and a polynomial of degree below `c` through them. Parity shard `j` is the sum of all those polynomials
//! at `j`.
//!
//! With `k = 1` every shard is the message.

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
