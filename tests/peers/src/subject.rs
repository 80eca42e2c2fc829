//! Who is measured.

mod noq;
#[cfg(feature = "quiche")]
mod quiche;
mod quinn;
mod raw;
#[cfg(feature = "s2n-quic")]
mod s2n;
mod stoq;

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::gate::Gate;
use crate::transport::Setup;
use crate::workload::{self, Outcome, Workload, serve};

/// A subject. One file each says how it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Subject {
    /// UDP with GSO and GRO, no encryption: the ceiling
    Raw,
    /// What the others are compared with
    Quinn,
    /// n0's fork of quinn
    Noq,
    #[cfg(feature = "s2n-quic")]
    #[value(name = "s2n-quic")]
    #[serde(rename = "s2n-quic")]
    S2n,
    /// Through tokio-quiche
    #[cfg(feature = "quiche")]
    Quiche,
    /// Raw streams, FALCON required
    Stoq,
}

impl Subject {
    /// All that this program was built with.
    pub(crate) fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// As on the command line.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// As in a table.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Raw => "raw UDP",
            Self::Quinn => "quinn",
            Self::Noq => "noq",
            #[cfg(feature = "s2n-quic")]
            Self::S2n => "s2n-quic",
            #[cfg(feature = "quiche")]
            Self::Quiche => "quiche",
            Self::Stoq => "STOQ",
        }
    }

    /// The packages whose versions say what was measured.
    pub(crate) const fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Raw => &["quinn-udp"],
            Self::Quinn => &["quinn", "quinn-proto"],
            Self::Noq => &["noq"],
            #[cfg(feature = "s2n-quic")]
            Self::S2n => &["s2n-quic"],
            #[cfg(feature = "quiche")]
            Self::Quiche => &["quiche", "tokio-quiche"],
            Self::Stoq => &["stoq-native"],
        }
    }

    /// Whether it can do this at all.
    pub(crate) const fn does(self, workload: Workload) -> bool {
        match workload {
            Workload::Handshakes | Workload::Idle => !matches!(self, Self::Raw),
            Workload::Bulk8Two => matches!(self, Self::Stoq),
            _ => true,
        }
    }

    /// Serves until the process ends.
    pub(crate) async fn serve(self, setup: &Setup) -> Result<()> {
        match self {
            Self::Raw => raw::serve(setup).await,
            Self::Quinn => serve::run::<quinn::Quinn>(setup).await,
            Self::Noq => serve::run::<noq::Noq>(setup).await,
            #[cfg(feature = "s2n-quic")]
            Self::S2n => serve::run::<s2n::S2n>(setup).await,
            #[cfg(feature = "quiche")]
            Self::Quiche => serve::run::<quiche::Quiche>(setup).await,
            Self::Stoq => serve::run::<stoq::Stoq>(setup).await,
        }
    }

    /// A client's part.
    pub(crate) async fn load(
        self,
        setup: &Setup,
        workload: Workload,
        time: Duration,
        gate: &mut Gate,
    ) -> Result<Outcome> {
        match self {
            Self::Raw => raw::run(setup, workload, time, gate).await,
            Self::Quinn => workload::run::<quinn::Quinn>(setup, workload, time, gate).await,
            Self::Noq => workload::run::<noq::Noq>(setup, workload, time, gate).await,
            #[cfg(feature = "s2n-quic")]
            Self::S2n => workload::run::<s2n::S2n>(setup, workload, time, gate).await,
            #[cfg(feature = "quiche")]
            Self::Quiche => workload::run::<quiche::Quiche>(setup, workload, time, gate).await,
            Self::Stoq => workload::run::<stoq::Stoq>(setup, workload, time, gate).await,
        }
    }
}
