//! What a caller may choose, and every default with its reason.

use core::time::Duration;

mod messages;

use bytes::Bytes;
use stoq_core::frame::AccessTokens;

pub use messages::{MessageConfig, Parity};

use crate::{AccessRules, ClientPolicy, HolderKeys, Identity, PqPolicy, SeedLimits, meter};

/// How a client endpoint works.
///
/// ```
/// use std::time::Duration;
/// use stoq_native::{ClientConfig, Pins, PqPolicy, Trust};
///
/// // What has no safe default is an argument. A `Trust` alone stands for `PqPolicy::Prefer`.
/// let mut config = ClientConfig::new(PqPolicy::Prefer(Trust::SystemRoots));
/// config.idle_timeout = Duration::from_secs(20); // the rest have defaults
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Which servers are believed, and against whom that helps.
    pub policy: PqPolicy,
    /// Who this end is, to servers that ask. Default `None`: nobody. Only its FALCON certificate is shown.
    pub identity: Option<Identity>,
    /// Access tokens that [`Endpoint::connect`](crate::Endpoint::connect) presents, as
    /// [`SignedAccessToken::encode`](crate::SignedAccessToken::encode) gives them; at most four, 4 KiB each, 6 KiB together.
    /// Default: none. Every server that is connected to reads them, so let none see a bearer token that is not for it or for who
    /// stands behind it.
    pub access_tokens: Vec<Bytes>,
    /// Keys of the holders that the tokens name. Default: none. A token without its key is presented all the same; the server
    /// waits five seconds for the proof and closes the session with [`Code::HOLDER_MISSING`](crate::Code::HOLDER_MISSING).
    pub holders: HolderKeys,
    /// IP versions to connect over. Default: both.
    pub ip: IpVersions,
    /// How long a connection may take to come about, names, handshake and the server's answer included.
    /// Default 10 s: three lost handshake flights, and no longer than a user waits.
    pub connect_timeout: Duration,
    /// Silence after which a connection counts as lost. Default 30 s ([RFC 9308, section 3.2]). The smaller one
    /// of both ends applies. Longer: a dead peer holds its memory for longer.
    ///
    /// [RFC 9308, section 3.2]: https://www.rfc-editor.org/rfc/rfc9308#section-3.2
    pub idle_timeout: Duration,
    /// How often an idle connection sends something, so that neither end nor a NAT forgets it. Default 10 s:
    /// a third of the idle time-out, so two may be lost. `None`: an idle connection ends.
    pub keep_alive: Option<Duration>,
    /// Take the peer's framed streams, which carry STOQ's frames instead of the application's own bytes. Default `false`:
    /// they are rejected with [`Code::UNSUPPORTED`](crate::Code::UNSUPPORTED), so that nothing waits for somebody who never
    /// accepts it. Verified streams, announcements and relays need it.
    pub framed_streams: bool,
    /// Messages in shards: how they are sent, and what they can make this end hold.
    pub messages: MessageConfig,
    /// What a peer can make this end hold.
    pub limits: Limits,
}

impl ClientConfig {
    /// Defaults, with this policy.
    pub fn new(policy: impl Into<PqPolicy>) -> Self {
        Self {
            policy: policy.into(),
            identity: None,
            access_tokens: Vec::new(),
            holders: HolderKeys::new(),
            ip: IpVersions::default(),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: IDLE_TIMEOUT,
            keep_alive: Some(Duration::from_secs(10)),
            framed_streams: false,
            messages: MessageConfig::default(),
            limits: Limits::default(),
        }
    }
}

