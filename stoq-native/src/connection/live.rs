//! Changing how a connection works while it runs.

use stoq_core::tier::Tier;

use super::Connection;
use crate::adapt::{AdaptationConfig, AdaptationStats, LiveConfig, LiveConfigError};
use crate::driver::{Command, Watch};

impl Connection {
    /// Changes how the connection works, while it runs: see [`LiveConfig`] for what and when. All of it is changed, or nothing.
    ///
    /// It is the connection that changes, with all sessions on it. A later change by [adaptation](Self::start_adaptation) replaces
    /// this one.
    ///
    /// # Errors
    /// [`LiveConfigError`] if a setting cannot work, or cannot be changed on this connection, or the connection has ended.
    pub fn update_live_config(&self, change: LiveConfig) -> Result<(), LiveConfigError> {
        self.unless_ended()?;
        Ok(self.shared().live.update(self.quinn(), &change)?)
    }

    /// How the connection works now, as far as that can change. `receive_window` is `None` if it has no bound.
    pub fn live_config(&self) -> LiveConfig {
        self.shared().live.config(self.quinn())
    }

    /// From now on the connection changes by itself, with what its path is like. It begins with the profile of
    /// [`start`](AdaptationConfig::start), at once; called again, it begins anew. What the profiles name replaces what the
    /// endpoint's [`Limits`](crate::Limits) say.
    ///
    /// What it goes by is what this end sends: one that mostly receives stays as it is.
    ///
    /// The task that watches the path is the connection's own, and ends with it.
    /// [`TransportConfig::adaptation`](crate::TransportConfig::adaptation) does this for all connections of an endpoint.
    ///
    /// # Errors
    /// [`LiveConfigError`] if a setting cannot work, or the connection has ended.
    pub fn start_adaptation(&self, config: AdaptationConfig) -> Result<(), LiveConfigError> {
        config.check()?;
        self.unless_ended()?;
        let watch = Watch::begin(self.shared(), &config);
        self.command(Command::Adapt(Some(watch)));
        Ok(())
    }

    /// From now on the connection stays as it is. Does nothing if it did.
    pub fn stop_adaptation(&self) {
        self.shared().live.stop();
        self.command(Command::Adapt(None));
    }

    /// Changes the connection to the profile of a tier, whatever its path is like: that of
    /// [`start_adaptation`](Self::start_adaptation)'s configuration, or the [default](crate::Profiles) if it was never called. It need
    /// not be among the tiers that are gone to by themselves.
    ///
    /// If the connection changes by itself, it stays in that tier for the [pause](AdaptationConfig::pause), and goes on from there.
    ///
    /// # Errors
    /// [`LiveConfigError::ConnectionClosed`] if the connection has ended.
    pub fn force_adaptation(&self, tier: Tier) -> Result<(), LiveConfigError> {
        self.unless_ended()?;
        self.shared().live.force(self.quinn(), tier);
        Ok(())
    }

    /// What adaptation has come to, and how long the last change took.
    pub fn adaptation_stats(&self) -> AdaptationStats {
        self.shared().live.stats(self.quinn())
    }

    fn unless_ended(&self) -> Result<(), LiveConfigError> {
        match self.shared().ending.get() {
            Some(closed) => Err(LiveConfigError::ConnectionClosed(closed.clone())),
            None => Ok(()),
        }
    }
}
