//! The load generator: that it counts what happened, says how it ended, and blames who is to blame. No figure is judged.

use tempfile::TempDir;

use crate::process::{Ended, Server};

/// Runs against `server`, with these words more, and parses its JSON into one level of `name":value` texts.
fn bench(server: &Server, words: &[&str]) -> Ended {
    let fixed = ["bench", "--target", &server.address, "--json"];
    server.run(&[&fixed[..], words].concat())
}

fn figures(ended: &Ended) -> serde_json::Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[test]
fn every_mode_counts_what_came_back() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&directory, &[]);
    for mode in ["bulk", "rr", "datagram", "handshake"] {
        let words = ["--mode", mode, "--connections", "5", "--duration", "1"];
        let ended = bench(&server, &words);
        assert_eq!(ended.code, Some(0), "{mode}: {ended:?}");
        let report = figures(&ended);
        assert_eq!(report["mode"], mode);
        assert_eq!(report["ended_by"], "time");
        assert!(report["operations"].as_u64() > Some(0), "{report}");
        assert_eq!(report["errors"], serde_json::json!({}), "{report}");
        let times = &report["times"];
        let time = |name: &str| times[name].as_f64().unwrap();
        assert!(0.0 < time("p50_ms") && time("p50_ms") <= time("p99_ms"));
        assert!(time("p99_ms") <= time("max_ms"));
        assert!(report["generator"]["cpu_seconds"].as_f64() > Some(0.0));
        let back = report["received_bytes"].as_u64().unwrap();
        assert!(back <= report["sent_bytes"].as_u64().unwrap(), "{report}");
        match mode {
            "handshake" => {
                assert_eq!(report["resumed"], 0);
                assert_eq!(report["generator"]["sockets"], 5);
            }
            _ => {
                assert_eq!(report["opening"]["opened"], 5);
                assert!(back > 0, "{report}");
            }
        }
    }
}

#[test]
fn handshakes_resume_when_asked() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&directory, &[]);
    let words = ["--mode", "handshake", "--connections", "1", "--resume"];
    let ended = bench(&server, &[&words[..], &["--duration", "2"]].concat());
    let report = figures(&ended);
    let [all, resumed] = ["operations", "resumed"].map(|name| report[name].as_u64().unwrap());
    // The first has nothing to resume.
    assert!(resumed > 0 && resumed < all, "{report}");
}

#[test]
fn people_read_lines() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&directory, &[]);
    let words = ["bench", "--target", &server.address];
    let more = ["--connections", "3", "--duration", "1"];
    let printed = server.done(&[&words[..], &more].concat());
    let names: Vec<_> = printed
        .lines()
        .map(|line| line.split("  ").next().unwrap().trim())
        .filter(|name| *name != "warning")
        .collect();
    let expected =
        "target mode opened handshakes measured requests throughput times errors packets";
    let mut expected: Vec<_> = expected.split(' ').collect();
    expected.push("this end");
    assert_eq!(names, expected, "{printed}");
    assert!(printed.contains("3 of 3 in "), "{printed}");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_and_what_was_measured_is_printed() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&directory, &[]);
    let words = ["bench", "--target", &server.address, "--json"];
    let more = ["--connections", "2", "--duration", "600"];
    let mut bench = server.client(&[&words[..], &more].concat());
    bench.wait_for("measuring");
    bench.signal("INT");
    let ended = bench.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    let report = figures(&ended);
    assert_eq!(report["ended_by"], "interrupted");
    assert_eq!(report["opening"]["opened"], 2);
}

#[test]
fn a_server_that_goes_away_ends_it_and_is_named_in_the_errors() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&directory, &[]);
    let words = ["bench", "--target", &server.address, "--json"];
    let more = ["--connections", "2", "--duration", "600"];
    let mut bench = server.client(&[&words[..], &more].concat());
    bench.wait_for("measuring");
    server.process.kill();
    // The idle time-out of a client's connection says so.
    let ended = bench.end();
    assert_eq!(ended.code, Some(69), "{ended:?}");
    let report = figures(&ended);
    assert_eq!(report["ended_by"], "failed");
    assert_eq!(report["errors"], serde_json::json!({ "timeout": 2 }));
    assert!(ended.stderr.contains("no connection was left"), "{ended:?}");
}

#[test]
fn who_is_not_believed_is_not_loaded() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&directory, &[]);
    let wrong = "0".repeat(64);
    for mode in ["rr", "handshake"] {
        let words = ["bench", "--target", &server.address, "--mode", mode];
        let more = ["--duration", "1", "--certificate-hash", &wrong];
        let (code, complaint) = server
            .stranger(&[&words[..], &more].concat())
            .end()
            .complaint();
        assert_eq!(code, 77);
        assert!(
            complaint.contains("cannot connect to stoq://"),
            "{complaint}"
        );
    }
}
