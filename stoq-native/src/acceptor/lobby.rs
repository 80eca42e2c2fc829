//! Who may begin a handshake, by who else is at it.

use std::net::IpAddr;
use std::time::Instant;

use super::crowd::Crowd;
use super::rate::Rate;

/// The handshakes that are under way.
#[derive(Debug)]
pub(super) struct Lobby {
    count: usize,
    crowd: Crowd,
    unvalidated: Rate,
}

/// What becomes of who asks for a handshake.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It is counted, until it [leaves](Lobby::leave).
    Enter(IpAddr),
    /// It has to prove its address first.
    Prove,
    Refuse,
}

impl Lobby {
    pub(super) fn new(retry_above: u32) -> Self {
        Self {
            count: 0,
            crowd: Crowd::default(),
            unvalidated: Rate::new(retry_above, Instant::now()),
        }
    }

    /// `proven` says that nobody forged the address, `room` how many more connections there may be.
    pub(super) fn judge(
        &mut self,
        network: IpAddr,
        proven: bool,
        room: usize,
        now: Instant,
    ) -> Judgement {
        if self.count >= room.min(MAX_HANDSHAKES)
            || proven && self.crowd.from(network) >= MAX_OF_NETWORK
        {
            Judgement::Refuse
        } else if !proven && (self.count >= RETRY_AT || !self.unvalidated.allows(now)) {
            Judgement::Prove
        } else {
            self.count += 1;
            self.crowd.enter(network);
            Judgement::Enter(network)
        }
    }

    /// One has ended, and came from there, if that is known.
    pub(super) fn leave(&mut self, network: Option<IpAddr>) {
        self.count = self.count.saturating_sub(1);
        if let Some(network) = network {
            self.crowd.leave(network);
        }
    }
}

/// Handshakes at once above which an address has to prove that it is not forged, at the cost of a round trip.
const RETRY_AT: usize = 128;
/// Handshakes at once from one network whose address has proved that it is not forged, so that one network cannot take all
/// places: a crowd behind one address, all of whom come back in the same moment.
const MAX_OF_NETWORK: usize = 256;
/// Handshakes at once: each may cost a signature and some 20 KB until its time is up.
const MAX_HANDSHAKES: usize = 1024;
