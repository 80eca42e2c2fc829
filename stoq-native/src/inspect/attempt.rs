//! One handshake that looks.

use core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::Resumption;
use stoq_core::close::Code;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::certificates::{ClassicalCertificate, FalconCertificate};
use super::witness::{Nobody, Tickets, Witness};
use super::{Agreed, AsksClients, HandshakeFailed, InspectError, Offer};
use crate::certificate::{self, Leaf};
use crate::connect::ConnectError;
use crate::parameter;
use crate::security::{KeyExchange, facts};
use crate::target::Target;
use crate::tls::composite::COMPOSITE;
use crate::tls::quic::{ClientCrypto, Facts, HandshakeFault, Verdict};
use crate::tls::{HYBRID, provider};

/// What a handshake asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// A composite signature.
    Composite,
    /// A classical signature.
    Classical,
    /// The hybrid key exchange, with either signature.
    Hybrid,
    /// Another protocol, with either signature.
    Http3,
}

/// Makes handshakes.
pub(super) struct Inspector {
    quinn: quinn::Endpoint,
    target: Target,
    transport: Arc<quinn::TransportConfig>,
}

/// A handshake that the peer has taken part in.
pub(super) struct Attempted {
    witness: Arc<Witness>,
    ended: Result<Completed, HandshakeFailed>,
}

/// What came of a handshake that succeeded.
pub(super) struct Completed {
    pub(super) facts: Facts,
    pub(super) clients: AsksClients,
    pub(super) early_data: Option<bool>,
}

impl Inspector {
    pub(super) fn new(quinn: quinn::Endpoint, target: &Target) -> Self {
        let mut transport = quinn::TransportConfig::default();
        // Nothing is to come over these connections.
        transport.max_concurrent_bidi_streams(0u8.into());
        transport.max_concurrent_uni_streams(0u8.into());
        transport.datagram_receive_buffer_size(None);
        Self {
            quinn,
            target: target.clone(),
            transport: Arc::new(transport),
        }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// # Errors
    /// [`InspectError`] if there is nobody, or nobody who speaks the protocol that is asked for.
    pub(super) async fn attempt(
        &self,
        address: SocketAddr,
        ask: Ask,
    ) -> Result<Attempted, InspectError> {
        let (tls, witness) = configuration(ask);
        let verdict = Verdict::default();
        let parameter = parameter::ours(None, false, false);
        let crypto = ClientCrypto::new(Arc::new(tls), parameter, verdict.clone());
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(self.transport.clone());
        let connecting = self
            .quinn
            .connect_with(config, address, &self.target.host)
            .map_err(|error| ConnectError::not_begun(address, error))?;
        let ended = match connecting.await {
            Ok(connection) => Ok(leave(connection, &witness).await?),
            Err(error) => Err(failure(&error, verdict.get(), address)?),
        };
        Ok(Attempted { witness, ended })
    }
}

impl Attempted {
    pub(super) fn completed(&self) -> Option<&Completed> {
        self.ended.as_ref().ok()
    }

    pub(super) fn key_exchange(&self) -> Option<KeyExchange> {
        Some(self.completed()?.agreed().key_exchange)
    }

    /// What the peer has said, if it ended the handshake.
    pub(super) fn refusal(&self) -> Option<&str> {
        match &self.ended {
            Err(HandshakeFailed::Refused { reason }) => Some(reason),
            _ => None,
        }
    }

    pub(super) fn falcon_offer(&self) -> Offer<FalconCertificate> {
        let halves = self.witness.halves();
        self.offer(|hash, leaf| FalconCertificate::new(hash, leaf, halves))
    }

    pub(super) fn classical_offer(&self) -> Offer<ClassicalCertificate> {
        self.offer(|hash, leaf| Some(ClassicalCertificate::new(hash, leaf)))
    }

