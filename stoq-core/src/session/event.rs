use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::{ForeignAuth, Holder};
use crate::access::TokenHash;
use crate::close::Code;
use crate::frame::Stats;
use crate::hash::SessionHash;
use crate::hops::HopChain;
use crate::identity::FalconId;
use crate::service::ServiceName;
use crate::session_id::SessionId;
use crate::stream::{Payload, StreamHeader};

/// What happened on the carrier.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// Bytes of the peer's control stream, after its stream type, in order.
    Control(&'a [u8]),
    /// The peer's control stream was finished or reset.
    ControlClosed,
    /// The peer opened a stream and its header has been read. `stream` is any key that the driver likes;
    /// the outputs name the stream by it. A control stream is passed in too (a second one is an error);
    /// when that returns `Ok`, the driver goes on to feed its bytes as [`Input::Control`].
    Stream {
        /// The driver's key for the stream.
        stream: u64,
        /// What the stream says of itself.
        header: StreamHeader,
    },
    /// A stream that this session still holds (no output has named it yet) is gone.
    StreamGone(u64),
    /// A datagram of the carrier.
    Datagram(Bytes),
    /// The time that the last call returned has come.
    Tick,
}

/// What the driver must do, or what its user must know, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Append these bytes to our control stream. The first such bytes begin with the stream type.
    Send(Bytes),
    /// A server: the peer asks for a session. Answer with [`accept`](super::Session::accept) or
    /// [`refuse`](super::Session::refuse).
    Requested(IncomingRequest),
    /// The session may be used now.
    Opened {
        /// Which session.
        id: SessionId,
        /// What both ends share and everything signed covers.
        hash: SessionHash,
        /// The target's random bytes, which a relay passes on in its own answer.
        random: [u8; 32],
        /// Largest datagram payload that the far end takes, in bytes.
        max_datagram_size: u32,
        /// Streams that the peer lets us have open at once in this session, of each kind.
        max_streams: u32,
        /// The relays that the request had passed, as the target saw them.
        hops: Option<HopChain>,
    },
    /// A client: show that it is the holder of this token, by [`prove`](super::Session::prove) with a signature over
    /// [`proof_message`](crate::access::proof_message). Who cannot closes the session.
    Prove {
        /// Which session.
        id: SessionId,
        /// Its hash.
        hash: SessionHash,
        /// The token.
        token: TokenHash,
    },
    /// A server: nobody has shown to be the holder of the token that let the session in. The client has been told, and the
    /// session is gone; [`CloseCarrier`](Self::CloseCarrier) follows for session 0.
    Unproven {
        /// Which session.
        id: SessionId,
        /// Why, for programs.
        code: Code,
        /// Why, for people.
        reason: String,
    },
    /// A proof, or the confirmation of one, that is not for this end: a relay passes it on with
    /// [`send_auth`](super::Session::send_auth) of its other side. Not more than
    /// [`AccessTokens::MAX_COUNT`](crate::frame::AccessTokens::MAX_COUNT) come in a session.
    Auth {
        /// Which session.
        id: SessionId,
        /// What to pass on.
        auth: ForeignAuth,
    },
    /// The peer refused the session; it is gone. For session 0, end the carrier with the same code.
    Refused {
        /// Which session.
        id: SessionId,
        /// Why, for programs.
        code: Code,
        /// Why, for people.
        reason: String,
    },
    /// The peer closed the session; it is gone. For session 0, end the carrier with the same code.
    Closed {
        /// Which session.
        id: SessionId,
        /// Why, for programs.
        code: Code,
        /// Why, for people.
        reason: String,
    },
    /// Hand the stream to its session.
    Stream {
        /// The driver's key for the stream.
        stream: u64,
        /// The session it belongs to.
        session: SessionId,
        /// What it carries.
        payload: Payload,
    },
    /// Stop reading the stream, and reset our side of it, with this code.
    RejectStream {
        /// The driver's key for the stream.
        stream: u64,
        /// Why.
        code: Code,
    },
    /// A stream of a type that we do not know: read it and throw the bytes away.
    DiscardStream {
        /// The driver's key for the stream.
        stream: u64,
    },
    /// Hand the datagram to its session.
    Datagram {
        /// The session it belongs to.
        session: SessionId,
        /// What [`Content::decode`](crate::datagram::Content::decode) reads.
        content: Bytes,
    },
    /// The answer to a [`ping`](super::Session::ping).
    Pong {
        /// Which ping.
        id: PingId,
        /// From sending to answer.
        rtt: Duration,
    },
    /// The peer takes no new sessions and will close after `grace`.
    GoAway {
        /// The last session that it will still serve.
        last: SessionId,
        /// Why.
        code: Code,
        /// How long running sessions have.
        grace: Duration,
        /// Where to go instead (`host:port`), if it says so.
        authority: Option<String>,
    },
    /// What the peer's end of the path measures.
    Stats(Stats),
    /// Our own close is complete: end the carrier.
    CloseCarrier {
        /// The code that we closed with.
        code: Code,
        /// The reason that we gave.
        reason: String,
    },
}

