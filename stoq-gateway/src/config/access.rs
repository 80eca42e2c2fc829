//! Access tokens: whose are taken, and what a route wants.

use std::path::PathBuf;

use stoq_native::VerifyingKey;

/// Whose access tokens the gateway takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Public keys of those who issue tokens for the gateway; at least one. 4 KB each.
    pub issuers: Vec<VerifyingKey>,
    /// File of revoked nonces, one a line; see [`Revocations`](stoq_core::access::Revocations). Read at start and by
    /// [`reload_revocations`](crate::Gateway::reload_revocations). Default: none is revoked.
    pub revoked: Option<PathBuf>,
}

/// What a route wants of a browser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wants {
    /// No token.
    #[default]
    Nothing,
    /// A token for the gateway and the route's service, whatever it permits.
    AnyToken,
    /// One that permits this.
    Permission(String),
}
