//! What a caller may choose, and every default with its reason.

use core::num::NonZeroU16;
use core::time::Duration;

use bytes::Bytes;
use stoq_core::frame::AccessTokens;

use crate::{AccessRules, ClientPolicy, HolderKeys, Identity, PqPolicy, ResetKey, TransportConfig};

/// How a client endpoint works.
///
/// ```
/// use std::time::Duration;
/// use stoq_native::{ClientConfig, Pins, PqPolicy, Trust};
///
/// // What has no safe default is an argument. A `Trust` alone stands for `PqPolicy::Prefer`.
/// let mut config = ClientConfig::new(PqPolicy::Prefer(Trust::SystemRoots));
/// config.transport.idle_timeout = Duration::from_secs(20); // the rest have defaults
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
    /// How long a connection may take to come about, names, handshake and the server's answer included.
    /// Default 10 s: three lost handshake flights, and no longer than a user waits.
    pub connect_timeout: Duration,
    /// Take the peer's framed streams, which carry STOQ's frames instead of the application's own bytes. Default `false`:
    /// they are rejected with [`Code::UNSUPPORTED`](crate::Code::UNSUPPORTED), so that nothing waits for somebody who never
    /// accepts it. Verified streams, announcements and relays need it.
    pub framed_streams: bool,
    /// Keep what servers give to resume a session: four tickets for each server, 2 KiB each. Default `true`: the next handshake
    /// with the server needs no signature, and [`connect_early`](crate::Endpoint::connect_early) can send data at once. A server
    /// can tell by a ticket who comes back, though from another address: `false` leaves no such trace, and each handshake is a
    /// full one.
    pub resume: bool,
    /// How connections work.
    pub transport: TransportConfig,
}

impl ClientConfig {
    /// Defaults, with this policy.
    pub fn new(policy: impl Into<PqPolicy>) -> Self {
        Self {
            policy: policy.into(),
            identity: None,
            access_tokens: Vec::new(),
            holders: HolderKeys::new(),
            connect_timeout: Duration::from_secs(10),
            framed_streams: false,
            resume: true,
            transport: TransportConfig::default(),
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
    /// Session requests that wait for [`Endpoint::accept`](crate::Endpoint::accept); more are refused with
    /// [`Code::LIMIT`](crate::Code::LIMIT). Default 1024: a burst of reconnecting clients.
    pub max_waiting: usize,
    /// Connections at once; the handshake of one more is refused (CONNECTION_REFUSED, [RFC 9000, section 20.1]). Default
    /// 16,384. An idle one costs some 20 KiB; what an active one may cost stands at
    /// [`Limits`](crate::Limits).
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
    /// Sockets on the port, each with a thread that drives the connections on it. Default 1: no thread, and the runtime that the
    /// endpoint is made in drives them. More (Linux only; elsewhere it is 1): a connection stays on its thread, also when the
    /// client's address changes, and new ones spread evenly. Sessions, streams and datagrams are used from any runtime, best from the [connection's](crate::Connection::runtime). Each costs a thread,
    /// 2 to 4 MiB of receive buffer, by `mtu`, and the [socket's][SocketConfig] own; as many as cores are of use. While it is more than 1, other
    /// processes of the same user could open sockets on the port (`SO_REUSEPORT`).
    ///
    /// [SocketConfig]: crate::SocketConfig
    pub workers: NonZeroU16,
    /// What stateless resets are made with ([RFC 9000, section 10.3]). Default `None`: a fresh key. With the key of before a
    /// restart, the server can tell clients that their connections are gone, which otherwise wait for their idle time-out: each
    /// as soon as it sends something, and up to 1,000 a second for each worker. Who is not told is told on a later packet.
    ///
    /// [RFC 9000, section 10.3]: https://www.rfc-editor.org/rfc/rfc9000#section-10.3
    pub reset_key: Option<ResetKey>,
    /// How connections work.
    pub transport: TransportConfig,
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
            handshake_timeout: Duration::from_secs(10),
            max_waiting: 1024,
            max_connections: 16_384,
            framed_streams: false,
            relay: false,
            workers: NonZeroU16::MIN,
            reset_key: None,
            transport: TransportConfig::default(),
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
