//! One attempt at a handshake.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use stoq_core::close::Code;

use super::{ConnectError, Connector};
use crate::driver;
use crate::security::Admitted;
use crate::tls::quic::{ClientCrypto, HandshakeFault, Verdict};
use crate::tls::servers::Servers;

/// What an attempt is made with, and where it leaves what QUIC has no words for.
#[derive(Debug)]
pub(super) struct Attempt {
    tls: Arc<rustls::ClientConfig>,
    host: String,
    port: u16,
    strict: bool,
    verdict: Verdict,
    /// The connection's, once it has begun.
    number: OnceLock<u64>,
}

impl Connector {
    /// # Errors
    /// [`ConnectError::Identity`] if no server there could be accepted.
    pub(super) fn attempt(
        &self,
        servers: &Servers,
        host: &str,
        port: u16,
    ) -> Result<Attempt, ConnectError> {
        Ok(Attempt {
            tls: servers.config(host, port)?,
            host: host.to_owned(),
            port,
            strict: servers.is_strict(),
            verdict: Verdict::default(),
            number: OnceLock::new(),
        })
    }

    /// Sends the first packet.
    pub(super) fn begin(
        &self,
        endpoint: &quinn::Endpoint,
        address: SocketAddr,
        attempt: &Attempt,
    ) -> Result<quinn::Connecting, ConnectError> {
        let verdict = attempt.verdict.clone();
        let crypto = ClientCrypto::new(attempt.tls.clone(), self.parameter, verdict);
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        let side = quinn::Side::Client;
        let mut transport = self.transport.quinn_to(side, None, address);
        let number = attempt.number.get_or_init(driver::next_number);
        self.recorder.record(&mut transport, side, *number);
        config.transport_config(Arc::new(transport));
        endpoint
            .connect_with(config, address, &attempt.host)
            .map_err(|error| ConnectError::not_begun(address, error))
    }
}

impl Attempt {
    /// What the handshake came to: a connection to a server that is believed, or why not.
    pub(super) fn finish(
        self,
        connected: Result<quinn::Connection, quinn::ConnectionError>,
        drivers: &driver::Shared,
    ) -> Result<(quinn::Connection, Admitted), ConnectError> {
        let connection = connected.map_err(|error| match self.verdict.get() {
            Some(HandshakeFault::Identity(rejected)) => rejected.clone().into(),
            Some(HandshakeFault::Parameter(error)) => ConnectError::Parameter(*error),
            None => ConnectError::from_quic(&error).under(self.strict, &error),
        })?;
        let server = Some((self.host, self.port));
        let number = self.number.into_inner();
        let number = number.expect("what has come to an end has begun");
        let admitted =
            Admitted::new(number, &connection, server, drivers).inspect_err(|rejected| {
                let reason = rejected.to_string();
                connection.close(Code::UNTRUSTED.value().into(), reason.as_bytes());
            })?;
        Ok((connection, admitted))
    }
}
