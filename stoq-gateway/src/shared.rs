//! What every session of a gateway can see.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stoq_core::service::ServiceName;
use tokio::sync::watch;

use crate::admission::Admission;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::upstream::Upstream;

/// What every session can see.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) admission: Admission,
    pub(crate) upstreams: HashMap<ServiceName, Arc<Upstream>>,
    pub(crate) phase: watch::Receiver<Phase>,
}

/// How far the gateway's own end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// No new sessions; those that run are told that they have this long.
    Draining(Duration),
    /// Every session is closed.
    Closing,
}

/// What `/stoq.json` says.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) url: String,
    pub(crate) services: Vec<String>,
    certificate_hash: Mutex<[u8; 32]>,
}

impl Facts {
    pub(crate) fn new(url: String, services: Vec<String>, certificate_hash: [u8; 32]) -> Self {
        Self {
            url,
            services,
            certificate_hash: Mutex::new(certificate_hash),
        }
    }

    pub(crate) fn certificate_hash(&self) -> [u8; 32] {
        *self
            .certificate_hash
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_certificate_hash(&self, hash: [u8; 32]) {
        *self
            .certificate_hash
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = hash;
    }
}
