//! Where browsers know the gateway: `host:port`, in the one spelling that records carry.

use stoq_core::endpoint_record::EndpointRecord;
use url::Url;

/// The canonical form of what an operator may write (`Example.org`, `[::1]:4433`): lower case, names in ASCII, and the port
/// always there, 443 if it was left out. `None` if it is not a host with or without a port.
pub(crate) fn canonical(authority: &str) -> Option<String> {
    // What URLs have beside an authority; they would be parsed, and lost.
    if authority.contains(['/', '\\', '?', '#', '@']) {
        return None;
    }
    let url = Url::parse(&format!("https://{authority}")).ok()?;
    let (host, port) = (url.host_str()?, url.port_or_known_default()?);
    let canonical = format!("{host}:{port}");
    EndpointRecord::is_authority(&canonical).then_some(canonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_has_one_spelling() {
        for (written, expected) in [
            ("Gateway.Example.ORG", "gateway.example.org:443"),
            ("example.org:443", "example.org:443"),
            ("example.org:04433", "example.org:4433"),
            ("bücher.example", "xn--bcher-kva.example:443"),
            ("127.0.0.1:4433", "127.0.0.1:4433"),
            ("[0:0::1]:4433", "[::1]:4433"),
        ] {
            assert_eq!(canonical(written).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_is_more_or_less_than_an_authority_is_refused() {
        let long = "a".repeat(EndpointRecord::MAX_AUTHORITY_LEN - 3);
        for written in [
            "",
            ":443",
            "example.org:65536",
            "example.org/x",
            "example.org?x",
            "example.org#x",
            "user@example.org",
            ":secret@example.org",
            "a!b.example",
            "*",
            &long,
        ] {
            assert_eq!(canonical(written), None, "{written}");
        }
    }
}
