//! Where browsers find the gateway.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::{Config, Signer, canonical};

/// What pages connect to, up to the path.
pub(super) fn url(config: &Config, address: SocketAddr) -> String {
    match &config.authority {
        Some(authority) => format!("https://{authority}"),
        None => {
            let ip = match address.ip() {
                ip if !ip.is_unspecified() => ip,
                IpAddr::V6(_) if config.ipv6_only => Ipv6Addr::LOCALHOST.into(),
                // `[::]` takes IPv4 too.
                _ => Ipv4Addr::LOCALHOST.into(),
            };
            format!("https://{}", SocketAddr::new(ip, address.port()))
        }
    }
}

/// Who signs the record, and of which authority it is.
pub(super) fn publisher(config: &Config, url: &str) -> Option<(Signer, String)> {
    let signer = config.identity.clone()?;
    let authority = url.strip_prefix("https://").and_then(canonical);
    let authority = authority.expect("it is an address, or a setting that was checked");
    Some((signer, authority))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use stoq_native::FalconKey;

    use super::*;
    use crate::config::Certificate;

    #[test]
    fn the_url_names_an_address_that_is_listened_on() {
        for (listen, ipv6_only, expected) in [
            ("0.0.0.0:4433", false, "https://127.0.0.1:4433"),
            ("0.0.0.0:4433", true, "https://127.0.0.1:4433"),
            ("[::]:4433", false, "https://127.0.0.1:4433"),
            ("[::]:4433", true, "https://[::1]:4433"),
            ("192.0.2.1:4433", false, "https://192.0.2.1:4433"),
            ("[2001:db8::1]:4433", true, "https://[2001:db8::1]:4433"),
        ] {
            let address = listen.parse().unwrap();
            let certificate = Certificate::SelfSigned { names: vec![] };
            let mut config = Config::new(address, certificate, vec![]);
            config.ipv6_only = ipv6_only;
            assert_eq!(url(&config, address), expected, "{listen} {ipv6_only}");
            config.authority = Some("example.org".into());
            assert_eq!(url(&config, address), "https://example.org");
        }
    }

    #[test]
    fn every_address_makes_an_authority() {
        let certificate = Certificate::SelfSigned { names: vec![] };
        let mut config = Config::new("[::]:4433".parse().unwrap(), certificate, vec![]);
        assert_eq!(publisher(&config, "https://127.0.0.1:4433"), None);
        let signer = Signer::new(Arc::new(FalconKey::generate()));
        config.identity = Some(signer.clone());
        for (listen, expected) in [
            ("0.0.0.0:4433", "127.0.0.1:4433"),
            // The scope means nothing on another machine.
            ("[fe80::1%1]:4433", "[fe80::1]:4433"),
            // As browsers write it.
            ("[::ffff:192.0.2.1]:4433", "[::ffff:c000:201]:4433"),
        ] {
            let url = url(&config, listen.parse().unwrap());
            let expected = Some((signer.clone(), expected.to_owned()));
            assert_eq!(publisher(&config, &url), expected, "{listen}");
        }
    }
}
