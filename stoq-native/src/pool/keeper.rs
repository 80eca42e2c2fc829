use std::sync::Arc;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Shared;

/// Looks after connections that nobody uses, for as long as the pool is there.
pub(super) async fn keep(shared: Arc<Shared>) {
    let mut ticks = interval(shared.config.idle_timeout / 4);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.sweep(Instant::now());
    }
}
