//! quinn over rustls, with bytes of the test's own behind quinn's transport parameters.

use std::any::Any;
use std::sync::{Arc, Mutex};

use quinn::ConnectionId;
use quinn::crypto::{
    self, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, UnsupportedVersion,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectError, Side, TransportError, TransportErrorCode};
use rustls::quic::{
    ClientConnection, Connection, KeyChange, Secrets, ServerConnection, Suite, Version,
};
use rustls_pki_types::ServerName;

use super::rogue::provider;

/// One end's cryptography.
pub(crate) struct Rigged<C> {
    tls: Arc<C>,
    behind: Vec<u8>,
    /// The transport parameters of the last peer, as they came.
    pub(crate) heard: Arc<Mutex<Vec<u8>>>,
}

impl<C> Rigged<C> {
    pub(crate) fn new(tls: C, behind: &[u8]) -> Self {
        Self {
            tls: Arc::new(tls),
            behind: behind.into(),
            heard: Arc::default(),
        }
    }

    fn parameters(&self, quinn: &TransportParameters) -> Vec<u8> {
        let mut bytes = Vec::new();
        quinn.write(&mut bytes);
        bytes.extend_from_slice(&self.behind);
        bytes
    }

    fn session(&self, tls: Connection) -> Box<dyn crypto::Session> {
        Box::new(Session {
            tls,
            next: None,
            heard: self.heard.clone(),
        })
    }
}

impl crypto::ClientConfig for Rigged<rustls::ClientConfig> {
    fn start_session(
        self: Arc<Self>,
        _version: u32,
        name: &str,
        parameters: &TransportParameters,
    ) -> Result<Box<dyn crypto::Session>, ConnectError> {
        let name = ServerName::try_from(name).unwrap().to_owned();
        let parameters = self.parameters(parameters);
        let tls = ClientConnection::new(self.tls.clone(), Version::V1, name, parameters).unwrap();
        Ok(self.session(Connection::Client(tls)))
    }
}

impl crypto::ServerConfig for Rigged<rustls::ServerConfig> {
    fn initial_keys(&self, _: u32, id: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        Ok(both(initial().keys(id, rustls::Side::Server, Version::V1)))
    }

    fn retry_tag(&self, _: u32, _: &ConnectionId, _: &[u8]) -> [u8; 16] {
        unreachable!("it sends no Retry")
    }

    fn start_session(
        self: Arc<Self>,
        _version: u32,
        parameters: &TransportParameters,
    ) -> Box<dyn crypto::Session> {
        let parameters = self.parameters(parameters);
        let tls = ServerConnection::new(self.tls.clone(), Version::V1, parameters).unwrap();
        self.session(Connection::Server(tls))
    }
}

struct Session {
    tls: Connection,
    next: Option<Secrets>,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl crypto::Session for Session {
    fn initial_keys(&self, id: &ConnectionId, side: Side) -> Keys {
        let side = match side {
            Side::Client => rustls::Side::Client,
            Side::Server => rustls::Side::Server,
        };
        both(initial().keys(id, side, Version::V1))
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        None
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        None
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        None
    }

    fn early_data_accepted(&self) -> Option<bool> {
        Some(false)
    }

    fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        self.tls.read_hs(bytes).map_err(|error| TransportError {
            code: TransportErrorCode::crypto(self.tls.alert().map_or(80, u8::from)),
            frame: None,
            reason: error.to_string(),
        })?;
        Ok(false)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        let Some(mut bytes) = self.tls.quic_transport_parameters() else {
            return Ok(None);
        };
        *self.heard.lock().unwrap() = bytes.into();
        let side = match &self.tls {
            Connection::Client(_) => Side::Client,
            Connection::Server(_) => Side::Server,
        };
        Ok(Some(TransportParameters::read(side, &mut bytes)?))
    }

    fn write_handshake(&mut self, buffer: &mut Vec<u8>) -> Option<Keys> {
        let keys = match self.tls.write_hs(buffer)? {
            KeyChange::Handshake { keys } => keys,
            KeyChange::OneRtt { keys, next } => {
                self.next = Some(next);
                keys
            }
        };
        Some(both(keys))
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        let keys = self.next.as_mut()?.next_packet_keys();
        Some(KeyPair {
            local: Box::new(keys.local),
            remote: Box::new(keys.remote),
        })
    }

    fn is_valid_retry(&self, _: &ConnectionId, _: &[u8], _: &[u8]) -> bool {
        false
    }

    fn export_keying_material(
        &self,
        _: &mut [u8],
        _: &[u8],
        _: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        Err(ExportKeyingMaterialError)
    }
}

/// What protects first packets.
fn initial() -> Suite {
    let first = rustls::CipherSuite::TLS13_AES_128_GCM_SHA256;
    let suites = provider().cipher_suites.clone();
    let mut suites = suites.iter().filter(|suite| suite.suite() == first);
    suites
        .find_map(|suite| suite.tls13()?.quic_suite())
        .unwrap()
}

fn both(keys: rustls::quic::Keys) -> Keys {
    Keys {
        header: KeyPair {
            local: Box::new(keys.local.header),
            remote: Box::new(keys.remote.header),
        },
        packet: KeyPair {
            local: Box::new(keys.local.packet),
            remote: Box::new(keys.remote.packet),
        },
    }
}
