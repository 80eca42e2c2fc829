//! The handle of a running gateway: start, look, stop.

mod authority;
mod bind;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::{Endpoint, VarInt};
use stoq_core::session::CLOSE_TIMEOUT;
use stoq_native::relay::Relay;
use stoq_native::{AccessTokenFileError, FalconId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::access::Gate;
use crate::admission::{Admission, Door};
use crate::config::Config;
use crate::hops::Hops;
use crate::listed::Listed;
use crate::metrics::{Metrics, Snapshot, count};
use crate::record::now;
use crate::rotation::{Loaded, Order, Place, RenewError, Rotation};
use crate::shared::{Facts, Phase, Shared};
use crate::tasks::{Spawner, Tasks};
use crate::{http, session};
pub use bind::BindError;

/// A running gateway. Dropped without [`shutdown`](Self::shutdown), it ends at once, and browsers see the connection lost.
#[derive(Debug)]
pub struct Gateway {
    endpoint: Endpoint,
    address: SocketAddr,
    http_address: Option<SocketAddr>,
    /// Between native peers.
    relay: Option<Relay>,
    shared: Arc<Shared>,
    facts: Arc<Facts>,
    gate: Option<Gate>,
    phase: watch::Sender<Phase>,
    /// Sessions.
    visits: Tasks,
    /// Connections of the page's server.
    pages: Tasks,
    /// The loops that accept both, and the one that renews the certificate.
    doors: JoinSet<()>,
    orders: mpsc::Sender<Order>,
}

/// How a [`shutdown`](Gateway::shutdown) went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Sessions that ended of themselves within the time that they had.
    pub ended: u64,
    /// Sessions that were closed when the time was up.
    pub cut: u64,
}

impl Gateway {
    /// Checks the settings, binds the sockets, signs the first endpoint record, and starts to accept.
    ///
    /// # Errors
    /// [`BindError`]; nothing is bound then.
    ///
    /// # Cancel safety
    /// If the future is dropped, nothing is bound.
    pub async fn bind(config: Config) -> Result<Self, BindError> {
        config.check()?;
        let config = Arc::new(config);
        let gate = Gate::new(&config).await?;
        let loaded = Loaded::load(&config).await.map_err(|(error, _)| error)?;
        let (endpoint, server) =
            bind::udp(&config, &loaded.current.identity).map_err(|error| BindError::Socket {
                address: config.listen,
                error,
            })?;
        let address = endpoint.local_addr().map_err(|error| BindError::Socket {
            address: config.listen,
            error,
        })?;
        let listener = match &config.http {
            Some(http) => Some(bind::tcp(http.listen).await?),
            None => None,
        };
        let http_address = listener.as_ref().map(|(_, address)| *address);
        let own_origins = http_address.map(http::own_origins).unwrap_or_default();

        let metrics = Arc::new(Metrics::default());
        let hops = Hops::new(&config, address)
            .map_err(|(service, error)| BindError::Upstream { service, error })?;
        let relay = match (&config.relay, &config.identity) {
            (Some(relay), Some(signer)) => {
                let settings = relay.settings(signer.identity(), &config);
                let relay = Relay::bind(relay.listen, settings);
                Some(relay.map_err(BindError::Relay)?)
            }
            _ => None,
        };
        let (phase, phases) = watch::channel(Phase::Running);
        let services = config
            .routes
            .iter()
            .map(|route| route.service.to_string())
            .collect();
        let url = authority::url(&config, address);
        let publisher = authority::publisher(&config, &url);
        let facts = Arc::new(Facts::new(
            url,
            services,
            publisher.as_ref().map(|(signer, _)| signer.id()),
            Listed::new(loaded.current.hash, loaded.current.expiry),
        ));
        let place = Place {
            endpoint: endpoint.clone(),
            server,
            config: config.clone(),
            facts: facts.clone(),
            metrics: metrics.clone(),
            publisher,
        };
        let rotation = Rotation::start(place, loaded).await?;
        let shared = Arc::new(Shared {
            admission: Admission::new(&config, own_origins),
            guard: Gate::guard(
                gate.as_ref(),
                config.identity.as_ref().map(crate::config::Signer::id),
            ),
            config: config.clone(),
            metrics: metrics.clone(),
            hops,
            phase: phases,
        });

        let (visits, pages) = (Tasks::new(&metrics), Tasks::new(&metrics));
        let mut doors = JoinSet::new();
        doors.spawn(accept(endpoint.clone(), shared.clone(), visits.spawner()));
        if let (Some((listener, _)), Some(http)) = (listener, config.http.clone()) {
            doors.spawn(http::serve(
                listener,
                http,
                facts.clone(),
                config,
                pages.spawner(),
            ));
        }
        // One who waits is enough: whoever comes next waits for the place.
        let (orders, inbox) = mpsc::channel(1);
        doors.spawn(rotation.run(inbox));
        tracing::info!(%address, url = facts.url, "gateway runs");
        Ok(Self {
            endpoint,
            address,
            http_address,
            relay,
            shared,
            facts,
            gate,
            phase,
            visits,
            pages,
            doors,
            orders,
        })
    }

