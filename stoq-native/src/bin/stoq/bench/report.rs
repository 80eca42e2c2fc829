//! What was measured, for people and for programs.

use core::time::Duration;
use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;
use stoq_native::Target;

use super::tally::Totals;
use super::usage::{self, LIMIT, Limit, Usage};
use crate::arguments::{LoadArguments, Mode};
use crate::error::CommandError;
use crate::terminal::say;

/// The figures as they were taken.
pub(super) struct Measured {
    pub(super) ending: Ending,
    pub(super) open: usize,
    pub(super) opened_in: Duration,
    pub(super) sockets: usize,
    pub(super) seconds: f64,
    pub(super) usage: Usage,
    pub(super) sent_packets: u64,
    pub(super) lost_packets: u64,
    pub(super) opening: Totals,
    pub(super) totals: Totals,
}

/// Why the measurement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Ending {
    /// The time was up.
    Time,
    /// By a signal.
    Interrupted,
    /// Every connection had failed.
    Failed,
}

/// What is printed; the names are those of the JSON.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    target: String,
    mode: Mode,
    /// Bytes of a request or datagram.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u32>,
    ended_by: Ending,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    opening: Option<Opening>,
    /// Connections that failed while they were measured.
    failed_connections: u64,
    operations: u64,
    operations_per_second: f64,
    sent_bytes: u64,
    received_bytes: u64,
    sent_bits_per_second: f64,
    received_bits_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost_datagrams: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resumed: Option<u64>,
    times: Option<Times>,
    errors: BTreeMap<String, u64>,
    packets: Packets,
    generator: Generator,
}

#[derive(Debug, Serialize)]
struct Opening {
    asked: u32,
    opened: usize,
    failed: u64,
    resumed: u64,
    seconds: f64,
    times: Option<Times>,
    errors: BTreeMap<String, u64>,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
struct Times {
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

/// That this end sent.
#[derive(Debug, Serialize)]
struct Packets {
    sent: u64,
    lost: u64,
}

/// What the command itself took.
#[derive(Debug, Serialize)]
struct Generator {
    cores: usize,
    cpu_seconds: Option<f64>,
    cpu_share: Option<f64>,
    machine_cpu_share: Option<f64>,
    peak_memory_bytes: Option<u64>,
    sockets: usize,
    /// Why the figures may be this end's limit, not the server's, if they may.
    at_limit: Option<Limit>,
    #[serde(skip)]
    json: bool,
}

impl Report {
    pub(super) fn new(target: &Target, load: LoadArguments, measured: Measured) -> Self {
        let Measured {
            ending,
            opening,
            totals,
            usage,
            ..
        } = measured;
        let seconds = measured.seconds;
        let rate = |count: u64| count as f64 / seconds.max(f64::MIN_POSITIVE);
        let handshakes = load.mode == Mode::Handshake;
        let errors = |errors: &BTreeMap<String, u64>| errors.values().sum();
        Self {
            target: target.to_string(),
            mode: load.mode,
            size: matches!(load.mode, Mode::Rr | Mode::Datagram).then_some(load.size),
            ended_by: ending,
            seconds,
            failed_connections: errors(&totals.errors),
            operations: totals.operations,
            operations_per_second: rate(totals.operations),
            sent_bytes: totals.sent,
            received_bytes: totals.received,
            sent_bits_per_second: 8.0 * rate(totals.sent),
            received_bits_per_second: 8.0 * rate(totals.received),
            lost_datagrams: (load.mode == Mode::Datagram).then_some(totals.lost),
            resumed: handshakes.then_some(totals.resumed),
            times: Times::of(&totals.times),
            errors: totals.errors,
            packets: Packets {
                sent: measured.sent_packets,
                lost: measured.lost_packets,
            },
            generator: Generator {
                cores: usage::cores(),
                cpu_seconds: usage.own.map(|own| own.as_secs_f64()),
                cpu_share: usage.share,
                machine_cpu_share: usage.machine_share,
                peak_memory_bytes: usage::peak_memory(),
                sockets: measured.sockets,
                at_limit: usage.at_limit(),
                json: load.json,
            },
            opening: (!handshakes).then(|| Opening {
                asked: load.connections,
                opened: measured.open,
                failed: errors(&opening.errors),
                resumed: opening.resumed,
                seconds: measured.opened_in.as_secs_f64(),
                times: Times::of(&opening.times),
                errors: opening.errors,
            }),
        }
    }

