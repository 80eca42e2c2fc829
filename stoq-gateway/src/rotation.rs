//! The certificate that browsers meet, replaced in time, and the record that lists it.
//!
//! ```text
//!   every certificate_renewal ┐
//!   files that have changed   ├─▶ load ─▶ sign a record that lists it ─▶ publish the record ─▶ serve the certificate
//!   renew_certificate()       ┘
//! ```
//!
//! In this order, so that nobody meets a certificate that the record does not list.

use std::sync::Arc;
use std::time::Duration;

use quinn::Endpoint;
use stoq_core::time::UnixMicros;
use stoq_native::IdentityError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::certificate::{self, Current};
use crate::config::{Certificate, Config, Signer};
use crate::listed::Listed;
use crate::metrics::{Metrics, count};
use crate::record::{Content, Record, RecordError, later, now};
use crate::shared::Facts;
use stoq_native::due::Due;

/// Somebody wants a new certificate now, and waits for its hash.
pub(crate) type Order = oneshot::Sender<Result<[u8; 32], RenewError>>;

/// Where the certificate is served, and what is said of it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) endpoint: Endpoint,
    /// All but the certificate. It holds the key of Retry's tokens, because the answer to one may come after a renewal.
    pub(crate) server: quinn::ServerConfig,
    pub(crate) config: Arc<Config>,
    pub(crate) facts: Arc<Facts>,
    pub(crate) metrics: Arc<Metrics>,
    /// Who signs, and for which `host:port`.
    pub(crate) publisher: Option<(Signer, String)>,
}

/// Owns what browsers meet.
#[derive(Debug)]
pub(crate) struct Rotation {
    place: Place,
    current: Current,
    /// What the files held when they were last read.
    seen: Option<[u8; 32]>,
    renewal: Option<Due>,
    signing: Option<Due>,
}

impl Rotation {
    /// Signs the first record. What was loaded is being served.
    ///
    /// # Errors
    /// [`RecordError`]: a gateway that cannot sign does not start.
    pub(crate) async fn start(place: Place, loaded: Loaded) -> Result<Self, RecordError> {
        let mut rotation = Self {
            renewal: regular_renewal(&place.config),
            place,
            current: loaded.current,
            seen: loaded.seen,
            signing: None,
        };
        rotation.warn_if_pages_cannot_pin();
        rotation.sign_again().await?;
        Ok(rotation)
    }

