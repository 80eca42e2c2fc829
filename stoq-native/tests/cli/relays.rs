//! Sessions through relays, each a process of its own.

use std::fs;

use tempfile::TempDir;

use crate::identities::keygen;
use crate::keys::done;
use crate::process::{Ended, Process, Server, sparse_file};

/// A running `stoq relay`.
struct Relay {
    process: Process,
    /// `IDENTITY@HOST:PORT`.
    hop: String,
    id: String,
}

impl Relay {
    /// With the key in `<name>.pem`, which is made if it is not there.
    fn start(name: &str, directory: &TempDir, words: &[&str]) -> Self {
        let key = format!("{name}.pem");
        let id = match directory.path().join(&key).exists() {
            true => done(&["id", &key], directory.path()).trim_end().into(),
            false => keygen(name, directory),
        };
        let relay = ["relay", "--falcon-key", &key, "--listen", "127.0.0.1:0"];
        let mut process = Process::start(&[&relay, words].concat(), directory.path());
        let line = process.wait_for("listening on ");
        let words: Vec<_> = line.split(' ').collect();
        let ["listening", "on", address, "falcon-id", said] = words[..] else {
            panic!("{line}");
        };
        assert_eq!(said, id);
        let hop = format!("{id}@{address}");
        Self { process, hop, id }
    }
}

/// A server, and three relays before it, of which each takes requests from the one before.
struct World {
    directory: TempDir,
    server: Server,
    relays: Vec<Relay>,
}

impl World {
    fn start(serve: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let id = keygen("server", &directory);
        let falcon = ["--falcon-key", "server.pem"];
        let server = Server::start(&directory, &[&falcon[..], serve].concat());
        let target = format!("files={id}@{}", server.address);
        // The keys of the later ones are made first, because who is before them is named to them.
        let before: Vec<_> = ["one", "two"].map(|name| keygen(name, &directory)).into();
        let third = Relay::start(
            "three",
            &directory,
            &["--service", &target, "--client", &before[1]],
        );
        let second = Relay::start(
            "two",
            &directory,
            &["--next", &third.hop, "--client", &before[0]],
        );
        let named = format!("{}=the second", second.hop);
        let first = Relay::start(
            "one",
            &directory,
            &["--next", &named, "--metadata", "region=eu"],
        );
        Self {
            directory,
            server,
            relays: vec![first, second, third],
        }
    }

    /// Starts a client that goes through all relays.
    fn client(&self, words: &[&str]) -> Process {
        let hops: Vec<_> = self.relays.iter().map(|relay| &relay.hop[..]).collect();
        self.via(words, &hops)
    }

    fn via(&self, words: &[&str], hops: &[&str]) -> Process {
        let via = hops.iter().flat_map(|hop| ["--via", hop]);
        let words: Vec<_> = words.iter().copied().chain(via).collect();
        self.server.stranger(&words)
    }

    fn done(&self, words: &[&str]) -> String {
        let Ended {
            code,
            stdout,
            stderr,
        } = self.client(words).end();
        assert_eq!(code, Some(0), "{words:?}: {stderr}");
        stdout
    }
}

#[test]
fn a_file_goes_through_three_relays_and_back() {
    let world = World::start(&[]);
    let content: Vec<u8> = (0..3_000_000u32).map(|at| ((at * 31) >> 7) as u8).collect();
    fs::write(world.directory.path().join("file"), &content).unwrap();
    world.done(&["send", "file", "URL"]);
    assert!(world.done(&["list", "URL"]).contains("file"));
    world.done(&["get", "URL", "file", "--out", "back"]);
    assert!(fs::read(world.directory.path().join("back")).unwrap() == content);

    let said = world.done(&["ping", "URL", "--count", "2"]);
    let hops: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("hop "))
        .collect();
    assert_eq!(hops.len(), 3, "{said}");
    for (line, relay) in hops.iter().zip(&world.relays) {
        let (id, address) = relay.hop.split_once('@').unwrap();
        assert!(line.contains(&format!(" {id} at {address} (")), "{line}");
    }
    assert!(hops[0].ends_with("(proved, and who is pinged)"), "{said}");
    assert!(hops[1].ends_with("(as it is said)"), "{said}");
    assert!(said.contains("ping 2: "), "{said}");
}

