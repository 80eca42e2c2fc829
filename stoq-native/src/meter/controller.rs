//! quinn's congestion controller, with somebody beside it who takes notes.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use quinn::congestion::{self, ControllerFactory, CubicConfig};
use quinn_proto::RttEstimator;

use super::Meter;

/// Makes [`Controller`]s.
#[derive(Default)]
pub(super) struct Metered {
    cubic: Arc<CubicConfig>,
}

impl ControllerFactory for Metered {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn congestion::Controller> {
        Box::new(Controller {
            inner: self.cubic.clone().build(now, current_mtu),
            least: 0,
            congested: false,
            meter: Meter::default(),
        })
    }
}

/// Passes everything on, but for the window of a path that carries larger packets than it was begun with.
pub(super) struct Controller {
    inner: Box<dyn congestion::Controller>,
    /// Bytes that the path may take until it has shown congestion: ten packets, as many as at the beginning. quinn's controllers
    /// have no more than two then, of which a probe for the next size is one. As TCP does on Linux; [RFC 9002, section 7.2] has
    /// 14,720 bytes or two packets.
    ///
    /// [RFC 9002, section 7.2]: https://www.rfc-editor.org/rfc/rfc9002#section-7.2
    least: u64,
    congested: bool,
    pub(super) meter: Meter,
}

impl congestion::Controller for Controller {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        app_limited: bool,
        rtt: &RttEstimator,
    ) {
        self.meter.observe(rtt.get());
        self.meter.arrived(bytes);
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        largest_packet_num_acked: Option<u64>,
    ) {
        self.meter.acknowledged(now, app_limited, in_flight);
        self.inner
            .on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.least = 0;
        self.congested = true;
        self.inner
            .on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        if !self.congested {
            self.least = INITIAL_PACKETS * u64::from(new_mtu);
        }
        self.inner.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.inner.window().max(self.least)
    }

    fn metrics(&self) -> congestion::ControllerMetrics {
        self.inner.metrics()
    }

    fn clone_box(&self) -> Box<dyn congestion::Controller> {
        Box::new(Self {
            inner: self.inner.clone_box(),
            least: self.least,
            congested: self.congested,
            meter: self.meter.clone(),
        })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

const INITIAL_PACKETS: u64 = 10;
