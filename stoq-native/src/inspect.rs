//! What a peer offers to anybody who connects: for people who look at it, never for a connection that carries data.

mod attempt;
mod certificates;
mod error;
mod witness;

use core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;

use stoq_core::transport_parameter::{ParameterError, TransportParameter};
use tokio::time::timeout;

use crate::connect::ConnectError;
use crate::endpoint::{open_client, tracker};
use crate::rejection::IdentityRejected;
use crate::resolve::{race, resolve};
use crate::security::KeyExchange;
use crate::socket::{self, SocketConfig};
use crate::target::Target;
use crate::transport::IpVersions;

use attempt::{Ask, Attempted, Inspector};
pub use certificates::{ClassicalCertificate, FalconCertificate};
pub use error::InspectError;

/// What a peer offers, as far as somebody learns it who is nobody and believes nobody.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The address that answered, the first of the name's.
    pub address: SocketAddr,
    /// What it shows to a client that takes only STOQ's composite signature, of Ed25519 and FALCON-1024.
    pub falcon: Offer<FalconCertificate>,
    /// What it shows to a client that takes only classical signatures.
    pub classical: Offer<ClassicalCertificate>,
    /// Whether it can do the hybrid key exchange X25519MLKEM768, chosen or not.
    pub hybrid: bool,
    /// Whether it wants to know who its clients are; `None` if no handshake got as far.
    pub clients: Option<AsksClients>,
    /// Whether who was here once may come again with early data; `None` if it has not said, because it sent no session
    /// to resume.
    pub early_data: Option<bool>,
    /// What it says of itself; `None` for one that does not speak of STOQ in its transport parameters, and if no handshake
    /// got as far.
    pub parameter: Option<TransportParameter>,
}

/// What a peer shows to a client that takes one kind of signature.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Offer<C> {
    /// Its certificate, as far as it can be read. Nothing in it is believed; what the peer proved, `handshake` says.
    pub certificate: Option<C>,
    /// What was agreed on, by a peer that has proved to hold the keys of its certificate; or why there was no agreement.
    pub handshake: Result<Agreed, HandshakeFailed>,
}

/// What a handshake agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Agreed {
    /// How the secret was agreed on.
    pub key_exchange: KeyExchange,
    /// The TLS cipher suite, as IANA numbers it; see [`Security::cipher_suite`](crate::Security::cipher_suite).
    pub cipher_suite: u16,
}

/// Why a handshake came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeFailed {
    /// The peer has shown what it cannot prove, or what cannot be read.
    #[error(transparent)]
    Identity(IdentityRejected),
    /// Its transport parameter of STOQ breaks a rule.
    #[error(transparent)]
    Parameter(ParameterError),
    /// It ended with an alert of TLS, as a rule the peer's: it has no such certificate, or something else that it wants is
    /// missing.
    #[error("{reason}")]
    Refused {
        /// What it says.
        reason: String,
    },
}

/// What a server wants to know of its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsksClients {
    /// It does not ask who they are.
    No,
    /// It asks, and lets those in that show nothing.
    Optional,
    /// It asks, and closes if they show nothing.
    Required,
}