/// A session that a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingRequest {
    /// Which session.
    pub id: SessionId,
    /// The service asked for; only session 0 may ask for none.
    pub service: Option<ServiceName>,
    /// The random bytes of the client at the far end.
    pub random: [u8; 32],
    /// The authority that the client wanted to reach, `host:port`, or empty.
    pub authority: String,
    /// Names and values that the client sent along.
    pub headers: Vec<(String, String)>,
    /// What the client shows to be let in. Nobody has looked at it yet.
    pub access_tokens: Vec<Bytes>,
    /// The relays that the request has still to pass: who is asked with a route is asked as a relay.
    pub route: Vec<FalconId>,
    /// The relays that it has passed.
    pub hops: Option<HopChain>,
}

/// A session to ask a server for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The service asked for.
    pub service: ServiceName,
    /// The random bytes of the client at the far end: fresh ones, or, at a relay, those that came in.
    pub random: [u8; 32],
    /// The authority that the client wanted to reach, `host:port`, or empty.
    pub authority: String,
    /// Names and values to send along.
    pub headers: Vec<(String, String)>,
    /// What to show to be let in, in the bounds of [`AccessTokens`](crate::frame::AccessTokens).
    pub access_tokens: Vec<Bytes>,
    /// Those of the tokens whose holder this end is: [`Output::Prove`] asks for the proof of each, and the session opens when all
    /// have been confirmed. None at a relay, which passes proofs on. Hashes of the tokens' bytes.
    pub holders: Vec<TokenHash>,
    /// The relays to pass behind this server, at most [`Route::MAX_COUNT`](crate::frame::Route::MAX_COUNT).
    pub route: Vec<FalconId>,
    /// A relay: the chain that came in, with itself at the end.
    pub hops: Option<HopChain>,
}

/// How a server answers a session that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The target's random bytes: fresh ones, or, at a relay, those of the target's own answer.
    pub random: [u8; 32],
    /// Largest datagram payload that the path to the target takes, in bytes.
    pub max_datagram_size: u32,
    /// The relays that the request had passed: a target gives the chain that came in, a relay that of the target's answer.
    pub hops: Option<HopChain>,
    /// Who must show that it is the holder of the token that let the session in, before it opens at this end.
    pub holder: Option<Holder>,
    /// This end is a relay: proofs for other tokens come out as [`Output::Auth`], to be passed on. A target confirms them.
    pub relays_proofs: bool,
}

impl Request {
    /// A request that brings nothing along.
    pub fn new(service: ServiceName, random: [u8; 32]) -> Self {
        Self {
            service,
            random,
            authority: String::new(),
            headers: Vec::new(),
            access_tokens: Vec::new(),
            holders: Vec::new(),
            route: Vec::new(),
            hops: None,
        }
    }
}

impl Answer {
    /// The answer to a request that came without relays.
    pub fn new(random: [u8; 32], max_datagram_size: u32) -> Self {
        Self {
            random,
            max_datagram_size,
            hops: None,
            holder: None,
            relays_proofs: false,
        }
    }
}

/// Names one ping of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PingId(pub(super) u64);
