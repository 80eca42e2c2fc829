//! What quinn asks.

use core::hash::{BuildHasher, Hasher};
use core::time::Duration;
use std::any::Any;
use std::hash::RandomState;
use std::sync::Arc;
use std::time::Instant;

use quinn::congestion;
use quinn_proto::RttEstimator;

use super::bbr::Bbr;
use super::cubic::Cubic;
use super::new_reno::NewReno;
use super::state::{State, initial};
use super::{Choice, CongestionAlgorithm};
use crate::meter::Meter;

/// The controller of one path.
pub(crate) struct Controller {
    state: State,
    body: Body,
    choice: Arc<Choice>,
    initial: u64,
    /// When the path was new, by which it is told from others.
    since: Instant,
    pub(crate) meter: Meter,
}

/// What the algorithm remembers that is its own.
#[derive(Clone)]
enum Body {
    NewReno(NewReno),
    Cubic(Cubic),
    /// It has a window of its own, which the state follows. Larger than the others are together, so it is elsewhere.
    Bbr(Box<Bbr>),
}

impl Body {
    fn new(algorithm: CongestionAlgorithm, state: &State) -> Self {
        match algorithm {
            CongestionAlgorithm::NewReno => Self::NewReno(NewReno::default()),
            CongestionAlgorithm::Cubic => Self::Cubic(Cubic::default()),
            CongestionAlgorithm::Bbr => {
                // Hashed nothing by random keys: no two flows should look for more in step.
                let random = RandomState::new().build_hasher().finish();
                Self::Bbr(Box::new(Bbr::new(state, random)))
            }
        }
    }

    fn algorithm(&self) -> CongestionAlgorithm {
        match self {
            Self::NewReno(_) => CongestionAlgorithm::NewReno,
            Self::Cubic(_) => CongestionAlgorithm::Cubic,
            Self::Bbr(_) => CongestionAlgorithm::Bbr,
        }
    }
}

impl Controller {
    pub(super) fn new(choice: Arc<Choice>, now: Instant, mtu: u16) -> Self {
        let state = State::new(mtu);
        Self {
            body: Body::new(choice.wanted(), &state),
            state,
            choice,
            initial: initial(mtu),
            since: now,
            meter: Meter::default(),
        }
    }

    /// The algorithm that the path works with.
    pub(crate) fn algorithm(&self) -> CongestionAlgorithm {
        self.body.algorithm()
    }

    /// The wish that this path, and those that come after it, follow.
    pub(crate) fn choice(&self) -> &Arc<Choice> {
        &self.choice
    }

    /// When the path was new.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// Whether the window still doubles with every round trip, so that the rate says little of the path.
    pub(crate) fn in_slow_start(&self) -> bool {
        match &self.body {
            Body::Bbr(bbr) => bbr.is_starting(),
            _ => self.state.in_slow_start(),
        }
    }

    /// A packet has arrived, and it is not BBR that has to know.
    pub(super) fn arrived(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        limited: bool,
        rtt: Duration,
    ) {
        let state = &mut self.state;
        if limited {
            // A window that is not filled has not been shown to be too small (RFC 9002, section 7.8).
            if let Body::Cubic(cubic) = &mut self.body {
                cubic.limited(now);
            }
        } else if state.in_recovery(sent) {
            // It was sent when there was too much on its way.
        } else if state.in_slow_start() {
            state.grow(bytes);
        } else {
            match &mut self.body {
                Body::NewReno(reno) => reno.avoid(state, bytes),
                Body::Cubic(cubic) => cubic.avoid(state, now, bytes, rtt),
                Body::Bbr(_) => {}
            }
        }
    }

    /// Works with the algorithm that is wanted.
    fn follow(&mut self) {
        let wanted = self.choice.wanted();
        if wanted != self.body.algorithm() {
            self.swap(wanted);
        }
    }

    #[cold]
    fn swap(&mut self, wanted: CongestionAlgorithm) {
        self.follow_bbr();
        self.body = Body::new(wanted, &self.state);
        self.choice.swapped();
    }

    /// If BBR is at work: keeps its window, for who comes after it.
    fn follow_bbr(&mut self) {
        let Body::Bbr(bbr) = &self.body else {
            return;
        };
        // While it measures the round trip it holds itself to less than it has found.
        if let Some(window) = bbr.settled() {
            self.state.carry(window);
        }
    }
}

impl congestion::Controller for Controller {
    fn on_sent(&mut self, now: Instant, _bytes: u64, _last_packet_number: u64) {
        self.follow();
        if let Body::Bbr(bbr) = &mut self.body {
            bbr.sent(now);
        }
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        app_limited: bool,
        rtt: &RttEstimator,
    ) {
        self.follow();
        self.meter.observe(rtt.get());
        self.meter.arrived(bytes, app_limited);
        match &mut self.body {
            Body::Bbr(bbr) => bbr.arrived(now, sent, bytes),
            _ => self.arrived(now, sent, bytes, app_limited, rtt.get()),
        }
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        _largest_packet_num_acked: Option<u64>,
    ) {
        self.meter.acknowledged(now, app_limited, in_flight);
        if let Body::Bbr(bbr) = &mut self.body {
            bbr.acknowledged(now, in_flight, app_limited);
            self.follow_bbr();
        }
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.follow();
        let state = &mut self.state;
        // Once in a round trip (RFC 9002, section 7.3.2).
        let known = state.in_recovery(sent);
        match &mut self.body {
            Body::Bbr(bbr) => return bbr.lost(lost_bytes, is_persistent_congestion),
            _ if known => {}
            Body::NewReno(reno) => reno.reduce(state, now),
            Body::Cubic(cubic) => cubic.reduce(state, now),
        }
        if is_persistent_congestion {
            state.collapse();
            if let Body::Cubic(cubic) = &mut self.body {
                cubic.collapse();
            }
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.state.set_mtu(new_mtu);
        if let Body::Bbr(bbr) = &mut self.body {
            bbr.set_mtu(self.state.mtu(), self.state.window());
        }
    }

    /// One byte more than the window. quinn sends a datagram if all that is on its way then is less than this; by [RFC 9002,
    /// section 7] it may be as much. Windows are often whole datagrams, and without this one of them would never be sent: a
    /// fourth of the rate where losses keep the window at four.
    ///
    /// [RFC 9002, section 7]: https://www.rfc-editor.org/rfc/rfc9002#section-7
    fn window(&self) -> u64 {
        1 + match &self.body {
            Body::Bbr(bbr) => bbr.window(),
            _ => self.state.window(),
        }
    }

    fn metrics(&self) -> congestion::ControllerMetrics {
        let mut metrics = congestion::ControllerMetrics::default();
        metrics.congestion_window = match &self.body {
            Body::Bbr(bbr) => bbr.window(),
            _ => {
                let threshold = self.state.threshold();
                metrics.ssthresh = (threshold != u64::MAX).then_some(threshold);
                self.state.window()
            }
        };
        metrics
    }

    fn clone_box(&self) -> Box<dyn congestion::Controller> {
        Box::new(Self {
            state: self.state.clone(),
            body: self.body.clone(),
            choice: self.choice.clone(),
            initial: self.initial,
            since: self.since,
            meter: self.meter.clone(),
        })
    }

    fn initial_window(&self) -> u64 {
        self.initial
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
impl Controller {
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn cubic(&self) -> Option<&Cubic> {
        match &self.body {
            Body::Cubic(cubic) => Some(cubic),
            _ => None,
        }
    }
}
