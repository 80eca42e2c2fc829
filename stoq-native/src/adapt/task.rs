//! The task that watches one connection.

use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use tokio::time::sleep;

use super::sampler::Sampler;
use crate::connection::Shared;

/// Takes samples, and lets the connection follow them. Never resolves: it ends with the driver, which owns it.
pub(crate) async fn run(connection: Arc<Shared>, interval: Duration, start: Instant) {
    let mut sampler = Sampler::new(start);
    // The first sample begins here.
    sampler.sample(&connection.quinn);
    let mut idle = 1;
    loop {
        let long = interval.max(2 * connection.quinn.rtt());
        sleep(long * idle).await;
        let Some(sample) = sampler.sample(&connection.quinn) else {
            continue;
        };
        // Ten thousand silent connections should not wake a core all the time.
        idle = match sample.delivery_rate {
            0 => (2 * idle).min(MAX_IDLE),
            _ => 1,
        };
        connection.live.observe(&connection.quinn, sample);
    }
}

/// A connection that was silent is watched again after two seconds by default: less than the pause between two changes.
const MAX_IDLE: u32 = 8;
