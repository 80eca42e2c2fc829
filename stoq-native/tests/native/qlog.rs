//! Files of what happens on connections, as public viewers read them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use stoq_native::{BindError, ClientConfig, Code, Endpoint, QlogConfig};
use tempfile::TempDir;

use crate::harness::{Peers, pattern, within};

/// The records of a file; the first is its header.
fn records(path: &Path) -> Vec<Value> {
    let content = fs::read(path).unwrap();
    let records = content.strip_prefix(b"\x1e").unwrap();
    assert!(records.ends_with(b"\n"), "the last record is not whole");
    let records = records.split(|byte| *byte == 0x1e);
    records
        .map(|record| serde_json::from_slice(record).unwrap())
        .collect()
}

/// Names of the files, sorted.
fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

fn recorded(directory: &TempDir, change: impl Fn(&mut QlogConfig)) -> Peers {
    let mut config = QlogConfig::new(directory.path());
    change(&mut config);
    Peers::with(|server, client| {
        server.transport.qlog = Some(config.clone());
        client.transport.qlog = Some(config);
    })
}

/// A connection with a megabyte on it; its number at each end.
async fn visit(peers: &Peers) -> [u64; 2] {
    let (client, server) = peers.session().await;
    let content = pattern(1_000_000);
    let mut send = client.open_uni().await.unwrap();
    let receive = async {
        let mut receive = server.accept_uni().await.unwrap();
        assert!(receive.read_to_end(content.len()).await.unwrap() == content);
    };
    let send = async {
        send.write_all(&content).await.unwrap();
        send.finish().unwrap();
    };
    tokio::join!(send, receive);
    client.close(Code::NO_ERROR, "");
    server.closed().await;
    [client.connection().id(), server.connection().id()]
}

/// Nothing is written any more.
async fn done(peers: Peers) {
    let released = [peers.client.released(), peers.server.released()];
    peers.close().await;
    for released in released {
        released.await;
    }
}

#[tokio::test]
async fn both_ends_are_recorded_as_viewers_want_it() {
    within(async {
        let directory = TempDir::new().unwrap();
        let peers = recorded(&directory, |_| ());
        let numbers = visit(&peers).await;
        done(peers).await;
        let names = names(&directory);
        assert_eq!(names.len(), 2, "{names:?}");
        for (side, number) in ["client", "server"].into_iter().zip(numbers) {
            let ending = format!("-{side}-{number}.sqlog");
            let name = names.iter().find(|name| name.ends_with(&ending));
            let name = name.unwrap_or_else(|| panic!("{ending}: {names:?}"));
            let records = records(&directory.path().join(name));
            let (header, events) = records.split_first().unwrap();
            assert_eq!(header["qlog_version"], "0.3");
            assert_eq!(header["qlog_format"], "JSON-SEQ");
            assert_eq!(header["title"], format!("STOQ connection {number}"));
            let trace = &header["trace"];
            assert_eq!(trace["vantage_point"]["type"], side);
            assert_eq!(trace["common_fields"]["time_format"], "relative");
            let began = trace["common_fields"]["reference_time"].as_u64().unwrap();
            // 2020, in milliseconds.
            assert!(began > 1_577_836_800_000, "{began}");

            let mut kinds = BTreeSet::new();
            for event in events {
                assert!(event["time"].as_f64().unwrap() >= 0.0, "{event}");
                assert!(event["data"].is_object(), "{event}");
                kinds.insert(event["name"].as_str().unwrap());
            }
            for kind in [
                "transport:packet_sent",
                "transport:packet_received",
                "recovery:metrics_updated",
            ] {
                assert!(kinds.contains(kind), "{kind}: {kinds:?}");
            }
            assert!(events.len() > 100, "{}", events.len());
        }
    })
    .await;
}

#[tokio::test]
async fn files_are_bounded_in_number_and_size() {
    within(async {
        let directory = TempDir::new().unwrap();
        let foreign = directory.path().join("notes.sqlog");
        fs::write(&foreign, "not ours").unwrap();
        let mut last = Vec::new();
        // The second time the files of the first are found, and count.
        for _ in 0..2 {
            let peers = Peers::with(|server, _| {
                let mut config = QlogConfig::new(directory.path());
                (config.max_files, config.max_file_size) = (3, 5000);
                server.transport.qlog = Some(config);
            });
            last.clear();
            for _ in 0..2 {
                last.push(visit(&peers).await[1]);
            }
            done(peers).await;
        }
        let names = names(&directory);
        let ours: Vec<_> = names.iter().filter(|name| *name != "notes.sqlog").collect();
        assert_eq!(ours.len(), 3, "{names:?}");
        for number in last {
            let ending = format!("-server-{number}.sqlog");
            assert!(ours.iter().any(|name| name.ends_with(&ending)), "{names:?}");
        }
        for name in ours {
            let path = directory.path().join(name);
            let size = fs::metadata(&path).unwrap().len();
            assert!((4000..=5000).contains(&size), "{size}");
            assert!(records(&path).len() > 5);
        }
        assert_eq!(fs::read_to_string(foreign).unwrap(), "not ours");
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_recorded_is_said_at_the_start() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let setting = |change: &dyn Fn(&mut QlogConfig)| {
        let mut config = ClientConfig::new(stoq_native::Trust::CertificateHashes(vec![[0; 32]]));
        let mut qlog = QlogConfig::new(directory.path());
        change(&mut qlog);
        config.transport.qlog = Some(qlog);
        match Endpoint::client(config) {
            Err(BindError::Config(error)) => error.setting,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(setting(&|it| it.dir = file.join("below")), "qlog.dir");
    assert_eq!(setting(&|it| it.max_files = 0), "qlog.max_files");
    assert_eq!(setting(&|it| it.max_file_size = 1023), "qlog.max_file_size");
}
