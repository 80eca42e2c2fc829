//! Who is let in, and how a refusal reads.

use stoq_core::close::Code;
use stoq_gateway::Gateway;
use stoq_gateway::config::Origins;

use crate::page::{Asking, Page, Refusal, carrier, silent};
use crate::target::Target;
use crate::{at_rest, config, meet, until, within};

async fn refusal(gateway: &Gateway, asking: Asking) -> Refusal {
    Page::ask(gateway, asking).await.err().expect("refused")
}

#[tokio::test]
async fn an_unknown_service_is_named() {
    within(async {
        let target = Target::start().await;
        let gateway = Gateway::bind(config(&target, &["echo"])).await.unwrap();
        let refusal = refusal(&gateway, Asking::path("/stoq/v1/files")).await;
        assert_eq!(
            refusal,
            Refusal::InBand(
                Code::UNKNOWN_SERVICE,
                "there is no service files here".into()
            )
        );
        assert_eq!(gateway.metrics().refused.service, 1);
        until(&gateway, at_rest).await;
    })
    .await;
}

#[tokio::test]
async fn an_unknown_path_is_refused_in_band() {
    within(async {
        let target = Target::start().await;
        let gateway = Gateway::bind(config(&target, &["echo"])).await.unwrap();
        for path in [
            "/",
            "/stoq/v2/echo",
            "/stoq/v1/",
            "/stoq/v1/echo?x=1",
            "/stoq/v1/Echo",
        ] {
            let mut asking = Asking::path(path);
            asking.service = Some("echo".parse().unwrap());
            let refusal = refusal(&gateway, asking).await;
            assert!(
                matches!(refusal, Refusal::InBand(Code::UNKNOWN_PATH, _)),
                "{path}: {refusal:?}"
            );
        }
        assert_eq!(gateway.metrics().refused.path, 5);
        until(&gateway, at_rest).await;
    })
    .await;
}

#[tokio::test]
async fn settings_must_name_the_service_of_the_path() {
    within(async {
        let target = Target::start().await;
        let gateway = Gateway::bind(config(&target, &["echo", "files"]))
            .await
            .unwrap();
        let mut asking = Asking::path("/stoq/v1/echo");
        asking.service = Some("files".parse().unwrap());
        let refusal = refusal(&gateway, asking).await;
        assert!(
            matches!(refusal, Refusal::InBand(Code::SETTINGS, _)),
            "{refusal:?}"
        );
        assert_eq!(gateway.metrics().refused.client, 1);
        until(&gateway, at_rest).await;
    })
    .await;
}

#[tokio::test]
async fn a_page_of_another_origin_gets_403() {
    within(async {
        let target = Target::start().await;
        let mut config = config(&target, &["echo"]);
        config.origins = Origins::These(vec!["https://example.org".into()]);
        let gateway = Gateway::bind(config).await.unwrap();
        let asking = |origin: &str| {
            let mut asking = Asking::path("/stoq/v1/echo");
            asking.headers = vec![("origin".into(), origin.into())];
            asking
        };
        let error = carrier(&gateway, asking("https://evil.example"))
            .await
            .err()
            .unwrap();
        assert!(
            matches!(error, wtransport::error::ConnectingError::SessionRejected),
            "{error}"
        );
        until(&gateway, |numbers| {
            at_rest(numbers) && numbers.refused.origin == 1
        })
        .await;

        let mine = Page::ask(&gateway, asking("https://example.org"));
        let (page, request) = tokio::join!(mine, async {
            let request = target.request().await;
            let headers = request.headers().to_vec();
            request.accept().await.unwrap();
            headers
        });
        page.unwrap();
        assert_eq!(
            request,
            [("origin".to_string(), "https://example.org".to_string())]
        );
    })
    .await;
}

#[tokio::test]
async fn the_targets_refusal_is_passed_on() {
    within(async {
        let target = Target::start().await;
        let gateway = Gateway::bind(config(&target, &["echo"])).await.unwrap();
        let (refusal, ()) = tokio::join!(refusal(&gateway, Asking::path("/stoq/v1/echo")), async {
            target.request().await.refuse(Code::new(4711), "not today");
        });
        assert_eq!(
            refusal,
            Refusal::InBand(Code::new(4711), "not today".into())
        );
        assert_eq!(gateway.metrics().refused.target, 1);
        until(&gateway, at_rest).await;
    })
    .await;
}

