use serde::{Deserialize, Serialize};

use super::as_text;
use crate::SeedLimits;
use crate::config::ConfigError;

/// Bounds on what one connection can make this end hold.
///
/// Received data waits in the windows of streams. The window of the connection is not bounded by itself (but see
/// [`receive_window`](Self::receive_window)), because then one session that nobody reads could stall the others. So what bounds the received data of a connection is, in bytes,
/// `(1 + 8 × max_sessions) × 2 × max_streams × stream_window`; to get there, a peer has to have opened and filled that many
/// streams that nobody reads. Who accepts peers that could mean harm lowers `max_sessions` (to 0, if no gateway
/// connects), and the other two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// Sessions that a client may multiplex on one connection, beside its own. Default 64: a gateway's pool then
    /// needs one connection per 64 visitors. Memory ≤ this × 16 × `max_streams` × `stream_window`.
    pub max_sessions: u32,
    /// Streams that the peer may have open at once in each session, of each kind (bidirectional and
    /// unidirectional). Default 64: a page with many requests in flight. Over it the peer's opening waits.
    ///
    /// In a multiplexed session the opener learns that a finished stream has arrived, not that it has been read. So streams
    /// that arrived whole may pile up there, to eight times this number; then the session is closed with
    /// [`Code::LIMIT`](crate::Code::LIMIT).
    ///
    /// For the connection's own session, this is what it begins with: [`LiveConfig::max_streams`](crate::LiveConfig::max_streams)
    /// changes it, and so do the [profiles](crate::Profiles) of a connection that adapts.
    pub max_streams: u32,
    /// Bytes that may wait unread in one stream. Default 1,250,000: 100 Mbit/s over a path of 100 ms. A stream's
    /// throughput is at most this per round trip.
    #[serde(with = "as_text::size")]
    pub stream_window: u32,
    /// Bytes of all streams of a connection that may wait for the peer's acknowledgement. Default 10,000,000:
    /// eight streams at full window. Memory per connection ≤ this.
    #[serde(with = "as_text::size")]
    pub send_window: u64,
    /// Bytes of all streams of a connection that the peer may send before they are read. Default `None`: no bound but those of
    /// the streams, for the reason above. With one, memory ≤ this, and a session that nobody reads can stall all others on the
    /// connection. For connections of one session, and as what
    /// [`LiveConfig::receive_window`](crate::LiveConfig::receive_window) changes.
    #[serde(
        with = "as_text::optional_size",
        skip_serializing_if = "Option::is_none"
    )]
    pub receive_window: Option<u64>,
    /// Bytes of datagrams that may wait in one session to be received, plain, verified and shards of messages together; the
    /// oldest of the kind that takes most of it give way. Default 1 MiB: a burst of 800 full ones. Memory ≤ (2 + sessions) ×
    /// this.
    #[serde(with = "as_text::size")]
    pub datagram_buffer: usize,
    /// Largest datagram, in bytes, that the peer may send in a session; it may learn of less on the way. Default 65,535: the
    /// path always carries less. Lower: messages go in more shards. Who passes datagrams on to others promises no more than
    /// those surely take; relays do so themselves, with [`relay::LARGEST_DATAGRAM`](crate::relay::LARGEST_DATAGRAM).
    pub max_datagram_size: u32,
    /// What the peer's SEED frames may make a session remember, with the reasons there. By default 256 contents and 1 MiB, for
    /// ten minutes; only sessions whose announcements are asked for remember any. Memory ≤ (1 + sessions) × 1 MiB.
    #[serde(with = "as_text::seeds")]
    pub seeds: SeedLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_sessions: 64,
            max_streams: 64,
            stream_window: 1_250_000,
            send_window: 10_000_000,
            receive_window: None,
            datagram_buffer: 1024 * 1024,
            max_datagram_size: 65_535,
            seeds: SeedLimits::default(),
        }
    }
}

impl Limits {
    /// Streams of one kind that QUIC lets the peer have open: `own` in the connection's own session, and what this many
    /// multiplexed ones may have.
    ///
    /// QUIC's own bound holds for the connection, so it is the sum of what its sessions may have.
    pub(crate) fn streams(&self, own: u32, sessions: usize) -> quinn::VarInt {
        let share = MULTIPLEXED_SLACK * sessions as u64;
        let streams = share.saturating_mul(self.max_streams.into());
        let streams = streams.saturating_add(u64::from(own) + SPARE_STREAMS);
        quinn::VarInt::try_from(streams).unwrap_or(quinn::VarInt::MAX)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let bad = |setting, value: u64, rule| {
            Err(ConfigError {
                setting,
                value: value.to_string(),
                rule,
            })
        };
        if self.max_streams == 0 {
            return bad("limits.max_streams", 0, "a session needs streams");
        }
        let streams = self.streams(
            self.max_streams,
            self.max_sessions.try_into().unwrap_or(usize::MAX),
        );
        if streams.into_inner() > MAX_STREAMS {
            let rule =
                "8 × max_sessions × max_streams must stay below 2^60, as QUIC numbers its streams";
            return bad("limits.max_sessions", self.max_sessions.into(), rule);
        }
        let received = self.receive_window.unwrap_or(PACKET);
        let numbers = [
            ("limits.receive_window", received),
            ("limits.send_window", self.send_window),
        ];
        let large = |number: u64| quinn::VarInt::from_u64(number).is_err();
        if let Some((setting, size)) = numbers.into_iter().find(|(_, size)| large(*size)) {
            return bad(setting, size, "must be below 2^62");
        }
        let windows = [
            ("limits.stream_window", self.stream_window.into()),
            ("limits.send_window", self.send_window),
            ("limits.receive_window", received),
            ("limits.datagram_buffer", self.datagram_buffer as u64),
        ];
        let small = windows.into_iter().find(|(_, size)| *size < PACKET);
        if let Some((setting, size)) = small {
            return bad(setting, size, "must hold one packet (1200 bytes)");
        }
        Ok(())
    }

    pub(super) fn apply(&self, transport: &mut quinn::TransportConfig) {
        let streams = self.streams(self.max_streams, 0);
        let window = self.receive_window.map(quinn::VarInt::from_u64);
        transport
            .max_concurrent_bidi_streams(streams)
            .max_concurrent_uni_streams(streams)
            .stream_receive_window(self.stream_window.into())
            .receive_window(window.and_then(Result::ok).unwrap_or(quinn::VarInt::MAX))
            .send_window(self.send_window)
            .datagram_receive_buffer_size(Some(self.datagram_buffer));
    }
}

/// How many times its allowance a multiplexed session's streams may be before the session is closed: see
/// [`Limits::max_streams`]. Rejecting a stream that has arrived whole would not do, because its opener has seen it arrive.
pub(crate) const MULTIPLEXED_SLACK: u64 = 8;
/// The control stream, announcements, and a few that are only there to be ignored.
const SPARE_STREAMS: u64 = 4;
/// RFC 9000, section 19.11: a peer closes the connection over more.
const MAX_STREAMS: u64 = 1 << 60;
/// The smallest that every path carries (RFC 9000, section 14).
const PACKET: u64 = 1200;
