//! How a connection works now, and the one place where that changes.

use core::fmt;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use stoq_core::tier::Tier;

use super::policy::{Policy, Verdict};
use super::{AdaptationConfig, AdaptationStats, LiveConfig, Profiles, Sample};
use crate::Limits;
use crate::config::ConfigError;
use crate::congestion::{self, Choice};

/// How one connection works now.
pub(crate) struct Live {
    choice: Arc<Choice>,
    /// Held while quinn is told, so that of two changes at once the same one comes last here and there.
    state: Mutex<State>,
}

struct State {
    /// What the connection began with; of which only what multiplexed sessions may have still holds.
    limits: Limits,
    send_window: u64,
    receive_window: Option<u64>,
    max_streams: u32,
    /// Multiplexed sessions.
    sessions: usize,
    profiles: Profiles,
    adapting: Option<Adapting>,
    tier: Option<Tier>,
    changes: u64,
    /// How long the last change took, the swap of the congestion control aside.
    took: Option<Duration>,
    /// Whether there was one with it.
    swapped: bool,
    samples: u64,
    ignored: u64,
    last_sample: Option<Sample>,
}

/// The connection changes by itself.
struct Adapting {
    policy: Policy,
    start: Instant,
}

impl Live {
    pub(crate) fn new(connection: &quinn::Connection, limits: Limits) -> Self {
        let controller = congestion::of(connection);
        let controller = controller.expect("connections that have a driver have our controller");
        Self {
            choice: controller.choice().clone(),
            state: Mutex::new(State {
                limits,
                send_window: limits.send_window,
                receive_window: limits.receive_window,
                max_streams: limits.max_streams,
                sessions: 0,
                profiles: Profiles::default(),
                adapting: None,
                tier: None,
                changes: 0,
                took: None,
                swapped: false,
                samples: 0,
                ignored: 0,
                last_sample: None,
            }),
        }
    }

    /// So many sessions are multiplexed on the connection now.
    pub(crate) fn reckon(&self, connection: &quinn::Connection, sessions: usize) {
        let mut state = self.state();
        state.sessions = sessions;
        state.allow_streams(connection);
    }

    /// Changes all of it, or nothing.
    pub(crate) fn update(
        &self,
        connection: &quinn::Connection,
        change: &LiveConfig,
    ) -> Result<(), ConfigError> {
        change.check()?;
        let mut state = self.state();
        if let (Some(window), None) = (change.receive_window, state.receive_window) {
            return Err(ConfigError {
                setting: "receive_window",
                value: window.to_string(),
                rule: "this connection began without a bound, and its peer relies on that",
            });
        }
        self.apply(&mut state, connection, change);
        Ok(())
    }

    /// Goes to a tier, because the caller says so.
    pub(crate) fn force(&self, connection: &quinn::Connection, tier: Tier) {
        let mut state = self.state();
        if let Some(adapting) = &mut state.adapting {
            adapting.policy.force(adapting.start.elapsed(), tier);
        }
        self.enter(&mut state, connection, tier);
    }

    /// From now on [`observe`](Self::observe) is told of samples, which are taken from `start` on. What was
    /// [checked](AdaptationConfig::check).
    pub(crate) fn begin(
        &self,
        connection: &quinn::Connection,
        config: &AdaptationConfig,
        start: Instant,
    ) {
        let mut state = self.state();
        let policy = Policy::new(config);
        let tier = policy.tier();
        state.profiles = config.profiles;
        state.adapting = Some(Adapting { policy, start });
        self.enter(&mut state, connection, tier);
    }

    pub(crate) fn stop(&self) {
        self.state().adapting = None;
    }

    /// Changes the connection if the policy says so.
    pub(crate) fn observe(&self, connection: &quinn::Connection, sample: Sample) {
        let mut state = self.state();
        let Some(adapting) = &mut state.adapting else {
            return;
        };
        let verdict = adapting.policy.observe(&sample);
        state.samples += 1;
        state.last_sample = Some(sample);
        match verdict {
            Verdict::Ignored => state.ignored += 1,
            Verdict::Counted => {}
            Verdict::Change(tier) => {
                tracing::debug!(%tier, rate = sample.delivery_rate, rtt = ?sample.rtt, "the path is of another tier");
                self.enter(&mut state, connection, tier);
            }
        }
    }

    /// What is in force.
    pub(crate) fn config(&self, connection: &quinn::Connection) -> LiveConfig {
        let state = self.state();
        LiveConfig {
            congestion: congestion::of(connection).map(|controller| controller.algorithm()),
            send_window: Some(state.send_window),
            receive_window: state.receive_window,
            max_streams: Some(state.max_streams),
        }
    }

    pub(crate) fn stats(&self, connection: &quinn::Connection) -> AdaptationStats {
        let state = self.state();
        let wanted = self.choice.wanted();
        let working = congestion::of(connection).map_or(wanted, |path| path.algorithm());
        let swap = self.choice.took();
        AdaptationStats {
            running: state.adapting.is_some(),
            tier: state.tier,
            congestion: working,
            changes: state.changes,
            time_to_apply: match (state.took, swap) {
                (Some(took), Some(swap)) if state.swapped => Some(took.max(swap)),
                // Who changed their mind before there was a packet has what they want already.
                (_, None) if state.swapped && working != wanted => None,
                (took, _) => took,
            },
            samples: state.samples,
            ignored: state.ignored,
            last_sample: state.last_sample,
        }
    }

    fn enter(&self, state: &mut State, connection: &quinn::Connection, tier: Tier) {
        let mut profile = state.profiles[tier];
        // A profile is for connections of both kinds.
        if state.receive_window.is_none() {
            profile.receive_window = None;
        }
        state.tier = Some(tier);
        self.apply(state, connection, &profile);
    }

    fn apply(&self, state: &mut State, connection: &quinn::Connection, change: &LiveConfig) {
        let asked = Instant::now();
        let before = (state.send_window, state.receive_window, state.max_streams);
        let algorithm = change
            .congestion
            .filter(|wish| *wish != self.choice.wanted());
        // First, because it is what may have to wait for a packet.
        if let Some(algorithm) = algorithm {
            self.choice.choose(algorithm);
        }
        if let Some(window) = change.send_window.filter(|wish| *wish != before.0) {
            state.send_window = window;
            connection.set_send_window(window);
        }
        if let Some(window) = change.receive_window.filter(|wish| Some(*wish) != before.1) {
            state.receive_window = Some(window);
            let window = quinn::VarInt::from_u64(window);
            connection.set_receive_window(window.expect("what was checked is below 2^62"));
        }
        if let Some(streams) = change.max_streams.filter(|wish| *wish != before.2) {
            state.max_streams = streams;
            state.allow_streams(connection);
        }
        let after = (state.send_window, state.receive_window, state.max_streams);
        if algorithm.is_some() || after != before {
            state.changes += 1;
            state.swapped = algorithm.is_some();
            state.took = Some(asked.elapsed());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn allow_streams(&self, connection: &quinn::Connection) {
        let streams = self.limits.streams(self.max_streams, self.sessions);
        connection.set_max_concurrent_bi_streams(streams);
        connection.set_max_concurrent_uni_streams(streams);
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Live")
            .field("congestion", &self.choice.wanted())
            .field("tier", &state.tier)
            .field("changes", &state.changes)
            .finish_non_exhaustive()
    }
}
