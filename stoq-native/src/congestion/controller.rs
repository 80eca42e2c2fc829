//! What quinn asks.

use core::time::Duration;
use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use quinn::congestion::{self, Bbr, BbrConfig};
use quinn_proto::RttEstimator;

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
enum Body {
    NewReno(NewReno),
    Cubic(Cubic),
    /// It keeps a state of its own; ours follows its window.
    Bbr(Box<dyn congestion::Controller>),
}

impl Body {
    fn new(algorithm: CongestionAlgorithm, state: &State) -> Self {
        match algorithm {
            CongestionAlgorithm::NewReno => Self::NewReno(NewReno::default()),
            CongestionAlgorithm::Cubic => Self::Cubic(Cubic::default()),
            CongestionAlgorithm::Bbr => {
                let mut config = BbrConfig::default();
                config.initial_window(state.window());
                // Both fit: they came from there.
                let mtu = u16::try_from(state.mtu()).unwrap_or(u16::MAX);
                Self::Bbr(Box::new(Bbr::new(Arc::new(config), mtu)))
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
        !matches!(self.body, Body::Bbr(_)) && self.state.in_slow_start()
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
        if let Body::Bbr(bbr) = &self.body {
            let window = bbr.window();
            // Four datagrams are what it holds itself to while it measures the round trip, for a fifth of a second: that is not
            // what it has found.
            if window > BBR_MINIMUM * self.state.mtu() {
                self.state.carry(window);
            }
        }
    }
}

impl congestion::Controller for Controller {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.follow();
        if let Body::Bbr(bbr) = &mut self.body {
            bbr.on_sent(now, bytes, last_packet_number);
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
            Body::Bbr(bbr) => bbr.on_ack(now, sent, bytes, app_limited, rtt),
            _ => self.arrived(now, sent, bytes, app_limited, rtt.get()),
        }
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        largest_packet_num_acked: Option<u64>,
    ) {
        self.meter.acknowledged(now, app_limited, in_flight);
        if let Body::Bbr(bbr) = &mut self.body {
            bbr.on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
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
            Body::Bbr(bbr) => {
                return bbr.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
            }
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
            bbr.on_mtu_update(new_mtu);
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
        if let Body::Bbr(bbr) = &self.body {
            return bbr.metrics();
        }
        let mut metrics = congestion::ControllerMetrics::default();
        metrics.congestion_window = self.state.window();
        let threshold = self.state.threshold();
        metrics.ssthresh = (threshold != u64::MAX).then_some(threshold);
        metrics
    }

    fn clone_box(&self) -> Box<dyn congestion::Controller> {
        Box::new(Self {
            state: self.state.clone(),
            body: match &self.body {
                Body::NewReno(reno) => Body::NewReno(reno.clone()),
                Body::Cubic(cubic) => Body::Cubic(cubic.clone()),
                Body::Bbr(bbr) => Body::Bbr(bbr.clone_box()),
            },
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

/// Datagrams of the window below which quinn's BBR does not go.
const BBR_MINIMUM: u64 = 4;