    /// The UDP address that browsers connect to.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The TCP address of the page, if there is one.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http_address
    }

    /// The UDP address of the relay between native peers, if there is one.
    pub fn relay_addr(&self) -> Option<SocketAddr> {
        self.relay.as_ref().map(Relay::local_addr)
    }

    /// `https://host:port`: with a path `/stoq/v1/<service>`, what a page connects to.
    pub fn url(&self) -> &str {
        &self.facts.url
    }

    /// SHA-256 of the certificate that new connections see, in DER.
    pub fn certificate_hash(&self) -> [u8; 32] {
        self.facts.listed().newest()
    }

    /// SHA-256 of the certificate that new connections see and of those before it that have not ended, the newest first:
    /// what `/stoq.json` says, and the endpoint record said when it was signed.
    pub fn certificate_hashes(&self) -> Vec<[u8; 32]> {
        self.facts.listed().hashes(now())
    }

    /// What pages pin: the identity that signs the endpoint record, if there is one.
    pub fn falcon_id(&self) -> Option<FalconId> {
        self.facts.falcon_id
    }

    /// The endpoint record as it is served at [`EndpointRecord::PATH`], to publish it elsewhere too. `None` without an
    /// identity, and when the last one has expired and none could be signed since.
    ///
    /// [`EndpointRecord::PATH`]: stoq_core::endpoint_record::EndpointRecord::PATH
    pub fn endpoint_record(&self) -> Option<Vec<u8>> {
        Some(self.facts.record(now())?.into())
    }

    /// Puts a new certificate in the place of the current one now, signs a record that lists both, and returns the hash of
    /// the new one. New connections see it; sessions that run go on. With PEM files, reads them again; if they hold the
    /// current certificate, only the record is new.
    ///
    /// # Errors
    /// [`RenewError`]; the current certificate stays then.
    ///
    /// # Cancel safety
    /// If the future is dropped, the certificate may be renewed all the same, whole or not at all.
    pub async fn renew_certificate(&self) -> Result<[u8; 32], RenewError> {
        let (order, renewed) = oneshot::channel();
        let sent = self.orders.send(order).await;
        sent.map_err(|_| RenewError::Stopped)?;
        renewed.await.map_err(|_| RenewError::Stopped)?
    }

    /// Reads the file of revoked nonces again ([`Access::revoked`](crate::config::Access::revoked)) and returns how many there are.
    /// Sessions whose token is revoked now are closed with
    /// [`TOKEN_REVOKED`](stoq_core::close::Code::TOKEN_REVOKED). Does nothing without such a file.
    ///
    /// # Errors
    /// [`AccessTokenFileError`]; the last list stays then.
    ///
    /// # Cancel safety
    /// If the future is dropped, the list may be read all the same.
    pub async fn reload_revocations(&self) -> Result<usize, AccessTokenFileError> {
        match &self.gate {
            Some(gate) => gate.reload().await,
            None => Ok(0),
        }
    }

    /// The numbers now.
    pub fn metrics(&self) -> Snapshot {
        let upstreams = self.shared.hops.upstreams();
        let connections = upstreams.map(|upstream| upstream.connections() as u64);
        Snapshot {
            relay: self.relay.as_ref().map(Relay::stats),
            ..self.shared.metrics.snapshot(connections.sum())
        }
    }

    /// Stops in order: accepts no more, tells every session that it has `grace` left, waits for them to end, closes the rest
    /// with [`GOING_AWAY`](stoq_core::close::Code::GOING_AWAY), and returns when no task is left. The relay between native peers
    /// stops in the same way meanwhile; its sessions are not among those that are counted.
    ///
    /// # Cancel safety
    /// If the future is dropped, the gateway ends at once.
    pub async fn shutdown(mut self, grace: Duration) -> Drained {
        let relay = self.relay.take();
        let relayed = async {
            if let Some(relay) = &relay {
                // Until then its neighbours have learnt of it, or nobody listens.
                let _ = timeout(grace + 4 * CLOSE_TIMEOUT, relay.shutdown(grace)).await;
            }
        };
        tokio::join!(self.drain(grace), relayed).0
    }

    /// All but the relay.
    async fn drain(mut self, grace: Duration) -> Drained {
        self.endpoint.set_server_config(None);
        self.doors.shutdown().await;
        // Until then a certificate could be renewed, and the endpoint accept again.
        self.endpoint.set_server_config(None);
        self.pages.abort().await;
        let running = self.shared.metrics.snapshot(0).sessions_open;
        self.phase.send_replace(Phase::Draining(grace));
        let mut visits = std::pin::pin!(self.visits.join());
        let mut cut = 0;
        let mut over = timeout(grace, &mut visits).await.is_ok();
        if !over {
            cut = self.shared.metrics.snapshot(0).sessions_open;
            self.phase.send_replace(Phase::Closing);
            // Each has CLOSE_TIMEOUT for the browser to agree; one that has hardly begun has nothing to say.
            over = timeout(2 * CLOSE_TIMEOUT, &mut visits).await.is_ok();
        }
        self.endpoint.close(VarInt::from_u32(H3_NO_ERROR), b"");
        if !over {
            // What is left after that is aborted with `visits`.
            let _ = timeout(CLOSE_TIMEOUT, visits).await;
        }
        for upstream in self.shared.hops.upstreams() {
            let _ = timeout(CLOSE_TIMEOUT, upstream.close()).await;
        }
        let _ = timeout(CLOSE_TIMEOUT, self.endpoint.wait_idle()).await;
        Drained {
            ended: running.saturating_sub(cut),
            cut,
        }
    }
}

/// Lets browsers in, until dropped or the endpoint ends.
async fn accept(endpoint: Endpoint, shared: Arc<Shared>, spawner: Spawner) {
    while let Some(incoming) = endpoint.accept().await {
        match shared
            .admission
            .door(&incoming, endpoint.open_connections())
        {
            Door::Open(permits) => spawner.spawn(session::serve(shared.clone(), incoming, permits)),
            Door::Retry => {
                // An error says that it has proved itself already, which the door has seen.
                let _ = incoming.retry();
            }
            Door::TooManySessions => {
                count(&shared.metrics.refused.sessions);
                incoming.refuse();
            }
            Door::TooManyHandshakes => {
                count(&shared.metrics.refused.handshakes);
                incoming.refuse();
            }
        }
    }
}

/// RFC 9114, section 8.1.
const H3_NO_ERROR: u32 = 0x100;
