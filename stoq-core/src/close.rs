//! Close, reset, stop and refusal codes: one table, the same in Rust, JavaScript and the gateway.

use core::fmt;

/// Why something ended: a session, a stream, a request. A `u32` on every carrier.
///
/// [`NO_ERROR`](Self::NO_ERROR) is 0 and STOQ's own codes stand from `0x5354_0001` ("ST" and a number).
/// Every other value belongs to the application and passes through unchanged.
///
/// | carrier | on the wire |
/// |---|---|
/// | in band (CLOSE_SESSION, HEADERS, GOAWAY) | u32, big-endian |
/// | QUIC stream reset and stop, connection close | the number itself; [`from_quic`](Self::from_quic) |
/// | WebTransport stream reset and stop | mapped; [`to_http3`](Self::to_http3), [`from_http3`](Self::from_http3) |
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u32);

impl Code {
    /// The code with this number.
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// The number.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// The code of a QUIC application error; [`UNMAPPED`](Self::UNMAPPED) if it is above 32 bits.
    pub const fn from_quic(code: u64) -> Self {
        if code > u32::MAX as u64 {
            Self::UNMAPPED
        } else {
            Self(code as u32)
        }
    }

    /// The number that stands for this code where a page resets or stops a WebTransport stream: the code itself, except that
    /// STOQ's own (64 numbers from `0x5354_0000`) and 192 to 255 change places.
    ///
    /// Chromium 148 and Firefox 140 let a page send 8 bits, and silently send another number for what has more. In these
    /// places the codes with a name get through.
    pub const fn to_webtransport(self) -> u32 {
        if self.0 & !LOW == STOQ_FIRST {
            WEBTRANSPORT_FIRST | self.0 & LOW
        } else if self.0 & !LOW == WEBTRANSPORT_FIRST {
            STOQ_FIRST | self.0 & LOW
        } else {
            self.0
        }
    }

    /// The inverse of [`to_webtransport`](Self::to_webtransport).
    pub const fn from_webtransport(code: u32) -> Self {
        Self(Self(code).to_webtransport())
    }

    /// Where [`to_webtransport`](Self::to_webtransport) stands in HTTP/3's space ([WebTransport over HTTP/3], "Resetting
    /// Data Streams").
    ///
    /// Every 31st number of that space (`0x1f * N + 0x21`) is reserved to exercise ignorance of unknown codes; the
    /// mapping steps over them.
    ///
    /// [WebTransport over HTTP/3]: https://datatracker.ietf.org/doc/html/draft-ietf-webtrans-http3-13#section-4.4
    pub const fn to_http3(self) -> u64 {
        let code = self.to_webtransport() as u64;
        HTTP3_FIRST + code + code / 0x1e
    }

    /// The inverse of [`to_http3`](Self::to_http3).
    ///
    /// [`UNMAPPED`](Self::UNMAPPED) for what it never makes: HTTP/3's own codes, and the reserved numbers within the range.
    pub const fn from_http3(code: u64) -> Self {
        if code < HTTP3_FIRST || code > HTTP3_LAST || (code - 0x21).is_multiple_of(0x1f) {
            return Self::UNMAPPED;
        }
        let shifted = code - HTTP3_FIRST;
        Self::from_webtransport((shifted - shifted / 0x1f) as u32)
    }
}

