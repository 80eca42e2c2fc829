//! The cryptography of a QUIC connection: rustls, and STOQ's transport parameter beside quinn's.
//!
//! quinn's own implementation over rustls has no place for a parameter that quinn does not know, so this is another
//! one, over the same interface of rustls.

use core::any::Any;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use quinn::ConnectionId;
use quinn::crypto::{
    self, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, UnsupportedVersion,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectError, Side, TransportError, TransportErrorCode};
use rustls::quic::{
    ClientConnection, Connection, KeyChange, Secrets, ServerConnection, Suite, Version,
};
use rustls::{CipherSuite, HandshakeKind, NamedGroup};
use rustls_pki_types::{CertificateDer, ServerName};
use stoq_core::identity::FalconId;
use stoq_core::transport_parameter::{ParameterError, TransportParameter};

use super::keys;
use crate::certificate::Leaf;
use crate::rejection::IdentityRejected;

/// Where the session of a connection leaves what quinn has no words for.
pub(crate) type Verdict = Arc<OnceLock<HandshakeFault>>;

/// Why this end gave a handshake up, where it was STOQ's own judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HandshakeFault {
    Identity(IdentityRejected),
    Parameter(ParameterError),
}

/// A client's side of connections that it makes with one configuration.
pub(crate) struct ClientCrypto {
    tls: Arc<rustls::ClientConfig>,
    parameter: TransportParameter,
    initial: Suite,
    /// For one attempt.
    verdict: Verdict,
}

/// A server's side of the connections that it takes.
pub(crate) struct ServerCrypto {
    tls: Arc<rustls::ServerConfig>,
    parameter: TransportParameter,
    initial: Suite,
}

/// What a handshake came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key_exchange: Option<NamedGroup>,
    pub(crate) cipher_suite: Option<CipherSuite>,
    pub(crate) resumed: bool,
    /// Early data was accepted.
    pub(crate) early_data: bool,
    pub(crate) parameter: Option<TransportParameter>,
}

impl Facts {
    /// The peer's FALCON identity: a FALCON key stands in the certificate of a peer only if it was verified.
    pub(crate) fn peer(&self) -> Option<FalconId> {
        let leaf = Leaf::parse(self.chain.first()?).ok()?;
        Some(leaf.falcon?.id())
    }
}

impl ClientCrypto {
    /// `verdict` must be fresh for each attempt to connect.
    pub(crate) fn new(
        tls: Arc<rustls::ClientConfig>,
        parameter: TransportParameter,
        verdict: Verdict,
    ) -> Self {
        Self {
            initial: keys::initial_suite(tls.crypto_provider()),
            tls,
            parameter,
            verdict,
        }
    }
}

impl ServerCrypto {
    pub(crate) fn new(tls: rustls::ServerConfig, parameter: TransportParameter) -> Self {
        Self {
            initial: keys::initial_suite(tls.crypto_provider()),
            tls: Arc::new(tls),
            parameter,
        }
    }
}

impl crypto::ClientConfig for ClientCrypto {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        parameters: &TransportParameters,
    ) -> Result<Box<dyn crypto::Session>, ConnectError> {
        let version = keys::version(version)?;
        let invalid = |_| ConnectError::InvalidServerName(server_name.into());
        let name = ServerName::try_from(server_name)
            .map_err(invalid)?
            .to_owned();
        let parameters = encode(parameters, &self.parameter);
        let connection = ClientConnection::new(self.tls.clone(), version, name, parameters)
            .map_err(|error| ConnectError::InvalidServerName(error.to_string()))?;
        Ok(Box::new(Session::new(
            Connection::Client(connection),
            version,
            self.initial,
            self.verdict.clone(),
        )))
    }
}

impl crypto::ServerConfig for ServerCrypto {
    fn initial_keys(&self, version: u32, id: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        let version = keys::version(version)?;
        Ok(keys::initial(
            &self.initial,
            version,
            id,
            rustls::Side::Server,
        ))
    }

    fn retry_tag(
        &self,
        _version: u32,
        original_destination: &ConnectionId,
        packet: &[u8],
    ) -> [u8; 16] {
        keys::retry_tag(original_destination, packet)
    }

    fn start_session(
        self: Arc<Self>,
        version: u32,
        parameters: &TransportParameters,
    ) -> Box<dyn crypto::Session> {
        let version = keys::version(version)
            .unwrap_or_else(|_| unreachable!("quinn asks for the keys of a version first"));
        let parameters = encode(parameters, &self.parameter);
        let connection = ServerConnection::new(self.tls.clone(), version, parameters)
            .expect("the configuration has TLS 1.3, and suites for QUIC");
        let verdict = Verdict::default();
        let connection = Connection::Server(connection);
        Box::new(Session::new(connection, version, self.initial, verdict))
    }
}

fn encode(parameters: &TransportParameters, ours: &TransportParameter) -> Vec<u8> {
    let mut bytes = Vec::new();
    parameters.write(&mut bytes);
    ours.encode(&mut bytes);
    bytes
}

/// One handshake, and the keys that come of it.
struct Session {
    tls: Connection,
    version: Version,
    initial: Suite,
    next: Option<Secrets>,
    said_ready: bool,
    early_keys_used: AtomicBool,
    verdict: Verdict,
}