#[test]
fn a_relay_killed_in_the_middle_of_a_transfer_is_named_and_nothing_looks_complete() {
    let mut world = World::start(&["--quota", "2TiB"]);
    let at = world.directory.path();
    let path = sparse_file(&world.directory, "endless", 1 << 40);
    sparse_file(&world.directory, "store/endless", 1 << 40);
    let here = at.join("here");
    fs::create_dir(&here).unwrap();
    let getting = world.client(&["get", "URL", "endless", "--out", "here"]);
    for _ in 0..50 {
        world.server.process.wait_for("sent left=");
    }
    let sending = world.client(&["send", &path, "URL", "--name", "other"]);
    world.server.process.wait_for("received left=");
    world.relays.remove(1).process.kill();
    for client in [getting, sending] {
        let (code, complaint) = client.end().complaint();
        assert_eq!(code, 69, "{complaint}");
        assert!(complaint.contains("upstream-lost"), "{complaint}");
        assert!(
            complaint.contains("a relay lost who comes behind it"),
            "{complaint}"
        );
    }
    assert_eq!(fs::read_dir(&here).unwrap().count(), 0);
    world.server.process.wait_for("discarded name=other");
    assert!(!world.server.store.join("other").exists());
}

#[cfg(unix)]
#[test]
fn a_relay_that_is_terminated_drains_and_tells_both_sides() {
    let mut world = World::start(&[]);
    sparse_file(&world.directory, "store/endless", 1 << 40);
    let getting = world.client(&["get", "URL", "endless", "--out", "got"]);
    for _ in 0..50 {
        world.server.process.wait_for("sent left=");
    }
    let second = world.relays.remove(1).process;
    second.signal("TERM");
    // Now, and not after ten seconds of grace.
    second.signal("TERM");
    assert_eq!(second.end().code, Some(0));
    let (code, complaint) = getting.end().complaint();
    assert_eq!(code, 69, "{complaint}");
    assert!(complaint.contains("going-away"), "{complaint}");
    assert!(!world.directory.path().join("got").exists());
}

#[test]
fn each_refusal_says_what_to_do() {
    let world = World::start(&[]);
    let [one, two, three] = [0, 1, 2].map(|at| &world.relays[at].hop[..]);
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let nowhere = nobody.local_addr().unwrap();
    let stranger = keygen("stranger", &world.directory);
    let lost = Relay::start(
        "lost",
        &world.directory,
        &[
            "--service",
            &format!("files={stranger}@{nowhere}"),
            "--max-hops",
            "1",
        ],
    );
    let lost = &lost.hop[..];
    for (hops, code, words) in [
        (&[one, three][..], 1, "next-hop-not-allowed"),
        (&[one, two, one], 1, "would be passed twice"),
        (&[one, two, three, two], 64, "would be passed twice"),
        (&[lost, three], 1, "too-many-hops"),
        (&[one, two], 1, "unknown-service"),
        (&[lost], 69, "upstream-unreachable"),
        // It takes requests from the second only.
        (&[three], 77, "rejected this end's identity"),
    ] {
        let (got, complaint) = world.via(&["list", "URL"], hops).end().complaint();
        assert_eq!(got, code, "{complaint}");
        assert!(complaint.contains(words), "{complaint}");
    }
    let posing = format!("{}@{}", world.relays[1].id, one.split_once('@').unwrap().1);
    let (code, complaint) = world.via(&["list", "URL"], &[&posing]).end().complaint();
    assert_eq!(code, 77, "{complaint}");
}

#[test]
fn a_relay_that_cannot_work_says_why() {
    let directory = TempDir::new().unwrap();
    let own = keygen("own", &directory);
    let other = keygen("other", &directory);
    let itself = format!("{own}@127.0.0.1:1");
    let hop = format!("{other}@127.0.0.1:1");
    let (service, again) = (format!("files={hop}"), format!("files={itself}"));
    for (words, code, says) in [
        (&["--next", &itself[..]][..], 64, "the relay itself"),
        (
            &["--service", &service, "--service", &again],
            64,
            "two targets",
        ),
        (
            &["--listen", "192.0.2.1:1"],
            69,
            "choose another with --listen",
        ),
    ] {
        let relay = ["relay", "--falcon-key", "own.pem"];
        let ended = Process::start(&[&relay[..], words].concat(), directory.path()).end();
        let (got, complaint) = ended.complaint();
        assert_eq!(got, code, "{complaint}");
        assert!(complaint.contains(says), "{complaint}");
    }
}
