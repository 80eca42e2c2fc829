//! The contenders: who proves what, with which keys, over which key exchange and suite.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{CertificateParams, CertifiedIssuer, KeyPair, PKCS_ED25519, SignatureAlgorithm};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CipherSuite, NamedGroup};
use stoq_native::{
    Authority, ClientPolicy, ClientTrust, Domain, FalconKey, FalconSigner, FalconTrust, Grant,
    Identity, Pins, PqPolicy, ServerConfig, SignedGrant, UnixMicros,
};

use crate::Result;
use crate::client::{Client, Policy, Quinn, Stoq, provider};
use crate::server::{Server, quinn_config};
use crate::verifier::Composite;

/// A server, and a client that believes it.
#[derive(Clone)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) suite: CipherSuite,
    pub(crate) server: Server,
    pub(crate) client: Client,
    /// Each connection resumes the one before it.
    pub(crate) resumes: bool,
}

/// The names by which the report finds those that it compares.
pub(crate) const ED25519_X25519: &str = "Ed25519, X25519";
pub(crate) const COMPOSITE: &str = "STOQ composite, pinned";
pub(crate) const MUTUAL: &str = "STOQ composite, mutual";
pub(crate) const GRANTED: &str = "STOQ composite, granted by an authority";
pub(crate) const RESUMED: &str = "STOQ composite, resumed";
/// STOQ as the server, stock quinn with the bench's verifier as the client.
pub(crate) const HALF: &str = "STOQ composite, quinn as client";
pub(crate) const ML_DSA_65: &str = "ML-DSA-65, issued by ML-DSA-65";
pub(crate) const ML_DSA_87: &str = "ML-DSA-87, issued by ML-DSA-87";

const SUITES: [CipherSuite; 2] = [
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS13_AES_256_GCM_SHA384,
];

/// Everybody, in the order of the tables.
pub(crate) fn all() -> Result<Vec<Contender>> {
    let hybrid = NamedGroup::X25519MLKEM768;
    let (ml_dsa_65, ml_dsa_87) = (&rcgen::PKCS_ML_DSA_65, &rcgen::PKCS_ML_DSA_87);
    let mut all = Vec::new();
    for (name, leaf, issuer, group) in [
        (
            ED25519_X25519,
            &PKCS_ED25519,
            &PKCS_ED25519,
            NamedGroup::X25519,
        ),
        (
            "Ed25519, X25519MLKEM768",
            &PKCS_ED25519,
            &PKCS_ED25519,
            hybrid,
        ),
        (
            "ML-DSA-65, issued by Ed25519",
            ml_dsa_65,
            &PKCS_ED25519,
            hybrid,
        ),
        (ML_DSA_65, ml_dsa_65, ml_dsa_65, hybrid),
        (
            "ML-DSA-87, issued by Ed25519",
            ml_dsa_87,
            &PKCS_ED25519,
            hybrid,
        ),
        (ML_DSA_87, ml_dsa_87, ml_dsa_87, hybrid),
    ] {
        all.extend(stock(name, leaf, issuer, group)?);
    }
    all.extend(half()?);
    all.extend([pinned()?, mutual()?, granted()?, resumed()?]);
    Ok(all)
}

/// Stock quinn and rustls at both ends. The client knows the issuer, the server shows its own certificate only.
fn stock(
    name: &'static str,
    leaf: &'static SignatureAlgorithm,
    issuer: &'static SignatureAlgorithm,
    group: NamedGroup,
) -> Result<Vec<Contender>> {
    let issuer_key = KeyPair::generate_for(issuer)?;
    let issuer = CertifiedIssuer::self_signed(authority_params(), issuer_key)?;
    let key = KeyPair::generate_for(leaf)?;
    let certificate = CertificateParams::new(vec!["localhost".into()])?.signed_by(&key, &issuer)?;
    let chain = vec![certificate.der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der())?;
    let mut tls =
        rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
    tls.alpn_protocols = vec![stoq_native::ALPN.to_vec()];
    let server = Server::quinn(quinn_config(tls)?)?;
    let root: CertificateDer<'static> = issuer.der().clone();
    let contender = |suite| {
        let provider = provider(group, suite);
        let mut roots = rustls::RootCertStore::empty();
        roots.add(root.clone())?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone()).build()?;
        Ok(Contender {
            name,
            suite,
            server: server.clone(),
            client: Client::Quinn(Quinn::new(provider, verifier)?),
            resumes: false,
        })
    };
    SUITES.into_iter().map(contender).collect()
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params
}

