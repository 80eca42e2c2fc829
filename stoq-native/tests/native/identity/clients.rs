//! The matrix of servers' policies: which clients are let in, and what is known of them then.

use std::any::Any;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{KeyPair, PKCS_ED25519};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use stoq_native::{
    ClientConfig, ClientPolicy, ClientTrust, ConnectError, Endpoint, Identity, Pins, Security,
    ServerConfig,
};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::certificates::{Time, classical, plain};
use super::rogue::{Always, Key, Schemes, Signs, client_tls, connect, provider, settings};
use super::table::Case::*;
use super::table::Outcome::{self, *};
use super::table::{self, Case, KNOWN, Level, Peer, Row, STRANGER};
use crate::harness::{until, within};

/// The server has both certificates. Whom it trusts, it trusts by FalconId; clients of STOQ pin the server.
///
/// The browser is a TLS client that offers what browsers do. Real ones meet the gateway, which has a TLS of its own, and
/// are tested there.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    // peer, case                               Off                Prefer                 Require
    (Peer::Composite, Good,             [Classical,        Falcon,                Falcon]),
    // Under Off it is not asked, so it shows and signs nothing.
    (Peer::Composite, Ed25519Bad,       [Classical,        Refused(BAD_ED25519),  Refused(BAD_ED25519)]),
    (Peer::Composite, FalconBad,        [Classical,        Refused(BAD_FALCON),   Refused(BAD_FALCON)]),
    (Peer::Composite, FalconUnused,     [Classical,        Refused(UNUSED),       Refused(UNUSED)]),
    (Peer::Composite, WrongPin,         [Classical,        Refused(UNKNOWN),      Refused(UNKNOWN)]),
    (Peer::Composite, TimeOver,         [Classical,        Refused(EXPIRED),      Refused(EXPIRED)]),
    (Peer::Composite, NoClientIdentity, [Never(HAS_ONE),   Never(HAS_ONE),        Never(HAS_ONE)]),
    (Peer::Composite, PolicyChanged,    [Classical,        Falcon,                Falcon]),
    (Peer::Composite, PinRevoked,       [Never(NO_TRUST),  Refused(UNKNOWN),      Refused(UNKNOWN)]),

    (Peer::Classical, Good,             [Classical,        Classical,             Refused(NO_IDENTITY)]),
    (Peer::Classical, Ed25519Bad,       [Never(NOTHING),   Never(NOTHING),        Never(NOTHING)]),
    (Peer::Classical, FalconBad,        [Never(NOTHING),   Never(NOTHING),        Never(NOTHING)]),
    (Peer::Classical, FalconUnused,     [Never(NOTHING),   Never(NOTHING),        Never(NOTHING)]),
    (Peer::Classical, WrongPin,         [Never(NOTHING),   Never(NOTHING),        Never(NOTHING)]),
    (Peer::Classical, TimeOver,         [Never(NOTHING),   Never(NOTHING),        Never(NOTHING)]),
    (Peer::Classical, NoClientIdentity, [Classical,        Classical,             Refused(NO_IDENTITY)]),
    (Peer::Classical, PolicyChanged,    [Classical,        Classical,             Refused(NO_IDENTITY)]),
    (Peer::Classical, PinRevoked,       [Never(NOTHING),   Never(NOTHING),        Never(NOTHING)]),

    // It has an Ed25519 certificate, but the scheme it is asked for is not one it knows: it shows nothing.
    (Peer::Plain, Good,                 [Classical,        Classical,             Refused(NO_IDENTITY)]),
    // It shows its certificate all the same, and that is judged first.
    (Peer::Plain, Ed25519Bad,           [Classical,        Refused(NO_KEY),       Refused(NO_KEY)]),
    (Peer::Plain, FalconBad,            [Never(NO_HALF),   Never(NO_HALF),        Never(NO_HALF)]),
    (Peer::Plain, FalconUnused,         [Classical,        Classical,             Refused(NO_IDENTITY)]),
    (Peer::Plain, WrongPin,             [Never(NO_ID),     Never(NO_ID),          Never(NO_ID)]),
    (Peer::Plain, TimeOver,             [Classical,        Refused(NO_KEY),       Refused(NO_KEY)]),
    (Peer::Plain, NoClientIdentity,     [Classical,        Classical,             Refused(NO_IDENTITY)]),
    (Peer::Plain, PolicyChanged,        [Classical,        Classical,             Refused(NO_IDENTITY)]),
    (Peer::Plain, PinRevoked,           [Never(NO_ID),     Never(NO_ID),          Never(NO_ID)]),

    (Peer::Browser, Good,               [Alpn,             Alpn,                  Alpn]),
    (Peer::Browser, Ed25519Bad,         [Never(BY_ALPN),   Never(BY_ALPN),        Never(BY_ALPN)]),
    (Peer::Browser, FalconBad,          [Never(BY_ALPN),   Never(BY_ALPN),        Never(BY_ALPN)]),
    (Peer::Browser, FalconUnused,       [Never(BY_ALPN),   Never(BY_ALPN),        Never(BY_ALPN)]),
    (Peer::Browser, WrongPin,           [Never(BY_ALPN),   Never(BY_ALPN),        Never(BY_ALPN)]),
    (Peer::Browser, TimeOver,           [Never(BY_ALPN),   Never(BY_ALPN),        Never(BY_ALPN)]),
    (Peer::Browser, NoClientIdentity,   [Never(BY_ALPN),   Never(BY_ALPN),        Never(BY_ALPN)]),
    (Peer::Browser, PolicyChanged,      [Never(BY_ALPN),   Never(BY_ALPN),        Never(BY_ALPN)]),
    (Peer::Browser, PinRevoked,         [Never(BY_ALPN),   Never(BY_ALPN),        Never(BY_ALPN)]),
];

