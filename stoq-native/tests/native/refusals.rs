//! Sessions that do not come about: each with its own error, on both sides.

use std::time::Duration;

use stoq_native::{
    ClientConfig, Closed, ClosedBy, Code, ConnectError, Endpoint, Identity, OpenError, Request,
    Trust,
};

use crate::bare::{bare_client, bare_server};
use crate::harness::{Peers, service, until, waits, within};

#[tokio::test]
async fn an_unknown_service_is_refused() {
    within(async {
        let peers = Peers::new();
        let connection = peers.connection().await;
        let refuse = async {
            for _ in 0..2 {
                let request = peers.server.accept().await.unwrap();
                assert_eq!((request.service().as_str(), request.path()), ("nothing", "/stoq/v1/nothing"));
                request.refuse(Code::UNKNOWN_SERVICE, "try another");
            }
        };
        let ask = async {
            let own = peers.client.connect(&peers.url("nothing")).await.unwrap_err();
            let multiplexed = connection.open_session(Request::new(service("nothing"))).await.unwrap_err();
            (own, multiplexed)
        };
        let ((own, multiplexed), ()) = tokio::join!(ask, refuse);
        assert!(
            matches!(&own, ConnectError::Refused { code: Code::UNKNOWN_SERVICE, reason } if reason == "try another"),
            "{own}"
        );
        assert_eq!(own.code(), Code::UNKNOWN_SERVICE);
        let (code, reason) = (Code::UNKNOWN_SERVICE, "try another".into());
        assert_eq!(multiplexed, OpenError::Refused { code, reason });
        assert!(connection.is_open());
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_dropped_request_is_refused() {
    within(async {
        let peers = Peers::new();
        let url = peers.url("test");
        let (error, ()) = tokio::join!(peers.client.connect(&url), async {
            drop(peers.server.accept().await.unwrap());
        });
        assert_eq!(error.unwrap_err().code(), Code::REFUSED);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn requests_that_nobody_takes_are_bounded() {
    within(async {
        let peers = Peers::with(|server, _| server.max_waiting = 1);
        let url = peers.url("test");
        let first = peers.client.connect(&url);
        let second = peers.client.connect(&url);
        // One of them waits to be accepted, the other is told that there is no room.
        let (Err(ConnectError::Refused { code, .. }) | Ok(Err(ConnectError::Refused { code, .. }))) =
            (tokio::select! {
                Err(first) = first => Err(first),
                second = second => Ok(second.map(drop)),
            })
        else {
            panic!("neither was refused");
        };
        assert_eq!(code, Code::LIMIT);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_request_that_the_client_gives_up_ends() {
    within(async {
        let peers = Peers::new();
        let connection = peers.connection().await;
        let mut asking = Box::pin(connection.open_session(Request::new(service("test"))));
        assert!(waits(&mut asking).await);
        let request = peers.server.accept().await.unwrap();
        drop(asking);
        // The request is withdrawn: before the answer, or after it.
        if let Ok(session) = request.accept().await {
            let closed = session.closed().await;
            assert_eq!((closed.code, closed.by), (Code::CANCELLED, ClosedBy::Peer));
        }

        let url = peers.url("test");
        let mut connecting = Box::pin(peers.client.connect(&url));
        let request = tokio::select! {
            request = peers.server.accept() => request.unwrap(),
            _ = &mut connecting => unreachable!("nobody has answered"),
        };
        drop(connecting);
        request.connection().closed().await;
        let error: Closed = request.accept().await.unwrap_err();
        assert_eq!(error.code, Code::NO_ERROR);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_a_client_says_of_a_session_arrives() {
    within(async {
        let peers = Peers::new();
        let connection = peers.connection().await;
        let request = Request {
            random: [7; 32],
            authority: "example.org:4433".into(),
            headers: vec![("origin".into(), "https://example.org".into())],
            ..Request::new(service("test"))
        };
        let (client, server) = tokio::join!(connection.open_session(request), async {
            let request = peers.server.accept().await.unwrap();
            assert_eq!(request.random(), [7; 32]);
            assert_eq!(request.authority(), "example.org:4433");
            assert_eq!(
                request.headers(),
                [("origin".into(), "https://example.org".into())]
            );
            request.accept().await.unwrap()
        });
        let client = client.unwrap();
        assert_eq!(client.hash(), server.hash());
        assert_eq!(client.random(), server.random());
        assert_ne!(client.random(), [0; 32]);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_certificate_with_another_hash_is_not_trusted() {
    within(async {
        let peers = Peers::new();
        let other = Identity::self_signed(["localhost"]).unwrap();
        let trust = Trust::CertificateHashes(vec![other.certificate_hash()]);
        let client = Endpoint::client(ClientConfig::new(trust)).unwrap();
        let error = client.connect(&peers.url("test")).await.unwrap_err();
        assert!(matches!(error, ConnectError::Identity(_)), "{error}");
        assert_eq!(error.code(), Code::UNTRUSTED);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn roots_are_trusted_for_the_names_they_sign() {
    within(async {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new([]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["localhost".into()];
        let leaf = rcgen::CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &ca)
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        std::fs::write(path("ca.pem"), ca.pem()).unwrap();
        std::fs::write(path("chain.pem"), leaf.pem()).unwrap();
        std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();

        let identity = Identity::from_pem_files(path("chain.pem"), path("key.pem")).unwrap();
        let trust = Trust::roots_from_pem_file(path("ca.pem")).unwrap();
        let peers = Peers::with(|server, client| {
            server.identity = identity;
            client.policy = trust.into();
        });
        let url = format!("stoq://localhost:{}/test", peers.address().port());
        let (session, ()) = tokio::join!(peers.client.connect(&url), async {
            drop(peers.server.accept().await.unwrap().accept().await.unwrap());
        });
        session.unwrap();
        // The certificate does not name the address.
        let error = peers.client.connect(&peers.url("test")).await.unwrap_err();
        assert!(matches!(error, ConnectError::Identity(_)), "{error}");
        assert!(Identity::from_pem_files(path("chain.pem"), path("ca.pem")).is_err());
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn another_alpn_is_a_version_mismatch() {
    within(async {
        let (bare, client) = bare_server(b"h3");
        let url = format!("stoq://{}/test", bare.local_addr().unwrap());
        let serve = async {
            while let Some(incoming) = bare.accept().await {
                let _ = incoming.await;
            }
        };
        tokio::select! {
            () = serve => unreachable!("the server goes on"),
            error = client.connect(&url) => {
                let error = error.unwrap_err();
                assert!(matches!(error, ConnectError::Alpn { .. }), "{error}");
                assert_eq!(error.code(), Code::VERSION);
            }
        }
        // The other way round: no client gets in with another protocol.
        let peers = Peers::new();
        assert!(bare_client(peers.address(), b"h3").await.is_err());
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_url_without_sense_is_the_callers_fault() {
    within(async {
        let peers = Peers::new();
        for url in [
            "https://localhost/",
            "stoq://localhost/files",
            "stoq://localhost:1/",
            "stoq://h:1/A",
        ] {
            let error = peers.client.connect(url).await.unwrap_err();
            assert_eq!(error.code(), Code::INVALID_ARGUMENT, "{error}");
        }
        let error = peers.server.connect(&peers.url("test")).await.unwrap_err();
        assert!(matches!(error, ConnectError::NotAClient), "{error}");
        assert!(peers.client.accept().await.is_none());
        let error = peers
            .client
            .connect("stoq://name.invalid:1/files")
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::CONNECTION_LOST, "{error}");
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn silence_is_a_timeout() {
    within(async {
        let silent = std::net::UdpSocket::bind("[::1]:0").unwrap();
        let after = Duration::from_millis(200);
        let peers = Peers::with(|_, client| client.connect_timeout = after);
        let url = format!("stoq://{}/test", silent.local_addr().unwrap());
        let error = peers.client.connect(&url).await.unwrap_err();
        assert!(
            matches!(error, ConnectError::Timeout { after: got } if got == after),
            "{error}"
        );
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn more_sessions_than_allowed_are_not_asked_for() {
    within(async {
        let peers = Peers::with(|server, _| server.transport.limits.max_sessions = 1);
        let connection = peers.connection().await;
        let (client, _server) = peers.multiplexed(&connection).await;
        assert_eq!(connection.session_count(), 1);
        let error = connection
            .open_session(Request::new(service("test")))
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::LIMIT);
        drop(client);
        until(|| connection.session_count() == 0).await;
        peers.multiplexed(&connection).await;
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_withdrawn_request_leaves_its_place() {
    within(async {
        let peers = Peers::with(|server, _| server.transport.limits.max_sessions = 2);
        let connection = peers.connection().await;
        for _ in 0..5 {
            assert!(waits(connection.open_session(Request::new(service("test")))).await);
        }
        let accept = async {
            loop {
                // Those that were withdrawn are refused or come to nothing.
                if let Ok(session) = peers.server.accept().await.unwrap().accept().await {
                    break session;
                }
            }
        };
        let ask = connection.open_session(Request::new(service("test")));
        let (session, _accepted) = tokio::join!(ask, accept);
        session.unwrap();
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn connections_over_the_bound_are_refused() {
    within(async {
        let peers = Peers::with(|server, _| server.max_connections = 1);
        let first = peers.session().await;
        let second = peers.client.connect(&peers.url("test")).await.unwrap_err();
        assert_eq!(second.code(), Code::REFUSED, "{second}");
        drop(first);
        let server = peers.server.clone();
        let accepting = tokio::spawn(async move { server.accept().await?.accept().await.ok() });
        // The place is free once the server has let the first one go.
        while peers.client.connect(&peers.url("test")).await.is_err() {}
        assert!(accepting.await.unwrap().is_some());
        peers.close().await;
    })
    .await;
}
