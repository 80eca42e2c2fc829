//! What a row of the table says of a run.

use crate::workload::Workload;

use super::Record;

/// A number that a run gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    Bulk1,
    Bulk1Cpu,
    Bulk1Client,
    Bulk1Server,
    Bulk8,
    Bulk8Server,
    Bulk8Two,
    Bulk8TwoServer,
    Requests1Middle,
    Requests1Tail,
    Requests64Middle,
    Requests64Tail,
    Requests64Rate,
    Handshakes,
    HandshakesServer,
    DatagramsReceived,
    DatagramsSent,
    IdleServer,
    IdleClient,
}

impl Metric {
    /// In the order of the table.
    pub(crate) const ALL: [Self; 19] = [
        Self::Bulk1,
        Self::Bulk1Cpu,
        Self::Bulk1Client,
        Self::Bulk1Server,
        Self::Bulk8,
        Self::Bulk8Server,
        Self::Bulk8Two,
        Self::Bulk8TwoServer,
        Self::Requests1Middle,
        Self::Requests1Tail,
        Self::Requests64Middle,
        Self::Requests64Tail,
        Self::Requests64Rate,
        Self::Handshakes,
        Self::HandshakesServer,
        Self::DatagramsReceived,
        Self::DatagramsSent,
        Self::IdleServer,
        Self::IdleClient,
    ];

    pub(crate) const fn workload(self) -> Workload {
        match self {
            Self::Bulk1 | Self::Bulk1Cpu | Self::Bulk1Client | Self::Bulk1Server => Workload::Bulk1,
            Self::Bulk8 | Self::Bulk8Server => Workload::Bulk8,
            Self::Bulk8Two | Self::Bulk8TwoServer => Workload::Bulk8Two,
            Self::Requests1Middle | Self::Requests1Tail => Workload::Requests1,
            Self::Requests64Middle | Self::Requests64Tail | Self::Requests64Rate => {
                Workload::Requests64
            }
            Self::Handshakes | Self::HandshakesServer => Workload::Handshakes,
            Self::DatagramsReceived | Self::DatagramsSent => Workload::Datagrams,
            Self::IdleServer | Self::IdleClient => Workload::Idle,
        }
    }

    /// Whether it stands in the project's README.
    pub(crate) const fn is_essential(self) -> bool {
        matches!(
            self,
            Self::Bulk1
                | Self::Bulk1Cpu
                | Self::Bulk8
                | Self::Requests1Middle
                | Self::Requests1Tail
                | Self::Requests64Middle
                | Self::Requests64Tail
                | Self::Handshakes
                | Self::HandshakesServer
                | Self::DatagramsReceived
                | Self::IdleServer
        )
    }

    /// With its unit.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Bulk1 => "bulk, 1 connection, Gbit/s",
            Self::Bulk1Cpu => "… CPU of both ends, s/GB",
            Self::Bulk1Client => "… CPU of the client, s/GB",
            Self::Bulk1Server => "… CPU of the server, s/GB",
            Self::Bulk8 => "bulk, 8 connections, Gbit/s",
            Self::Bulk8Server => "… CPU of the server, s/GB",
            Self::Bulk8Two => "… two sockets, Gbit/s",
            Self::Bulk8TwoServer => "… two sockets, CPU of the server, s/GB",
            Self::Requests1Middle => "request, 1 in flight, p50, µs",
            Self::Requests1Tail => "request, 1 in flight, p99, µs",
            Self::Requests64Middle => "request, 64 in flight, p50, µs",
            Self::Requests64Tail => "request, 64 in flight, p99, µs",
            Self::Requests64Rate => "… thousand requests a second",
            Self::Handshakes => "full handshakes a second",
            Self::HandshakesServer => "… CPU of the server, ms each",
            Self::DatagramsReceived => "datagrams received, thousand a second",
            Self::DatagramsSent => "… handed over, thousand a second",
            Self::IdleServer => "idle connection, server, KiB",
            Self::IdleClient => "… client, KiB",
        }
    }

    /// The number, if the run was one for it.
    pub(crate) fn of(self, record: &Record) -> Option<f64> {
        if record.workload != self.workload() {
            return None;
        }
        let outcome = &record.outcome;
        let seconds = outcome.time.as_secs_f64();
        let count = outcome.count.map(|count| count as f64);
        let micros = |time: std::time::Duration| time.as_secs_f64() * 1e6;
        let gigabytes = outcome.bytes.map(|bytes| bytes as f64 / 1e9);
        let (client, server) = (record.client_cpu(), record.server_cpu());
        let growth = |[before, after]: [crate::usage::Usage; 2]| {
            let grown = after.resident.saturating_sub(before.resident) as f64;
            Some(grown / 1024.0 / count?)
        };
        match self {
            Self::Bulk1 | Self::Bulk8 | Self::Bulk8Two => Some(gigabytes? * 8.0 / seconds),
            Self::Bulk1Cpu => Some((client + server).as_secs_f64() / gigabytes?),
            Self::Bulk1Client => Some(client.as_secs_f64() / gigabytes?),
            Self::Bulk1Server | Self::Bulk8Server | Self::Bulk8TwoServer => {
                Some(server.as_secs_f64() / gigabytes?)
            }
            Self::Requests1Middle | Self::Requests64Middle => outcome.p50.map(micros),
            Self::Requests1Tail | Self::Requests64Tail => outcome.p99.map(micros),
            Self::Requests64Rate | Self::DatagramsReceived => Some(count? / seconds / 1e3),
            Self::Handshakes => Some(count? / seconds),
            Self::HandshakesServer => Some(server.as_secs_f64() * 1e3 / count?),
            Self::DatagramsSent => Some(outcome.sent? as f64 / seconds / 1e3),
            Self::IdleServer => growth(record.server),
            Self::IdleClient => growth(record.client),
        }
        .filter(|value| value.is_finite())
    }
}

/// What one run gave, in one line.
pub(crate) fn line(record: &Record) -> String {
    let values = Metric::ALL.into_iter().filter_map(|metric| {
        let value = metric.of(record)?;
        Some(format!("{}: {}", metric.title(), digits(value)))
    });
    values.collect::<Vec<_>>().join(", ")
}

/// With three digits that count.
pub(crate) fn digits(value: f64) -> String {
    let places = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_count() {
        let written = [0.123, 1.234, 12.34, 1234.0].map(digits);
        assert_eq!(written, ["0.12", "1.23", "12.3", "1234"]);
    }
}
