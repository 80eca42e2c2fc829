//! Services and who runs them.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use stoq_core::service::ServiceName;
use stoq_native::{Pins, PqPolicy, Target, Trust};

use super::super::values::{bad, count, hash};
use super::super::{ConfigError, Route, Wants};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRoute {
    service: String,
    upstream: String,
    /// Identities of which any one is believed, in place of certificates.
    falcon: Option<Vec<String>>,
    roots: Option<PathBuf>,
    hashes: Option<Vec<String>>,
    /// Relays to pass behind `upstream`.
    #[serde(default)]
    via: Vec<String>,
    token: Option<bool>,
    permission: Option<String>,
    sessions_per_connection: Option<i64>,
}

impl RawRoute {
    pub(super) fn typed(&self, index: usize, directory: &Path) -> Result<Route, ConfigError> {
        let name = |setting: &str| format!("route[{index}].{setting}");
        let service = ServiceName::new(&self.service)
            .map_err(|error| bad(name("service"), &self.service, error))?;
        let upstream: Target = (self.upstream.parse())
            .map_err(|error| bad(name("upstream"), &self.upstream, error))?;
        let policy = self.policy(&upstream, directory, name)?;
        let mut route = Route::new(service, upstream, policy);
        route.wants = match (self.token, &self.permission) {
            (None | Some(true), Some(word)) => Wants::Permission(word.clone()),
            (Some(true), None) => Wants::AnyToken,
            (None | Some(false), None) => Wants::Nothing,
            (Some(false), Some(word)) => {
                let rule = "needs a token, which token = false does not ask for";
                return Err(bad(name("permission"), word, rule));
            }
        };
        let via = self.via.iter();
        route.via = via
            .map(|text| text.parse().map_err(|error| bad(name("via"), text, error)))
            .collect::<Result<_, _>>()?;
        let setting = name("sessions_per_connection");
        count(
            &mut route.sessions_per_connection,
            &setting,
            self.sessions_per_connection,
        )?;
        Ok(route)
    }

    fn policy(
        &self,
        upstream: &Target,
        directory: &Path,
        name: impl Fn(&str) -> String,
    ) -> Result<PqPolicy, ConfigError> {
        match (&self.falcon, &self.roots, &self.hashes) {
            (None, None, None) => Ok(Trust::SystemRoots.into()),
            (Some(ids), None, None) => {
                let mut pins = Pins::new();
                for text in ids {
                    let id = (text.parse()).map_err(|error| bad(name("falcon"), text, error))?;
                    pins = (pins.pin(&upstream.authority(), id))
                        .map_err(|error| bad(name("upstream"), upstream, error))?;
                }
                Ok(pins.into())
            }
            (None, Some(roots), None) => Ok(Trust::roots_from_pem_file(directory.join(roots))
                .map_err(|error| bad(name("roots"), roots.display(), error))?
                .into()),
            (None, None, Some(hashes)) => {
                let hashes = hashes.iter().map(|text| {
                    hash(text).ok_or_else(|| {
                        bad(name("hashes"), text, "a SHA-256 is 64 hexadecimal digits")
                    })
                });
                Ok(Trust::CertificateHashes(hashes.collect::<Result<_, _>>()?).into())
            }
            _ => Err(bad(
                name("upstream"),
                upstream,
                "has more than one of falcon, roots and hashes, choose one",
            )),
        }
    }
}
