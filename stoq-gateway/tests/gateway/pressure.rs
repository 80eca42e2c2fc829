//! Slow readers: what they cost is bounded, and only they pay.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use stoq_core::close::Code;
use stoq_gateway::{Config, Gateway};

use crate::page::{Asking, Page, read_to_end};
use crate::target::{Target, echo};
use crate::{at_rest, config, meet, noise, until, within};

const WINDOW: u32 = 64 * 1024;

async fn narrow_target() -> Target {
    Target::start_with(|config| config.transport.limits.stream_window = WINDOW).await
}

fn narrow(mut config: Config) -> Config {
    config.limits.stream_window = WINDOW.try_into().unwrap();
    config.limits.upstream_stream_window = WINDOW.try_into().unwrap();
    config
}

fn narrow_page() -> Asking {
    let mut asking = Asking::path("/stoq/v1/echo");
    asking.transport.stream_receive_window(WINDOW.into());
    asking
}

/// One window at the receiver, one at the gateway, and one in the relay's hands.
const BOUND: usize = 3 * WINDOW as usize;

/// Round trips until `sent` has not changed during fifty of them: the pressure has arrived at the sender.
async fn settled(page: &Page, session: &stoq_native::Session, sent: &AtomicUsize) -> usize {
    let (mut before, mut same) = (0, 0);
    while same < 50 {
        page.round_trip(session).await;
        let now = sent.load(Relaxed);
        assert!(
            now <= BOUND,
            "{now} bytes were accepted although nobody reads"
        );
        same = if now == before && now > 0 {
            same + 1
        } else {
            0
        };
        before = now;
    }
    before
}

#[tokio::test]
async fn a_target_that_does_not_read_holds_back_the_page() {
    within(async {
        let target = narrow_target().await;
        let gateway = Gateway::bind(narrow(config(&target, &["echo"])))
            .await
            .unwrap();
        let (page, session) = meet(&gateway, &target).await;
        let data = noise(2_000_000);
        let sent = Arc::new(AtomicUsize::new(0));
        let mut send = page.open_uni().await;
        let sending = async {
            let mut rest = data.as_slice();
            while !rest.is_empty() {
                let written = send.write(rest).await.unwrap();
                sent.fetch_add(written, Relaxed);
                rest = &rest[written..];
            }
            send.quic_stream_mut().finish().unwrap();
        };
        let reading = async {
            let mut receive = session.accept_uni().await.unwrap();
            settled(&page, &session, &sent).await;
            assert!(receive.read_to_end(3_000_000).await.unwrap() == data);
        };
        tokio::join!(sending, reading);
    })
    .await;
}

#[tokio::test]
async fn a_page_that_does_not_read_holds_back_the_target() {
    within(async {
        let target = narrow_target().await;
        let gateway = Gateway::bind(narrow(config(&target, &["echo"])))
            .await
            .unwrap();
        let (page, session) = tokio::join!(Page::ask(&gateway, narrow_page()), target.accept());
        let page = page.unwrap();
        let data = noise(2_000_000);
        let sent = Arc::new(AtomicUsize::new(0));
        let mut send = session.open_uni().await.unwrap();
        let sending = async {
            let mut rest = data.as_slice();
            while !rest.is_empty() {
                let written = send.write(rest).await.unwrap();
                sent.fetch_add(written, Relaxed);
                rest = &rest[written..];
            }
            send.finish().unwrap();
        };
        let reading = async {
            let (mut receive, _) = page.accept_uni().await;
            settled(&page, &session, &sent).await;
            assert!(read_to_end(&mut receive).await.unwrap() == data);
        };
        tokio::join!(sending, reading);
    })
    .await;
}

#[tokio::test]
async fn a_stalled_session_does_not_stall_another() {
    within(async {
        let target = narrow_target().await;
        let gateway = Gateway::bind(narrow(config(&target, &["echo"])))
            .await
            .unwrap();
        let (stalled, stalled_session) =
            tokio::join!(Page::ask(&gateway, narrow_page()), target.accept());
        let stalled = stalled.unwrap();
        let (page, session) = meet(&gateway, &target).await;
        assert_eq!(gateway.metrics().upstream_connections, 1);

        // The stalled one opens all the streams it may, both ways, and fills them; nobody accepts one.
        let block = Arc::new(noise(4096));
        let mut stuck = tokio::task::JoinSet::new();
        for _ in 0..64 {
            let (mut send, receive) = stalled.open_bi().await;
            let filling = block.clone();
            stuck.spawn(async move {
                while send.write_all(&filling).await.is_ok() {}
                drop(receive);
            });
            let (mut send, receive) = stalled_session.open_bi().await.unwrap();
            let filling = block.clone();
            stuck.spawn(async move {
                while send.write_all(&filling).await.is_ok() {}
                drop(receive);
            });
        }
        until(&gateway, |numbers| numbers.streams_open >= 64).await;

        let serving = tokio::spawn(echo(session));
        let data = noise(200_000);
        for _ in 0..100 {
            let (mut send, mut receive) = page.open_bi().await;
            let sending = async {
                send.write_all(&data).await.unwrap();
                send.quic_stream_mut().finish().unwrap();
            };
            let (back, ()) = tokio::join!(read_to_end(&mut receive), sending);
            assert!(back.unwrap() == data);
        }
        page.close(Code::NO_ERROR, "");
        serving.await.unwrap();
        stalled.close(Code::NO_ERROR, "");
        stalled_session.closed().await;
        until(&gateway, at_rest).await;
    })
    .await;
}
