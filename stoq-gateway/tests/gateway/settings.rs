//! The example file, settings that cannot work together, and the page.

use std::path::Path;
use std::time::Duration;

use stoq_gateway::config::Http;
use stoq_gateway::{Config, Gateway};

use crate::page::{Asking, Page};
use crate::target::Target;
use crate::{at_rest, config, http, until, within};

#[test]
fn the_example_shows_every_default() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("gateway.example.toml");
    let example = Config::from_file(file).unwrap();
    let defaults = Config::new(
        example.listen,
        example.certificate.clone(),
        example.routes.clone(),
    );
    assert_eq!(example.limits, defaults.limits);
    assert_eq!(example.timing, defaults.timing);
    assert_eq!(example.require_origin, defaults.require_origin);
    assert_eq!(example.ipv6_only, defaults.ipv6_only);
    assert_eq!(example.routes[1].sessions_per_connection.get(), 32);
}

#[tokio::test]
async fn settings_that_do_not_fit_each_other_are_named() {
    let target = Target::start().await;
    for (change, setting) in [
        (
            (|config| config.routes.clear()) as fn(&mut Config),
            "route = \"\": a gateway needs at least one",
        ),
        (
            |config| config.routes.push(config.routes[0].clone()),
            "route[1].service = \"echo\": ",
        ),
        (
            |config| config.routes[0].upstream.service = Some("files".parse().unwrap()),
            "route[0].upstream = \"stoq://",
        ),
        (
            |config| config.authority = Some("example.org/x".into()),
            "authority = \"example.org/x\": ",
        ),
        (
            |config| config.timing.idle = config.timing.keep_alive,
            "timing.idle = \"3s\": ",
        ),
        (
            |config| config.timing.certificate_renewal = Duration::from_secs(13 * 24 * 3600),
            "timing.certificate_renewal = \"1123200s\": ",
        ),
        (
            |config| config.timing.record_life = Duration::ZERO,
            "timing.record_life = \"0ns\": ",
        ),
    ] {
        let mut config = config(&target, &["echo"]);
        change(&mut config);
        let error = Gateway::bind(config).await.err().unwrap().to_string();
        assert!(error.starts_with(setting), "{error}");
    }
}

async fn get(gateway: &Gateway, path: &str) -> String {
    let (header, body) = http(gateway, path).await;
    format!("{header}\r\n\r\n{}", String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn the_page_and_where_the_gateway_is_come_over_http() {
    within(async {
        let target = Target::start().await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("index.html"), "<p>page").unwrap();
        std::fs::write(folder.path().join("a.wasm"), "").unwrap();
        let mut config = config(&target, &["files", "echo"]);
        config.http = Some(Http {
            listen: "127.0.0.1:0".parse().unwrap(),
            root: Some(folder.path().into()),
        });
        let gateway = Gateway::bind(config).await.unwrap();

        let answer = get(&gateway, "/stoq.json").await;
        let (header, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(header.starts_with("HTTP/1.1 200"), "{header}");
        assert!(header.contains("application/json"), "{header}");
        let facts: serde_json::Value = serde_json::from_str(body).unwrap();
        let hash: String = gateway
            .certificate_hash()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            facts,
            serde_json::json!({
                "url": gateway.url(),
                "certificateHashes": [hash],
                "services": ["files", "echo"],
            })
        );
        assert_eq!(gateway.url(), format!("https://{}", gateway.local_addr()));

        let answer = get(&gateway, "/").await;
        assert!(answer.ends_with("<p>page"), "{answer}");
        assert!(get(&gateway, "/a.wasm").await.contains("application/wasm"));
        assert!(
            get(&gateway, "/../Cargo.toml")
                .await
                .starts_with("HTTP/1.1 404")
        );
        assert!(get(&gateway, "/none").await.starts_with("HTTP/1.1 404"));

        // The page that it serves itself may connect without being listed.
        let mut asking = Asking::path("/stoq/v1/echo");
        let origin = format!("http://localhost:{}", gateway.http_addr().unwrap().port());
        asking.headers = vec![("origin".into(), origin)];
        let (page, _session) = tokio::join!(Page::ask(&gateway, asking), target.accept());
        drop(page.unwrap());
        until(&gateway, at_rest).await;
    })
    .await;
}
