use std::io;
use std::net::SocketAddr;

use crate::config::ConfigError;
use crate::trust::TrustError;

/// An endpoint cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A setting cannot work.
    #[error(transparent)]
    Config(ConfigError),
    /// There is nothing to trust.
    #[error(transparent)]
    Trust(TrustError),
    /// The system does not give the socket.
    #[error("cannot bind {}: {error}", address.map_or_else(|| "a UDP port".into(), |address| address.to_string()))]
    Socket {
        /// The address asked for; `None` for any.
        address: Option<SocketAddr>,
        /// What the system says.
        error: io::Error,
    },
    /// The system does not give a worker its thread.
    #[error("cannot start a worker: {error}")]
    Worker {
        /// What the system says.
        error: io::Error,
    },
    /// This process has as many files and sockets open as it may.
    #[error(
        "no file descriptor is left for a socket, this process may have {}; raise RLIMIT_NOFILE (`ulimit -n`, or LimitNOFILE= of \
         a systemd unit) or close what is open",
        limit.map_or_else(|| "no more".into(), |limit| limit.to_string())
    )]
    FileLimit {
        /// The limit in force (RLIMIT_NOFILE, the soft one), on Linux.
        limit: Option<u64>,
        /// What the system says.
        error: io::Error,
    },
    /// The caller is not within a tokio runtime.
    #[error("not within a tokio runtime")]
    NoRuntime,
    /// Only clients move.
    #[error("a server's endpoint stays at its address")]
    NotAClient,
}

impl BindError {
    /// What the system says, or what is to be done about it where that is known.
    pub(crate) fn system(error: io::Error, otherwise: impl FnOnce(io::Error) -> Self) -> Self {
        if cfg!(unix) && error.raw_os_error() == Some(EMFILE) {
            let limit = file_limit();
            return Self::FileLimit { limit, error };
        }
        otherwise(error)
    }
}

#[cfg(target_os = "linux")]
fn file_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(target_os = "linux"))]
fn file_limit() -> Option<u64> {
    None
}

/// The same on all that is Unix.
const EMFILE: i32 = 24;