impl Session {
    fn new(tls: Connection, version: Version, initial: Suite, verdict: Verdict) -> Self {
        Self {
            tls,
            version,
            initial,
            next: None,
            said_ready: false,
            early_keys_used: AtomicBool::new(false),
            verdict,
        }
    }

    fn side(&self) -> Side {
        match self.tls {
            Connection::Client(_) => Side::Client,
            Connection::Server(_) => Side::Server,
        }
    }

    fn fault(&self, error: &rustls::Error) -> TransportError {
        let rejected = match (&self.tls, error) {
            (Connection::Client(_), rustls::Error::NoCertificatesPresented) => {
                Some(IdentityRejected::no_certificate())
            }
            _ => IdentityRejected::from_tls(error),
        };
        if let Some(rejected) = rejected {
            // Only the first counts, and there is no second.
            let _ = self.verdict.set(HandshakeFault::Identity(rejected));
        }
        match self.tls.alert() {
            Some(alert) => TransportError {
                code: TransportErrorCode::crypto(alert.into()),
                frame: None,
                reason: reason(error),
            },
            None => TransportError {
                code: TransportErrorCode::PROTOCOL_VIOLATION,
                frame: None,
                reason: format!("TLS: {error}"),
            },
        }
    }

    fn stoq_parameter(&self) -> Result<Option<TransportParameter>, ParameterError> {
        match self.tls.quic_transport_parameters() {
            None => Ok(None),
            Some(parameters) => TransportParameter::find(parameters),
        }
    }
}

impl crypto::Session for Session {
    fn initial_keys(&self, id: &ConnectionId, side: Side) -> Keys {
        let side = match side {
            Side::Client => rustls::Side::Client,
            Side::Server => rustls::Side::Server,
        };
        keys::initial(&self.initial, self.version, id, side)
    }

    /// [`Facts`].
    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        if !self.said_ready {
            return None;
        }
        let early_data = match &self.tls {
            Connection::Client(client) => client.is_early_data_accepted(),
            Connection::Server(_) => self.early_keys_used.load(Ordering::Relaxed),
        };
        Some(Box::new(Facts {
            chain: self.tls.peer_certificates().unwrap_or_default().to_vec(),
            key_exchange: self
                .tls
                .negotiated_key_exchange_group()
                .map(|group| group.name()),
            cipher_suite: self
                .tls
                .negotiated_cipher_suite()
                .map(|suite| suite.suite()),
            resumed: self.tls.handshake_kind() == Some(HandshakeKind::Resumed),
            early_data,
            // A malformed one has ended the handshake.
            parameter: self.stoq_parameter().ok().flatten(),
        }))
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        let chain = self.tls.peer_certificates()?.to_vec();
        Some(Box::new(chain))
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        let keys = self.tls.zero_rtt_keys()?;
        self.early_keys_used.store(true, Ordering::Relaxed);
        Some(keys::one_way(keys))
    }

    fn early_data_accepted(&self) -> Option<bool> {
        match &self.tls {
            Connection::Client(client) => Some(client.is_early_data_accepted()),
            Connection::Server(_) => None,
        }
    }

    fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        self.tls
            .read_hs(bytes)
            .map_err(|error| self.fault(&error))?;
        // rustls does not say when the ClientHello has been read, or ALPN been agreed on: these are the traces of it.
        let has_name = match &self.tls {
            Connection::Client(_) => false,
            Connection::Server(server) => server.server_name().is_some(),
        };
        let ready = self.tls.alpn_protocol().is_some() || has_name || !self.is_handshaking();
        let is_news = ready && !self.said_ready;
        self.said_ready |= ready;
        Ok(is_news)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        let Some(mut parameters) = self.tls.quic_transport_parameters() else {
            return Ok(None);
        };
        self.stoq_parameter().map_err(|error| {
            let _ = self.verdict.set(HandshakeFault::Parameter(error));
            TransportError {
                code: TransportErrorCode::TRANSPORT_PARAMETER_ERROR,
                frame: None,
                reason: error.to_string(),
            }
        })?;
        Ok(Some(TransportParameters::read(
            self.side(),
            &mut parameters,
        )?))
    }

    fn write_handshake(&mut self, buffer: &mut Vec<u8>) -> Option<Keys> {
        let keys = match self.tls.write_hs(buffer)? {
            KeyChange::Handshake { keys } => keys,
            KeyChange::OneRtt { keys, next } => {
                self.next = Some(next);
                keys
            }
        };
        Some(keys::both(keys))
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        Some(keys::packets(self.next.as_mut()?.next_packet_keys()))
    }

    fn is_valid_retry(
        &self,
        original_destination: &ConnectionId,
        header: &[u8],
        payload: &[u8],
    ) -> bool {
        keys::is_valid_retry(original_destination, header, payload)
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.tls
            .export_keying_material(output, label, Some(context))
            .map(drop)
            .map_err(|_| ExportKeyingMaterialError)
    }
}

/// In our words where the error is ours: rustls shows it with its own around it.
fn reason(error: &rustls::Error) -> String {
    IdentityRejected::from_tls(error).map_or_else(|| error.to_string(), |ours| ours.to_string())
}
