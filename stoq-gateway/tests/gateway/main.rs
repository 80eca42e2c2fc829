//! The gateway in one process with a native target and a WebTransport client that speaks STOQ through stoq-core.

#![allow(
    clippy::unwrap_used,
    reason = "a panic is how tests fail, in their helpers too"
)]

mod access;
mod admission;
mod announcements;
#[cfg(target_os = "linux")] // which has all of 127.0.0.0/8
mod crowd;
mod ending;
mod hops;
mod page;
mod pressure;
mod priority;
mod process;
mod record;
mod relay;
mod rotation;
mod settings;
mod target;
mod upstream;

use std::time::Duration;

use stoq_gateway::config::{Certificate, Route};
use stoq_gateway::{Config, Gateway, Snapshot};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use page::Page;
use target::Target;

/// Settings for a gateway on a free port, with these services at one target.
fn config(target: &Target, services: &[&str]) -> Config {
    let certificate = Certificate::SelfSigned {
        names: vec!["localhost".into(), "127.0.0.1".into()],
    };
    let routes = services.iter().map(|service| {
        let upstream = format!("stoq://{}", target.address());
        Route::new(
            service.parse().unwrap(),
            upstream.parse().unwrap(),
            target.trust(),
        )
    });
    Config::new(
        "127.0.0.1:0".parse().unwrap(),
        certificate,
        routes.collect(),
    )
}

/// A gateway with default settings, a target behind it, and a session between a page and the service `echo` there.
async fn session() -> (Gateway, Target, Page, stoq_native::Session) {
    let target = Target::start().await;
    let gateway = Gateway::bind(config(&target, &["echo"])).await.unwrap();
    let (page, session) = meet(&gateway, &target).await;
    (gateway, target, page, session)
}

/// A session between a page and the service `echo` at the target.
async fn meet(gateway: &Gateway, target: &Target) -> (Page, stoq_native::Session) {
    let (page, session) = tokio::join!(Page::open(gateway, "/stoq/v1/echo"), target.accept());
    (page.unwrap(), session)
}

/// Header and body of what the gateway answers over HTTP.
async fn http(gateway: &Gateway, path: &str) -> (String, Vec<u8>) {
    let address = gateway.http_addr().unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let body = answer.split_off(end.unwrap() + 4);
    answer.truncate(end.unwrap());
    (String::from_utf8(answer).unwrap(), body)
}

/// Waits until the gateway's numbers are as wanted.
async fn until(gateway: &Gateway, wanted: impl Fn(&Snapshot) -> bool) {
    while !wanted(&gateway.metrics()) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Nothing is under way any more.
fn at_rest(snapshot: &Snapshot) -> bool {
    snapshot.sessions_open == 0 && snapshot.streams_open == 0 && snapshot.tasks == 0
}

/// What a test may take at most; it ends on events long before.
async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), test)
        .await
        .expect("the test hangs")
}

/// Bytes that differ everywhere.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}