/// Writes the constants, [`Code::ALL`] and [`Code::name`] from one table, so that they cannot disagree.
macro_rules! table {
    ($($(#[$doc:meta])* $constant:ident = $value:literal, $name:literal;)*) => {
        impl Code {
            $($(#[$doc])* pub const $constant: Self = Self($value);)*

            /// Every code that has a name, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$constant),*];

            /// The name, in kebab case, the same in every language; `None` for a code of the application.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$constant => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

table! {
    /// All is well: the session or stream is no longer needed.
    NO_ERROR = 0, "no-error";
    /// A fault of this side.
    INTERNAL = 0x5354_0001, "internal-error";
    /// The peer broke a rule of the protocol that has no code of its own.
    PROTOCOL = 0x5354_0002, "protocol-violation";
    /// A frame or stream header cannot be read.
    FRAME = 0x5354_0003, "malformed-frame";
    /// A frame is longer than its type allows.
    FRAME_TOO_LARGE = 0x5354_0004, "frame-too-large";
    /// The control stream ended before the session did.
    CONTROL_CLOSED = 0x5354_0005, "control-stream-closed";
    /// SETTINGS are absent, repeated, or ask for what cannot be.
    SETTINGS = 0x5354_0006, "settings-error";
    /// The peers share no version of STOQ.
    VERSION = 0x5354_0007, "version-mismatch";
    /// The target does not serve the service that was asked for.
    UNKNOWN_SERVICE = 0x5354_0008, "unknown-service";
    /// The path is not `/stoq/v1/<service>`.
    UNKNOWN_PATH = 0x5354_0009, "unknown-path";
    /// The page's origin is not allowed.
    ORIGIN_REFUSED = 0x5354_000a, "origin-refused";
    /// The gateway cannot reach the target.
    UPSTREAM_UNREACHABLE = 0x5354_000b, "upstream-unreachable";
    /// The gateway lost the target.
    UPSTREAM_LOST = 0x5354_000c, "upstream-lost";
    /// The peer is shutting down.
    GOING_AWAY = 0x5354_000d, "going-away";
    /// An answer did not come in time.
    TIMEOUT = 0x5354_000e, "timeout";
    /// A limit on number, size or memory was reached.
    LIMIT = 0x5354_000f, "limit-exceeded";
    /// A stream waited too long for its session to be opened.
    HELD_TOO_LONG = 0x5354_0010, "held-too-long";
    /// The carrier gave a code that is none of STOQ's.
    UNMAPPED = 0x5354_0011, "unmapped-code";
    /// A stream or datagram names a session that does not exist.
    UNKNOWN_SESSION = 0x5354_0012, "unknown-session";
    /// Control frames came faster than the bound.
    CONTROL_FLOOD = 0x5354_0013, "control-flood";
    /// The caller gave up.
    CANCELLED = 0x5354_0014, "cancelled";
    /// The session of this stream was closed.
    SESSION_CLOSED = 0x5354_0015, "session-closed";
    /// The secure connection could not be set up.
    HANDSHAKE = 0x5354_0016, "handshake-failed";
    /// The path to the peer went away.
    CONNECTION_LOST = 0x5354_0017, "connection-lost";
    /// The caller gave a value that cannot be used.
    INVALID_ARGUMENT = 0x5354_0018, "invalid-argument";
    /// The platform lacks what this needs.
    UNSUPPORTED = 0x5354_0019, "unsupported";
    /// A datagram is larger than the path carries.
    DATAGRAM_TOO_LARGE = 0x5354_001a, "datagram-too-large";
    /// The target does not want this session.
    REFUSED = 0x5354_001b, "session-refused";
    /// The peer is not one that is trusted, or did not prove who it is.
    UNTRUSTED = 0x5354_001c, "untrusted-identity";
    /// The peer's identity was trusted when the connection came about, and is no longer.
    REVOKED = 0x5354_001d, "identity-revoked";
    /// The gateway's endpoint record does not say what it must.
    ENDPOINT_RECORD = 0x5354_001e, "endpoint-record-refused";
    /// The server did not take what was sent as early data: send it again.
    EARLY_DATA_REJECTED = 0x5354_001f, "early-data-rejected";
    /// The access token cannot be read.
    TOKEN_MALFORMED = 0x5354_0020, "access-token-malformed";
    /// The access token's signature does not hold.
    TOKEN_FORGED = 0x5354_0021, "access-token-forged";
    /// The access token's issuer is none that is trusted here.
    TOKEN_ISSUER = 0x5354_0022, "access-token-untrusted-issuer";
    /// The access token has expired.
    TOKEN_EXPIRED = 0x5354_0023, "access-token-expired";
    /// The access token does not hold yet.
    TOKEN_NOT_YET_VALID = 0x5354_0024, "access-token-not-yet-valid";
    /// The access token is for another verifier.
    TOKEN_AUDIENCE = 0x5354_0025, "access-token-wrong-audience";
    /// The access token is for another service.
    TOKEN_SERVICE = 0x5354_0026, "access-token-wrong-service";
    /// The access token was revoked.
    TOKEN_REVOKED = 0x5354_0027, "access-token-revoked";
    /// The service wants an access token.
    TOKEN_REQUIRED = 0x5354_0028, "access-token-required";
    /// The access token does not permit this.
    PERMISSION = 0x5354_0029, "permission-denied";
    /// The holder of the access token did not show that it is.
    HOLDER_MISSING = 0x5354_002a, "holder-proof-missing";
    /// Another key than the access token's holder has signed.
    HOLDER_WRONG = 0x5354_002b, "holder-proof-wrong";
    /// The relay stands in the chain already.
    HOP_LOOP = 0x5354_002c, "hop-loop";
    /// The chain of relays has reached its maximum.
    TOO_MANY_HOPS = 0x5354_002d, "too-many-hops";
    /// The relay does not forward there.
    NEXT_HOP = 0x5354_002e, "next-hop-not-allowed";
    /// A channel id was used twice in a session.
    CHANNEL_REUSED = 0x5354_002f, "channel-reused";
    /// Data are not those that their token vouches for.
    BAD_TOKEN = 0x5354_0030, "bad-token";
    /// A token came twice, or too late for the window.
    REPLAYED_TOKEN = 0x5354_0031, "replayed-token";
    /// A token's time is outside what the receiver takes.
    STALE_TOKEN = 0x5354_0032, "stale-token";
    /// The signature of a run of tokens does not hold.
    BAD_SIGNATURE = 0x5354_0033, "bad-signature";
    /// A signature names tokens that did not come.
    UNSENT_RUN = 0x5354_0034, "unsent-run";
    /// The answer was signed for another request.
    WRONG_REQUEST = 0x5354_0035, "wrong-request";
    /// The stream ended without a signature of its end.
    TRUNCATED = 0x5354_0036, "truncated";
    /// Data are signed by a key that is not trusted for them.
    UNTRUSTED_ORIGIN = 0x5354_0037, "untrusted-origin";
}

impl From<u32> for Code {
    fn from(value: u32) -> Self {
        Self::new(value)
    }
}

impl From<Code> for u32 {
    fn from(code: Code) -> Self {
        code.value()
    }
}

/// The name, or `application code` and the number.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "application code {}", self.0),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({:#x}, {self})", self.0)
    }
}

/// Where STOQ's own codes begin, except [`Code::NO_ERROR`].
const STOQ_FIRST: u32 = 0x5354_0000;
/// Where they begin on WebTransport.
const WEBTRANSPORT_FIRST: u32 = 0xc0;
/// The bits that number the codes of either range.
const LOW: u32 = 0x3f;
/// Where code 0 stands in HTTP/3's space.
const HTTP3_FIRST: u64 = 0x52e4_a40f_a8db;
/// Where code 0xffff_ffff stands.
const HTTP3_LAST: u64 = Code::new(u32::MAX).to_http3();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_ends_where_the_draft_says() {
        assert_eq!(HTTP3_LAST, 0x52e5_ac98_3162);
    }

    #[test]
    fn all_is_in_order_and_each_name_stands_once() {
        assert!(Code::ALL.is_sorted_by(|a, b| a < b));
        for (at, code) in Code::ALL.iter().enumerate() {
            let name = code.name().unwrap();
            assert!(
                Code::ALL[..at]
                    .iter()
                    .all(|earlier| earlier.name() != Some(name)),
                "{name}"
            );
            let expected = if at == 0 { 0 } else { 0x5354_0000 + at as u32 };
            assert_eq!(code.value(), expected, "{name}");
        }
    }

    #[test]
    fn the_mapping_never_makes_a_reserved_number() {
        for code in (0..1000)
            .chain(STOQ_FIRST - 9..STOQ_FIRST + 99)
            .chain(u32::MAX - 1000..=u32::MAX)
        {
            let http3 = Code::new(code).to_http3();
            assert_ne!((http3 - 0x21) % 0x1f, 0, "{code}");
            assert_eq!(Code::from_http3(http3), Code::new(code));
        }
    }

    #[test]
    fn every_code_with_a_name_fits_the_eight_bits_of_browsers() {
        assert_eq!(Code::CANCELLED.to_webtransport(), 0xd4);
        for &code in Code::ALL {
            assert!(code.to_webtransport() <= 0xff, "{code}");
            assert_eq!(Code::from_webtransport(code.to_webtransport()), code);
        }
        for (code, moved) in [
            (0, 0),
            (191, 191),
            (192, 0x5354_0000),
            (255, 0x5354_003f),
            (256, 256),
            (u32::MAX, u32::MAX),
        ] {
            assert_eq!(Code::new(code).to_webtransport(), moved);
            assert_eq!(Code::from_webtransport(moved), Code::new(code));
        }
    }

    #[test]
    fn what_the_mapping_never_makes_is_unmapped() {
        // HTTP/3's H3_REQUEST_CANCELLED, both neighbours of the range, and a reserved number inside it.
        for http3 in [
            0x10c,
            HTTP3_FIRST - 1,
            HTTP3_LAST + 1,
            HTTP3_FIRST + 0x1e,
            u64::MAX,
            0,
        ] {
            assert_eq!(Code::from_http3(http3), Code::UNMAPPED, "{http3:#x}");
        }
        assert_eq!(Code::from_quic(1 << 32), Code::UNMAPPED);
    }
}
