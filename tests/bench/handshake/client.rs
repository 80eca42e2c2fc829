//! Clients: stock quinn with what rustls offers or with a verifier given to it, and STOQ's own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::quic::Suite;
use rustls::{CipherSuite, NamedGroup};
use stoq_native::{ClientConfig, Code, Connection, Endpoint, KeyExchange, PqPolicy, Target};
use tokio::time::timeout;

use crate::Result;

/// Makes the policy for a server at this address.
pub(crate) type Policy = Arc<dyn Fn(SocketAddr) -> Result<PqPolicy>>;

/// What connects.
#[derive(Clone)]
pub(crate) enum Client {
    Quinn(Quinn),
    Stoq(Stoq),
}

/// A connection, and when the client was where.
pub(crate) struct Connected {
    /// From the beginning until the client's TLS was done. STOQ's own client does not show this moment.
    pub(crate) tls: Option<Duration>,
    /// From the beginning until the server's first word after its own TLS was done: it takes no less than another half
    /// of a round trip there and back.
    pub(crate) answered: Duration,
    carrier: Carrier,
}

enum Carrier {
    Quinn(quinn::Connection),
    Stoq(Connection),
}

impl Client {
    /// A full handshake, or, with `resume`, one that must resume the last.
    pub(crate) async fn connect(&self, address: SocketAddr, resume: bool) -> Result<Connected> {
        match self {
            Self::Quinn(client) => timeout(PATIENCE, client.connect(address)).await?,
            Self::Stoq(client) => client.connect(address, resume).await,
        }
    }

    /// Forgets what could be resumed, and prepares for a server at this address: not counted as part of connecting.
    pub(crate) fn prepare(&mut self, address: SocketAddr) -> Result<()> {
        match self {
            Self::Quinn(client) => client.prepare(),
            Self::Stoq(client) => Ok(client.endpoint.set_policy((client.policy)(address)?)?),
        }
    }
}

impl Connected {
    /// Closes, and lets the server know.
    pub(crate) fn close(self) {
        match self.carrier {
            Carrier::Quinn(connection) => connection.close(0_u32.into(), b""),
            Carrier::Stoq(connection) => connection.close(Code::NO_ERROR, ""),
        }
    }
}

/// As long as STOQ's own clients wait by default.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Stock quinn.
#[derive(Clone)]
pub(crate) struct Quinn {
    endpoint: quinn::Endpoint,
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
    config: quinn::ClientConfig,
}

impl Quinn {
    pub(crate) fn new(
        provider: Arc<CryptoProvider>,
        verifier: Arc<dyn ServerCertVerifier>,
    ) -> Result<Self> {
        Ok(Self {
            endpoint: quinn::Endpoint::client((std::net::Ipv4Addr::LOCALHOST, 0).into())?,
            config: config(&provider, &verifier)?,
            provider,
            verifier,
        })
    }

    fn prepare(&mut self) -> Result<()> {
        self.config = config(&self.provider, &self.verifier)?;
        Ok(())
    }

    async fn connect(&self, address: SocketAddr) -> Result<Connected> {
        let begun = Instant::now();
        let connecting = self
            .endpoint
            .connect_with(self.config.clone(), address, "localhost")?;
        let connection = connecting.await?;
        let tls = begun.elapsed();
        let mut answer = connection.accept_uni().await?;
        answer.read_exact(&mut [0]).await?;
        let answered = begun.elapsed();
        Ok(Connected {
            tls: Some(tls),
            answered,
            carrier: Carrier::Quinn(connection),
        })
    }
}

/// With a memory of its own for sessions to resume, which is empty.
fn config(
    provider: &Arc<CryptoProvider>,
    verifier: &Arc<dyn ServerCertVerifier>,
) -> Result<quinn::ClientConfig> {
    let mut tls = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_no_client_auth();
    tls.alpn_protocols = vec![stoq_native::ALPN.to_vec()];
    let crypto = QuicClientConfig::with_initial(Arc::new(tls), initial_suite()?)?;
    Ok(quinn::ClientConfig::new(Arc::new(crypto)))
}

/// What rustls offers, restricted to one group and one suite, so that a server takes these or none.
pub(crate) fn provider(group: NamedGroup, suite: CipherSuite) -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups.retain(|offered| offered.name() == group);
    provider
        .cipher_suites
        .retain(|offered| offered.suite() == suite);
    Arc::new(provider)
}

/// First packets are always in AES-128 (RFC 9001, section 5.2).
fn initial_suite() -> Result<Suite> {
    let suites = aws_lc_rs::default_provider().cipher_suites;
    let suite = suites
        .iter()
        .find(|suite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256)
        .and_then(|suite| suite.tls13()?.quic_suite());
    Ok(suite.ok_or("aws-lc-rs has AES-128 for QUIC")?)
}

/// STOQ.
#[derive(Clone)]
pub(crate) struct Stoq {
    endpoint: Endpoint,
    policy: Policy,
}

impl Stoq {
    pub(crate) fn new(
        address: SocketAddr,
        policy: Policy,
        change: impl FnOnce(&mut ClientConfig),
    ) -> Result<Self> {
        let mut config = ClientConfig::new(policy(address)?);
        config.connect_timeout = PATIENCE;
        change(&mut config);
        Ok(Self {
            endpoint: Endpoint::client(config)?,
            policy,
        })
    }

    async fn connect(&self, address: SocketAddr, resume: bool) -> Result<Connected> {
        let target: Target = format!("stoq://{address}").parse()?;
        let begun = Instant::now();
        let connection = self.endpoint.connect_to(&target).await?;
        let answered = begun.elapsed();
        let security = connection.security();
        if security.resumed != resume {
            return Err(format!("resumed: {}, not {resume}", security.resumed).into());
        }
        if security.key_exchange != KeyExchange::X25519MlKem768
            || security.cipher_suite != u16::from(CipherSuite::TLS13_AES_256_GCM_SHA384)
            || !security.is_falcon_verified()
        {
            return Err(format!("not what is to be measured: {security:?}").into());
        }
        Ok(Connected {
            tls: None,
            answered,
            carrier: Carrier::Stoq(connection),
        })
    }
}