const BAD_ED25519: &str = "the Ed25519 half of the handshake's signature is not good";
const BAD_FALCON: &str = "the FALCON half of the handshake's signature is not good";
const UNUSED: &str = "the handshake was not signed with it";
const UNKNOWN: &str = "is not one of the clients that are trusted";
const EXPIRED: &str = "the certificate has expired";
const NO_IDENTITY: &str = "the client has no FALCON identity, which the policy requires";
const NO_KEY: &str = "the peer has no FALCON key in its certificate";
const HAS_ONE: &str = "it has an identity; who has none is the next peer";
const NO_TRUST: &str = "under Off nobody is trusted by name, so there is no trust to take away";
const NOTHING: &str = "it shows and signs nothing";
const NO_HALF: &str = "a classical peer has no FALCON half";
const NO_ID: &str = "it has no FalconId that could be trusted, or no longer";
const BY_ALPN: &str = "it is refused for its protocol before anything else is looked at";

#[tokio::test]
async fn every_client_under_every_policy() {
    within(table::check(TABLE, happens)).await;
}

async fn happens(level: Level, peer: Peer, case: Case) -> Outcome {
    let first = match case {
        WrongPin => policy(level, false),
        // For Require, a lax one; for Off, a strict one where there is a choice.
        PolicyChanged if level == Level::Prefer => policy(Level::Off, true),
        PolicyChanged if level == Level::Off && peer == Peer::Composite => {
            policy(Level::Require, true)
        }
        PolicyChanged => policy(Level::Prefer, true),
        _ => policy(level, true),
    };
    let mut server = Server::new(first);
    let client = Client::new(&server, peer, case);
    if matches!(case, PolicyChanged | PinRevoked) {
        assert!(!server.admits(&client).await.unwrap().resumed);
        // Otherwise a session would not be resumed for another reason than the one in question.
        assert!(server.admits(&client).await.unwrap().resumed);
        let then = policy(level, case == PolicyChanged);
        server.endpoint.set_clients(then).unwrap();
    }
    match server.admits(&client).await {
        Ok(security) => {
            assert!(!security.resumed, "{level:?}, {peer:?}, {case:?}");
            match security.peer {
                Some(id) => assert_eq!(id, KNOWN.id()),
                None => return Classical,
            }
            Falcon
        }
        Err(outcome) => {
            // Nor does the server think that it has a client.
            until(|| server.endpoint.open_connections() == 0).await;
            assert!(server.sessions.try_recv().is_err());
            outcome
        }
    }
}

fn policy(level: Level, right: bool) -> ClientPolicy {
    let id = match right {
        true => KNOWN.id(),
        false => STRANGER.id(),
    };
    let trust = ClientTrust::Ids(BTreeSet::from([id]));
    match level {
        Level::Off => ClientPolicy::Off,
        Level::Prefer => ClientPolicy::Prefer(trust),
        Level::Require => ClientPolicy::Require(trust),
    }
}

/// A server that takes every session that is asked for, and says what it knows of its connection.
struct Server {
    endpoint: Endpoint,
    sessions: mpsc::UnboundedReceiver<Security>,
    _accepting: AbortOnDropHandle<()>,
}

impl Server {
    fn new(clients: ClientPolicy) -> Self {
        let identity = classical(Time::Now, None).with_falcon(STRANGER.identity(Time::Now, None));
        let mut config = ServerConfig::new(identity);
        config.clients = clients;
        let endpoint = Endpoint::server("[::1]:0".parse().unwrap(), config).unwrap();
        let (known, sessions) = mpsc::unbounded_channel();
        let accepting = {
            let endpoint = endpoint.clone();
            async move {
                while let Some(request) = endpoint.accept().await {
                    // Clients that go at once are not waited for.
                    let _ = known.send(request.connection().security());
                    let _ = request.accept().await;
                }
            }
        };
        Self {
            endpoint,
            sessions,
            _accepting: AbortOnDropHandle::new(tokio::spawn(accepting)),
        }
    }

