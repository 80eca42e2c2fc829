//! What every session of a gateway can see, and what it says of itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use stoq_core::time::UnixMicros;
use stoq_native::FalconId;
use tokio::sync::watch;

use crate::access::Guard;
use crate::admission::Admission;
use crate::config::Config;
use crate::hops::Hops;
use crate::listed::Listed;
use crate::metrics::Metrics;
use crate::record::Record;

/// What every session can see.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) admission: Admission,
    pub(crate) guard: Guard,
    pub(crate) hops: Hops,
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

/// What the gateway says of itself.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) url: String,
    pub(crate) services: Vec<String>,
    pub(crate) falcon_id: Option<FalconId>,
    published: Mutex<Published>,
}

/// What changes together.
#[derive(Debug)]
struct Published {
    listed: Listed,
    record: Option<Record>,
}

impl Facts {
    pub(crate) fn new(
        url: String,
        services: Vec<String>,
        falcon_id: Option<FalconId>,
        listed: Listed,
    ) -> Self {
        Self {
            url,
            services,
            falcon_id,
            published: Mutex::new(Published {
                listed,
                record: None,
            }),
        }
    }

    /// The certificates, and a new record that lists them; without one the last one stays until it expires.
    pub(crate) fn publish(&self, listed: Listed, record: Option<Record>) {
        let mut published = self.published();
        published.listed = listed;
        if record.is_some() {
            published.record = record;
        }
    }

    pub(crate) fn listed(&self) -> Listed {
        self.published().listed.clone()
    }

    /// The record, if there is one that holds now.
    pub(crate) fn record(&self, now: UnixMicros) -> Option<Bytes> {
        self.published().record.as_ref()?.at(now)
    }

    pub(crate) fn last_serial(&self) -> Option<u64> {
        Some(self.published().record.as_ref()?.serial)
    }

    fn published(&self) -> MutexGuard<'_, Published> {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