    /// Keeps everything fresh, until dropped or nobody can order any more.
    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let dues = [self.renewal, self.signing].into_iter().flatten();
            let pause = dues.map(Due::left).fold(POLL, Duration::min);
            tokio::select! {
                order = orders.recv() => match order {
                    // Who ordered may have gone; the certificate is renewed all the same.
                    Some(order) => drop(order.send(self.renew().await)),
                    None => return,
                },
                () = sleep(pause) => self.tick().await,
            }
        }
    }

    async fn tick(&mut self) {
        if (self.renewal.is_some_and(Due::has_come) || self.files_have_changed().await)
            && let Err(error) = self.renew().await
        {
            tracing::error!(%error, "the certificate stays as it is");
        }
        if self.signing.is_some_and(Due::has_come)
            && let Err(error) = self.sign_again().await
        {
            tracing::error!(%error, "the endpoint record stays until it expires");
        }
    }

    async fn files_have_changed(&self) -> bool {
        if let Certificate::SelfSigned { .. } = self.place.config.certificate {
            return false;
        }
        let config = self.place.config.clone();
        let found = spawn_blocking(move || certificate::fingerprint(&config.certificate)).await;
        // Nobody looks any more when the runtime ends.
        found.is_ok_and(|found| found != self.seen)
    }

    /// Makes a certificate, or reads the files, and serves it instead of the current one.
    async fn renew(&mut self) -> Result<[u8; 32], RenewError> {
        // If it fails: once more soon where we make certificates, and when the files change where others do.
        self.renewal = self.renewal.map(|_| Due::after(RETRY));
        let loaded = Loaded::load(&self.place.config).await;
        self.seen = match &loaded {
            Ok(loaded) => loaded.seen,
            Err((_, seen)) => *seen,
        };
        let next = loaded.map_err(|(error, _)| error)?.current;
        let now = now();
        if self.current.expiry >= now && next.expiry < now {
            return Err(RenewError::Ended);
        }
        if self.current.expiry >= now && next.not_before > now {
            // Time alone will mend this, no change of the files.
            self.renewal = Some(Due::after(RETRY));
            return Err(RenewError::NotYet);
        }
        if next.is_same(&self.current) {
            self.sign_again().await?;
        } else {
            self.serve(next, now).await?;
        }
        self.renewal = regular_renewal(&self.place.config);
        Ok(self.current.hash)
    }

    async fn serve(&mut self, next: Current, now: UnixMicros) -> Result<(), RecordError> {
        let listed = self.place.facts.listed();
        let listed = listed.with(next.hash, next.expiry, now);
        let record = match self.sign(&listed).await {
            Ok(record) => record,
            // Pages that pin us do not take a certificate that no record lists. They can take the current one.
            Err(error) if self.current.expiry > later(now, RETRY) => {
                self.renewal = Some(Due::after(RETRY));
                return Err(error);
            }
            Err(error) => {
                tracing::error!(%error, "the certificate ends, so it is replaced by one that no record lists");
                None
            }
        };
        self.place.facts.publish(listed, record);
        self.place.server.crypto = certificate::crypto(&next.identity);
        let server = self.place.server.clone();
        self.place.endpoint.set_server_config(Some(server));
        self.current = next;
        count(&self.place.metrics.certificates_renewed);
        tracing::info!("new certificate");
        self.warn_if_pages_cannot_pin();
        Ok(())
    }

    /// A record with the same certificates and a later end.
    async fn sign_again(&mut self) -> Result<(), RecordError> {
        let listed = self.place.facts.listed();
        let record = self.sign(&listed).await?;
        self.place.facts.publish(listed, record);
        Ok(())
    }

    /// `None` if nobody signs here.
    async fn sign(&mut self, listed: &Listed) -> Result<Option<Record>, RecordError> {
        let Some((signer, authority)) = &self.place.publisher else {
            return Ok(None);
        };
        let (now, life) = (now(), self.place.config.timing.record_life);
        let content = Content {
            authority: authority.clone(),
            certificate_hashes: listed.hashes(now),
        };
        let last_serial = self.place.facts.last_serial();
        let signed = Record::sign(signer, content, now, life, last_serial).await;
        let (counter, pause) = match signed {
            // Far from half of its life, so that a signer that fails has time to come back.
            Ok(_) => (&self.place.metrics.records_signed, life / 3),
            Err(_) => (&self.place.metrics.records_failed, RETRY.min(life / 10)),
        };
        count(counter);
        self.signing = Some(Due::after(pause));
        signed.map(Some)
    }

    fn warn_if_pages_cannot_pin(&self) {
        if self.place.publisher.is_some() && !self.current.by_hash {
            tracing::warn!(
                "browsers take a certificate by its hash only if it is valid for 14 days at most and has a P-256 key: \
                 pages that pin this gateway's identity cannot connect"
            );
        }
    }
}

/// A certificate as it was loaded.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) current: Current,
    /// What the files held just before: if they change while they are read, they will have changed since.
    seen: Option<[u8; 32]>,
}

impl Loaded {
    /// # Errors
    /// What is wrong with the certificate, and what the files held if it is to be found there.
    pub(crate) async fn load(
        config: &Arc<Config>,
    ) -> Result<Self, (IdentityError, Option<[u8; 32]>)> {
        let config = config.clone();
        let loading = move || {
            let seen = certificate::fingerprint(&config.certificate);
            match Current::load(&config.certificate) {
                Ok(current) => Ok(Self { current, seen }),
                // Files that could not be read may be readable the next time, and no different.
                Err(error @ IdentityError::File { .. }) => Err((error, None)),
                Err(error) => Err((error, seen)),
            }
        };
        spawn_blocking(loading).await.unwrap_or_else(|error| {
            let reason = error.to_string();
            Err((IdentityError::Mismatch { reason }, None))
        })
    }
}

/// Why [`Gateway::renew_certificate`](crate::Gateway::renew_certificate) left the certificate as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenewError {
    /// There is no usable certificate.
    #[error("certificate: {0}")]
    Certificate(#[from] IdentityError),
    /// The certificate in the files has ended already, and the one that is served has not.
    #[error("the certificate in the files has ended already")]
    Ended,
    /// The certificate in the files does not hold yet, and the one that is served has not ended. It is tried again every
    /// minute.
    #[error("the certificate in the files does not hold yet")]
    NotYet,
    /// No record could be signed that lists the certificate. What pages find in the record is still served.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The gateway does not renew any more: its runtime is at an end.
    #[error("the gateway has stopped")]
    Stopped,
}

fn regular_renewal(config: &Config) -> Option<Due> {
    match config.certificate {
        Certificate::SelfSigned { .. } => Some(Due::after(config.timing.certificate_renewal)),
        // When the files change.
        Certificate::Pem { .. } => None,
    }
}

/// How often files, and the clocks, are looked at.
const POLL: Duration = Duration::from_secs(60);
/// Until what has failed is tried again. A day of it is 1440 lines in the log.
const RETRY: Duration = Duration::from_secs(60);
