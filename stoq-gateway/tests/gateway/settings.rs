//! The example file, settings that cannot work together, and the page.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
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

/// The command with this settings file.
fn command(settings: &str) -> (tempfile::TempDir, Command) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, settings).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stoq-gateway"));
    command.arg("--config").arg(file);
    (folder, command)
}

#[test]
fn the_command_names_a_bad_setting_and_exits_with_64() {
    let good = "listen = \"127.0.0.1:0\"\ncertificate = { names = [\"localhost\"] }\n";
    for (more, said) in [
        ("limits = { max_streams = 0 }", "limits.max_streams = \"0\""),
        ("", "route = \"\""),
        ("colour = 1", "colour"),
        (
            "identity = { falcon_key = \"none.pem\" }",
            "identity.falcon_key: cannot use ",
        ),
    ] {
        let (_folder, mut command) = command(&format!("{good}{more}"));
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_stoq-gateway"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn the_command_says_where_it_is_and_ends_in_order() {
    let (_folder, mut command) = command(
        "listen = \"127.0.0.1:0\"\ncertificate = { names = [\"localhost\"] }\n\
         [[route]]\nservice = \"echo\"\nupstream = \"stoq://127.0.0.1:9\"\n\
         hashes = [\"0000000000000000000000000000000000000000000000000000000000000000\"]\n",
    );
    let mut running = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(running.stdout.take().unwrap())
        .read_line(&mut url)
        .unwrap();
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let signal = Command::new("kill")
        .arg("-TERM")
        .arg(running.id().to_string())
        .status()
        .unwrap();
    assert!(signal.success());
    assert_eq!(running.wait().unwrap().code(), Some(0));
}

#[test]
fn the_command_renews_its_certificate_at_sighup() {
    let (folder, mut command) = command(
        "listen = \"127.0.0.1:0\"\ncertificate = { names = [\"localhost\"] }\n\
         http = { listen = \"127.0.0.1:0\" }\nidentity = { falcon_key = \"key.pem\" }\n\
         [[route]]\nservice = \"echo\"\nupstream = \"stoq://127.0.0.1:9\"\n",
    );
    let key = stoq_native::FalconKey::generate();
    key.write_pem_file(folder.path().join("key.pem")).unwrap();
    let mut running = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
    let mut line = || lines.next().unwrap().unwrap();
    assert!(line().starts_with("https://"));
    let page = line().strip_prefix("http://").unwrap().to_owned();
    assert_eq!(line(), key.id().to_string());
    let hashes = || {
        let mut stream = std::net::TcpStream::connect(&page).unwrap();
        let request = "GET /stoq.json HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let answer = std::io::read_to_string(stream).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let facts: serde_json::Value = serde_json::from_str(body).unwrap();
        facts["certificateHashes"].as_array().unwrap().clone()
    };
    let first = hashes();
    assert_eq!(first.len(), 1);
    let signal = |name| {
        let id = running.id().to_string();
        let sent = Command::new("kill").arg(name).arg(id).status().unwrap();
        assert!(sent.success());
    };
    signal("-HUP");
    let renewed = loop {
        let now = hashes();
        if now != first {
            break now;
        }
    };
    assert_eq!(renewed.len(), 2);
    assert_eq!(renewed[1], first[0]);
    signal("-TERM");
    assert_eq!(running.wait().unwrap().code(), Some(0));
}