/// How a server endpoint works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Who the server is.
    pub identity: Identity,
    /// Which clients are let in. Default `Off`: they are not asked who they are.
    pub clients: ClientPolicy,
    /// Which services want an access token. Default `None`: no service does. Requests without a good one are refused before
    /// [`Endpoint::accept`](crate::Endpoint::accept) gives them, with the code that says why; one whose token has a holder is
    /// given, and the session opens once the holder has proven it.
    /// [`Endpoint::set_access`](crate::Endpoint::set_access) replaces them.
    pub access: Option<AccessRules>,
    /// What packets are encrypted with, if the client has it. Default [`Cipher::Aes256Gcm`].
    pub cipher: Cipher,
    /// IP versions to accept. Default: both, where the address to bind is an IPv6 one (`[::]`).
    pub ip: IpVersions,
    /// Take early data: requests that resume a session and come with the first packets, for
    /// [`Endpoint::accept_early`](crate::Endpoint::accept_early). Default `false`, because whoever recorded such packets can
    /// send them again.
    pub early_data: bool,
    /// First packets a second, from addresses that have not proved themselves, above which the server answers with a Retry
    /// ([RFC 9000, section 8.1.2]) before it spends a signature. Default 100: with FALCON a handshake costs some 2 ms, so a
    /// flood from forged addresses takes at most a fifth of one core. Addresses that have proved themselves are bounded in
    /// number only: 256 handshakes at once from one network (an IPv4 address, 64 bits of an IPv6 one), 1024 in all. Lower: new clients pay a round trip earlier; 0: always.
    ///
    /// [RFC 9000, section 8.1.2]: https://www.rfc-editor.org/rfc/rfc9000#section-8.1.2
    pub retry_above: u32,
    /// How long a client may take for its handshake. Default 10 s: three lost flights. Longer: whoever sends
    /// first packets only holds memory for longer.
    pub handshake_timeout: Duration,
    /// Silence after which a connection counts as lost. Default 30 s; see [`ClientConfig::idle_timeout`].
    pub idle_timeout: Duration,
    /// How often an idle connection sends something. Default `None`: it is for clients, which sit behind the NATs.
    pub keep_alive: Option<Duration>,
    /// Session requests that wait for [`Endpoint::accept`](crate::Endpoint::accept); more are refused with
    /// [`Code::LIMIT`](crate::Code::LIMIT). Default 1024: a burst of reconnecting clients.
    pub max_waiting: usize,
    /// Connections at once; the handshake of one more is refused (CONNECTION_REFUSED, [RFC 9000, section 20.1]). Default
    /// 16,384. An idle one costs some 20 KiB; what an active one may cost stands at [`Limits`].
    ///
    /// [RFC 9000, section 20.1]: https://www.rfc-editor.org/rfc/rfc9000#section-20.1
    pub max_connections: usize,
    /// Take the peer's framed streams, which carry STOQ's frames instead of the application's own bytes. Default `false`:
    /// they are rejected with [`Code::UNSUPPORTED`](crate::Code::UNSUPPORTED), so that nothing waits for somebody who never
    /// accepts it. Verified streams, announcements and relays need it.
    pub framed_streams: bool,
    /// Take requests that have relays still to pass behind this server. Default `false`: they are refused with
    /// [`Code::NEXT_HOP`](crate::Code::NEXT_HOP), because who answers such a request itself is not whom the client asked for.
    /// [`Relay`](crate::relay::Relay) sets it.
    pub relay: bool,
    /// Messages in shards: how they are sent, and what they can make this end hold.
    pub messages: MessageConfig,
    /// What a peer can make this end hold.
    pub limits: Limits,
}

impl ServerConfig {
    /// Defaults, with this identity.
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            clients: ClientPolicy::default(),
            access: None,
            early_data: false,
            retry_above: 100,
            cipher: Cipher::default(),
            ip: IpVersions::default(),
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: IDLE_TIMEOUT,
            keep_alive: None,
            max_waiting: 1024,
            max_connections: 16_384,
            framed_streams: false,
            relay: false,
            messages: MessageConfig::default(),
            limits: Limits::default(),
        }
    }
}

