//! The names under which the `metrics` facade is told. The table in the README says them to users.

use core::time::Duration;

use metrics::{counter, gauge, histogram};
use quinn::Side;
use stoq_core::close::Code;

use super::Traffic;
use crate::closed::Closed;

pub(super) fn opened(side: Side) {
    counter!("stoq_connections_opened_total", "side" => word(side)).increment(1);
    gauge!("stoq_connections_active", "side" => word(side)).increment(1);
}

pub(super) fn closed(side: Side, closed: Option<&Closed>, lasted: Duration) {
    gauge!("stoq_connections_active", "side" => word(side)).decrement(1);
    histogram!("stoq_connection_duration_seconds", "side" => word(side)).record(lasted);
    if let Some(closed) = closed {
        error(side, "connection", closed.code);
    }
}

pub(super) fn handshake_failed(side: Side, code: Code) {
    counter!("stoq_handshakes_failed_total", "side" => word(side)).increment(1);
    error(side, "handshake", code);
}

pub(super) fn handshake_refused() {
    counter!("stoq_handshakes_refused_total").increment(1);
}

pub(super) fn retried() {
    counter!("stoq_retries_total").increment(1);
}

pub(super) fn session_opened(side: Side) {
    counter!("stoq_sessions_opened_total", "side" => word(side)).increment(1);
    gauge!("stoq_sessions_active", "side" => word(side)).increment(1);
}

pub(super) fn session_ended(side: Side, closed: &Closed) {
    gauge!("stoq_sessions_active", "side" => word(side)).decrement(1);
    error(side, "session", closed.code);
}

pub(super) fn rotated(result: &'static str) {
    counter!("stoq_identity_rotations_total", "result" => result).increment(1);
}

pub(super) fn traffic(side: Side, traffic: &Traffic) {
    let counts = [
        ("stoq_bytes_sent_total", traffic.sent_bytes),
        ("stoq_bytes_received_total", traffic.received_bytes),
        ("stoq_packets_sent_total", traffic.sent_packets),
        ("stoq_packets_lost_total", traffic.lost_packets),
        ("stoq_datagrams_sent_total", traffic.sent_datagrams),
        ("stoq_datagrams_received_total", traffic.received_datagrams),
        ("stoq_datagrams_dropped_total", traffic.dropped_datagrams),
    ];
    for (name, count) in counts {
        if count > 0 {
            counter!(name, "side" => word(side)).increment(count);
        }
    }
}

/// Codes of the application are one label: their number is the peer's choice, and each label takes memory for good.
fn error(side: Side, of: &'static str, code: Code) {
    if matches!(code, Code::NO_ERROR | Code::GOING_AWAY | Code::CANCELLED) {
        return;
    }
    let code = code.name().unwrap_or("application");
    let labels = [("side", word(side)), ("of", of), ("code", code)];
    counter!("stoq_errors_total", &labels).increment(1);
}

fn word(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}