    /// # Errors
    /// [`CommandError::Output`] if nobody reads it any more.
    pub(super) fn print(&self) -> Result<(), CommandError> {
        if self.generator.json {
            return say(serde_json::to_string(self).expect("it is made of numbers and texts"));
        }
        self.lines()
            .into_iter()
            .try_for_each(|(name, text)| say(format_args!("{name:<12}{text}")))
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![("target", self.target.clone())];
        let mode = match self.mode {
            Mode::Bulk => "bulk: a stream each, echoed; a piece has 64 KiB".into(),
            Mode::Rr => format!(
                "rr: {} bytes there and back, one at a time each",
                self.size()
            ),
            Mode::Datagram => format!("datagram: {} bytes, echoed, 16 in flight each", self.size()),
            Mode::Handshake => "handshake: connect, open a session, close".into(),
        };
        lines.push(("mode", mode));
        if let Some(opening) = &self.opening {
            let text = format!(
                "{} of {} in {:.2} s, {} of them resumed; failed: {}",
                opening.opened,
                opening.asked,
                opening.seconds,
                opening.resumed,
                list(&opening.errors)
            );
            lines.push(("opened", text));
            let times = opening.times.map_or_else(|| "none".into(), Times::text);
            lines.push(("handshakes", times));
        }
        let how = match self.ended_by {
            Ending::Time => "",
            Ending::Interrupted => ", interrupted",
            Ending::Failed => ", then every connection had failed",
        };
        lines.push(("measured", format!("{:.2} s{how}", self.seconds)));
        lines.push((self.counted(), self.rates()));
        if self.mode != Mode::Handshake {
            let [sent, received] =
                [self.sent_bits_per_second, self.received_bits_per_second].map(|bits| bits / 1e6);
            let text = format!("{sent:.2} Mbit/s sent, {received:.2} Mbit/s came back");
            lines.push(("throughput", text));
        }
        let times = self.times.map_or_else(|| "none".into(), Times::text);
        lines.push(("times", times));
        lines.push(("errors", list(&self.errors)));
        let Packets { sent, lost } = self.packets;
        lines.push(("packets", format!("{sent} sent, {lost} of them lost")));
        lines.push(("this end", self.generator.text()));
        if let Some(limit) = self.generator.at_limit {
            let who = match limit {
                Limit::Generator => "this command",
                Limit::Machine => "this command and what else runs on this machine",
            };
            let text = format!(
                "{who} used more than {:.0} % of what the cores here can do: the figures may be this end's limit, not the server's",
                LIMIT * 100.0
            );
            lines.push(("warning", text));
        }
        lines
    }

    fn size(&self) -> u32 {
        self.size.unwrap_or_default()
    }

    fn counted(&self) -> &'static str {
        match self.mode {
            Mode::Bulk => "pieces",
            Mode::Rr => "requests",
            Mode::Datagram => "datagrams",
            Mode::Handshake => "handshakes",
        }
    }

    fn rates(&self) -> String {
        let mut text = format!(
            "{}, {:.1} a second",
            self.operations, self.operations_per_second
        );
        if let Some(lost) = self.lost_datagrams {
            text += &format!("; {lost} did not come back within a second");
        }
        if let Some(resumed) = self.resumed {
            text += &format!("; {resumed} resumed");
        }
        text
    }
}

impl Times {
    /// Of nanoseconds.
    fn of(times: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| times.value_at_quantile(quantile) as f64 / 1e6;
        (!times.is_empty()).then(|| Self {
            p50_ms: at(0.50),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            max_ms: at(1.0),
        })
    }

    fn text(self) -> String {
        let Self {
            p50_ms,
            p95_ms,
            p99_ms,
            max_ms,
        } = self;
        format!("p50 {p50_ms:.3} ms, p95 {p95_ms:.3} ms, p99 {p99_ms:.3} ms, max {max_ms:.3} ms")
    }
}

impl Generator {
    fn text(&self) -> String {
        let unknown = || "unknown".into();
        let percent = |share: Option<f64>| {
            share.map_or_else(unknown, |share| format!("{:.0} %", share * 100.0))
        };
        let seconds = self.cpu_seconds;
        format!(
            "CPU {}, {} of {} cores (all processes {}), memory at its peak {}, {} sockets",
            seconds.map_or_else(unknown, |seconds| format!("{seconds:.2} s")),
            percent(self.cpu_share),
            self.cores,
            percent(self.machine_cpu_share),
            self.peak_memory_bytes.map_or_else(unknown, |bytes| {
                format!("{} MiB", bytes.div_ceil(1024 * 1024))
            }),
            self.sockets
        )
    }
}

fn list(errors: &BTreeMap<String, u64>) -> String {
    if errors.is_empty() {
        return "none".into();
    }
    let each = errors
        .iter()
        .map(|(name, count)| format!("{count} × {name}"));
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_measured_is_no_time_of_zero() {
        let mut times = Histogram::new(3).unwrap();
        assert!(Times::of(&times).is_none());
        times.record(2_000_000).unwrap();
        let times = Times::of(&times).unwrap();
        assert!((times.max_ms - 2.0).abs() < 0.01 && times.p50_ms == times.max_ms);
    }

    #[test]
    fn errors_are_listed_by_name() {
        let mut errors = BTreeMap::new();
        assert_eq!(list(&errors), "none");
        errors.extend([("timeout".into(), 2), ("limit".into(), 1)]);
        assert_eq!(list(&errors), "1 × limit, 2 × timeout");
    }
}