/// What packets are encrypted with, and by which hash the handshake is summed up: a suite of TLS 1.3
/// ([RFC 8446, appendix B.4](https://www.rfc-editor.org/rfc/rfc8446#appendix-B.4)). The server chooses; a client that does not have
/// its first choice gets the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cipher {
    /// TLS_AES_256_GCM_SHA384: of the strength of the key exchange and the signatures beside it, against quantum computers too.
    #[default]
    Aes256Gcm,
    /// TLS_AES_128_GCM_SHA256: four rounds of AES fewer for each block. Enough against attackers of today; a quantum computer would
    /// have to search 2^64 steps, one after the other, for each connection.
    Aes128Gcm,
}

/// IP versions of an endpoint's socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IpVersions {
    /// One socket for both.
    #[default]
    Both,
    /// IPv6 only, and enforced (`IPV6_V6ONLY`): IPv4 peers do not reach the socket.
    V6Only,
    /// IPv4 only.
    V4Only,
}

/// Bounds on what one connection can make this end hold.
///
/// Received data waits in the windows of streams. The window of the connection is not bounded in itself, because then one
/// session that nobody reads could stall the others. So what bounds the received data of a connection is, in bytes,
/// `(1 + 8 × max_sessions) × 2 × max_streams × stream_window`; to get there, a peer has to have opened and filled that many
/// streams that nobody reads. Who accepts peers that could mean harm lowers `max_sessions` (to 0, if no gateway
/// connects), and the other two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    pub max_streams: u32,
    /// Bytes that may wait unread in one stream. Default 1,250,000: 100 Mbit/s over a path of 100 ms. A stream's
    /// throughput is at most this per round trip.
    pub stream_window: u32,
    /// Bytes of all streams of a connection that may wait for the peer's acknowledgement. Default 10,000,000:
    /// eight streams at full window. Memory per connection ≤ this.
    pub send_window: u64,
    /// Bytes of datagrams that may wait in one session to be received, plain, verified and shards of messages together; the
    /// oldest of the kind that takes most of it give way. Default 1 MiB: a burst of 800 full ones. Memory ≤ (2 + sessions) ×
    /// this.
    pub datagram_buffer: usize,
    /// What the peer's SEED frames may make a session remember, with the reasons there. By default 256 contents and 1 MiB, for
    /// ten minutes; only sessions whose announcements are asked for remember any. Memory ≤ (1 + sessions) × 1 MiB.
    pub seeds: SeedLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_sessions: 64,
            max_streams: 64,
            stream_window: 1_250_000,
            send_window: 10_000_000,
            datagram_buffer: 1024 * 1024,
            seeds: SeedLimits::default(),
        }
    }
}

/// A setting that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {value}, but {rule}")]
pub struct ConfigError {
    /// The field.
    pub setting: &'static str,
    /// The value found.
    pub value: String,
    /// What it breaks.
    pub rule: &'static str,
}

impl Limits {
    /// Streams of one kind that QUIC lets the peer have open, with this many multiplexed sessions.
    ///
    /// QUIC's own bound holds for the connection, so it is the sum of what its sessions may have.
    pub(crate) fn streams(&self, sessions: usize) -> quinn::VarInt {
        let share = 1 + MULTIPLEXED_SLACK * sessions as u64;
        let streams = share.saturating_mul(self.max_streams.into());
        quinn::VarInt::try_from(streams.saturating_add(SPARE_STREAMS)).unwrap_or(quinn::VarInt::MAX)
    }

