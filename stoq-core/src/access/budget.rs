use crate::rate::Rate;
use crate::time::Timestamp;

/// How many signatures of access tokens one connection may make this end verify, for [`Verifier::admit_within`].
///
/// It bounds what a peer who forges tokens costs: 256 verifications a second, of 60 to 90 µs, are 2 % of a processor. Who is out of
/// them is refused its session and keeps its connection, which may be a relay's, and carry the sessions of others.
///
/// [`Verifier::admit_within`]: super::Verifier::admit_within
#[derive(Clone, Debug)]
pub struct VerificationBudget(Rate);

impl VerificationBudget {
    /// Verifications at once: four tokens for each of 256 sessions, as when a gateway reconnects.
    pub const BURST: u32 = 1024;
    /// Verifications a second over time: as many new sessions, each with one token for this end.
    pub const PER_SECOND: u32 = 256;

    /// Nothing spent.
    pub const fn new() -> Self {
        Self(Rate::new(Self::BURST, Self::PER_SECOND))
    }

    /// Spends one verification; `false` if none is left.
    pub fn spend(&mut self, now: Timestamp) -> bool {
        self.0.spend(now)
    }
}

impl Default for VerificationBudget {
    fn default() -> Self {
        Self::new()
    }
}