/// STOQ serves, stock quinn asks.
fn half() -> Result<Vec<Contender>> {
    let key = Arc::new(FalconKey::generate());
    let identity = Identity::falcon(key.clone(), ["localhost"])?;
    let certificate_hash = identity.certificate_hash();
    let server = Server::stoq(ServerConfig::new(identity))?;
    let contender = |suite| {
        let verifier = Composite {
            certificate_hash,
            falcon: key.verifying_key().clone(),
        };
        let provider = provider(NamedGroup::X25519MLKEM768, suite);
        Ok(Contender {
            name: HALF,
            suite,
            server: server.clone(),
            client: Client::Quinn(Quinn::new(provider, Arc::new(verifier))?),
            resumes: false,
        })
    };
    SUITES.into_iter().map(contender).collect()
}

fn pinned() -> Result<Contender> {
    let (server, policy) = pinned_server(ClientPolicy::Off)?;
    let client = Stoq::new(server.address, policy, |_| ())?;
    Ok(whole(COMPOSITE, server, client))
}

fn mutual() -> Result<Contender> {
    let key = Arc::new(FalconKey::generate());
    let ids = BTreeSet::from([key.id()]);
    let (server, policy) = pinned_server(ClientPolicy::Require(ClientTrust::Ids(ids)))?;
    let identity = Identity::falcon(key, ["client"])?;
    let client = Stoq::new(server.address, policy, |config| {
        config.identity = Some(identity);
    })?;
    Ok(whole(MUTUAL, server, client))
}

fn resumed() -> Result<Contender> {
    let (server, policy) = pinned_server(ClientPolicy::Off)?;
    let client = Stoq::new(server.address, policy, |_| ())?;
    Ok(Contender {
        resumes: true,
        ..whole(RESUMED, server, client)
    })
}

fn pinned_server(clients: ClientPolicy) -> Result<(Server, Policy)> {
    let key = Arc::new(FalconKey::generate());
    let id = key.id();
    let mut config = ServerConfig::new(Identity::falcon(key, ["127.0.0.1"])?);
    config.clients = clients;
    let policy = move |address: SocketAddr| {
        let pins = Pins::new().pin(&address.to_string(), id)?;
        Ok(PqPolicy::from(pins))
    };
    Ok((Server::stoq(config)?, Arc::new(policy)))
}

fn granted() -> Result<Contender> {
    let (authority, key) = (FalconKey::generate(), Arc::new(FalconKey::generate()));
    let grant = Grant {
        authority: authority.id(),
        subject: key.id(),
        serial: 1,
        not_before: UnixMicros(0),
        not_after: UnixMicros(u64::MAX),
        names: vec!["127.0.0.1".into()],
    };
    let signature = authority.sign(Domain::GRANT, &[&grant.to_be_signed()?])?;
    let identity = Identity::granted(key, &SignedGrant::new(grant, signature)?)?;
    let server = Server::stoq(ServerConfig::new(identity))?;
    let trust = FalconTrust::Authority(Authority::new(authority.verifying_key().clone()));
    let policy: Policy = Arc::new(move |_| Ok(PqPolicy::Require(trust.clone())));
    let client = Stoq::new(server.address, policy, |_| ())?;
    Ok(whole(GRANTED, server, client))
}

/// STOQ at both ends. Its suite is always this one: `Require` offers it first, and servers take it.
fn whole(name: &'static str, server: Server, client: Stoq) -> Contender {
    Contender {
        name,
        suite: CipherSuite::TLS13_AES_256_GCM_SHA384,
        server,
        client: Client::Stoq(client),
        resumes: false,
    }
}
