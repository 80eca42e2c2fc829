//! How sessions end, and that every end learns of it.

use std::time::Duration;

use stoq_core::close::Code;
use stoq_gateway::{Drained, Gateway};
use stoq_native::{ClosedBy, ReadError};

use crate::page::Asking;
use crate::page::{Page, Refusal, carrier, http3, read_to_end};
use crate::target::Target;
use crate::{at_rest, config, meet, noise, session, until, within};

#[tokio::test]
async fn the_page_closes_with_code_and_reason() {
    within(async {
        let (gateway, _target, page, session) = session().await;
        page.close(Code::new(42), "enough");
        let closed = session.closed().await;
        assert_eq!(
            (closed.code, closed.reason.as_str(), closed.by),
            (Code::new(42), "enough", ClosedBy::Peer)
        );
        assert_eq!(page.closed().await, (Code::new(42), "enough".into()));
        until(&gateway, at_rest).await;
    })
    .await;
}

#[tokio::test]
async fn the_target_closes_with_code_and_reason() {
    within(async {
        let (gateway, _target, page, session) = session().await;
        session.close(Code::new(43), "closing time");
        assert_eq!(page.closed().await, (Code::new(43), "closing time".into()));
        until(&gateway, at_rest).await;
    })
    .await;
}

#[tokio::test]
async fn a_target_that_closes_the_session_and_then_goes_is_not_lost() {
    within(async {
        let (gateway, _target, page, session) = session().await;
        session.close(Code::NO_ERROR, "done");
        session.connection().close(Code::GOING_AWAY, "");
        assert_eq!(page.closed().await, (Code::NO_ERROR, "done".into()));
        until(&gateway, at_rest).await;
    })
    .await;
}

#[tokio::test]
async fn a_session_whose_streams_pile_up_ends_with_limit() {
    within(async {
        let target = Target::start().await;
        let mut config = config(&target, &["echo"]);
        config.limits.max_streams = 4.try_into().unwrap();
        let gateway = Gateway::bind(config).await.unwrap();
        let mut asking = Asking::path("/stoq/v1/echo");
        // HTTP/3's own three, our control stream, and one more.
        asking.transport.max_concurrent_uni_streams(5_u32.into());
        let (page, session) = tokio::join!(Page::ask(&gateway, asking), target.accept());
        let page = page.unwrap();
        while let Ok(mut send) = session.open_uni().await {
            let _ = send.finish();
        }
        assert_eq!(session.closed().await.code, Code::LIMIT);
        assert_eq!(page.closed().await.0, Code::LIMIT);
        until(&gateway, at_rest).await;
    })
    .await;
}

#[tokio::test]
async fn a_page_that_vanishes_is_lost_to_the_target() {
    within(async {
        let (gateway, _target, page, session) = session().await;
        let (mut send, _receive) = page.open_bi().await;
        send.write_all(&noise(10_000)).await.unwrap();
        let (_send, mut receive) = session.accept_bi().await.unwrap();
        page.connection.quic_connection().close(0_u32.into(), b"");
        let closed = session.closed().await;
        assert_eq!(
            (closed.code, closed.by),
            (Code::CONNECTION_LOST, ClosedBy::Peer)
        );
        // Never an end that looks complete.
        while let Some(read) = receive.read(&mut [0; 4096]).await.transpose() {
            if let Err(error) = read {
                assert!(
                    matches!(error, ReadError::Reset(_) | ReadError::SessionClosed(_)),
                    "{error}"
                );
                until(&gateway, at_rest).await;
                return;
            }
        }
        panic!("half an upload ended like a whole one");
    })
    .await;
}

/// Runs in a world that can be killed: a runtime of its own, which ends without a word to anybody.
struct Killable(Option<tokio::runtime::Runtime>);

impl Killable {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        Self(Some(runtime.expect("the system gives a thread")))
    }

    async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let runtime = self.0.as_ref().expect("not killed yet");
        runtime.spawn(work).await.expect("the work does not panic")
    }

    fn kill(self) {
        drop(self);
    }
}

