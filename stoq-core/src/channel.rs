//! Verified channels: data that no relay on the way can change, drop, cut short, repeat or reorder without being found out.
//!
//! ```text
//!   data ──▶ ┌────────┐ ──▶ TOKEN · DATA · TOKEN · DATA … ──▶ relays ──▶ ┌────────┐ ──▶ data, pending
//!            │ Sealer │ ──▶ Statement ──▶ a signer                       │ Opener │ ──▶ verified through N, by whom
//!            └────────┘ ◀── signature ──▶ FALCON_SIGNATURE  ──▶ relays ──▶ └────────┘ ──▶ or the first bad sequence
//! ```
//!
//! Each DATA frame has a token with its hash; a signature vouches for a run of tokens. Until it has come, data is *pending*:
//! whole and in order as far as the hashes say, which any relay could have made anew. A stream whose signer ended it says so in
//! its last signature, so an end without that is *truncated*.
//!
//! On a stream the opener's half begins with the [`ChannelId`]; the other half has frames from its first byte. Sequences count
//! from 0 on each half.

pub mod datagrams;
mod error;
mod opener;
mod request;
mod sealer;

use core::fmt;
use core::time::Duration;

pub use error::ChannelError;
pub use opener::{Delivery, Item, Opener};
pub use request::{CutShort, Received, Request, Sent};
pub use sealer::{SealError, Sealer};

/// The name of a channel: random, chosen by who opens the stream, and used once in a session.
///
/// QUIC's stream ids change at each relay and browsers show none, so tokens and signatures bind to this, and tokens to the
/// [kind of the stream](crate::token::Scope::kind).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId([u8; Self::LEN]);

impl ChannelId {
    /// Its bytes.
    pub const LEN: usize = 16;
    /// The channel of a session's datagrams. No stream may have it.
    pub const DATAGRAMS: Self = Self([0; Self::LEN]);

    /// The channel with these bytes.
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// Lower-case hexadecimal.
impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelId({self})")
    }
}

/// Data in one run at most, 8 MiB: a signature of 1.3 KB and 1 ms for them is next to nothing, and a receiver can hold them back.
pub const MAX_RUN_BYTES: usize = 8 * 1024 * 1024;
/// Tokens in one run at most. 1024, twice what 8 MiB take in full frames: a receiver keeps every tag until the signature comes.
pub const MAX_RUN_TOKENS: usize = 1024;
/// Runs that may be without their signature: the one that is being signed, and the next, which goes on meanwhile.
pub const MAX_RUNS: usize = 2;
/// The time after which a run is signed although it is short: a quarter of a second, so that who waits for verified data need
/// not wait for more of it.
pub const RUN_TIME: Duration = Duration::from_millis(250);
/// Frames that hand out no data, which may come at once and between data: 64, a key and a priority of each of many relays, and
/// more than any sender makes. Each frame with data makes up for two.
pub const MAX_IDLE_FRAMES: u32 = 64;
/// Digests that a sender keeps of what it has sent, to know what is answered: 16,384, 512 KiB where so much was sent and not
/// answered. A run that was signed when its signer had less than the newest 16,384 frames is not known any more: 256 MiB in full
/// frames, on their way or unread.
pub const MAX_REQUESTS: usize = 16_384;
/// Streams that each end may open as verified ones in one session, over all its time: 65,536. Their names have to be remembered
/// as long as the session lasts, for one that came again would let a relay repeat what was signed for the first: those of both
/// ends take 2 MiB, and up to 4.5 MB in a hash table. Who needs more begins another session.
pub const MAX_CHANNELS: usize = 65_536;
/// What the verified streams of a session hold back until signatures come, before they read one after the other: 64 MiB, what
/// 2 Gbit/s bring in [`RUN_TIME`] and more than a browser carries. Each holds up to [`MAX_RUNS`] of [`MAX_RUN_BYTES`]
/// for itself.
pub const MAX_SESSION_BYTES: usize = 64 * 1024 * 1024;
