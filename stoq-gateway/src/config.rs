//! What an operator may choose, and every default with its reason.
//!
//! # Memory
//!
//! What one session can make the gateway hold, when neither end reads:
//!
//! ```text
//! 2 × max_streams × stream_window             from the browser, not yet read by the relay
//! + 3 × max_streams × upstream_stream_window  from the target, not yet read by the relay
//! + 6 × max_streams × 64 KiB                  in the relay's hands
//! + send_window                               to the browser, not yet acknowledged
//! + 4 × 128 KiB                               datagrams, in and out on both sides
//! ```
//!
//! Two, for the bidirectional and the unidirectional streams that a browser opens; three, because streams of a target carry
//! data to a browser in both kinds, and so do bidirectional ones of the browser; six, because as many go the other way. With
//! the defaults that is 204 MiB, and takes 320 streams that are all stuck; a stream that flows holds little, and a session
//! without streams about 50 KiB. What waits to be sent to a target is bounded by what the target lets its peers send.
//!
//! There is no window for a session as a whole. QUIC has one, for a connection, and it would do harm: a service that reads
//! one upload after the other would never get to the end of the first, because the others, which wait, hold all the credit.

mod access;
mod authority;
mod check;
mod error;
mod file;
mod hops;
mod signer;
mod units;
mod values;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stoq_core::service::ServiceName;
use stoq_native::{FalconId, PqPolicy, Target};

pub use access::{Access, Wants};
pub(crate) use authority::canonical;
pub use error::ConfigError;
pub use hops::{Hops, Relay};
pub use signer::Signer;

/// Everything that a [`Gateway`](crate::Gateway) is told. What has no safe default is an argument of [`new`](Self::new).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// UDP address that browsers connect to. `[::]` takes IPv4 too, unless [`ipv6_only`](Self::ipv6_only). Port 0 takes
    /// any free one.
    pub listen: SocketAddr,
    /// With an IPv6 address to listen on: refuse IPv4. Default `false`.
    pub ipv6_only: bool,
    /// `host:port` that browsers use, where it is not the address listened on (a name, a port mapped elsewhere); it stands
    /// in `/stoq.json`, and in lower case and with its port (443 if it is left out) in the endpoint record. Default: the
    /// address listened on; where that is "any", 127.0.0.1, or `[::1]` if [`ipv6_only`](Self::ipv6_only).
    pub authority: Option<String>,
    /// Who the gateway is, to TLS.
    pub certificate: Certificate,
    /// Who the gateway is: to pages that pin its [`FalconId`], because it signs its
    /// [endpoint record](stoq_core::endpoint_record::EndpointRecord), and to services that ask their clients. Default:
    /// nobody, and then there is no record.
    pub identity: Option<Signer>,
    /// Whose access tokens the gateway takes, for routes that [want](Route::wants) one. Default: none. Tokens are for the
    /// gateway's [`identity`](Self::identity), so there must be one.
    pub access: Option<Access>,
    /// Which services there are, and where. A service stands once.
    pub routes: Vec<Route>,
    /// What the gateway is among relays. With an [`identity`](Self::identity) it stands in the chain of relays that travels with
    /// each request. Default: pages may not name routes.
    pub hops: Hops,
    /// A relay between native peers beside it, which needs an [`identity`](Self::identity). Default: none.
    pub relay: Option<Relay>,
    /// Pages that may connect. Default: none, because any page on the web can try. The page that the gateway itself
    /// serves ([`http`](Self::http)) may always.
    pub origins: Origins,
    /// Refuse clients that send no `Origin`, with HTTP 403. Default `false`: browsers always send one, and what is not a
    /// browser can send any, so this keeps nobody out who means harm.
    pub require_origin: bool,
    /// A page and `/stoq.json` over plain HTTP. Default: none.
    pub http: Option<Http>,
    /// Bounds on what clients can make the gateway hold.
    pub limits: Limits,
    /// How long things may take.
    pub timing: Timing,
}

impl Config {
    /// Settings for a gateway at `listen` with this certificate and these routes; all else as documented at each field.
    pub fn new(listen: SocketAddr, certificate: Certificate, routes: Vec<Route>) -> Self {
        Self {
            listen,
            ipv6_only: false,
            authority: None,
            certificate,
            identity: None,
            access: None,
            routes,
            hops: Hops::default(),
            relay: None,
            origins: Origins::default(),
            require_origin: false,
            http: None,
            limits: Limits::default(),
            timing: Timing::default(),
        }
    }

