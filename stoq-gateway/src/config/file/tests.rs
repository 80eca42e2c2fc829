use std::path::Path;

use super::super::{Certificate, Config, Origins};
use super::parse;

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
