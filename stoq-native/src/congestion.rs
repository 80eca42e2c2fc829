//! How much may be on its way at once: one state for each path, and the algorithm that moves it, which can be another one from
//! one acknowledgement to the next.
//!
//! ```text
//!   quinn ── acknowledged, lost, sent ──▶ Controller ── window ──▶ quinn
//!                                         ├ State: window, threshold, recovery      (NewReno and Cubic share it)
//!                                         ├ Body: NewReno, Cubic or BBR             (what one of them remembers beside)
//!                                         ├ Meter: notes of the path                (see crate::meter)
//!   Connection::update_live_config ─────▶ └ Choice: which algorithm is wanted       (shared with every path's controller)
//! ```
//!
//! quinn makes a new controller when a peer comes from another address, by the factory that the connection began with. So every
//! connection has a factory of its own, and what was chosen for a connection outlives its paths.

mod bbr;
mod controller;
mod cubic;
mod new_reno;
mod state;

use core::fmt;
use core::str::FromStr;
use core::sync::atomic::{AtomicU8, Ordering};
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use quinn::congestion::{Controller as QuinnController, ControllerFactory};
use serde::{Deserialize, Serialize};

pub(crate) use controller::Controller;

/// How the number of bytes on their way follows what the path does with them.
///
/// The delay between packets is quinn's matter: it spreads a window over a round trip, whichever the algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CongestionAlgorithm {
    /// Half the window when something is lost, one packet more for each window that arrives ([RFC 9002, section 7 and
    /// appendix B]). Gentle, and as slow to come back as the path is long.
    ///
    /// [RFC 9002, section 7 and appendix B]: https://www.rfc-editor.org/rfc/rfc9002#section-7
    NewReno,
    /// Seven tenths of the window when something is lost, and back along a curve in time, whatever the round trip; never slower
    /// than NewReno would come back ([RFC 9438], with fast convergence). The default, as in most systems of today.
    ///
    /// [RFC 9438]: https://www.rfc-editor.org/rfc/rfc9438
    #[default]
    Cubic,
    /// A window by measured rate and round trip ([BBR's draft], with an answer to losses). It takes no loss for congestion unless
    /// there is a queue too, so it carries on where one packet in thirty vanishes by chance; and it keeps the queue short. To flows of
    /// the others it leaves about half where the queue holds a round trip, and more where it holds several.
    ///
    /// It is not all that BBR is: quinn 0.11 paces by window and round trip, and asks no controller for a rate. Version 3 waits
    /// for that. quinn's proposal ([quinn-rs/quinn#2481], open in autumn 2026) lets the pacer ask the controller for its rate and
    /// tells it of each packet sent and lost, which changes the trait that controllers implement; so it can come with a
    /// release that breaks compatibility, not with a 0.11. noq, a fork, has taken it in (n0-computer/noq#611).
    ///
    /// [BBR's draft]: https://datatracker.ietf.org/doc/draft-ietf-ccwg-bbr/
    /// [quinn-rs/quinn#2481]: https://github.com/quinn-rs/quinn/pull/2481
    Bbr,
}

impl CongestionAlgorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NewReno, Self::Cubic, Self::Bbr];

    /// The name, in kebab case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewReno => "new-reno",
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
        }
    }

    const fn number(self) -> u8 {
        self as u8
    }

    const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::NewReno,
            1 => Self::Cubic,
            _ => Self::Bbr,
        }
    }
}

/// The name.
impl fmt::Display for CongestionAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// From the name.
impl FromStr for CongestionAlgorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        let found = Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name);
        found.ok_or_else(|| UnknownAlgorithm { name: name.into() })
    }
}

/// No algorithm has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no congestion control {name:?}, but new-reno, cubic and bbr")]
pub struct UnknownAlgorithm {
    /// The name.
    pub name: String,
}

/// Makes the controllers of one connection, one for each path.
pub(crate) struct Factory(Arc<Choice>);

impl Factory {
    /// For one connection that begins with this algorithm.
    pub(crate) fn new(algorithm: CongestionAlgorithm) -> Arc<Self> {
        Arc::new(Self(Choice::new(algorithm)))
    }
}

impl ControllerFactory for Factory {
    fn build(self: Arc<Self>, now: Instant, mtu: u16) -> Box<dyn QuinnController> {
        Box::new(Controller::new(self.0.clone(), now, mtu))
    }
}

/// Makes controllers for connections that stay with the algorithm that they begin with, so that all may have it from here.
pub(crate) struct SharedFactory(pub(crate) CongestionAlgorithm);

impl ControllerFactory for SharedFactory {
    fn build(self: Arc<Self>, now: Instant, mtu: u16) -> Box<dyn QuinnController> {
        Box::new(Controller::new(Choice::new(self.0), now, mtu))
    }
}

/// The controller of the connection's path as it is now; `None` if quinn works with one of its own.
pub(crate) fn of(connection: &quinn::Connection) -> Option<Box<Controller>> {
    connection.congestion_state().into_any().downcast().ok()
}

/// Which algorithm a connection is to work with.
pub(crate) struct Choice {
    /// Its number. Read for every packet, so it is nothing but that.
    wanted: AtomicU8,
    swap: Mutex<Swap>,
}

/// When another algorithm was asked for, and how long it took until the path worked with it.
#[derive(Default)]
struct Swap {
    asked: Option<Instant>,
    took: Option<Duration>,
}

impl Choice {
    pub(crate) fn new(algorithm: CongestionAlgorithm) -> Arc<Self> {
        Arc::new(Self {
            wanted: AtomicU8::new(algorithm.number()),
            swap: Mutex::default(),
        })
    }

    /// From the next packet on, sent or acknowledged, the path works with this one.
    pub(crate) fn choose(&self, algorithm: CongestionAlgorithm) {
        let mut swap = self.swap();
        if self.wanted() == algorithm {
            return;
        }
        *swap = Swap {
            asked: Some(Instant::now()),
            took: None,
        };
        self.wanted.store(algorithm.number(), Ordering::Relaxed);
    }

    pub(crate) fn wanted(&self) -> CongestionAlgorithm {
        CongestionAlgorithm::from_number(self.wanted.load(Ordering::Relaxed))
    }

    /// How long the last swap took, from the wish to the first packet; `None` until then.
    pub(crate) fn took(&self) -> Option<Duration> {
        self.swap().took
    }

    /// The path works with what was wanted.
    fn swapped(&self) {
        let mut swap = self.swap();
        if let Some(asked) = swap.asked.take() {
            swap.took = Some(asked.elapsed());
        }
    }

    fn swap(&self) -> MutexGuard<'_, Swap> {
        self.swap.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
