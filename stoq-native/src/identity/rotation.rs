//! An identity that is made again while a server runs: files that have changed are read, certificates that are made here are
//! replaced by others in time.
//!
//! Files are looked at every few seconds, and compared by content. The system's own notices would come sooner, and not at all
//! for files on other machines, for directories that are mounted anew and for links that are turned, which is how orchestrators
//! hand out certificates; a look costs four small reads.

use core::time::Duration;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::source::{IdentitySource, LoadedIdentity};
use super::{Identity, IdentityError};
use crate::clock;
use crate::config::ConfigError;
use crate::due::Due;
use crate::metrics;

/// How [`Endpoint::rotate`](crate::Endpoint::rotate) works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RotationConfig {
    /// After this time, certificates that are made here are replaced. Default 24 h: a key that was stolen is of use for a day. Longer:
    /// clients that go by a certificate's hash can go by it for longer; at most 12 days, because the certificate holds for
    /// 13 from an hour ago. Shorter: sessions are resumed less often, since no session outlives the identity that it was agreed under.
    pub renew_after: Duration,
    /// Time between two looks at the files, and at the clocks. Default 5 s. A change counts when two looks in a row have seen the same, the second
    /// after a second at most, so that files that are being written are not taken. More often: some 50 µs each time.
    pub look_every: Duration,
}

impl Default for RotationConfig {
    fn default() -> Self {
        Self {
            renew_after: Duration::from_secs(24 * 60 * 60),
            look_every: Duration::from_secs(5),
        }
    }
}

/// An identity that is rotated, until this is dropped or the endpoint is gone.
#[derive(Debug)]
pub struct Rotation {
    state: watch::Receiver<State>,
    _task: AbortOnDropHandle<()>,
}

/// How often an identity was rotated: see [`Rotation::stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RotationStats {
    /// New identities that are, or were, shown to new connections.
    pub rotated: u64,
    /// Times that what was found was of no use, and the old identity stayed.
    pub refused: u64,
    /// Times that what was found said the same in other bytes.
    pub unchanged: u64,
}

#[derive(Clone, Debug)]
struct State {
    identity: Identity,
    stats: RotationStats,
    last: Option<Arc<RotationError>>,
}

impl Rotation {
    /// How often it has happened so far. The `metrics` facade is told the same.
    pub fn stats(&self) -> RotationStats {
        self.state.borrow().stats
    }

    /// The identity that new connections are shown.
    pub fn identity(&self) -> Identity {
        self.state.borrow().identity.clone()
    }

    /// Why the last attempt left the identity as it was; `None` if it did not.
    pub fn last_error(&self) -> Option<Arc<RotationError>> {
        self.state.borrow().last.clone()
    }

    /// Resolves when there was an attempt since the last call: to the identity that is shown now, new or [the same](RotationStats::unchanged), or why the old one stayed. Of
    /// several attempts, to the last. `None` when the endpoint is gone.
    ///
    /// # Cancel safety
    /// If the future is dropped, the next call tells.
    pub async fn changed(&mut self) -> Option<Result<Identity, Arc<RotationError>>> {
        self.state.changed().await.ok()?;
        let state = self.state.borrow_and_update();
        Some(match &state.last {
            None => Ok(state.identity.clone()),
            Some(error) => Err(error.clone()),
        })
    }
}

/// Why an identity was left as it was. It is tried again when the files change, or after a minute where time alone may help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// What is there makes no identity.
    #[error(transparent)]
    Identity(IdentityError),
    /// The new certificate has ended already, and the one that is shown has not.
    #[error("the new certificate has ended already; the old one is shown still")]
    Ended,
    /// The new certificate does not hold yet, and the one that is shown has not ended.
    #[error("the new certificate does not hold yet; the old one is shown still")]
    NotYet,
    /// Files changed while they were read.
    #[error("the files changed while they were read")]
    Unsettled,
}

/// Makes identities, and hands them over.
struct Rotor<F> {
    config: RotationConfig,
    source: Arc<IdentitySource>,
    seen: Option<[u8; 32]>,
    /// A change that one look has seen.
    settling: Option<Option<[u8; 32]>>,
    renewal: Option<Due>,
    state: watch::Sender<State>,
    show: F,
}

/// Rotates until the endpoint is gone, which `show` says by `false`.
pub(crate) fn start(
    loaded: LoadedIdentity,
    config: RotationConfig,
    show: impl Fn(Identity) -> bool + Send + 'static,
) -> Result<Rotation, ConfigError> {
    config.check(&loaded.source)?;
    let (state, receiver) = watch::channel(State {
        identity: loaded.identity,
        stats: RotationStats::default(),
        last: None,
    });
    let rotor = Rotor {
        renewal: regular(&config, &loaded.source),
        config,
        source: Arc::new(loaded.source),
        seen: loaded.seen,
        settling: None,
        state,
        show,
    };
    Ok(Rotation {
        state: receiver,
        _task: AbortOnDropHandle::new(tokio::spawn(rotor.run())),
    })
}

