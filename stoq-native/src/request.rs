//! Asking for a session, and being asked.

use core::fmt;
use core::mem;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use stoq_core::access::Access;
use stoq_core::close::Code;
use stoq_core::hops::{HopChain, PassedHop};
use stoq_core::identity::FalconId;
use stoq_core::service::ServiceName;
use stoq_core::session::{Answer, IncomingRequest};
use stoq_core::session_id::SessionId;
use tokio::sync::oneshot;

use crate::access::{AccessRules, HolderKeys};
use crate::closed::{Closed, Ending};
use crate::connection::Connection;
use crate::driver::Command;
use crate::falcon::SignError;
use crate::session::Session;

/// What a client asks of a server for a multiplexed session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The service.
    pub service: ServiceName,
    /// 32 random bytes of the client at the far end: a relay passes on those that came in.
    pub random: [u8; 32],
    /// The authority that the client wanted to reach, `host:port`; may be empty.
    pub authority: String,
    /// Names and values for the server to read.
    pub headers: Vec<(String, String)>,
    /// What to show to be let in: access tokens, at most [`AccessTokens::MAX_COUNT`](stoq_core::frame::AccessTokens::MAX_COUNT).
    pub access_tokens: Vec<Bytes>,
    /// Keys of the holders that the tokens name. A relay has none: it passes proofs on.
    pub holders: HolderKeys,
    /// The relays to pass behind this server, at most [`Route::MAX_COUNT`](stoq_core::frame::Route::MAX_COUNT).
    pub route: Vec<FalconId>,
    /// A relay: the chain that came in, with itself at the end.
    pub hops: Option<HopChain>,
}

impl Request {
    /// A request of this end's own: fresh random bytes, no authority, no headers.
    pub fn new(service: ServiceName) -> Self {
        Self {
            service,
            random: fresh_random(),
            authority: String::new(),
            headers: Vec::new(),
            access_tokens: Vec::new(),
            holders: HolderKeys::new(),
            route: Vec::new(),
            hops: None,
        }
    }
}

impl From<Request> for stoq_core::session::Request {
    fn from(request: Request) -> Self {
        let Request {
            service,
            random,
            authority,
            headers,
            access_tokens,
            // Which of them are the holder's, the driver says.
            holders: _,
            route,
            hops,
        } = request;
        Self {
            service,
            random,
            authority,
            headers,
            access_tokens,
            holders: Vec::new(),
            route,
            hops,
        }
    }
}

/// What a client wants to be let in to, and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) service: ServiceName,
    pub(crate) access_tokens: Vec<Bytes>,
    /// What it may do, on a service that wants tokens.
    pub(crate) access: Option<Access>,
    /// By these rules.
    pub(crate) rules: Option<Arc<AccessRules>>,
}

/// A session that a client asks for. Dropped unanswered, it is refused with [`Code::REFUSED`].
#[must_use = "dropping it refuses the session"]
pub struct SessionRequest {
    id: SessionId,
    asked: Box<Asked>,
    random: [u8; 32],
    authority: String,
    path: String,
    headers: Vec<(String, String)>,
    route: Vec<FalconId>,
    hops: Option<HopChain>,
    /// Largest that this end takes.
    max_datagram_size: u32,
    connection: Connection,
    withdrawn: Arc<Ending>,
    answered: bool,
}

impl SessionRequest {
    pub(crate) fn new(
        request: IncomingRequest,
        asked: Asked,
        max_datagram_size: u32,
        connection: Connection,
        withdrawn: Arc<Ending>,
    ) -> Self {
        Self {
            id: request.id,
            path: asked.service.path(),
            asked: Box::new(asked),
            random: request.random,
            authority: request.authority,
            headers: request.headers,
            route: request.route,
            hops: request.hops,
            max_datagram_size,
            connection,
            withdrawn,
            answered: false,
        }
    }

    /// The service that is asked for.
    pub fn service(&self) -> &ServiceName {
        &self.asked.service
    }

    /// The authority (`host:port`) that the client wanted to reach; empty if it does not say.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The service as a WebTransport path, `/stoq/v1/<service>`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Names and values that the client sent along.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// What the client's access token permits; `None` if the [rules](crate::AccessRules) want none for this service. If the token
    /// has a holder, that is worth nothing before the session is open.
    pub fn access(&self) -> Option<&Access> {
        self.asked.access.as_ref()
    }

    /// What the client shows to be let in, for this server or for those behind it.
    pub fn access_tokens(&self) -> &[Bytes] {
        &self.asked.access_tokens
    }

    /// The relays that the request has still to pass: who is asked with a route is asked as a relay.
    pub fn route(&self) -> &[FalconId] {
        &self.route
    }