    fn address(&self) -> SocketAddr {
        self.endpoint.local_addr().unwrap()
    }

    /// What the server knows of a client that it lets in, or why not.
    async fn admits(&mut self, client: &Client) -> Result<Security, Outcome> {
        let address = self.address();
        // A connection that nobody holds would be closed before the server has read what was asked on it.
        let _held: Box<dyn Any> = match client {
            Client::Stoq(endpoint) => {
                let url = format!("stoq://{address}/test");
                let session = endpoint.connect(&url).await.map_err(|error| match error {
                    ConnectError::IdentityRefused { reason } => Refused(reason.leak()),
                    other => panic!("not foreseen: {other:?}"),
                })?;
                Box::new(session)
            }
            Client::Bare(tls) => Box::new(bare(*tls.clone(), address).await.map_err(refusal)?),
        };
        Ok(self.sessions.recv().await.unwrap())
    }
}

/// Opens a session without STOQ's library, and hears that the server has taken it.
async fn bare(
    tls: rustls::ClientConfig,
    address: SocketAddr,
) -> Result<impl Any, quinn::ConnectionError> {
    let connection = connect(tls, address).await?;
    // TLS 1.3 is over for a client before the server has judged it. The server's word is its control stream.
    let theirs = connection.accept_uni().await?;
    let mut control = connection.open_uni().await?;
    let written = control.write_all(&settings(Some("test"))).await;
    written.expect("the server reads the control stream");
    Ok((connection, control, theirs))
}

fn refusal(error: quinn::ConnectionError) -> Outcome {
    let quinn::ConnectionError::ConnectionClosed(close) = &error else {
        panic!("not foreseen: {error:?}");
    };
    let alert = |number| quinn::TransportErrorCode::crypto(number);
    // certificate_unknown, certificate_required and no_application_protocol (RFC 8446, section 6).
    match close.error_code {
        code if code == alert(46) || code == alert(116) => Refused(error.to_string().leak()),
        code if code == alert(120) => Alpn,
        _ => panic!("not foreseen: {error:?}"),
    }
}

enum Client {
    Stoq(Endpoint),
    Bare(Box<rustls::ClientConfig>),
}

impl Client {
    fn new(server: &Server, peer: Peer, case: Case) -> Self {
        let time = match case {
            TimeOver => Time::Past,
            _ => Time::Now,
        };
        let signs = match case {
            Ed25519Bad => Signs::BadEd25519,
            FalconBad => Signs::BadFalcon,
            _ => Signs::Classically,
        };
        match (peer, case) {
            (Peer::Composite, Ed25519Bad | FalconBad | FalconUnused) => {
                let chain = vec![KNOWN.certificate(time, None, None)];
                let shows = Always::new(chain, Key::new(&KNOWN, signs));
                Self::Bare(client_tls(Some(shows), Schemes::WithComposite).into())
            }
            (Peer::Composite, _) => Self::stoq(server, Some(KNOWN.identity(time, None))),
            (Peer::Classical, _) => Self::stoq(server, None),
            (Peer::Plain, Ed25519Bad | TimeOver) => {
                let chain = vec![plain(time, &KNOWN.ed25519, None)];
                let shows = Always::new(chain, Key::new(&KNOWN, Signs::BadClassically));
                Self::Bare(client_tls(Some(shows), Schemes::Classical).into())
            }
            (Peer::Plain, FalconUnused) => {
                let certificate = KNOWN.certificate(time, None, None);
                Self::plain(certificate, &KNOWN.ed25519)
            }
            (Peer::Plain, NoClientIdentity) => {
                Self::Bare(client_tls(None, Schemes::Classical).into())
            }
            (Peer::Plain, _) => {
                let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
                Self::plain(plain(time, &key, None), &key)
            }
            (Peer::Browser, _) => {
                // Its key exchanges are those of browsers too.
                let mut tls = client_tls(None, Schemes::Classical);
                tls.alpn_protocols = vec![b"h3".to_vec()];
                Self::Bare(tls.into())
            }
        }
    }

    fn stoq(server: &Server, identity: Option<Identity>) -> Self {
        let authority = server.address().to_string();
        let pins = Pins::new().pin(&authority, STRANGER.id()).unwrap();
        let mut config = ClientConfig::new(pins);
        config.identity = identity;
        Self::Stoq(Endpoint::client(config).unwrap())
    }

    /// As anybody would set rustls up.
    fn plain(certificate: CertificateDer<'static>, key: &KeyPair) -> Self {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut tls = client_tls(None, Schemes::Classical);
        let signing = provider().key_provider.load_private_key(key).unwrap();
        let certified = CertifiedKey::new(vec![certificate], signing);
        tls.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
        Self::Bare(tls.into())
    }
}
