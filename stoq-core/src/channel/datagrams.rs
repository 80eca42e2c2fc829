//! Verified datagrams: the channel of a session that may lose what it carries.
//!
//! Each datagram has its token; the tokens of many are listed in a TOKEN_RUN and signed on the announcing stream, so that
//! those that were lost spoil nothing. What is changed or repeated on the way is found out. What is dropped is not: datagrams
//! may be lost.

mod item;
mod opener;
mod sealer;

pub use item::{DatagramItem, OpenedDatagrams};
pub use opener::DatagramOpener;
pub use sealer::DatagramSealer;

use crate::frame::TokenRun;
use crate::hash::Sha256;

/// What is signed of a list of tokens: SHA-256 of sequences in eight bytes and tags.
fn digest(run: &TokenRun<'_>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for (sequence, tag) in run.tokens() {
        hash.update(&sequence.into_inner().to_be_bytes());
        hash.update(tag);
    }
    hash.finish()
}

/// Datagrams that wait for their signature, or signatures for their datagram: 1024, two full runs and more.
pub const MAX_UNSIGNED: usize = 1024;
/// Data that is held back until its signature comes, 1 MiB: what 1024 datagrams of a usual path have, less some.
pub const MAX_HELD_BYTES: usize = 1024 * 1024;