impl Drop for Killable {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_killed_in_mid_transfer_is_noticed() {
    within(async {
        let target = Target::start().await;
        let mut config = config(&target, &["echo"]);
        config.timing.idle = Duration::from_millis(500);
        config.timing.keep_alive = Duration::from_millis(100);
        let gateway = std::sync::Arc::new(Gateway::bind(config).await.unwrap());
        let browser = Killable::new();
        let asking = gateway.clone();
        let upload = browser.run(async move {
            let page = Page::open(&asking, "/stoq/v1/echo").await.unwrap();
            let mut send = page.open_uni().await;
            drop(tokio::spawn(async move {
                let _page = page;
                while send.write_all(&noise(1000)).await.is_ok() {}
            }));
        });
        let ((), session) = tokio::join!(upload, target.accept());
        let mut receive = session.accept_uni().await.unwrap();
        receive.read(&mut [0; 1000]).await.unwrap();
        browser.kill();
        let error = loop {
            match receive.read(&mut [0; 4096]).await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("half an upload ended like a whole one"),
                Err(error) => break error,
            }
        };
        assert!(
            matches!(
                error,
                ReadError::Reset(Code::CONNECTION_LOST) | ReadError::SessionClosed(_)
            ),
            "{error}"
        );
        assert_eq!(session.closed().await.code, Code::CONNECTION_LOST);
        until(&gateway, at_rest).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_killed_in_mid_transfer_is_lost() {
    within(async {
        let service = Killable::new();
        let target = service.run(Target::start()).await;
        let mut config = config(&target, &["echo"]);
        config.timing.upstream_idle = Duration::from_millis(500);
        config.timing.keep_alive = Duration::from_millis(100);
        let gateway = Gateway::bind(config).await.unwrap();
        let serving = service.run(async move {
            let session = target.accept().await;
            drop(tokio::spawn(async move {
                let mut send = session.open_uni().await.unwrap();
                while send.write_all(&noise(1000)).await.is_ok() {}
                drop(target);
            }));
        });
        let (page, ()) = tokio::join!(Page::open(&gateway, "/stoq/v1/echo"), serving);
        let page = page.unwrap();
        let (mut receive, _) = page.accept_uni().await;
        receive.read(&mut [0; 1000]).await.unwrap();
        service.kill();
        assert_eq!(
            page.closed().await,
            (Code::UPSTREAM_LOST, "the service was lost".into())
        );
        assert!(
            read_to_end(&mut receive).await.is_err(),
            "half a download ended like a whole one"
        );
        until(&gateway, at_rest).await;
    })
    .await;
}

#[tokio::test]
async fn a_target_that_ends_without_a_word_is_lost_and_replaced() {
    within(async {
        let (gateway, target, page, session) = session().await;
        session.connection().close(Code::NO_ERROR, "");
        assert_eq!(page.closed().await.0, Code::UPSTREAM_LOST);
        // The next session gets a connection that works.
        let (page, session) = meet(&gateway, &target).await;
        page.round_trip(&session).await;
    })
    .await;
}

#[tokio::test]
async fn a_control_stream_that_ends_ends_the_session() {
    within(async {
        let target = Target::start().await;
        let gateway = Gateway::bind(config(&target, &["echo"])).await.unwrap();
        let connection = carrier(&gateway, Asking::path("/stoq/v1/echo"))
            .await
            .unwrap();
        let mut send = connection.open_uni().await.unwrap().await.unwrap();
        send.write_all(&[0x00]).await.unwrap();
        send.quic_stream_mut().finish().unwrap();
        let error = connection.quic_connection().closed().await;
        let quinn::ConnectionError::ApplicationClosed(close) = error else {
            panic!("{error}");
        };
        assert_eq!(close.error_code, http3(Code::CONTROL_CLOSED));
        until(&gateway, |numbers| {
            at_rest(numbers) && numbers.refused.client == 1
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_page_that_stops_our_control_stream_and_ends_its_own_is_let_go() {
    within(async {
        let target = Target::start().await;
        let gateway = Gateway::bind(config(&target, &["echo"])).await.unwrap();
        let connection = carrier(&gateway, Asking::path("/stoq/v1/echo"))
            .await
            .unwrap();
        let mut send = connection.open_uni().await.unwrap().await.unwrap();
        send.write_all(&[0x00]).await.unwrap();
        let control = connection.accept_uni().await.unwrap();
        control.stop(wtransport::VarInt::from_u32(0));
        // A stream of session 1 is refused at once; so the stop, which went before, has been seen.
        let (mut probe, mut answer) = connection.open_bi().await.unwrap().await.unwrap();
        probe.write_all(&[0x40, 0x41, 0x01, 0x01]).await.unwrap();
        assert_eq!(read_to_end(&mut answer).await, Err(Code::UNKNOWN_SESSION));
        send.quic_stream_mut().finish().unwrap();
        let error = connection.quic_connection().closed().await;
        let quinn::ConnectionError::ApplicationClosed(close) = error else {
            panic!("{error}");
        };
        assert_eq!(close.error_code, http3(Code::CONTROL_CLOSED));
        until(&gateway, at_rest).await;
    })
    .await;
}

#[tokio::test]
async fn a_broken_rule_is_told_in_band() {
    within(async {
        let target = Target::start().await;
        let gateway = Gateway::bind(config(&target, &["echo"])).await.unwrap();
        let connection = carrier(&gateway, Asking::path("/stoq/v1/echo"))
            .await
            .unwrap();
        let mut send = connection.open_uni().await.unwrap().await.unwrap();
        // Control stream; SETTINGS of 2^14 - 1 bytes, more than it may have.
        send.write_all(&[0x00, 0x04, 0x7f, 0xff]).await.unwrap();
        let mut control = connection.accept_uni().await.unwrap();
        let said = read_to_end(&mut control).await.unwrap();
        let close = said
            .windows(4)
            .position(|code| code == Code::FRAME_TOO_LARGE.value().to_be_bytes());
        assert!(close.is_some(), "{said:x?}");
        until(&gateway, at_rest).await;
    })
    .await;
}

#[tokio::test]
async fn a_browser_that_asks_for_nothing_is_let_go() {
    within(async {
        let target = Target::start().await;
        let mut config = config(&target, &["echo"]);
        config.timing.handshake = Duration::from_millis(200);
        let gateway = Gateway::bind(config).await.unwrap();
        let connection = carrier(&gateway, Asking::path("/stoq/v1/echo"))
            .await
            .unwrap();
        let error = connection.quic_connection().closed().await;
        assert!(
            matches!(error, quinn::ConnectionError::ApplicationClosed(_)),
            "{error}"
        );
        until(&gateway, at_rest).await;
    })
    .await;
}

#[tokio::test]
async fn shutting_down_waits_for_sessions_that_end() {
    within(async {
        let (gateway, target, page, session) = session().await;
        let (mut page_send, mut page_receive) = page.open_bi().await;
        page_send.write_all(b"x").await.unwrap();
        let (mut send, mut receive) = session.accept_bi().await.unwrap();
        let ending = async {
            let told = page.told_to_go().await;
            assert_eq!(told, (Code::GOING_AWAY, Duration::from_secs(50)));
            // What runs goes on.
            let data = noise(3_000_000);
            let sending = async {
                page_send.write_all(&data).await.unwrap();
                page_send.quic_stream_mut().finish().unwrap();
            };
            let (received, ()) = tokio::join!(receive.read_to_end(4_000_000), sending);
            assert_eq!(received.unwrap().len(), 3_000_001);
            send.finish().unwrap();
            read_to_end(&mut page_receive).await.unwrap();
            page.close(Code::NO_ERROR, "");
        };
        let (drained, ()) = tokio::join!(gateway.shutdown(Duration::from_secs(50)), ending);
        assert_eq!(drained, Drained { ended: 1, cut: 0 });
        assert_eq!(target.endpoint.open_connections(), 0);
    })
    .await;
}

#[tokio::test]
async fn shutting_down_closes_what_does_not_end() {
    within(async {
        let (gateway, _target, page, session) = session().await;
        let drained = gateway.shutdown(Duration::from_millis(50)).await;
        assert_eq!(drained, Drained { ended: 0, cut: 1 });
        assert_eq!(page.closed().await.0, Code::GOING_AWAY);
        assert_eq!(session.closed().await.code, Code::GOING_AWAY);
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_waits_when_the_gateway_goes_gets_no_whole_answer() {
    within(async {
        let target = Target::start().await;
        let gateway = Gateway::bind(config(&target, &["echo"])).await.unwrap();
        let connection = carrier(&gateway, Asking::path("/stoq/v1/echo"))
            .await
            .unwrap();
        // Before SETTINGS it waits for its session.
        let (mut send, mut answer) = connection.open_bi().await.unwrap().await.unwrap();
        send.write_all(&[0x01]).await.unwrap();
        let (mut probe, mut refused) = connection.open_bi().await.unwrap().await.unwrap();
        probe.write_all(&[0x40, 0x41, 0x01, 0x01]).await.unwrap();
        assert_eq!(read_to_end(&mut refused).await, Err(Code::UNKNOWN_SESSION));
        drop(gateway);
        let answer = read_to_end(&mut answer).await;
        assert!(
            answer.is_err(),
            "an answer that was never given looks whole"
        );
    })
    .await;
}

#[tokio::test]
async fn a_gateway_that_is_gone_refuses_at_the_carrier() {
    within(async {
        let (gateway, target, page, _session) = session().await;
        let second = Gateway::bind(config(&target, &["echo"])).await.unwrap();
        drop(gateway);
        page.connection.quic_connection().closed().await;
        second.shutdown(Duration::ZERO).await;
        let third = Gateway::bind(config(&target, &["echo"])).await.unwrap();
        assert!(
            Page::open(&third, "/stoq/v1/none")
                .await
                .is_err_and(|refusal| refusal != Refusal::Carrier)
        );
    })
    .await;
}

#[tokio::test]
async fn a_target_that_goes_away_is_told_to_its_pages() {
    within(async {
        let (gateway, target, page, session) = session().await;
        let (second, second_session) = meet(&gateway, &target).await;
        assert_eq!(gateway.metrics().upstream_connections, 1);
        let leaving = async {
            for page in [&page, &second] {
                let told = page.told_to_go().await;
                assert_eq!(told, (Code::GOING_AWAY, Duration::from_secs(50)));
            }
            // The connection takes no new sessions: another one is tried, which the target does not take.
            let refused = Page::open(&gateway, "/stoq/v1/echo").await.map(drop);
            assert!(
                matches!(&refused, Err(Refusal::InBand(code, _)) if *code == Code::UPSTREAM_UNREACHABLE),
                "{refused:?}"
            );
            // What runs goes on.
            let (mut send, mut receive) = page.open_bi().await;
            send.write_all(b"late").await.unwrap();
            send.quic_stream_mut().finish().unwrap();
            let (mut back, mut came) = session.accept_bi().await.unwrap();
            assert_eq!(came.read_to_end(10).await.unwrap(), b"late");
            back.finish().unwrap();
            read_to_end(&mut receive).await.unwrap();
            page.close(Code::new(7), "as it was asked");
            second.close(Code::NO_ERROR, "");
        };
        tokio::join!(target.endpoint.shutdown(Duration::from_secs(50)), leaving);
        assert_eq!(session.closed().await.code, Code::new(7));
        assert_eq!(second_session.closed().await.code, Code::NO_ERROR);
        until(&gateway, at_rest).await;
    })
    .await;
}
