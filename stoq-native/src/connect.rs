//! From a target to a session: names, addresses, handshake, the server's answer.

mod attempt;
mod early;
mod error;
mod options;

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use stoq_core::transport_parameter::TransportParameter;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::access::HolderKeys;
use crate::config::{ClientConfig, ConfigError, check_access_tokens};
use crate::connection::Connection;
use crate::driver::{self, Role};
use crate::identity::Identity;
use crate::parameter;
use crate::policy::PqPolicy;
use crate::qlog::Recorder;
use crate::resolve::{race, resolve};
use crate::security::{Admitted, Judge};
use crate::session::Session;
use crate::target::Target;
use crate::tls::servers::Servers;
use crate::transport::{IpVersions, TransportConfig};
use crate::trust::TrustError;

use attempt::Attempt;
pub use early::EarlyConnection;
pub use error::ConnectError;
pub use options::ConnectOptions;

/// What an endpoint needs in order to connect.
#[derive(Debug)]
pub(crate) struct Connector {
    transport: TransportConfig,
    recorder: Recorder,
    identity: Option<Identity>,
    parameter: TransportParameter,
    access_tokens: Vec<Bytes>,
    holders: HolderKeys,
    timeout: Duration,
}

impl Connector {
    pub(crate) fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        config.transport.check()?;
        check_access_tokens(&config.access_tokens)?;
        let falcon_id = config.identity.as_ref().and_then(Identity::falcon_id);
        Ok(Self {
            transport: config.transport.clone(),
            recorder: Recorder::new(config.transport.qlog.as_ref())?,
            parameter: parameter::ours(falcon_id, config.framed_streams, false),
            identity: config.identity.clone(),
            access_tokens: config.access_tokens.clone(),
            holders: config.holders.clone(),
            timeout: config.connect_timeout,
        })
    }

    /// IP versions of the socket.
    pub(crate) fn ip(&self) -> IpVersions {
        self.transport.ip
    }

    /// Who judges servers by this policy.
    pub(crate) fn judge(&self, policy: PqPolicy) -> Result<Judge, TrustError> {
        let servers = Servers::new(policy, self.identity.as_ref())?;
        Ok(Judge::Servers(Arc::new(servers)))
    }

    /// Connects, and asks for the target's service if it names one.
    pub(crate) async fn connect(
        &self,
        endpoint: &quinn::Endpoint,
        drivers: &Arc<driver::Shared>,
        target: &Target,
        options: ConnectOptions,
    ) -> Result<(Connection, Option<Session>), ConnectError> {
        options.check()?;
        let after = self.timeout;
        let begun = Instant::now();
        let too_late = |_| Err(ConnectError::Timeout { after });
        let reaching = timeout(after, self.reach(endpoint, drivers, target)).await;
        let (quinn, peer) = reaching
            .unwrap_or_else(too_late)
            .inspect_err(|error| drivers.counters.handshake_failed(error.code()))?;
        let left = after.saturating_sub(begun.elapsed());
        let opening = self.open(quinn, peer, drivers, target, options);
        let too_late = |_| Err(ConnectError::Timeout { after });
        (timeout(left, opening).await).unwrap_or_else(too_late)
    }

    /// Asks for the target's service, if it names one, on a connection that has just come about.
    async fn open(
        &self,
        quinn: quinn::Connection,
        peer: Admitted,
        drivers: &Arc<driver::Shared>,
        target: &Target,
        options: ConnectOptions,
    ) -> Result<(Connection, Option<Session>), ConnectError> {
        let (opened, answer) = oneshot::channel();
        // A connection that only carries sessions asks for nothing itself.
        let (access_tokens, proofs) = match target.service {
            Some(_) => {
                let proofs = self.holders.proofs(&self.access_tokens);
                (self.access_tokens.clone(), proofs)
            }
            None => Default::default(),
        };
        let role = Role::Client {
            service: target.service.clone(),
            options,
            access_tokens,
            proofs,
            opened,
        };
        let connection = driver::start(quinn, role, drivers.clone(), peer);
        match answer.await {
            Ok(session) => Ok((connection, session?)),
            Err(_) => Err(ConnectError::Lost(connection.closed().await)),
        }
    }

    /// The first of the target's addresses with which the handshake succeeds.
    async fn reach(
        &self,
        endpoint: &quinn::Endpoint,
        drivers: &Arc<driver::Shared>,
        target: &Target,
    ) -> Result<(quinn::Connection, Admitted), ConnectError> {
        let Target { host, port, .. } = target;
        let Judge::Servers(servers) = drivers.judge.borrow().clone() else {
            return Err(ConnectError::NotAClient);
        };
        // Before the network is asked anything: whom nobody could be there, nobody needs to be looked for.
        self.attempt(&servers, host, *port)?;
        let addresses = resolve(host, *port, self.transport.ip).await;
        let addresses = addresses.map_err(|error| ConnectError::Resolve {
            host: host.clone(),
            error,
        })?;
        let attempt = |address| {
            let begun = self.attempt(&servers, host, *port).and_then(|attempt| {
                let connecting = self.begin(endpoint, address, &attempt)?;
                Ok((attempt, connecting))
            });
            let drivers = drivers.clone();
            async move {
                let (attempt, connecting) = begun?;
                attempt.finish(connecting.await, &drivers)
            }
        };
        race(addresses, attempt).await.map_err(|failures| {
            // The address that got furthest says most.
            let telling = failures.into_iter().max_by_key(ConnectError::progress);
            telling.unwrap_or_else(|| ConnectError::NoAddress { host: host.clone() })
        })
    }
}