    /// The limits of QUIC for a new connection.
    pub(crate) fn transport(
        &self,
        idle_timeout: Duration,
        keep_alive: Option<Duration>,
    ) -> Result<quinn::TransportConfig, ConfigError> {
        let refuse = |setting, value: String, rule| {
            Err(ConfigError {
                setting,
                value,
                rule,
            })
        };
        let Ok(idle) = quinn::IdleTimeout::try_from(idle_timeout) else {
            return refuse(
                "idle_timeout",
                format!("{idle_timeout:?}"),
                "must be below 2^62 ms",
            );
        };
        if idle_timeout < Duration::from_millis(1) {
            return refuse(
                "idle_timeout",
                format!("{idle_timeout:?}"),
                "must be at least 1 ms",
            );
        }
        if let Some(interval) = keep_alive
            && (interval.is_zero() || interval >= idle_timeout)
        {
            let rule = "must be above zero and below idle_timeout";
            return refuse("keep_alive", format!("{interval:?}"), rule);
        }
        if self.stream_window < 1200 {
            let rule = "must hold one packet (1200 bytes)";
            return refuse("stream_window", self.stream_window.to_string(), rule);
        }
        if self.send_window < 1200 {
            let rule = "must hold one packet (1200 bytes)";
            return refuse("send_window", self.send_window.to_string(), rule);
        }
        if self.max_streams == 0 {
            return refuse("max_streams", "0".into(), "a session needs streams");
        }
        let mut transport = quinn::TransportConfig::default();
        meter::install(&mut transport);
        transport
            .max_idle_timeout(Some(idle))
            .keep_alive_interval(keep_alive)
            .max_concurrent_bidi_streams(self.streams(0))
            .max_concurrent_uni_streams(self.streams(0))
            .stream_receive_window(self.stream_window.into())
            .receive_window(quinn::VarInt::MAX)
            .send_window(self.send_window)
            .datagram_receive_buffer_size(Some(self.datagram_buffer.max(1200)));
        Ok(transport)
    }
}

/// Whether the tokens can be presented.
pub(crate) fn check_access_tokens(tokens: &[Bytes]) -> Result<(), ConfigError> {
    let longest = tokens.iter().map(Bytes::len).max().unwrap_or_default();
    let all: usize = tokens.iter().map(|token| token.len() + 2).sum();
    let broken = [
        (
            tokens.len(),
            AccessTokens::MAX_COUNT,
            "there are at most 4 tokens",
        ),
        (
            longest,
            AccessTokens::MAX_TOKEN,
            "a token has at most 4096 bytes",
        ),
        (
            all,
            AccessTokens::MAX_LEN - 1,
            "all tokens together have at most 6 KiB",
        ),
    ];
    let broken = broken.into_iter().find(|(got, limit, _)| got > limit);
    broken.map_or(Ok(()), |(got, _, rule)| {
        Err(ConfigError {
            setting: "access_tokens",
            value: got.to_string(),
            rule,
        })
    })
}

/// How many times its allowance a multiplexed session's streams may be before the session is closed: see
/// [`Limits::max_streams`]. Rejecting a stream that has arrived whole would not do, because its opener has seen it arrive.
pub(crate) const MULTIPLEXED_SLACK: u64 = 8;
/// The control stream, announcements, and a few that are only there to be ignored.
const SPARE_STREAMS: u64 = 4;
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_setting_that_cannot_work() {
        let fault = |change: fn(&mut Limits), idle, keep_alive| {
            let mut limits = Limits::default();
            change(&mut limits);
            limits
                .transport(idle, keep_alive)
                .map_or_else(|error| error.setting, |_| "")
        };
        let second = Duration::from_secs(1);
        assert_eq!(fault(|_| (), IDLE_TIMEOUT, None), "");
        assert_eq!(fault(|_| (), Duration::ZERO, None), "idle_timeout");
        assert_eq!(fault(|_| (), Duration::MAX, None), "idle_timeout");
        assert_eq!(fault(|_| (), second, Some(second)), "keep_alive");
        assert_eq!(
            fault(|limits| limits.stream_window = 0, second, None),
            "stream_window"
        );
        assert_eq!(
            fault(|limits| limits.send_window = 0, second, None),
            "send_window"
        );
        assert_eq!(
            fault(|limits| limits.max_streams = 0, second, None),
            "max_streams"
        );
    }
}
