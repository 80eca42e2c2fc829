//! The words of the two matrices, and what every matrix must be: whole, each pairing once.

use std::sync::LazyLock;

use stoq_native::{ConnectError, Connection, IdentityRejected};

use super::certificates::Holder;

/// How much is asked of the peer: the columns of the matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Off,
    Prefer,
    Require,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// One of STOQ, with a FALCON identity (a server has a P-256 certificate beside it).
    Composite,
    /// One of STOQ, without.
    Classical,
    /// rustls and quinn, with an Ed25519 certificate. They have never heard of STOQ's scheme.
    Plain,
    /// What a browser does.
    Browser,
}

/// What is wrong, or has happened before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Good,
    /// The Ed25519 half of the handshake's signature has a bit flipped (all there is of it, if the peer is plain).
    Ed25519Bad,
    /// The FALCON half has.
    FalconBad,
    /// The certificate has a FALCON key, and the handshake is signed with Ed25519 alone.
    FalconUnused,
    /// Somebody else is pinned there: by FalconId, or where the policy is classical by certificate hash.
    WrongPin,
    /// The certificate's time is over.
    TimeOver,
    /// The server requires an identity of clients, and the client has none.
    NoClientIdentity,
    /// A session was agreed on, and resumed, under another policy, before this one came into force.
    PolicyChanged,
    /// A session was agreed on, and resumed, before the pin (or hash) of the peer was taken away.
    PinRevoked,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A connection, whose peer has proved a FALCON identity in this handshake.
    Falcon,
    /// A connection without.
    Classical,
    /// No connection, and [`ConnectError::Identity`] with this variant of [`IdentityRejected`].
    Rejected(Why),
    /// No connection, and [`ConnectError::IdentityRefused`]; the server's words have this in them.
    Refused(&'static str),
    /// No connection, and [`ConnectError::NotPostQuantum`].
    NotPostQuantum,
    /// No connection, and [`ConnectError::Handshake`].
    Handshake,
    /// No connection: no protocol in common.
    Alpn,
    /// There is no such pairing, because …
    Never(&'static str),
}

/// The variants of [`IdentityRejected`] that can come of the matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    NoFalconKey,
    FalconKeyUnused,
    Ed25519Signature,
    FalconSignature,
    NotPinned,
    Hash,
    Expired,
    /// [`IdentityRejected::Classical`].
    Untrusted,
}

pub(crate) const LEVELS: [Level; 3] = [Level::Off, Level::Prefer, Level::Require];
pub(crate) const PEERS: [Peer; 4] = [Peer::Composite, Peer::Classical, Peer::Plain, Peer::Browser];
pub(crate) const CASES: [Case; 9] = [
    Case::Good,
    Case::Ed25519Bad,
    Case::FalconBad,
    Case::FalconUnused,
    Case::WrongPin,
    Case::TimeOver,
    Case::NoClientIdentity,
    Case::PolicyChanged,
    Case::PinRevoked,
];

/// A row: what comes of it at each [`Level`].
pub(crate) type Row = (Peer, Case, [Outcome; 3]);

/// The peer that is trusted, and somebody else. Their keys take a while to make.
pub(crate) static KNOWN: LazyLock<Holder> = LazyLock::new(Holder::new);
pub(crate) static STRANGER: LazyLock<Holder> = LazyLock::new(Holder::new);

/// Fails if a pairing is missing or stands twice, and if what `happens` is not what the table says.
pub(crate) async fn check(table: &[Row], happens: impl AsyncFn(Level, Peer, Case) -> Outcome) {
    for (peer, case) in PEERS
        .iter()
        .flat_map(|peer| CASES.map(|case| (*peer, case)))
    {
        let rows = table.iter().filter(|row| (row.0, row.1) == (peer, case));
        assert_eq!(rows.count(), 1, "rows of {peer:?}, {case:?}");
    }
    let mut wrong = Vec::new();
    for (peer, case, outcomes) in table {
        for (level, expected) in LEVELS.into_iter().zip(outcomes) {
            if let Outcome::Never(because) = expected {
                assert!(!because.is_empty());
                continue;
            }
            let got = happens(level, *peer, *case).await;
            if !got.is(expected) {
                wrong.push(format!(
                    "{level:?}, {peer:?}, {case:?}: {got:?}, not {expected:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

impl Outcome {
    fn is(&self, expected: &Self) -> bool {
        match (self, expected) {
            // What a server says is longer than what the table has of it.
            (Self::Refused(said), Self::Refused(part)) => said.contains(part),
            (got, expected) => got == expected,
        }
    }

    /// What came of a client's attempt.
    pub(crate) fn of(result: &Result<Connection, ConnectError>) -> Self {
        match result {
            Ok(connection) => match connection.security().is_falcon_verified() {
                true => Self::Falcon,
                false => Self::Classical,
            },
            Err(ConnectError::Identity(rejected)) => Self::Rejected(Why::of(rejected)),
            Err(ConnectError::IdentityRefused { reason }) => Self::Refused(reason.clone().leak()),
            Err(ConnectError::NotPostQuantum { .. }) => Self::NotPostQuantum,
            Err(ConnectError::Handshake { .. }) => Self::Handshake,
            Err(ConnectError::Alpn { .. }) => Self::Alpn,
            Err(other) => panic!("not foreseen: {other:?}"),
        }
    }
}

impl Why {
    fn of(rejected: &IdentityRejected) -> Self {
        match rejected {
            IdentityRejected::NoFalconKey => Self::NoFalconKey,
            IdentityRejected::FalconKeyUnused => Self::FalconKeyUnused,
            IdentityRejected::Ed25519Signature => Self::Ed25519Signature,
            IdentityRejected::FalconSignature => Self::FalconSignature,
            IdentityRejected::NotPinned { .. } => Self::NotPinned,
            IdentityRejected::Hash { .. } => Self::Hash,
            IdentityRejected::Expired => Self::Expired,
            IdentityRejected::Classical { .. } => Self::Untrusted,
            other => panic!("not foreseen: {other:?}"),
        }
    }
}