impl RotationConfig {
    fn check(&self, source: &IdentitySource) -> Result<(), ConfigError> {
        let bad = |setting, value: Duration, rule| {
            let value = format!("{value:?}");
            Err(ConfigError {
                setting,
                value,
                rule,
            })
        };
        if self.renew_after < SHORTEST {
            return bad("renew_after", self.renew_after, "must be at least 1 ms");
        }
        if self.look_every < SHORTEST {
            return bad("look_every", self.look_every, "must be at least 1 ms");
        }
        if source.is_self_signed() && self.renew_after > LONGEST {
            let rule = "a certificate that is made here holds for 13 days, so 12 is the most";
            return bad("renew_after", self.renew_after, rule);
        }
        Ok(())
    }
}

impl<F: Fn(Identity) -> bool> Rotor<F> {
    async fn run(mut self) {
        loop {
            let look = match self.settling {
                Some(_) => self.config.look_every.min(SETTLED),
                None => self.config.look_every,
            };
            // Without files too: the clock may be set, or the machine sleep.
            sleep(self.renewal.map_or(look, |due| due.left().min(look))).await;
            if !self.tick().await {
                return;
            }
        }
    }

    /// Whether the endpoint is still there.
    async fn tick(&mut self) -> bool {
        let due = self.renewal.is_some_and(Due::has_come);
        if !due && !self.have_changed().await {
            return true;
        }
        self.settling = None;
        match self.make().await {
            Ok(Some(identity)) => {
                if !(self.show)(identity.clone()) {
                    return false;
                }
                tracing::info!("new connections are shown new certificates");
                self.tell(Ok(identity));
            }
            Ok(None) => self.state.send_modify(|state| {
                state.stats.unchanged += 1;
                state.last = None;
            }),
            Err(error) => {
                tracing::warn!(%error, "the certificates stay as they are");
                self.tell(Err(error));
            }
        }
        true
    }

    /// Whether the files hold something else, and did so a look ago.
    async fn have_changed(&mut self) -> bool {
        if self.source.files().next().is_none() {
            return false;
        }
        let found = fingerprint(&self.source).await;
        if found == self.seen {
            self.settling = None;
            return false;
        }
        self.settling.replace(found) == Some(found)
    }

    /// The next identity; `None` if it would make no difference to anybody.
    async fn make(&mut self) -> Result<Option<Identity>, RotationError> {
        // If it fails: soon once more where certificates are made here, and when the files change where others make them.
        self.renewal = self.renewal.map(|_| Due::after(RETRY));
        let before = fingerprint(&self.source).await;
        let source = self.source.clone();
        let made = spawn_blocking(move || source.make()).await;
        if fingerprint(&self.source).await != before {
            // The next look sees it.
            self.seen = None;
            return Err(RotationError::Unsettled);
        }
        self.seen = before;
        // It is lost only with the runtime, when nobody looks any more.
        let made = made.map_err(|_| RotationError::Unsettled)?;
        let next = made.map_err(RotationError::Identity)?;
        let (old, new) = (self.state.borrow().identity.validity(), next.validity());
        let now = i64::try_from(clock::now().0 / 1_000_000).unwrap_or(i64::MAX);
        if *old.end() >= now && *new.end() < now {
            return Err(RotationError::Ended);
        }
        if *old.end() >= now && *new.start() > now {
            self.renewal = Some(Due::after(RETRY));
            return Err(RotationError::NotYet);
        }
        self.renewal = regular(&self.config, &self.source);
        let same = !self.source.makes_certificates() && next.is_same(&self.state.borrow().identity);
        Ok((!same).then_some(next))
    }

    fn tell(&self, result: Result<Identity, RotationError>) {
        metrics::rotated(result.is_ok());
        self.state.send_modify(|state| match result {
            Ok(identity) => {
                state.identity = identity;
                state.stats.rotated += 1;
                state.last = None;
            }
            Err(error) => {
                state.stats.refused += 1;
                state.last = Some(Arc::new(error));
            }
        });
    }
}

async fn fingerprint(source: &Arc<IdentitySource>) -> Option<[u8; 32]> {
    let source = source.clone();
    // Lost only with the runtime.
    spawn_blocking(move || source.fingerprint())
        .await
        .unwrap_or_default()
}

fn regular(config: &RotationConfig, source: &IdentitySource) -> Option<Due> {
    source
        .makes_certificates()
        .then(|| Due::after(config.renew_after))
}

const SHORTEST: Duration = Duration::from_millis(1);
/// What a certificate that is made here holds, less a day for clocks that differ and machines that sleep.
const LONGEST: Duration = Duration::from_secs(12 * 24 * 60 * 60);
/// Until the second look at a change: writing a few kilobytes takes less.
const SETTLED: Duration = Duration::from_secs(1);
/// Until what has failed is tried again. A day of it is 1440 lines in the log.
const RETRY: Duration = Duration::from_secs(60);
