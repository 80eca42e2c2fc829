//! A wall clock that jumps by more than a year, there and back: in a process of its own, whose `clock_gettime` adds to the real one what
//! this test says. The monotonic clock is the system's.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::process::Command;
use std::time::{Duration, SystemTime};

use stoq_native::{
    ClientConfig, ConnectError, Endpoint, Identity, IdentityRejected, IdentitySource, KeepAlive,
    RotationConfig, Trust,
};
use tempfile::TempDir;

use super::{again, is_prepared};
use crate::harness::{Peers, pattern, within};
use crate::transfer::{Both, LENGTH};

const DAY: i64 = 24 * 60 * 60;

#[test]
fn sessions_do_not_notice_and_certificates_are_judged_by_the_new_date() {
    let name = "faults::clock::sessions_do_not_notice_and_certificates_are_judged_by_the_new_date";
    alone(name, jumps());
}

/// Runs the test of this name in a process of its own, whose wall clock it [sets](set_ahead).
pub(crate) fn alone(name: &str, test: impl Future<Output = ()>) {
    if !is_prepared() {
        let directory = TempDir::new().unwrap();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/native/faults/clock.c");
        let library = directory.path().join("clock.so");
        // What builds the cryptography builds this.
        let built = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([library.as_os_str(), source.as_ref()])
            .status();
        assert!(built.unwrap().success());
        let ahead = directory.path().join("ahead");
        fs::write(&ahead, 0_i64.to_ne_bytes()).unwrap();
        let prepare = format!(
            "export LD_PRELOAD={} STOQ_CLOCK_AHEAD={}",
            library.display(),
            ahead.display()
        );
        return again(name, &prepare);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(within(test));
}

/// Sets the wall clock of this process to so many seconds more than the real one, and finds that it is set.
pub(crate) fn set_ahead(seconds: i64) {
    let path = std::env::var_os("STOQ_CLOCK_AHEAD").unwrap();
    let file = fs::OpenOptions::new().read(true).write(true).open(path);
    let file = file.unwrap();
    let mut was = [0; 8];
    file.read_exact_at(&mut was, 0).unwrap();
    let by = seconds - i64::from_ne_bytes(was);
    let before = SystemTime::now();
    file.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    let jumped = match SystemTime::now().duration_since(before) {
        Ok(later) => later.as_secs() as i64,
        Err(earlier) => -(earlier.duration().as_secs() as i64),
    };
    assert!((jumped - by).abs() <= 10, "by {jumped} s, and not {by}");
}

fn jump(days: i64) {
    set_ahead(days * DAY);
}

async fn jumps() {
    let loaded = IdentitySource::self_signed(["localhost"]).load().unwrap();
    let identity = loaded.identity().clone();
    let peers = Peers::with(|server, client| {
        server.identity = identity.clone();
        client.policy = trust(&identity);
        for transport in [&mut server.transport, &mut client.transport] {
            // Shorter than the jumps by far.
            transport.idle_timeout = Duration::from_secs(20);
            transport.keep_alive = KeepAlive::Every(Duration::from_secs(2));
        }
    });
    let (client, server) = peers.session().await;
    let content = pattern(LENGTH);
    let both = Both::new(&content);
    let jumping = async {
        both.have(1).await;
        jump(400);
        client.ping().await.unwrap();
        both.have(2).await;
        // Who is new is judged by the date: that certificate has ended.
        let error = peers.client.connect(&peers.url("test")).await.unwrap_err();
        let ConnectError::Identity(IdentityRejected::Expired) = error else {
            panic!("{error}");
        };
        // A server that rotates its certificates sees that a day is over, and makes another.
        jump(0);
        let mut config = RotationConfig::default();
        config.look_every = Duration::from_millis(20);
        let mut rotation = peers.server.rotate(loaded, config).unwrap();
        jump(400);
        let next = rotation.changed().await.unwrap().unwrap();
        let client = Endpoint::client(ClientConfig::new(trust(&next))).unwrap();
        let url = peers.url("test");
        let accept = async { peers.server.accept().await.unwrap().accept().await.unwrap() };
        let (session, _accepted) = tokio::join!(client.connect(&url), accept);
        session.unwrap().ping().await.unwrap();
        jump(-400);
        server.ping().await.unwrap();
        jump(0);
        both.may_end();
    };
    tokio::join!(both.run(&client, &server), jumping);
    assert_eq!(peers.client.stats().connections_opened, 1);
    client.ping().await.unwrap();
    peers.close().await;
}

fn trust(identity: &Identity) -> stoq_native::PqPolicy {
    Trust::CertificateHashes(vec![identity.certificate_hash()]).into()
}