    /// Reads a TOML file; `gateway.example.toml` in this crate shows every setting. Paths in it are relative to the file.
    ///
    /// # Errors
    /// [`ConfigError`], with the setting and the value found.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::File {
            path: path.into(),
            error,
        })?;
        Self::from_toml(&text, path.parent().unwrap_or_else(|| Path::new("")))
    }

    /// Reads the text of a TOML file. Paths in it are relative to `directory`.
    ///
    /// # Errors
    /// [`ConfigError`], with the setting and the value found.
    pub fn from_toml(text: &str, directory: &Path) -> Result<Self, ConfigError> {
        file::parse(text, directory)
    }
}

/// Who the gateway is to browsers.
///
/// A new certificate is for new connections. Sessions that run keep theirs, and end for other reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// For development, and for pages that pin the gateway's [`identity`](Config::identity): a fresh P-256 key, and a
    /// certificate for these names that lasts 13 days (browsers refuse more than 14 in a certificate that they trust by its
    /// hash). Another takes its place every [`certificate_renewal`](Timing::certificate_renewal); `/stoq.json` and the
    /// endpoint record name the current one first.
    SelfSigned {
        /// DNS names and IP addresses.
        names: Vec<String>,
    },
    /// A chain (the gateway's own certificate first) and its private key, in PEM files. They are read again when they
    /// change, which is looked for once a minute: often enough for what lasts for weeks, and two small files are read in
    /// no time, from whatever file system. What cannot be used is logged, and the old certificate stays.
    ///
    /// The endpoint record lists the certificate whatever its validity, because it says what is served. But browsers take
    /// a certificate by its hash only if it is valid for 14 days at most and its key is P-256. So a page that pins the
    /// gateway's identity cannot connect to one that is valid for longer; that it does not go back to the certificate
    /// authorities is what its pin is for. The gateway logs a warning. Take short-lived certificates, or
    /// [`SelfSigned`](Self::SelfSigned), where pages pin.
    Pem {
        /// File of the chain.
        chain: PathBuf,
        /// File of the key.
        key: PathBuf,
    },
}

/// One service and the native peer that runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The name in the browser's path, `/stoq/v1/<service>`. The target knows the service by the same name, because both
    /// ends of a session hash it.
    pub service: ServiceName,
    /// Where. Its service is this one, or none.
    pub upstream: Target,
    /// Whom to believe there, and against whom that helps.
    pub policy: PqPolicy,
    /// What a browser must show to get there. Default: nothing. Tokens for others than the gateway are passed on to the target in
    /// any case, which may want one of its own.
    pub wants: Wants,
    /// Relays to pass behind `upstream`, which is the first one then and must be believed for its FALCON identity
    /// ([`PqPolicy::Require`]). The last one knows the target. Default: none, `upstream` is the target.
    pub via: Vec<FalconId>,
    /// Browser sessions on one upstream connection; one more opens another connection. Default 32. More means fewer
    /// handshakes, but more sessions that share one congestion window and are lost together with the connection.
    pub sessions_per_connection: NonZeroU32,
}

impl Route {
    /// A route with the default number of sessions on a connection.
    pub fn new(service: ServiceName, upstream: Target, policy: impl Into<PqPolicy>) -> Self {
        Self {
            service,
            upstream,
            policy: policy.into(),
            wants: Wants::default(),
            via: Vec::new(),
            sessions_per_connection: const { NonZeroU32::new(32).expect("not zero") },
        }
    }
}

/// Which pages may open sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Pages of every origin. Right only for services that anybody may use without a password or cookie.
    Any,
    /// Pages of these origins, as browsers write them: `https://example.org`, `http://127.0.0.1:8080`.
    These(Vec<String>),
}

impl Default for Origins {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

/// The page that goes with the gateway, and where it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// TCP address. Browsers grant WebTransport to pages from `127.0.0.1` and `localhost` only, unless they come over HTTPS.
    pub listen: SocketAddr,
    /// Folder of static files. `None` serves `/stoq.json` alone.
    pub root: Option<PathBuf>,
}