#[tokio::test]
async fn a_target_that_is_not_there_is_unreachable() {
    within(async {
        let target = Target::start().await;
        let mut config = config(&target, &["echo"]);
        config.timing.upstream_connect = std::time::Duration::from_millis(200);
        config.routes[0].policy = stoq_native::Trust::CertificateHashes(vec![[0; 32]]).into();
        let gateway = Gateway::bind(config).await.unwrap();
        // Another certificate than the route says, then nobody at all.
        for _ in 0..2 {
            let refusal = refusal(&gateway, Asking::path("/stoq/v1/echo")).await;
            assert!(
                matches!(refusal, Refusal::InBand(Code::UPSTREAM_UNREACHABLE, _)),
                "{refusal:?}"
            );
            target.endpoint.close(Code::NO_ERROR, "");
            target.endpoint.wait_idle().await;
        }
        assert_eq!(gateway.metrics().refused.unreachable, 2);
        until(&gateway, at_rest).await;
    })
    .await;
}

#[tokio::test]
async fn a_target_that_does_not_answer_is_unreachable() {
    within(async {
        let target = Target::start().await;
        let mut config = config(&target, &["echo"]);
        config.timing.upstream_connect = std::time::Duration::from_millis(500);
        let gateway = Gateway::bind(config).await.unwrap();
        let asked = refusal(&gateway, Asking::path("/stoq/v1/echo"));
        let (refusal, _unanswered) = tokio::join!(asked, target.request());
        assert!(
            matches!(refusal, Refusal::InBand(Code::UPSTREAM_UNREACHABLE, _)),
            "{refusal:?}"
        );
        until(&gateway, at_rest).await;
    })
    .await;
}

#[tokio::test]
async fn no_more_sessions_than_allowed() {
    within(async {
        let target = Target::start().await;
        let mut config = config(&target, &["echo"]);
        config.limits.max_sessions = 2.try_into().unwrap();
        let gateway = Gateway::bind(config).await.unwrap();
        let (_first, second) = (meet(&gateway, &target).await, meet(&gateway, &target).await);
        assert_eq!(
            refusal(&gateway, Asking::path("/stoq/v1/echo")).await,
            Refusal::Carrier
        );
        assert_eq!(gateway.metrics().refused.sessions, 1);
        second.0.close(Code::NO_ERROR, "");
        until(&gateway, |numbers| numbers.sessions_open == 1).await;
        meet(&gateway, &target).await;
    })
    .await;
}

#[tokio::test]
async fn no_more_handshakes_than_allowed() {
    within(async {
        let target = Target::start().await;
        let mut config = config(&target, &["echo"]);
        config.limits.max_handshakes = 1.try_into().unwrap();
        let gateway = Gateway::bind(config).await.unwrap();
        let silent = silent(&gateway).await;
        // It must prove its address, by a Retry, and is refused then.
        assert_eq!(
            refusal(&gateway, Asking::path("/stoq/v1/echo")).await,
            Refusal::Carrier
        );
        assert_eq!(gateway.metrics().refused.handshakes, 1);
        silent.close(0_u32.into(), b"");
        until(&gateway, at_rest).await;
        meet(&gateway, &target).await;
    })
    .await;
}

#[tokio::test]
async fn sessions_share_connections_up_to_the_routes_number() {
    within(async {
        let target = Target::start().await;
        let mut config = config(&target, &["echo"]);
        config.routes[0].sessions_per_connection = 3.try_into().unwrap();
        let gateway = Gateway::bind(config).await.unwrap();
        let mut open = Vec::new();
        for expected in [1, 1, 1, 2, 2, 2, 3] {
            open.push(meet(&gateway, &target).await);
            assert_eq!(gateway.metrics().upstream_connections, expected);
        }
        for (page, session) in &open {
            page.round_trip(session).await;
        }
        open.clear();
        // One stays for the next session.
        until(&gateway, |numbers| {
            at_rest(numbers) && numbers.upstream_connections == 1
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_target_may_allow_fewer_sessions_on_a_connection() {
    within(async {
        let target = Target::start_with(|config| config.transport.limits.max_sessions = 2).await;
        let gateway = Gateway::bind(config(&target, &["echo"])).await.unwrap();
        let mut open = Vec::new();
        for expected in [1, 1, 2, 2, 3] {
            open.push(meet(&gateway, &target).await);
            assert_eq!(gateway.metrics().upstream_connections, expected);
        }
    })
    .await;
}
