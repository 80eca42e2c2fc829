//! The TOML file: its shape, and each value into its type.

use std::fmt::Display;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use stoq_core::service::ServiceName;
use stoq_native::{Target, Trust};
use url::{Origin, Url};

use super::{Certificate, Config, ConfigError, Http, Limits, Origins, Route, Timing, units};

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
    #[serde(default)]
    admission: RawAdmission,
    http: Option<RawHttp>,
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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRoute {
    service: String,
    upstream: String,
    roots: Option<PathBuf>,
    hashes: Option<Vec<String>>,
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

impl RawRoute {
    fn typed(&self, index: usize, directory: &Path) -> Result<Route, ConfigError> {
        let name = |setting: &str| format!("route[{index}].{setting}");
        let service = ServiceName::new(&self.service)
            .map_err(|error| bad(name("service"), &self.service, error))?;
        let upstream: Target = (self.upstream.parse())
            .map_err(|error| bad(name("upstream"), &self.upstream, error))?;
        let trust = match (&self.roots, &self.hashes) {
            (None, None) => Trust::SystemRoots,
            (Some(roots), None) => Trust::roots_from_pem_file(directory.join(roots))
                .map_err(|error| bad(name("roots"), roots.display(), error))?,
            (None, Some(hashes)) => {
                let hashes = hashes.iter().map(|text| {
                    hash(text).ok_or_else(|| {
                        bad(name("hashes"), text, "a SHA-256 is 64 hexadecimal digits")
                    })
                });
                Trust::CertificateHashes(hashes.collect::<Result<_, _>>()?)
            }
            (Some(roots), Some(_)) => {
                return Err(bad(
                    name("roots"),
                    roots.display(),
                    "stands beside hashes, choose one",
                ));
            }
        };
        let mut route = Route::new(service, upstream, trust);
        let setting = name("sessions_per_connection");
        count(
            &mut route.sessions_per_connection,
            &setting,
            self.sessions_per_connection,
        )?;
        Ok(route)
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
        duration(&mut timing.grace, "timing.grace", &self.grace)
    }
}

fn set<T>(field: &mut T, found: Option<T>) {
    if let Some(found) = found {
        *field = found;
    }
}

fn count(field: &mut NonZeroU32, setting: &str, found: Option<i64>) -> Result<(), ConfigError> {
    let Some(found) = found else { return Ok(()) };
    *field = (u32::try_from(found).ok().and_then(NonZeroU32::new))
        .filter(|count| count.get() <= MAX_COUNT)
        .ok_or_else(|| {
            bad(
                setting,
                found,
                format_args!("a number from 1 to {MAX_COUNT}"),
            )
        })?;
    Ok(())
}

fn size(field: &mut NonZeroU32, setting: &str, found: &Option<String>) -> Result<(), ConfigError> {
    let Some(found) = found else { return Ok(()) };
    *field = units::size(found)
        .and_then(|bytes| u32::try_from(bytes).ok())
        .and_then(NonZeroU32::new)
        .filter(|bytes| bytes.get() >= MIN_WINDOW)
        .ok_or_else(|| {
            bad(
                setting,
                found,
                "a size of 16 KiB or more and less than 4 GiB, such as \"1 MiB\"",
            )
        })?;
    Ok(())
}

fn duration(
    field: &mut Duration,
    setting: &str,
    found: &Option<String>,
) -> Result<(), ConfigError> {
    let Some(found) = found else { return Ok(()) };
    *field = units::duration(found)
        .filter(|duration| (Duration::from_millis(1)..=MAX_DURATION).contains(duration))
        .ok_or_else(|| {
            bad(
                setting,
                found,
                "a time from 1 ms to 24 h, such as \"250 ms\" or \"10 s\"",
            )
        })?;
    Ok(())
}

fn address(setting: &str, found: &str) -> Result<SocketAddr, ConfigError> {
    found.parse().map_err(|_| {
        bad(
            setting,
            found,
            "an address and port, such as \"[::]:4433\" or \"127.0.0.1:0\"",
        )
    })
}

/// `*` anywhere means any page.
fn allowed(origins: &[String]) -> Result<Origins, ConfigError> {
    if origins.iter().any(|origin| origin == "*") {
        return Ok(Origins::Any);
    }
    let origins = origins.iter().map(|found| {
        let url = Url::parse(found)
            .ok()
            .filter(|url| url.path() == "/" && url.query().is_none());
        match url.map(|url| url.origin()) {
            Some(origin @ Origin::Tuple(..)) => Ok(origin.ascii_serialization()),
            _ => Err(bad(
                "admission.origins",
                found,
                "an origin such as \"https://example.org\", or \"*\"",
            )),
        }
    });
    Ok(Origins::These(origins.collect::<Result<_, _>>()?))
}

fn hash(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        *byte = digit(digits[0])? << 4 | digit(digits[1])?;
    }
    Some(hash)
}

fn bad(setting: impl Into<String>, found: impl Display, expected: impl Display) -> ConfigError {
    ConfigError::Setting {
        setting: setting.into(),
        found: found.to_string(),
        expected: expected.to_string(),
    }
}

/// Far above what one machine serves, and low enough that sums of counts and windows fit their types.
const MAX_COUNT: u32 = 1 << 20;
/// Less than the first flight of a stream only costs round trips.
const MIN_WINDOW: u32 = 16 * 1024;
const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
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
