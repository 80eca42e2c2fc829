//! What cannot be done is refused, with a code and one line that helps.

use std::fs;

use tempfile::TempDir;

use crate::process::{Process, Server};

#[test]
fn more_than_the_quota_is_refused() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&directory, &["--quota", "1MiB"]);
    let path = directory.path().join("large");
    // More than a window, so that the refusal meets a body on its way.
    fs::write(&path, vec![7; 8 << 20]).unwrap();
    let (code, complaint) = server.failed(&["send", path.to_str().unwrap(), "URL"]);
    assert_eq!(code, 1);
    assert!(
        complaint.contains("8.0 MiB are asked for, 1.0 MiB are free"),
        "{complaint}"
    );
    assert!(complaint.contains("(quota-exceeded)"), "{complaint}");
    server.assert_empty();
}

#[test]
fn bad_names_are_refused_here_and_there() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&directory, &[]);
    let hidden = directory.path().join(".hidden");
    fs::write(&hidden, "x").unwrap();
    let (code, complaint) = server.failed(&["send", hidden.to_str().unwrap(), "URL"]);
    assert_eq!(code, 64);
    assert!(complaint.ends_with("choose one with --name"), "{complaint}");
    for name in ["../x", "a/b", ".x", "NUL", ""] {
        let ended = server.run(&["get", "URL", name]);
        assert_eq!(ended.code, Some(64), "{name}: {ended:?}");
    }
    server.assert_empty();
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_names_of_other_clients_are_refused_by_the_server() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&directory, &[]);
    let (_endpoint, session) = server.connect("files").await;
    for name in ["../x", "a/b", "..", "a\\u0000", "C:x", "x."] {
        let (mut send, mut receive) = session.open_bi().await.unwrap();
        let request = format!("{{\"op\":\"put\",\"name\":\"{name}\",\"size\":1}}\nx");
        send.write_all(request.as_bytes()).await.unwrap();
        send.finish().unwrap();
        let answer = receive.read_to_end(4096).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["error"]["code"], "bad-name", "{name}");
    }
    server.assert_empty();
}

#[test]
fn what_is_not_there_is_said_so() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&directory, &[]);
    for words in [["get", "URL", "absent"], ["delete", "URL", "absent"]] {
        let (code, complaint) = server.failed(&words);
        assert_eq!(code, 1);
        assert!(
            complaint.contains("(no-such-file); `stoq list` shows"),
            "{complaint}"
        );
    }
    assert!(!directory.path().join("absent").exists());
    let (code, complaint) = server.failed(&["send", "absent", "URL"]);
    assert_eq!(code, 66);
    assert!(complaint.contains("cannot read absent"), "{complaint}");
    server.assert_empty();
}

#[test]
fn a_certificate_that_is_not_trusted_ends_it() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&directory, &[]);
    let url = server.url("files");
    let other = "00".repeat(32);
    for words in [
        &["list", &url, "--certificate-hash", &other][..],
        &["list", &url],
    ] {
        let (code, complaint) = Process::start(words, directory.path()).end().complaint();
        assert_eq!(code, 77, "{complaint}");
        assert!(complaint.contains("identity was rejected"), "{complaint}");
        assert!(complaint.contains("--certificate-hash"), "{complaint}");
    }
}

#[test]
fn a_service_that_is_none_is_refused() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&directory, &[]);
    let (code, complaint) = server.failed(&["list", &server.url("nothing")]);
    assert_eq!(code, 1);
    assert!(complaint.contains("unknown-service"), "{complaint}");
    let (code, complaint) = server.failed(&["list", &server.url("echo")]);
    assert_eq!(code, 65);
    assert!(
        complaint.contains("check the service in the URL"),
        "{complaint}"
    );
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    let directory = TempDir::new().unwrap();
    // Bound, and silent.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("stoq://{}/files", silent.local_addr().unwrap());
    let (code, complaint) = Process::start(&["list", &url], directory.path())
        .end()
        .complaint();
    assert_eq!(code, 69);
    assert!(complaint.contains("check host and port"), "{complaint}");
}

#[test]
fn bad_settings_are_named() {
    let directory = TempDir::new().unwrap();
    let run = |words: &[&str]| Process::start(words, directory.path()).end();
    for (words, found) in [
        (&["serve"][..], "--dir"),
        (&["serve", "--dir", "d", "--quota", "10Gx"], "'10Gx'"),
        (&["serve", "--dir", "d", "--listen", "4433"], "'4433'"),
        (&["serve", "--dir", "d", "--cert", "c"], "--key"),
        (
            &["serve", "--dir", "d", "--cert", "c", "--key", "k"],
            "cannot read c",
        ),
        (
            &["list", "https://localhost:1/files"],
            "is not a stoq:// URL",
        ),
        (&["list", "stoq://localhost:1/"], "name a service"),
        (
            &[
                "list",
                "stoq://localhost:1/files",
                "--certificate-hash",
                "12",
            ],
            "64 hexadecimal digits",
        ),
        (
            &["list", "stoq://localhost:1/files", "--ca", "absent"],
            "absent",
        ),
    ] {
        let ended = run(words);
        assert_eq!(ended.code, Some(64), "{words:?}: {ended:?}");
        assert!(ended.stderr.contains(found), "{words:?}: {ended:?}");
    }
    assert_eq!(run(&["--help"]).code, Some(0));
    assert!(run(&["--help"]).stdout.contains("Exit codes:"));
}

#[test]
fn a_directory_and_a_port_are_served_once() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&directory, &[]);
    let store = server.store.to_str().unwrap();
    let run = |words: &[&str]| Process::start(words, directory.path()).end().complaint();
    let (code, complaint) = run(&["serve", "--dir", store, "--listen", "127.0.0.1:0"]);
    assert_eq!(code, 73);
    assert!(
        complaint.contains("another process serves this directory"),
        "{complaint}"
    );
    let (code, complaint) = run(&["serve", "--dir", "other", "--listen", &server.address]);
    assert_eq!(code, 69);
    assert!(
        complaint.contains("choose another with --listen"),
        "{complaint}"
    );
}

#[test]
fn settings_that_cannot_work_are_named() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("transport.toml");
    let server = Server::start(&directory, &[]);
    for (settings, code, said) in [
        ("idle_timeout = \"0s\"", 64, "idle_timeout is 0ns, but"),
        ("limits.max_stream = 1", 64, "unknown field `max_stream`"),
        // Works, and is heeded: nothing there is reached over IPv6 alone.
        ("ip = \"v6-only\"", 69, "cannot connect to"),
    ] {
        fs::write(&file, settings).unwrap();
        let words = ["list", "URL", "--transport", file.to_str().unwrap()];
        let (found, complaint) = server.failed(&words);
        assert!(complaint.contains(said), "{complaint}");
        assert_eq!(found, code, "{complaint}");
    }
    let missing = ["list", "URL", "--transport", "absent.toml"];
    let (code, complaint) = server.failed(&missing);
    assert_eq!(code, 66, "{complaint}");
    assert!(complaint.contains("cannot read absent.toml"), "{complaint}");
}
