//! The TOML file: its shape, and each value into its type.

mod bounds;
mod hops;
mod route;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use stoq_native::{FalconKey, verifying_key_from_pem_file};

use bounds::{RawLimits, RawTiming};
use hops::{RawHops, RawRelay};
use route::RawRoute;

use super::values::{address, allowed, bad, set};
use super::{Access, Certificate, Config, ConfigError, Http, Signer};

/// The text into a [`Config`].
pub(super) fn parse(text: &str, directory: &Path) -> Result<Config, ConfigError> {
    let raw: Raw = toml::from_str(text).map_err(|error| ConfigError::Syntax {
        message: error.to_string(),
    })?;
    raw.typed(directory)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    listen: String,
    ipv6_only: Option<bool>,
    authority: Option<String>,
    certificate: RawCertificate,
    identity: Option<RawIdentity>,
    access: Option<RawAccess>,
    #[serde(default)]
    admission: RawAdmission,
    http: Option<RawHttp>,
    hops: Option<RawHops>,
    relay: Option<RawRelay>,
    #[serde(default)]
    limits: RawLimits,
    #[serde(default)]
    timing: RawTiming,
    #[serde(default)]
    route: Vec<RawRoute>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCertificate {
    names: Option<Vec<String>>,
    chain: Option<PathBuf>,
    key: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIdentity {
    falcon_key: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAccess {
    issuers: Vec<PathBuf>,
    revoked: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAdmission {
    origins: Option<Vec<String>>,
    require_origin: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHttp {
    listen: String,
    root: Option<PathBuf>,
}

impl Raw {
    fn typed(self, directory: &Path) -> Result<Config, ConfigError> {
        let listen = address("listen", &self.listen)?;
        let certificate = self.certificate.typed(directory)?;
        let routes = self.route.iter().enumerate();
        let routes = routes
            .map(|(index, route)| route.typed(index, directory))
            .collect::<Result<Vec<_>, _>>()?;
        let mut config = Config::new(listen, certificate, routes);
        set(&mut config.ipv6_only, self.ipv6_only);
        config.authority = self.authority;
        if let Some(identity) = self.identity {
            config.identity = Some(identity.typed(directory)?);
        }
        if let Some(access) = self.access {
            config.access = Some(access.typed(directory)?);
        }
        if let Some(origins) = &self.admission.origins {
            config.origins = allowed(origins)?;
        }
        set(&mut config.require_origin, self.admission.require_origin);
        if let Some(http) = self.http {
            config.http = Some(Http {
                listen: address("http.listen", &http.listen)?,
                root: http.root.map(|root| directory.join(root)),
            });
        }
        if let Some(hops) = self.hops {
            config.hops = hops.typed()?;
        }
        if let Some(relay) = self.relay {
            config.relay = Some(relay.typed()?);
        }
        self.limits.apply(&mut config.limits)?;
        self.timing.apply(&mut config.timing)?;
        Ok(config)
    }
}

impl RawCertificate {
    fn typed(self, directory: &Path) -> Result<Certificate, ConfigError> {
        match (self.names, self.chain, self.key) {
            (Some(names), None, None) if !names.is_empty() => Ok(Certificate::SelfSigned { names }),
            (None, Some(chain), Some(key)) => Ok(Certificate::Pem {
                chain: directory.join(chain),
                key: directory.join(key),
            }),
            (names, chain, key) => Err(bad(
                "certificate",
                format_args!("names: {names:?}, chain: {chain:?}, key: {key:?}"),
                "needs either names (development), or chain and key",
            )),
        }
    }
}

impl RawIdentity {
    fn typed(self, directory: &Path) -> Result<Signer, ConfigError> {
        let key = FalconKey::from_pem_file(directory.join(self.falcon_key));
        let key = key.map_err(|error| ConfigError::FalconKey {
            setting: "identity.falcon_key".into(),
            error,
        })?;
        Ok(Signer::new(Arc::new(key)))
    }
}

impl RawAccess {
    fn typed(self, directory: &Path) -> Result<Access, ConfigError> {
        let issuers = self.issuers.iter().enumerate().map(|(index, file)| {
            verifying_key_from_pem_file(directory.join(file)).map_err(|error| {
                let setting = format!("access.issuers[{index}]");
                bad(setting, file.display(), error)
            })
        });
        Ok(Access {
            issuers: issuers.collect::<Result<_, _>>()?,
            revoked: self.revoked.map(|file| directory.join(file)),
        })
    }
}
