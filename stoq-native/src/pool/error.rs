use core::time::Duration;
use std::sync::Arc;

use crate::config::ConfigError;
use crate::connect::ConnectError;
use crate::request::OpenError;
use crate::target::TargetError;

/// There is no session.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// A setting cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The URL is not one of STOQ.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The URL names no service.
    #[error("{url:?} names no service; write stoq://host:port/service")]
    NoService {
        /// The URL.
        url: String,
    },
    /// There is no connection. All who waited for it are told.
    #[error(transparent)]
    Connect(Arc<ConnectError>),
    /// All connections have sessions, so none can make room. Close sessions, or raise
    /// [`PoolConfig::max_connections`](super::PoolConfig::max_connections).
    #[error(
        "all {limit} connections of the pool are in use; close sessions or raise max_connections"
    )]
    Full {
        /// Their number.
        limit: usize,
    },
    /// The peer has the request, or may have it, and has not answered. The request is withdrawn.
    #[error("no answer within {after:?}; the peer may be overloaded, or raise answer_timeout")]
    NoAnswer {
        /// [`PoolConfig::answer_timeout`](super::PoolConfig::answer_timeout).
        after: Duration,
    },
    /// The peer took no session on any of the connections that were tried.
    #[error(
        "the peer takes no sessions that are multiplexed, or no more of them; connect with an endpoint, or try again later"
    )]
    NoPlace,
    /// The peer refuses the session, or the connection was lost again and again before it was opened.
    #[error(transparent)]
    Open(OpenError),
}