    /// The relays that the request has passed. All of them are claims, but for
    /// [`authenticated_hop`](Self::authenticated_hop).
    pub fn hops(&self) -> Option<&HopChain> {
        self.hops.as_ref()
    }

    /// The last relay that the request has passed, if it has proved its FALCON identity on this connection. A server that asks its
    /// peers for none has their word only; a request by a relay that names another than itself is refused, with
    /// [`Code::UNTRUSTED`], and does not come this far.
    pub fn authenticated_hop(&self) -> Option<&PassedHop> {
        let peer = self.connection.security().peer?;
        self.hops()?.last().filter(|last| last.id == peer)
    }

    /// The random bytes of the client at the far end; a relay passes them on.
    pub fn random(&self) -> [u8; 32] {
        self.random
    }

    /// The address of the neighbour: the client, or the last relay before this server.
    pub fn remote_address(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    /// The connection that the session will be carried by.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Takes the session, as its target. If its token has a holder, resolves when the holder has proven it. If the
    /// [rules](crate::AccessRules) have changed since the request came, it is judged by those of this moment.
    ///
    /// # Errors
    /// [`Closed`] if the client has gone, also instead of proving, the rules no longer let it in, or the token's holder did not
    /// prove it within five seconds.
    ///
    /// # Cancel safety
    /// If the future is dropped before it resolves, the session is closed again.
    pub async fn accept(self) -> Result<Session, Closed> {
        let mut answer = Answer::new(fresh_random(), self.max_datagram_size);
        answer.hops.clone_from(&self.hops);
        self.take(answer).await
    }

    /// Takes the session as a relay, with the answer of the target. Proofs for tokens that are not for this end come out of
    /// [`Session::recv_auth`]: see [`relay_auths`](crate::relay_auths).
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    ///
    /// # Cancel safety
    /// If the future is dropped before it resolves, the session is closed again.
    pub async fn accept_with(self, mut answer: Answer) -> Result<Session, Closed> {
        // Who showed no tokens has nothing to prove.
        answer.relays_proofs = !self.access_tokens().is_empty();
        self.take(answer).await
    }

    async fn take(mut self, answer: Answer) -> Result<Session, Closed> {
        let (reply, accepted) = oneshot::channel();
        self.answered = true;
        self.connection.command(Command::Accept {
            id: self.id,
            answer,
            asked: self.asked.clone(),
            reply,
        });
        match accepted.await {
            Ok(accepted) => accepted,
            Err(_) => Err(self.connection.closed().await),
        }
    }

    /// Resolves when nobody waits for the answer any more: the client has withdrawn the request, or its connection has ended.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn withdrawn(&self) -> Closed {
        tokio::select! {
            closed = self.withdrawn.wait() => closed,
            closed = self.connection.closed() => closed,
        }
    }

    /// Does not take the session. The client is told code and reason (up to 1024 bytes of it).
    pub fn refuse(mut self, code: Code, reason: &str) {
        self.answer_refusal(code, reason);
    }

    fn answer_refusal(&mut self, code: Code, reason: &str) {
        if !mem::replace(&mut self.answered, true) {
            self.connection.command(Command::Refuse {
                id: self.id,
                code,
                reason: reason.into(),
            });
        }
    }
}

impl Drop for SessionRequest {
    fn drop(&mut self) {
        self.answer_refusal(Code::REFUSED, "");
    }
}

impl fmt::Debug for SessionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRequest")
            .field("id", &self.id.value())
            .field("service", &self.asked.service.as_str())
            .field("remote_address", &self.remote_address())
            .finish_non_exhaustive()
    }
}

/// A multiplexed session did not come about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The server refused it.
    #[error("the session was refused: {code} ({reason})")]
    Refused {
        /// Why, for programs.
        code: Code,
        /// Why, for people; may be empty.
        reason: String,
    },
    /// It cannot be asked for; the connection is as it was.
    #[error(transparent)]
    NotPossible(#[from] stoq_core::session::OpenError),
    /// The key of an access token's holder did not sign.
    #[error("the holder of the access token could not prove it: {0}")]
    NotProven(SignError),
    /// The connection has ended.
    #[error(transparent)]
    ConnectionClosed(Closed),
}

impl OpenError {
    /// The code of the table that all sides share.
    pub fn code(&self) -> Code {
        match self {
            Self::Refused { code, .. } => *code,
            Self::NotPossible(error) => error.code(),
            Self::NotProven(_) => Code::INTERNAL,
            Self::ConnectionClosed(closed) => closed.code,
        }
    }
}

/// 32 bytes that nobody can foresee.
pub(crate) fn fresh_random() -> [u8; 32] {
    let mut random = [0; 32];
    aws_lc_rs::rand::fill(&mut random).expect("the system has random bytes");
    random
}
