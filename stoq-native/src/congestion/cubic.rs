//! Cubic, by [RFC 9438]. The names in parentheses are the RFC's.
//!
//! [RFC 9438]: https://www.rfc-editor.org/rfc/rfc9438

use core::time::Duration;
use std::time::Instant;

use super::state::State;

/// What Cubic remembers beside the [`State`]. Windows are in bytes, where the RFC counts segments.
#[derive(Clone, Debug, Default)]
pub(super) struct Cubic {
    /// Where the path was last full (W_max); `None` if that is not known.
    full: Option<f64>,
    /// The window before it was last reduced (cwnd_prior).
    prior: f64,
    /// The curve that the window follows since then; `None` until something arrives.
    curve: Option<Curve>,
    /// Since when the application has had no more to send.
    limited: Option<Instant>,
}

/// How the window comes back to where it was, and goes beyond.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    /// t_epoch.
    start: Instant,
    /// Seconds from there to where it is flat (K).
    pub(super) flat_at: f64,
    /// The window there, in bytes (W_max).
    flat: f64,
    /// What NewReno would have come to (W_est).
    estimate: f64,
    /// Growth that is less than a byte.
    rest: f64,
}

impl Curve {
    fn new(now: Instant, full: Option<f64>, state: &State) -> Self {
        let window = state.window() as f64;
        // Not known, or above it already: the curve begins where it is flat (sections 4.8 and 4.10).
        let flat = full.map_or(window, |full| full.max(window));
        Self {
            start: now,
            flat_at: ((flat - window) / state.mtu() as f64 / C).cbrt(),
            flat,
            estimate: window,
            rest: 0.0,
        }
    }

    /// W_cubic(t), section 4.2.
    pub(super) fn at(&self, seconds: f64, mtu: u64) -> f64 {
        let from_flat = seconds - self.flat_at;
        C * from_flat * from_flat * from_flat * mtu as f64 + self.flat
    }
}

impl Cubic {
    /// Bytes have arrived, and the path takes no more than it did.
    pub(super) fn avoid(&mut self, state: &mut State, now: Instant, bytes: u64, rtt: Duration) {
        let full = self.full;
        let limited = self.limited.take();
        let curve = self
            .curve
            .get_or_insert_with(|| Curve::new(now, full, state));
        if let Some(limited) = limited {
            // Time in which there was nothing to grow by does not count (section 5.8).
            curve.start += now.saturating_duration_since(limited.max(curve.start));
        }
        let window = state.window() as f64;
        let mtu = state.mtu();
        let arrived = bytes as f64;
        // Until it is back where it was, NewReno with this reduction has to grow less in order to be as fair (section 4.3).
        let alpha = if curve.estimate < self.prior {
            ALPHA
        } else {
            1.0
        };
        curve.estimate += alpha * mtu as f64 * arrived / window;
        let seconds = now.saturating_duration_since(curve.start).as_secs_f64();
        if curve.at(seconds, mtu) < curve.estimate {
            state.set(window.max(curve.estimate) as u64);
        } else {
            // Half of the window more in a round trip at most (section 4.2).
            let target = curve.at(seconds + rtt.as_secs_f64(), mtu);
            let target = target.clamp(window, 1.5 * window);
            curve.rest += (target - window) / window * arrived;
            let whole = curve.rest.trunc();
            curve.rest -= whole;
            state.grow(whole as u64);
        }
    }

    /// Something has arrived while the application had no more to send.
    pub(super) fn limited(&mut self, now: Instant) {
        if self.curve.is_some() {
            self.limited.get_or_insert(now);
        }
    }

    /// Seven tenths of it (section 4.6).
    pub(super) fn reduce(&mut self, state: &mut State, now: Instant) {
        let window = state.window() as f64;
        // A path that was full earlier than before is shared with somebody new: makes room (section 4.7).
        self.full = Some(match self.full {
            Some(full) if window < full => window * (1.0 + BETA) / 2.0,
            _ => window,
        });
        self.prior = window;
        self.curve = None;
        self.limited = None;
        state.reduce(now, (window * BETA) as u64);
    }

    /// Where the path is full is not known any more (section 4.8).
    pub(super) fn collapse(&mut self) {
        self.full = None;
        self.curve = None;
        self.limited = None;
    }

    #[cfg(test)]
    pub(super) fn curve(&self) -> Option<&Curve> {
        self.curve.as_ref()
    }

    #[cfg(test)]
    pub(super) fn full(&self) -> Option<f64> {
        self.full
    }
}

/// What remains of the window (section 4.6).
const BETA: f64 = 0.7;
/// How steep the curve is, in segments a second cubed (section 5).
const C: f64 = 0.4;
/// What NewReno would add in a round trip, if it kept as much as Cubic does (section 4.3).
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);
