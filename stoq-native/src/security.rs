//! What a connection's handshake came to, and whether its peer may stay.

use core::fmt;
use std::sync::Arc;

use rustls::NamedGroup;
use rustls_pki_types::CertificateDer;
use stoq_core::identity::FalconId;
use stoq_core::transport_parameter::TransportParameter;
use tokio::sync::watch;

use crate::driver;
use crate::rejection::IdentityRejected;
use crate::tls::HYBRID;
use crate::tls::clients::Clients;
use crate::tls::quic::Facts;
use crate::tls::servers::Servers;

/// How a connection is protected, and who is at its other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Security {
    /// How the secret was agreed on.
    pub key_exchange: KeyExchange,
    /// The TLS cipher suite, as IANA numbers it: 0x1301 is AES-128-GCM with SHA-256, 0x1302 AES-256-GCM with SHA-384.
    pub cipher_suite: u16,
    /// The peer's FALCON identity, if it proved one: in this handshake, or in the one that this one resumes.
    pub peer: Option<FalconId>,
    /// The handshake resumed an earlier session: no certificate was shown, what was shown then was judged again.
    pub resumed: bool,
    /// The server took early data, which somebody else may have sent before.
    pub early_data: bool,
    /// What the peer says of itself; `None` for one that does not speak of STOQ in its transport parameters.
    pub capabilities: Option<TransportParameter>,
}

impl Security {
    pub(crate) fn of(connection: &quinn::Connection) -> Self {
        let facts = facts(connection).unwrap_or_default();
        Self {
            key_exchange: facts
                .key_exchange
                .map_or(KeyExchange::Other(0), KeyExchange::new),
            cipher_suite: facts.cipher_suite.map_or(0, u16::from),
            peer: facts.peer(),
            resumed: facts.resumed,
            early_data: facts.early_data,
            capabilities: facts.parameter,
        }
    }

    /// Whether FALCON was verified, so that the peer is [`peer`](Self::peer), against a quantum computer too.
    ///
    /// Whether somebody of that identity may be where we connected to is the policy's matter. Under
    /// [`Prefer`](crate::PqPolicy::Prefer) only classical authorities have a say in it, so whoever has their keys can be there
    /// with a FALCON identity of its own: compare `peer` with one that is known, or [require](crate::PqPolicy::Require) it.
    pub const fn is_falcon_verified(&self) -> bool {
        self.peer.is_some()
    }
}

/// A key exchange of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyExchange {
    /// X25519 and ML-KEM-768 together: secret also from a quantum computer, as long as one of the two holds.
    X25519MlKem768,
    /// X25519.
    X25519,
    /// P-256.
    Secp256r1,
    /// P-384.
    Secp384r1,
    /// Another, by the number that IANA gives it.
    Other(u16),
}

impl KeyExchange {
    /// Whether what is said stays secret from somebody who records it today and has a quantum computer later.
    pub const fn is_post_quantum(self) -> bool {
        matches!(self, Self::X25519MlKem768)
    }

    pub(crate) fn new(group: NamedGroup) -> Self {
        match group {
            NamedGroup::X25519MLKEM768 => Self::X25519MlKem768,
            NamedGroup::X25519 => Self::X25519,
            NamedGroup::secp256r1 => Self::Secp256r1,
            NamedGroup::secp384r1 => Self::Secp384r1,
            other => Self::Other(other.into()),
        }
    }
}

impl fmt::Display for KeyExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::X25519MlKem768 => f.write_str("X25519MLKEM768"),
            Self::X25519 => f.write_str("X25519"),
            Self::Secp256r1 => f.write_str("secp256r1"),
            Self::Secp384r1 => f.write_str("secp384r1"),
            Self::Other(number) => write!(f, "group {number:#06x}"),
        }
    }
}

/// Who judges the peers of an endpoint.
#[derive(Clone, Debug)]
pub(crate) enum Judge {
    /// A client.
    Servers(Arc<Servers>),
    /// A server.
    Clients(Arc<Clients>),
}

impl Judge {
    fn is_strict(&self) -> bool {
        match self {
            Self::Servers(servers) => servers.is_strict(),
            Self::Clients(clients) => clients.is_strict(),
        }
    }
}

/// A peer that was let in, and is judged again whenever the policy changes.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// The connection's.
    pub(crate) number: u64,
    chain: Vec<CertificateDer<'static>>,
    /// `None` as long as the handshake is not done.
    key_exchange: Option<NamedGroup>,
    /// Where a client thinks that it is connected to.
    server: Option<(String, u16)>,
    judges: watch::Receiver<Judge>,
}

impl Admitted {
    /// Judges the peer of a connection whose handshake is done, or one that resumes an earlier session.
    pub(crate) fn new(
        number: u64,
        connection: &quinn::Connection,
        server: Option<(String, u16)>,
        drivers: &driver::Shared,
    ) -> Result<Self, IdentityRejected> {
        let facts = facts(connection).unwrap_or_default();
        let mut admitted = Self {
            number,
            chain: facts.chain,
            key_exchange: facts.key_exchange,
            server,
            judges: drivers.judge.subscribe(),
        };
        admitted.judge()?;
        if let (Judge::Servers(servers), Some((host, port))) =
            (&*admitted.judges.borrow(), &admitted.server)
        {
            servers.remember(host, *port, &admitted.chain);
        }
        Ok(admitted)
    }

    /// Judges the peer once more, now that the handshake is done.
    pub(crate) fn handshake_done(
        &mut self,
        connection: &quinn::Connection,
    ) -> Result<(), IdentityRejected> {
        let facts = facts(connection).unwrap_or_default();
        (self.chain, self.key_exchange) = (facts.chain, facts.key_exchange);
        self.judge()
    }

    /// Resolves when the peer may not stay any longer.
    pub(crate) async fn revoked(&mut self) -> IdentityRejected {
        loop {
            if self.judges.changed().await.is_err() {
                // The endpoint is gone, and nobody will change the policy any more.
                core::future::pending::<()>().await;
            }
            if let Err(rejected) = self.judge() {
                return rejected;
            }
        }
    }

    fn judge(&mut self) -> Result<(), IdentityRejected> {
        let judge = self.judges.borrow_and_update();
        if judge.is_strict() && self.key_exchange.is_some_and(|group| group != HYBRID) {
            return Err(IdentityRejected::KeyExchange);
        }
        match (&*judge, &self.server) {
            (Judge::Servers(servers), Some((host, port))) => {
                servers.judge(host, *port, &self.chain)
            }
            (Judge::Clients(clients), _) => clients.judge(&self.chain),
            (Judge::Servers(_), None) => unreachable!("a client knows where it connects to"),
        }
    }
}

/// What the handshake has come to so far; `None` before a server has read the client's first message.
pub(crate) fn facts(connection: &quinn::Connection) -> Option<Facts> {
    let facts = connection.handshake_data()?.downcast::<Facts>().ok()?;
    Some(*facts)
}
