//! Whom an endpoint believes about itself in a post-quantum sense: policies, pins and authorities.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use stoq_core::falcon::VerifyingKey;
use stoq_core::identity::FalconId;

use crate::target::{Target, TargetError, canonical_host};
use crate::trust::Trust;

/// What a client asks of a server's identity.
///
/// | policy | key exchange | certificate of the server | against whom it helps |
/// |---|---|---|---|
/// | `Off` | hybrid where the server has it | classical | attackers of today |
/// | `Prefer` | hybrid where the server has it | FALCON and classical if the server has both, else classical | attackers of today: one with a quantum computer just leaves FALCON out |
/// | `Require` | hybrid | FALCON and classical | both |
///
/// Under `Require` everything rests on FALCON: pins and grants name that key alone, so whoever breaks or steals it can pose as
/// the server, and the Ed25519 signature beside it stops nobody.
///
/// Hybrid is X25519MLKEM768. Only a FALCON anchor gives post-quantum authentication, so `Require` cannot be built from
/// certificate authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PqPolicy {
    /// Classical certificates only; FALCON is not offered.
    Off(Trust),
    /// FALCON is offered, and verified when the server has it; what the server is believed for is the classical trust.
    ///
    /// A server whose certificate of the one kind is known by hash has another hash for the other kind: name both.
    Prefer(Trust),
    /// The server must prove a FALCON identity that is trusted.
    Require(FalconTrust),
}

impl From<Trust> for PqPolicy {
    fn from(trust: Trust) -> Self {
        Self::Prefer(trust)
    }
}

impl From<FalconTrust> for PqPolicy {
    fn from(trust: FalconTrust) -> Self {
        Self::Require(trust)
    }
}

impl From<Pins> for PqPolicy {
    fn from(pins: Pins) -> Self {
        Self::Require(FalconTrust::Pins(pins))
    }
}

/// Which FALCON identities are trusted, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FalconTrust {
    /// These, each at its host and port: one pinned peer cannot pass for another.
    Pins(Pins),
    /// Those that an authority has granted the host's name. The grant's time counts when a connection comes about, and whenever
    /// the policy changes; one that runs is not closed when the time is over.
    Authority(Authority),
}

/// FALCON identities by host and port.
///
/// ```
/// use stoq_native::{FalconId, Pins};
///
/// let id: FalconId = "stoq1aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq".parse()?;
/// let pins = Pins::new().pin("files.example.org:4433", id)?;
/// assert!(pins.ids("files.example.org", 4433).any(|pinned| *pinned == id));
/// assert_eq!(pins.ids("files.example.org", 4434).count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins(BTreeMap<String, BTreeSet<FalconId>>);

impl Pins {
    /// Nobody is pinned yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also trusts `id` at `authority`, which is `host:port` (an IPv6 address in brackets). Several identities at one
    /// authority are alternatives: a successor can be pinned before it takes over.
    ///
    /// # Errors
    /// [`TargetError`] if the authority is not `host:port`.
    pub fn pin(mut self, authority: &str, id: FalconId) -> Result<Self, TargetError> {
        let target: Target = format!("stoq://{authority}/").parse()?;
        self.0.entry(target.authority()).or_default().insert(id);
        Ok(self)
    }

    /// No longer trusts `id`, wherever it was pinned.
    #[must_use]
    pub fn without(mut self, id: &FalconId) -> Self {
        for ids in self.0.values_mut() {
            ids.remove(id);
        }
        self
    }

    /// Who may be at this host and port.
    pub fn ids(&self, host: &str, port: u16) -> impl Iterator<Item = &FalconId> {
        let target = Target {
            host: canonical_host(host),
            port,
            service: None,
        };
        self.0.get(&target.authority()).into_iter().flatten()
    }
}

/// Somebody whose FALCON signature says which identity may have which name. Takes 4 KB.
#[derive(Clone, PartialEq, Eq)]
pub struct Authority {
    pub(crate) key: Box<VerifyingKey>,
    revoked: BTreeSet<u64>,
}

impl Authority {
    /// The holder of this key.
    pub fn new(key: VerifyingKey) -> Self {
        Self {
            key: Box::new(key),
            revoked: BTreeSet::new(),
        }
    }

    /// No longer believes the grant with this serial.
    #[must_use]
    pub fn without(mut self, serial: u64) -> Self {
        self.revoked.insert(serial);
        self
    }

    pub(crate) fn is_revoked(&self, serial: u64) -> bool {
        self.revoked.contains(&serial)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("id", &self.key.id())
            .field("revoked", &self.revoked)
            .finish()
    }
}

/// What a server asks of a client's identity. Classical client certificates are not a thing in STOQ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientPolicy {
    /// Clients are not asked.
    #[default]
    Off,
    /// Clients are asked. One that shows an identity must prove it, and it must be trusted; one that shows none enters.
    Prefer(ClientTrust),
    /// Only clients with a trusted identity enter, over a hybrid key exchange.
    Require(ClientTrust),
}

/// Which clients are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientTrust {
    /// These.
    Ids(BTreeSet<FalconId>),
    /// Those for whom an authority has a grant, under whatever name.
    Authority(Authority),
}