/// Connects to whoever is at the target's host and port, looks at what is shown, and leaves. The target's service is left
/// aside.
///
/// **Nobody is believed here.** The signatures of the handshakes are checked, so whoever answered holds the keys that it
/// shows; whose they are is not. An attacker in between can answer in place of the peer. So the result is to be compared, by
/// people, with what they know in another way. The connections that are made for it allow the peer no streams, and this
/// end sends none.
///
/// There are two handshakes, one for each kind of signature; a third where the peer chose another key exchange than the hybrid
/// one, or does not speak STOQ. The peer's log may speak of them. All of it together takes `after` at most.
///
/// Must be called within a tokio runtime.
///
/// # Errors
/// [`InspectError`] if nobody is there, or nobody that speaks STOQ. What is wrong with somebody who does is part of the
/// result.
///
/// # Cancel safety
/// If the future is dropped, its connections are closed.
pub async fn inspect(target: &Target, after: Duration) -> Result<Inspection, InspectError> {
    let inspecting = async {
        let config = SocketConfig::default();
        let socket = socket::bind_any(IpVersions::Both, &config).map_err(InspectError::Socket)?;
        let quinn = open_client(socket, &config, &tracker()).map_err(InspectError::Endpoint)?;
        let inspector = Arc::new(Inspector::new(quinn.clone(), target));
        let inspection = look(&inspector).await;
        // So that the peer learns that we have left. What the peer has ended itself stays for seconds, and need not be
        // waited for.
        let _ = timeout(FAREWELL, quinn.wait_idle()).await;
        inspection
    };
    timeout(after, inspecting)
        .await
        .unwrap_or_else(|_| Err(ConnectError::Timeout { after }.into()))
}

async fn look(inspector: &Arc<Inspector>) -> Result<Inspection, InspectError> {
    let (address, composite) = first(inspector).await?;
    let both = match composite {
        Ok(composite) => {
            let classical = inspector.attempt(address, Ask::Classical).await;
            classical.map(|classical| (composite, classical))
        }
        Err(error) => Err(error),
    };
    let (composite, classical) = match both {
        Err(InspectError::NotStoq { .. }) => return Err(not_stoq(inspector, address).await),
        both => both?,
    };
    let attempts = [&composite, &classical];
    let completed = || attempts.iter().filter_map(|attempt| attempt.completed());
    if let (Some(falcon), Some(classical)) = (composite.refusal(), classical.refusal()) {
        let (falcon, classical) = (falcon.into(), classical.into());
        return Err(InspectError::Refused { falcon, classical });
    }
    let chose_hybrid = |attempt: &&Attempted| attempt.key_exchange() == Some(HYBRID);
    let hybrid = attempts.iter().any(chose_hybrid)
        || inspector
            .attempt(address, Ask::Hybrid)
            .await?
            .refusal()
            .is_none();
    Ok(Inspection {
        address,
        hybrid,
        clients: completed().map(|completed| completed.clients).next(),
        early_data: completed().find_map(|completed| completed.early_data),
        parameter: completed().find_map(|completed| completed.facts.parameter),
        falcon: composite.falcon_offer(),
        classical: classical.classical_offer(),
    })
}

/// The first of the target's addresses that answers, and what came of it.
async fn first(inspector: &Arc<Inspector>) -> Result<(SocketAddr, Answer), InspectError> {
    let Target { host, port, .. } = inspector.target();
    let found = resolve(host, *port, IpVersions::Both).await;
    let addresses = found.map_err(|error| ConnectError::Resolve {
        host: host.clone(),
        error,
    })?;
    let attempt = |address| {
        let inspector = inspector.clone();
        async move {
            match inspector.attempt(address, Ask::Composite).await {
                Err(error) if !error.is_answer() => Err(error),
                answer => Ok((address, answer)),
            }
        }
    };
    race(addresses, attempt).await.map_err(|mut failures| {
        let last = failures.pop();
        last.unwrap_or_else(|| ConnectError::NoAddress { host: host.clone() }.into())
    })
}

/// What somebody answered to a handshake.
type Answer = Result<Attempted, InspectError>;

/// What to say of a peer that speaks QUIC and not STOQ: if it speaks HTTP/3, it may well be a gateway's port for browsers.
async fn not_stoq(inspector: &Inspector, address: SocketAddr) -> InspectError {
    let http3 = inspector.attempt(address, Ask::Http3).await;
    InspectError::NotStoq {
        address,
        http3: http3.is_ok_and(|attempted| attempted.completed().is_some()),
    }
}

const HYBRID: KeyExchange = KeyExchange::X25519MlKem768;
/// Time for the last packets to leave this machine.
const FAREWELL: Duration = Duration::from_millis(100);