/// Bounds on what clients can make the gateway hold. See the [module](self) for the sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Browser sessions at once; one more is refused. Default 1024. An idle one costs about 50 KiB.
    pub max_sessions: NonZeroU32,
    /// QUIC handshakes and session requests at once; beyond half of them, addresses must first prove themselves with a
    /// Retry, beyond all of them new ones are refused. Default 128: each costs a signature, 128 of them some 10 ms.
    pub max_handshakes: NonZeroU32,
    /// Streams open at once in a session, of each kind, from each side. Default 64.
    pub max_streams: NonZeroU32,
    /// Bytes of one stream that a browser may have under way. Default 1 MiB: 84 Mbit/s at a round trip of 100 ms.
    pub stream_window: NonZeroU32,
    /// Bytes to a browser that are not acknowledged yet. Default 4 MiB.
    pub send_window: NonZeroU32,
    /// Bytes of one stream that a target may have under way. Default 256 KiB: 2 Gbit/s at a round trip of 1 ms, 200 Mbit/s at
    /// 10 ms. Smaller than `stream_window` because targets are near, and because anybody may ask for much and read nothing.
    pub upstream_stream_window: NonZeroU32,
    /// HTTP connections at once; one more waits until another ends. Default 256: in each, 128 KiB may wait to be sent, and the
    /// system counts about twice that. One that sends no request, or takes nothing of an answer, for 30 s is ended.
    pub max_http_connections: NonZeroU32,
    /// HTTP connections at once from one IPv4 address, or one /64 network of IPv6; one more is closed. Default 64: a quarter
    /// of all, so that one address cannot take every place, and enough for ten browsers, with six each, behind one address.
    /// A proxy in front of the gateway is one address: then as many as
    /// [`max_http_connections`](Self::max_http_connections) are right, and the proxy has to be fair.
    pub max_http_connections_per_address: NonZeroU32,
}

impl Default for Limits {
    fn default() -> Self {
        const fn number(value: u32) -> NonZeroU32 {
            NonZeroU32::new(value).expect("not zero")
        }
        const MIB: u32 = 1024 * 1024;
        Self {
            max_sessions: number(1024),
            max_handshakes: number(128),
            max_streams: number(64),
            stream_window: number(MIB),
            send_window: number(4 * MIB),
            upstream_stream_window: number(MIB / 4),
            max_http_connections: number(256),
            max_http_connections_per_address: number(64),
        }
    }
}

/// How long things may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From a browser's first packet to its session request, and from there to its SETTINGS. Default 10 s: three lost
    /// flights. Longer lets strangers hold [`Limits::max_handshakes`] for longer.
    pub handshake: Duration,
    /// Silence after which a browser counts as gone. Default 30 s, as browsers have it.
    pub idle: Duration,
    /// How often a silent session is kept alive, on both sides. Default 3 s, so that three in a row may be lost before a
    /// target counts as gone; each costs a packet.
    pub keep_alive: Duration,
    /// How long connecting to a target may take, and then its answer; twice that for an answer that comes through relays, each
    /// of which may have to connect. Default 5 s: a page waits for this.
    pub upstream_connect: Duration,
    /// Silence after which a target counts as gone, and its sessions end. Default 10 s: pages learn of a dead target before
    /// their users give up. Shorter takes a slow path for a dead one.
    pub upstream_idle: Duration,
    /// How often a browser is told what the path to it is like (STATS), while something is going on. Default 1 s; costs a
    /// packet each time.
    pub stats: Duration,
    /// When the service is told to stop: how long running sessions may go on. Default 10 s.
    pub grace: Duration,
    /// How long a certificate that the gateway makes itself is given to browsers before another takes its place, from 1 s to
    /// 12 days. Default 24 h: a key serves the gateway for a day, and pages that read `/stoq.json` or the endpoint record
    /// just before a change meet it once a day. It does not make a stolen key worthless: every certificate stays listed
    /// until it ends, so that pages which know it go on, and a key that was stolen can pose as the gateway for up to 13 days.
    /// A restart withdraws it: the gateway then lists one new certificate and no others. Shorter than 10 h, and certificates
    /// that have not ended yet leave the endpoint record, which has room for 32.
    pub certificate_renewal: Duration,
    /// How long an endpoint record holds, from 1 s to 12 days. It is signed again when a third of that is over. Default 24 h:
    /// as long a record can be shown to a page that never saw a later one. Shorter gives a signer that fails less time to
    /// come back before pages are turned away.
    pub record_life: Duration,
}

impl Timing {
    /// How long an answer may take, connecting included.
    pub(crate) fn upstream_answer(&self) -> Duration {
        2 * self.upstream_connect
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            keep_alive: Duration::from_secs(3),
            upstream_connect: Duration::from_secs(5),
            upstream_idle: Duration::from_secs(10),
            stats: Duration::from_secs(1),
            grace: Duration::from_secs(10),
            certificate_renewal: Duration::from_secs(24 * 3600),
            record_life: Duration::from_secs(24 * 3600),
        }
    }
}

/// A certificate of 13 days is replaced with most of a day left, so that one attempt may fail.
const MAX_RENEWAL: Duration = Duration::from_secs(12 * 24 * 3600);
