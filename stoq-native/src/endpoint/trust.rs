//! Who the endpoint is and whom it believes, and how that changes while it runs.

use std::sync::{Arc, PoisonError};

use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};

use super::{Endpoint, Role};
use crate::access::{AccessRefusals, AccessRules};
use crate::config::Cipher;
use crate::identity::Identity;
use crate::parameter;
use crate::policy::{ClientPolicy, PqPolicy};
use crate::request::fresh_random;
use crate::security::Judge;
use crate::tls::clients::Clients;
use crate::tls::quic::ServerCrypto;
use crate::transport::TransportConfig;
use crate::trust::TrustError;

impl Endpoint {
    /// A client's: from now on believes other servers, or the same for other reasons. Nothing that was agreed on under the
    /// old policy is resumed, and connections whose server would not be believed now are closed with [`Code::REVOKED`](crate::Code::REVOKED).
    ///
    /// # Errors
    /// [`PolicyError`] if there is nothing to trust, which leaves the old policy in force, or this is a server's endpoint.
    pub fn set_policy(&self, policy: impl Into<PqPolicy>) -> Result<(), PolicyError> {
        let Role::Client(connector, _) = &self.0.role else {
            return Err(PolicyError::WrongRole);
        };
        self.0
            .drivers
            .judge
            .send_replace(connector.judge(policy.into())?);
        Ok(())
    }

    /// A server's: from now on lets other clients in. Nothing that was agreed on under the old policy is resumed, and
    /// connections of clients that would not be let in now are closed with [`Code::REVOKED`](crate::Code::REVOKED).
    ///
    /// # Errors
    /// [`PolicyError::WrongRole`] if this is a client's endpoint.
    pub fn set_clients(&self, policy: ClientPolicy) -> Result<(), PolicyError> {
        let clients = Arc::new(Clients::new(policy));
        self.rebuild(|house| {
            house.clients = clients.clone();
            // Here, so that of two changes at once the same one comes last at the door and for who is inside.
            self.0.drivers.judge.send_replace(Judge::Clients(clients));
        })
    }

    /// A server's: from now on wants access tokens by these rules; `None`: no service wants any. Sessions whose token is revoked, or
    /// by an issuer who is trusted no longer, are closed with the code that says so; others go on, whatever the rules ask of new
    /// ones.
    ///
    /// # Errors
    /// [`PolicyError::WrongRole`] if this is a client's endpoint.
    pub fn set_access(&self, rules: Option<AccessRules>) -> Result<(), PolicyError> {
        let Role::Server(_) = &self.0.role else {
            return Err(PolicyError::WrongRole);
        };
        self.0.drivers.access.send_replace(rules.map(Arc::new));
        Ok(())
    }

    /// How often this server's access rules have refused somebody, for each reason.
    pub fn access_refusals(&self) -> &AccessRefusals {
        &self.0.drivers.access_refusals
    }

    /// A server's: shows new connections this identity. Those that run go on with the old one.
    ///
    /// # Errors
    /// [`PolicyError::WrongRole`] if this is a client's endpoint.
    pub fn set_identity(&self, identity: Identity) -> Result<(), PolicyError> {
        self.rebuild(|house| house.identity = identity)
    }

    fn rebuild(&self, change: impl FnOnce(&mut House)) -> Result<(), PolicyError> {
        let Role::Server(server) = &self.0.role else {
            return Err(PolicyError::WrongRole);
        };
        let mut house = server.house.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut house);
        if self.0.drivers.ending.get().is_none() {
            let config = house.quinn();
            server.welcome.send_replace(config.clone());
            for quinn in &self.0.quinn {
                quinn.set_server_config(Some(config.clone()));
            }
        }
        Ok(())
    }
}

/// What a server's handshakes are made of.
pub(super) struct House {
    pub(super) identity: Identity,
    pub(super) clients: Arc<Clients>,
    pub(super) cipher: Cipher,
    pub(super) transport: TransportConfig,
    pub(super) framed_streams: bool,
    pub(super) early_data: bool,
    /// Outlives changes, because the tokens of Retry packets are sealed with it: the answer to one may come after the change.
    pub(super) token_key: Arc<Prk>,
}

impl House {
    pub(super) fn quinn(&self) -> quinn::ServerConfig {
        let falcon_id = self.identity.falcon_id();
        let parameter = parameter::ours(falcon_id, self.framed_streams, self.early_data);
        let tls = self
            .identity
            .tls(&self.clients, self.cipher, self.early_data);
        let crypto = ServerCrypto::new(tls, parameter);
        let mut server = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        server.transport_config(Arc::new(self.transport.quinn(quinn::Side::Server)));
        server.token_key(self.token_key.clone());
        server.migration(self.transport.migration);
        server
    }

    pub(super) fn token_key() -> Arc<Prk> {
        Arc::new(Salt::new(HKDF_SHA256, &[]).extract(&fresh_random()))
    }
}

/// A policy was not changed.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// There is nothing to trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// It is not a policy of this kind of endpoint: clients judge servers, servers judge clients.
    #[error("this kind of endpoint has no such policy")]
    WrongRole,
}
