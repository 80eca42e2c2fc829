//! The way to one target: connections, and the browser sessions multiplexed on them.

use std::sync::Arc;

use stoq_core::close::Code;
use stoq_native::relay::{LARGEST_DATAGRAM, Lease, NextHop, OpenFailure, Pool, PoolSettings};
use stoq_native::{BindError, ClientConfig, Endpoint, KeepAlive, Pins, PqPolicy, Request};

use crate::config::{Config, Route};

/// Connections to the target of one route, or to a relay that pages name.
#[derive(Debug)]
pub(crate) struct Upstream {
    endpoint: Endpoint,
    pool: Arc<Pool>,
}

impl Upstream {
    pub(crate) fn to_target(route: &Route, config: &Config) -> Result<Self, BindError> {
        let settings = PoolSettings {
            target: route.upstream.clone(),
            identity: None,
            sessions_per_connection: route.sessions_per_connection,
            answer_timeout: config.timing.upstream_answer(),
        };
        Self::new(route.policy.clone(), settings, config)
    }

    pub(crate) fn to_relay(hop: &NextHop, config: &Config) -> Result<Self, BindError> {
        let pins = Pins::new().pin(&hop.target.authority(), hop.id);
        let settings = PoolSettings {
            target: hop.target.clone(),
            identity: Some(hop.id),
            sessions_per_connection: hop.sessions_per_connection,
            answer_timeout: config.timing.upstream_answer(),
        };
        let pins = pins.expect("the authority of a target is one");
        Self::new(pins.into(), settings, config)
    }

    fn new(policy: PqPolicy, settings: PoolSettings, config: &Config) -> Result<Self, BindError> {
        let (limits, timing) = (&config.limits, &config.timing);
        let mut client = ClientConfig::new(policy);
        if let Some(signer) = &config.identity {
            client.identity = Some(signer.identity());
        }
        client.connect_timeout = timing.upstream_connect;
        client.transport.idle_timeout = timing.upstream_idle;
        client.transport.keep_alive = KeepAlive::Every(timing.keep_alive);
        client.framed_streams = true;
        client.transport.limits.max_streams = limits.max_streams.get();
        client.transport.limits.max_datagram_size = LARGEST_DATAGRAM;
        client.transport.limits.stream_window = limits.upstream_stream_window.get();
        let endpoint = Endpoint::client(client)?;
        let pool = Arc::new(Pool::new(endpoint.clone(), settings));
        Ok(Self { endpoint, pool })
    }

    /// Opens a session, on a connection that has room for it or a new one. `proofs` says whether the browser has shown access
    /// tokens, whose proofs may come.
    ///
    /// # Cancel safety
    /// If the future is dropped, a session that is opened all the same is closed.
    pub(crate) async fn open(&self, request: Request, proofs: bool) -> Result<Lease, OpenFailure> {
        self.pool.open(request, proofs).await
    }

    /// Closes every connection, and with it what sessions are left.
    pub(crate) async fn close(&self) {
        self.pool.clear();
        self.endpoint
            .close(Code::GOING_AWAY, "the gateway shuts down");
        self.endpoint.wait_idle().await;
    }

    /// Connections that are, in whatever state.
    pub(crate) fn connections(&self) -> usize {
        self.endpoint.open_connections()
    }
}
