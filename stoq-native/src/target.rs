//! Where to connect, as a URL.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use stoq_core::service::{InvalidServiceName, ServiceName};

/// A host, a port and perhaps a service: `stoq://host:port/service`.
///
/// The host is a DNS name, an IPv4 address, or an IPv6 address (in brackets in the URL, without them in
/// [`host`](Self::host)). The port must be given, because STOQ has no registered one.
///
/// ```
/// let target: stoq_native::Target = "stoq://[::1]:4433/files".parse()?;
/// assert_eq!((target.host.as_str(), target.port), ("::1", 4433));
/// assert_eq!(target.to_string(), "stoq://[::1]:4433/files");
/// # Ok::<(), stoq_native::TargetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// DNS name or IP address; an IPv6 address stands without brackets.
    pub host: String,
    /// UDP port.
    pub port: u16,
    /// The service to ask for; `None` for a connection that only carries multiplexed sessions.
    pub service: Option<ServiceName>,
}

impl Target {
    /// `host:port`, with an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/", self.authority())?;
        match &self.service {
            Some(service) => f.write_str(service.as_str()),
            None => Ok(()),
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(url: &str) -> Result<Self, TargetError> {
        let rest = match url.get(..SCHEME.len()) {
            Some(scheme) if scheme.eq_ignore_ascii_case(SCHEME) => &url[SCHEME.len()..],
            _ => return Err(TargetError::Scheme { url: url.into() }),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = split_authority(authority).ok_or_else(|| TargetError::Authority {
            authority: authority.into(),
        })?;
        let service = match path {
            "" => None,
            name => Some(ServiceName::new(name)?),
        };
        Ok(Self {
            host: canonical_host(host),
            port,
            service,
        })
    }
}

/// A text is not a [`Target`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It does not begin with `stoq://`.
    #[error("{url:?} is not a stoq:// URL")]
    Scheme {
        /// The text found.
        url: String,
    },
    /// What stands between `stoq://` and the next slash is not `host:port`.
    #[error("{authority:?} is not host:port (an IPv6 address stands in brackets)")]
    Authority {
        /// The text found.
        authority: String,
    },
    /// What follows the slash is not the name of a service.
    #[error(transparent)]
    Service(#[from] InvalidServiceName),
}

/// The one spelling of a host by which it is pinned and granted: names in lower case, IP addresses as RFC 5952 has them.
pub(crate) fn canonical_host(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => host.to_ascii_lowercase(),
    }
}

fn split_authority(authority: &str) -> Option<(&str, u16)> {
    let (host, port) = authority.rsplit_once(':')?;
    // `parse` would also take a sign.
    let port = match port.bytes().all(|byte| byte.is_ascii_digit()) {
        true => port.parse().ok().filter(|port| *port != 0)?,
        false => return None,
    };
    let host = match host.strip_prefix('[') {
        Some(bracketed) => {
            let address = bracketed.strip_suffix(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            address
        }
        None => host,
    };
    // Names are checked when they are resolved; these can only be a slip (user information, a query, two ports).
    let misplaced = |c: char| c.is_whitespace() || "@?#[]\\".contains(c);
    let bare_colon = host.contains(':') && !authority.starts_with('[');
    (!host.is_empty() && !bare_colon && !host.contains(misplaced)).then_some((host, port))
}

const SCHEME: &str = "stoq://";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_value_agree_both_ways() {
        for url in [
            "stoq://example.org:4433/files",
            "stoq://127.0.0.1:1/echo",
            "stoq://[2001:db8::1]:65535/a.b-c_d",
            "stoq://localhost:4433/",
        ] {
            let target: Target = url.parse().unwrap();
            assert_eq!(target.to_string(), url);
        }
    }

    #[test]
    fn an_address_has_one_spelling() {
        for url in ["stoq://[0:0::0:1]:1/a", "stoq://[::0001]:1/a"] {
            let target: Target = url.parse().unwrap();
            assert_eq!(target.to_string(), "stoq://[::1]:1/a");
        }
    }

    #[test]
    fn scheme_and_host_ignore_case() {
        let target: Target = "STOQ://Example.ORG:4433/files".parse().unwrap();
        assert_eq!(target.host, "example.org");
    }

    #[test]
    fn rejects_what_is_not_a_target() {
        for url in [
            "",
            "stoq:",
            "https://h:1/files",
            "stoq://",
            "stoq://h",
            "stoq://h/files",
            "stoq://:1/files",
            "stoq://h:0/files",
            "stoq://h:+1/files",
            "stoq://h:65536/files",
            "stoq://::1:1/files",
            "stoq://[::1:1/files",
            "stoq://[h]:1/files",
            "stoq://me@h:1/files",
            "stoq://h:1/files/more",
            "stoq://h:1/files?x",
            "stoq://h:1/Ünï",
            "stöq://h:1/files",
        ] {
            assert!(url.parse::<Target>().is_err(), "{url}");
        }
    }
}
