//! Either end dies in the middle of a transfer.

use std::fs;

use tempfile::TempDir;

use crate::process::{Server, sparse_file};

/// Too large to be done before the kill.
const ENDLESS: u64 = 1 << 40;

#[test]
fn a_server_killed_while_it_receives_leaves_nothing_half_written() {
    let directory = TempDir::new().unwrap();
    let mut server = Server::start(&directory, &["--quota", "2TiB"]);
    let path = sparse_file(&directory, "endless", ENDLESS);
    let client = server.client(&["send", &path, "URL"]);
    server.process.wait_for("received left=");
    let Server { process, store, .. } = server;
    process.kill();
    let (code, complaint) = client.end().complaint();
    assert_eq!(code, 69, "{complaint}");
    assert!(
        complaint.contains("the connection was lost: the path went away"),
        "{complaint}"
    );

    let under_way = fs::read_dir(store.join(".incoming")).unwrap().count();
    assert_eq!(
        under_way, 2,
        "the kill was in mid-transfer: a lock and a file"
    );
    Server::start(&directory, &[]).assert_empty();
}

#[test]
fn a_server_killed_while_it_sends_leaves_the_client_no_half_file() {
    let directory = TempDir::new().unwrap();
    fs::create_dir(directory.path().join("store")).unwrap();
    sparse_file(&directory, "store/endless", ENDLESS);
    let mut server = Server::start(&directory, &[]);
    let here = directory.path().join("here");
    fs::create_dir(&here).unwrap();
    let client = server.client(&["get", "URL", "endless", "--out", "here"]);
    // Beyond the first window, so the client has taken and written some.
    for _ in 0..100 {
        server.process.wait_for("sent left=");
    }
    assert_eq!(fs::read_dir(&here).unwrap().count(), 1);
    server.process.kill();
    let (code, complaint) = client.end().complaint();
    assert_eq!(code, 69, "{complaint}");
    assert!(complaint.contains("the connection was lost"), "{complaint}");
    assert_eq!(fs::read_dir(&here).unwrap().count(), 0);
}

#[test]
fn a_client_killed_while_it_sends_leaves_nothing_and_its_quota_returns() {
    let directory = TempDir::new().unwrap();
    let mut server = Server::start(&directory, &["--quota", "1TiB"]);
    let path = sparse_file(&directory, "endless", ENDLESS);
    let client = server.client(&["send", &path, "URL"]);
    server.process.wait_for("received left=");

    // It holds all of the quota.
    let small = directory.path().join("small");
    fs::write(&small, "x").unwrap();
    let small = small.to_str().unwrap();
    let (code, complaint) = server.failed(&["send", small, "URL"]);
    assert_eq!(code, 1);
    assert!(complaint.contains("0 B are free"), "{complaint}");

    client.kill();
    server.process.wait_for("discarded name=endless");
    server.assert_empty();
    server.done(&["send", small, "URL"]);
}

#[cfg(unix)]
#[test]
fn a_client_that_is_interrupted_takes_leave_and_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    let mut server = Server::start(&directory, &["--quota", "2TiB"]);
    let path = sparse_file(&directory, "endless", ENDLESS);
    let client = server.client(&["send", &path, "URL"]);
    server.process.wait_for("received left=");
    client.signal("INT");
    assert_eq!(client.end().complaint(), (130, "stoq: interrupted".into()));
    server.process.wait_for("discarded name=endless");
    server.assert_empty();

    sparse_file(&directory, "store/endless", ENDLESS);
    let here = directory.path().join("here");
    fs::create_dir(&here).unwrap();
    let client = server.client(&["get", "URL", "endless", "--out", "here"]);
    for _ in 0..100 {
        server.process.wait_for("sent left=");
    }
    client.signal("TERM");
    assert_eq!(client.end().complaint(), (143, "stoq: terminated".into()));
    assert_eq!(fs::read_dir(&here).unwrap().count(), 0);
}