    fn offer<C>(&self, read: impl FnOnce([u8; 32], &Leaf) -> Option<C>) -> Offer<C> {
        let shown = self.witness.certificate();
        let parsed = shown.and_then(|der| Some((certificate::hash(der), Leaf::parse(der).ok()?)));
        Offer {
            certificate: parsed.and_then(|(hash, leaf)| read(hash, &leaf)),
            handshake: match &self.ended {
                Ok(completed) => Ok(completed.agreed()),
                Err(failed) => Err(failed.clone()),
            },
        }
    }
}

impl Completed {
    fn agreed(&self) -> Agreed {
        Agreed {
            key_exchange: self
                .facts
                .key_exchange
                .map_or(KeyExchange::Other(0), KeyExchange::new),
            cipher_suite: self.facts.cipher_suite.map_or(0, u16::from),
        }
    }
}

fn configuration(ask: Ask) -> (rustls::ClientConfig, Arc<Witness>) {
    let mut provider = Arc::unwrap_or_clone(provider());
    if ask == Ask::Hybrid {
        provider.kx_groups.retain(|group| group.name() == HYBRID);
    }
    let classical = provider.signature_verification_algorithms;
    let witness = Witness::new(schemes(ask, classical.supported_schemes()), classical);
    let mut tls = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3 suites")
        .dangerous()
        .with_custom_certificate_verifier(witness.clone())
        .with_client_cert_resolver(Arc::new(Nobody(witness.clone())));
    tls.alpn_protocols = vec![match ask {
        Ask::Http3 => b"h3".to_vec(),
        _ => crate::ALPN.to_vec(),
    }];
    tls.resumption = Resumption::store(Arc::new(Tickets(witness.clone())));
    (tls, witness)
}

fn schemes(ask: Ask, classical: Vec<SignatureScheme>) -> Vec<SignatureScheme> {
    match ask {
        Ask::Composite => vec![COMPOSITE],
        Ask::Classical => classical,
        Ask::Hybrid | Ask::Http3 => [vec![COMPOSITE], classical].concat(),
    }
}

/// Waits until the server has said what it thinks of nobody, and closes.
async fn leave(
    connection: quinn::Connection,
    witness: &Witness,
) -> Result<Completed, InspectError> {
    let facts = facts(&connection).unwrap_or_default();
    let closed = tokio::select! {
        biased;
        () = confirmed(&connection) => None,
        error = connection.closed() => Some(ConnectError::from_quic(&error)),
    };
    let clients = match (closed, witness.was_asked()) {
        (None, false) => AsksClients::No,
        (None, true) => AsksClients::Optional,
        (Some(ConnectError::IdentityRefused { .. }), true) => AsksClients::Required,
        (Some(error), _) => return Err(error.into()),
    };
    let early_data = match clients {
        AsksClients::Required => None,
        _ => {
            let patience = connection.rtt() * ROUND_TRIPS + ACKNOWLEDGEMENT;
            let ticket = timeout(patience, witness.early_data()).await;
            ticket.unwrap_or_default()
        }
    };
    connection.close(Code::NO_ERROR.value().into(), b"");
    Ok(Completed {
        facts,
        clients,
        early_data,
    })
}

/// Resolves when the server has let us in: it says so (HANDSHAKE_DONE, [RFC 9001, section 4.1.2]) once it has judged what the
/// client showed, or that it showed nothing. quinn tells nobody when that comes, but counts it.
///
/// [RFC 9001, section 4.1.2]: https://www.rfc-editor.org/rfc/rfc9001#section-4.1.2
async fn confirmed(connection: &quinn::Connection) {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while connection.stats().frame_rx.handshake_done == 0 {
        looks.tick().await;
    }
}

/// What a failed handshake says of the peer.
fn failure(
    error: &quinn::ConnectionError,
    verdict: Option<&HandshakeFault>,
    address: SocketAddr,
) -> Result<HandshakeFailed, InspectError> {
    match verdict {
        Some(HandshakeFault::Identity(rejected)) => {
            return Ok(HandshakeFailed::Identity(rejected.clone()));
        }
        Some(HandshakeFault::Parameter(error)) => return Ok(HandshakeFailed::Parameter(*error)),
        None => {}
    }
    match ConnectError::from_quic(error) {
        ConnectError::Handshake { reason } | ConnectError::IdentityRefused { reason } => {
            Ok(HandshakeFailed::Refused { reason })
        }
        ConnectError::Alpn { .. } => Err(InspectError::NotStoq {
            address,
            http3: false,
        }),
        other => Err(other.into()),
    }
}

/// Between one look and the next.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long a session to resume is waited for after the server has let us in, with which it mostly comes: twice the way
/// there and back, and a lost packet takes another two to be missed (RFC 9002, section 6.2.1).
const ROUND_TRIPS: u32 = 4;
/// What a peer may wait before it acknowledges, and this machine before it has looked, four times over.
const ACKNOWLEDGEMENT: Duration = Duration::from_millis(100);
