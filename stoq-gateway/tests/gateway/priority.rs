//! Streams that say how urgent they are. The side that they go to is held still, so all bytes wait in the gateway; then it can
//! be seen which it sends first.

use std::sync::Arc;

use stoq_gateway::Gateway;
use stoq_native::Payload;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::page::{Page, read_to_end};
use crate::target::Target;
use crate::{config, until, within};

/// Of each stream.
const LENGTH: usize = 500_000;
/// The urgent one comes neither first nor last.
const URGENCIES: [u8; 4] = [7, 6, 0, 5];

/// Channel id, PRIORITY, and bytes that say the same.
fn stream(urgency: u8) -> Vec<u8> {
    let mut bytes = vec![7; 16];
    bytes.extend([2, 2, urgency, 0]);
    bytes.resize(LENGTH, urgency);
    bytes
}

/// A runtime with one thread.
fn apart() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

/// Nobody in the runtime reads or acknowledges, until the sender is dropped.
fn hold(runtime: &Runtime) -> std::sync::mpsc::Sender<()> {
    let (release, held) = std::sync::mpsc::channel();
    let (begun, begins) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        begun.send(()).unwrap();
        let _ = held.recv();
    });
    begins.recv().unwrap();
    release
}

#[tokio::test]
async fn an_urgent_stream_overtakes_on_the_way_to_the_page() {
    within(async {
        let there = apart();
        let target = Target::start().await;
        let gateway = Gateway::bind(config(&target, &["echo"])).await.unwrap();
        let gateway = Arc::new(gateway);
        let asked = gateway.clone();
        let opening = there.spawn(async move { Page::open(&asked, "/stoq/v1/echo").await });
        let (page, session) = tokio::join!(opening, target.accept());
        let page = page.unwrap().unwrap();

        let release = hold(&there);
        for urgency in URGENCIES {
            let mut send = session.open_uni_with(Payload::Framed).await.unwrap();
            send.write_all(&stream(urgency)).await.unwrap();
            send.finish().unwrap();
        }
        let all = (LENGTH * URGENCIES.len()) as u64;
        until(&gateway, |numbers| numbers.bytes_to_browser == all).await;
        drop(release);
        let reading = there.spawn(async move {
            // Each is read as soon as it is there, the byte that says that it is framed included.
            let (mut accepted, mut streams) = (0, JoinSet::new());
            loop {
                tokio::select! {
                    Some(first) = streams.join_next() => return first.unwrap(),
                    stream = page.connection.accept_uni(), if accepted < URGENCIES.len() => {
                        accepted += 1;
                        let mut stream = stream.unwrap();
                        streams.spawn(async move {
                            let all = read_to_end(&mut stream).await.unwrap();
                            assert_eq!((all.len(), all[0]), (1 + LENGTH, 2));
                            all[19]
                        });
                    }
                }
            }
        });
        assert_eq!(reading.await.unwrap(), 0, "the urgent one came first");
        there.shutdown_background();
    })
    .await;
}

#[tokio::test]
async fn an_urgent_stream_overtakes_on_the_way_to_the_target() {
    within(async {
        let there = apart();
        let target = there.spawn(Target::start()).await.unwrap();
        let target = Arc::new(target);
        let gateway = Gateway::bind(config(&target, &["echo"])).await.unwrap();
        let asked = target.clone();
        let accepting = there.spawn(async move { asked.accept().await });
        let (page, session) = tokio::join!(Page::open(&gateway, "/stoq/v1/echo"), accepting);
        let (page, session) = (page.unwrap(), session.unwrap());

        let release = hold(&there);
        for urgency in URGENCIES {
            // The page's own priorities are all the same: what overtakes, overtakes at the gateway.
            let mut send = page.open_uni_with(&[0x02]).await;
            send.write_all(&stream(urgency)).await.unwrap();
            send.quic_stream_mut().finish().unwrap();
        }
        let all = (LENGTH * URGENCIES.len()) as u64;
        until(&gateway, |numbers| numbers.bytes_to_target == all).await;
        drop(release);
        let reading = there.spawn(async move {
            let (mut accepted, mut streams) = (0, JoinSet::new());
            loop {
                tokio::select! {
                    Some(first) = streams.join_next() => return first.unwrap(),
                    stream = session.accept_any_uni(), if accepted < URGENCIES.len() => {
                        accepted += 1;
                        let mut stream = stream.unwrap();
                        streams.spawn(async move {
                            let all = stream.read_to_end(LENGTH).await.unwrap();
                            assert_eq!(all.len(), LENGTH);
                            all[18]
                        });
                    }
                }
            }
        });
        assert_eq!(reading.await.unwrap(), 0, "the urgent one came first");
        there.shutdown_background();
    })
    .await;
}
