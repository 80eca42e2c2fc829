//! Whether a FALCON certificate is one that is trusted: for this host, by this authority, now.

use rustls_pki_types::UnixTime;
use stoq_core::time::UnixMicros;

use crate::certificate::Leaf;
use crate::policy::{Authority, FalconTrust};
use crate::rejection::IdentityRejected;
use crate::target::{Target, canonical_host};

/// Whether this certificate is that of a server which is trusted to be at this host and port.
pub(super) fn judge_falcon(
    trust: &FalconTrust,
    host: &str,
    port: u16,
    leaf: &Leaf,
    now: UnixTime,
) -> Result<(), IdentityRejected> {
    let got = leaf
        .falcon
        .as_ref()
        .ok_or(IdentityRejected::NoFalconKey)?
        .id();
    match trust {
        FalconTrust::Pins(pins) => {
            if !pins.ids(host, port).any(|id| *id == got) {
                let authority = authority(host, port);
                return Err(IdentityRejected::NotPinned { authority, got });
            }
        }
        FalconTrust::Authority(trusted) => {
            let host = canonical_host(host);
            judge_grant(trusted, leaf, Some(&host), now)?;
        }
    }
    judge_time(leaf, now)
}

/// Whether the authority has granted this certificate's key the name.
pub(crate) fn judge_grant(
    authority: &Authority,
    leaf: &Leaf,
    name: Option<&str>,
    now: UnixTime,
) -> Result<(), IdentityRejected> {
    let key = leaf.falcon.as_ref().ok_or(IdentityRejected::NoFalconKey)?;
    let grant = leaf.grant.as_ref().ok_or(IdentityRejected::NoGrant)?;
    let grant = grant
        .verify(&authority.key)
        .map_err(IdentityRejected::Grant)?;
    let now = UnixMicros(now.as_secs().saturating_mul(1_000_000));
    grant
        .check(now, &key.id(), name)
        .map_err(IdentityRejected::Grant)?;
    match authority.is_revoked(grant.serial) {
        true => Err(IdentityRejected::Revoked {
            serial: grant.serial,
        }),
        false => Ok(()),
    }
}

/// Whether the certificate says that it holds now.
pub(super) fn judge_time(leaf: &Leaf, now: UnixTime) -> Result<(), IdentityRejected> {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < *leaf.validity.start() {
        return Err(IdentityRejected::NotYetValid);
    }
    if now > *leaf.validity.end() {
        return Err(IdentityRejected::Expired);
    }
    Ok(())
}

/// `host:port`.
pub(super) fn authority(host: &str, port: u16) -> String {
    let host = host.to_owned();
    Target {
        host,
        port,
        service: None,
    }
    .authority()
}
