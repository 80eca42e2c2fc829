//! The TOML file: its shape, and each value into its type.

mod hops;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use stoq_core::service::ServiceName;
use stoq_native::{FalconKey, Pins, PqPolicy, Target, Trust, verifying_key_from_pem_file};

use hops::{RawHops, RawRelay};

use super::values::{address, allowed, bad, count, duration, hash, life, set, size};
use super::{Access, Certificate, Config, ConfigError, Http, Limits, Route, Signer, Timing, Wants};

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

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    max_sessions: Option<i64>,
    max_handshakes: Option<i64>,
    max_streams: Option<i64>,
    stream_window: Option<String>,
    send_window: Option<String>,
    upstream_stream_window: Option<String>,
    max_http_connections: Option<i64>,
    max_http_connections_per_address: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTiming {
    handshake: Option<String>,
    idle: Option<String>,
    keep_alive: Option<String>,
    upstream_connect: Option<String>,
    upstream_idle: Option<String>,
    stats: Option<String>,
    grace: Option<String>,
    certificate_renewal: Option<String>,
    record_life: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRoute {
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

impl RawRoute {
    fn typed(&self, index: usize, directory: &Path) -> Result<Route, ConfigError> {
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
}

impl RawRoute {
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

impl RawLimits {
    fn apply(&self, limits: &mut Limits) -> Result<(), ConfigError> {
        count(
            &mut limits.max_sessions,
            "limits.max_sessions",
            self.max_sessions,
        )?;
        count(
            &mut limits.max_handshakes,
            "limits.max_handshakes",
            self.max_handshakes,
        )?;
        count(
            &mut limits.max_streams,
            "limits.max_streams",
            self.max_streams,
        )?;
        count(
            &mut limits.max_http_connections,
            "limits.max_http_connections",
            self.max_http_connections,
        )?;
        count(
            &mut limits.max_http_connections_per_address,
            "limits.max_http_connections_per_address",
            self.max_http_connections_per_address,
        )?;
        size(
            &mut limits.stream_window,
            "limits.stream_window",
            &self.stream_window,
        )?;
        size(
            &mut limits.send_window,
            "limits.send_window",
            &self.send_window,
        )?;
        size(
            &mut limits.upstream_stream_window,
            "limits.upstream_stream_window",
            &self.upstream_stream_window,
        )
    }
}

impl RawTiming {
    fn apply(&self, timing: &mut Timing) -> Result<(), ConfigError> {
        duration(&mut timing.handshake, "timing.handshake", &self.handshake)?;
        duration(&mut timing.idle, "timing.idle", &self.idle)?;
        duration(
            &mut timing.keep_alive,
            "timing.keep_alive",
            &self.keep_alive,
        )?;
        duration(
            &mut timing.upstream_connect,
            "timing.upstream_connect",
            &self.upstream_connect,
        )?;
        duration(
            &mut timing.upstream_idle,
            "timing.upstream_idle",
            &self.upstream_idle,
        )?;
        duration(&mut timing.stats, "timing.stats", &self.stats)?;
        duration(&mut timing.grace, "timing.grace", &self.grace)?;
        life(
            &mut timing.certificate_renewal,
            "timing.certificate_renewal",
            &self.certificate_renewal,
        )?;
        life(
            &mut timing.record_life,
            "timing.record_life",
            &self.record_life,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::Origins;
    use super::*;

    const LEAST: &str = "listen = \"[::]:4433\"\ncertificate = { names = [\"localhost\"] }\n";

    fn error(more: &str) -> String {
        parse(&format!("{LEAST}{more}"), Path::new("/etc/stoq"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let config = parse(LEAST, Path::new("")).unwrap();
        let names = vec!["localhost".to_string()];
        let expected = Config::new(
            "[::]:4433".parse().unwrap(),
            Certificate::SelfSigned { names },
            vec![],
        );
        assert_eq!(config, expected);
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let text = "listen = \"[::]:4433\"\ncertificate = { chain = \"a.pem\", key = \"/b.pem\" }";
        let config = parse(text, Path::new("/etc/stoq")).unwrap();
        let expected = Certificate::Pem {
            chain: "/etc/stoq/a.pem".into(),
            key: "/b.pem".into(),
        };
        assert_eq!(config.certificate, expected);
    }

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        let text = format!(
            "{LEAST}admission = {{ origins = [\"HTTPS://Example.org:443/\", \"http://[::1]:80\"] }}"
        );
        let config = parse(&text, Path::new("")).unwrap();
        let expected = ["https://example.org", "http://[::1]"]
            .map(String::from)
            .to_vec();
        assert_eq!(config.origins, Origins::These(expected));
    }

    #[test]
    fn a_bad_setting_is_named_with_the_value_found() {
        for (more, setting, found) in [
            ("limits = { max_sessions = 0 }", "limits.max_sessions", "0"),
            ("limits = { max_streams = -1 }", "limits.max_streams", "-1"),
            (
                "limits = { stream_window = \"1\" }",
                "limits.stream_window",
                "1",
            ),
            ("timing = { idle = \"ten s\" }", "timing.idle", "ten s"),
            (
                "timing = { certificate_renewal = \"13 d\" }",
                "timing.certificate_renewal",
                "13 d",
            ),
            (
                "timing = { record_life = \"500 ms\" }",
                "timing.record_life",
                "500 ms",
            ),
            (
                "admission = { origins = [\"example.org\"] }",
                "admission.origins",
                "example.org",
            ),
            (
                "http = { listen = \"localhost:80\" }",
                "http.listen",
                "localhost:80",
            ),
            (
                "[[route]]\nservice = \"A\"\nupstream = \"stoq://h:1\"",
                "route[0].service",
                "A",
            ),
            (
                "[[route]]\nservice = \"a\"\nupstream = \"h:1\"",
                "route[0].upstream",
                "h:1",
            ),
            (
                "[[route]]\nservice = \"a\"\nupstream = \"stoq://h:1\"\nhashes = [\"ab\"]",
                "route[0].hashes",
                "ab",
            ),
            (
                "[[route]]\nservice = \"a\"\nupstream = \"stoq://h:1\"\nfalcon = [\"stoq1\"]",
                "route[0].falcon",
                "stoq1",
            ),
            (
                "[[route]]\nservice = \"a\"\nupstream = \"stoq://h:1\"\nfalcon = []\nhashes = []",
                "route[0].upstream",
                "stoq://h:1/",
            ),
            (
                "[[route]]\nservice = \"a\"\nupstream = \"stoq://h:1\"\nvia = [\"stoq1\"]",
                "route[0].via",
                "stoq1",
            ),
            ("hops = { max = 17 }", "hops.max", "17"),
            ("hops = { address = \"h:1\" }", "hops.address", "h:1"),
            (
                "[[hops.next]]\nid = \"stoq1\"\naddress = \"h:1\"",
                "hops.next[0].id",
                "stoq1",
            ),
            ("relay = { listen = \"h:1\" }", "relay.listen", "h:1"),
            (
                "[relay]\nlisten = \"[::]:1\"\nservices = { A = \"stoq1\" }",
                "relay.services",
                "A",
            ),
            (
                "[[route]]\nservice = \"a\"\nupstream = \"stoq://h:1\"\nroots = \"no/such\"",
                "route[0].roots",
                "no/such",
            ),
        ] {
            let error = error(more);
            assert!(
                error.starts_with(&format!("{setting} = {found:?}: ")),
                "{error}"
            );
        }
    }

    #[test]
    fn an_unknown_setting_is_named() {
        assert!(error("limits = { max_session = 1 }").contains("max_session"));
        assert!(error("port = 1").contains("port"));
    }
}
