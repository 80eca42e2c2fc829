//! What is measured, as generic functions over the traits of [`transport`](crate::transport).

pub(crate) mod bulk;
pub(crate) mod datagrams;
pub(crate) mod handshakes;
pub(crate) mod idle;
pub(crate) mod latencies;
pub(crate) mod requests;
pub(crate) mod serve;

use std::num::NonZeroU16;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::gate::Gate;
use crate::transport::{Setup, Transport};

/// What the client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Workload {
    /// One connection, one stream, from the client to the server
    #[value(name = "bulk-1")]
    Bulk1,
    /// Eight connections, one stream each
    #[value(name = "bulk-8")]
    Bulk8,
    /// The same, to a server with two sockets on its port, each with a thread: STOQ alone
    #[value(name = "bulk-8-two")]
    #[serde(rename = "bulk-8-two")]
    Bulk8Two,
    /// 64 bytes there, 1 KiB back, each on a stream of its own, one after the other
    #[value(name = "rr-1")]
    Requests1,
    /// The same, 64 at a time on one connection
    #[value(name = "rr-64")]
    Requests64,
    /// Full handshakes, each with one request and its answer
    Handshakes,
    /// Datagrams from the client to the server, on one connection
    Datagrams,
    /// Memory of connections on which nothing happens
    Idle,
}

impl Workload {
    pub(crate) const ALL: [Self; 8] = [
        Self::Bulk1,
        Self::Bulk8,
        Self::Bulk8Two,
        Self::Requests1,
        Self::Requests64,
        Self::Handshakes,
        Self::Datagrams,
        Self::Idle,
    ];

    /// As on the command line.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Sockets of STOQ's server.
    pub(crate) const fn sockets(self) -> NonZeroU16 {
        match self {
            Self::Bulk8Two => NonZeroU16::MIN.saturating_add(1),
            _ => NonZeroU16::MIN,
        }
    }

    /// Whether the size of packets matters to it.
    pub(crate) const fn has_sizes(self) -> bool {
        matches!(self, Self::Bulk1 | Self::Bulk8 | Self::Datagrams)
    }
}

/// What a client's process measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Bytes that the server has received.
    pub(crate) bytes: Option<u64>,
    /// Requests answered, handshakes done, datagrams received, connections held.
    pub(crate) count: Option<u64>,
    /// Datagrams handed over.
    pub(crate) sent: Option<u64>,
    pub(crate) p50: Option<Duration>,
    pub(crate) p99: Option<Duration>,
    /// Bytes of UDP payload that packets had at the end, if they find that out themselves.
    pub(crate) packet: Option<u16>,
    /// How long it took.
    pub(crate) time: Duration,
}

/// A client's part.
pub(crate) async fn run<T: Transport>(
    setup: &Setup,
    workload: Workload,
    time: Duration,
    gate: &mut Gate,
) -> Result<Outcome> {
    use crate::transport::Client as _;
    let client = T::client(setup).await?;
    match workload {
        Workload::Bulk1 => bulk::run(&client, 1, time, gate).await,
        Workload::Bulk8 | Workload::Bulk8Two => bulk::run(&client, 8, time, gate).await,
        Workload::Requests1 => requests::run(client.connect().await?, 1, time, gate).await,
        Workload::Requests64 => requests::run(client.connect().await?, 64, time, gate).await,
        Workload::Handshakes => handshakes::run(client, time, gate).await,
        Workload::Datagrams => {
            let connection = client.connect().await?;
            datagrams::run(connection, setup.mtu, time, gate).await
        }
        Workload::Idle => idle::run(&client, gate).await,
    }
}

/// Bytes of a request, its kind included.
pub(crate) const REQUEST: usize = 64;
/// Bytes of an answer.
pub(crate) const ANSWER: usize = 1024;

/// How long everything runs before it is measured: windows are open and paths are known then.
pub(crate) const WARM: Duration = Duration::from_millis(300);

/// The first byte of a stream.
pub(crate) mod kind {
    /// All bytes to the end are counted, and the count is the answer (8 bytes, little endian).
    pub(crate) const BULK: u8 = 1;
    /// A request.
    pub(crate) const REQUEST: u8 = 2;
    /// How many datagrams came? (8 bytes, little endian.)
    pub(crate) const DATAGRAMS: u8 = 3;
}
