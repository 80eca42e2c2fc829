//! Where browsers find the gateway.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::Config;

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

#[cfg(test)]
mod tests {
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
}
