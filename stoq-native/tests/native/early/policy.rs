//! Early data and who is believed: judged before it is sent, and as long as its streams are open.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use stoq_native::{
    AccessRules, Authority, ClientConfig, Code, ConnectError, Domain, EarlyStreamError, Endpoint,
    FalconId, FalconKey, FalconSigner as _, FalconTrust, Grant, GrantError, Identity,
    IdentityRejected, Pins, PqPolicy, ServerConfig, SignedGrant, UnixMicros, Verifier,
};

use super::{World, world};
use crate::harness::within;

#[tokio::test]
async fn a_changed_policy_sends_nothing_early() {
    within(async {
        let world = world(true);
        world.visit().await;
        world.client.set_policy(world.policy.clone()).unwrap();
        let early = world.client.connect_early(&world.url).await.unwrap();
        assert!(!early.can_send());
        world.close().await;
    })
    .await;
}

#[tokio::test]
async fn early_streams_do_not_outlive_the_policy() {
    within(async {
        let world = world(true);
        world.visit().await;
        let early = world.client.connect_early(&world.url).await.unwrap();
        let (mut send, mut receive) = early.open_bi().await.unwrap();
        send.write_all(b"before").await.unwrap();
        let request = world.server.accept_early().await.unwrap();
        let accept = async { world.server.accept().await.unwrap().accept().await.unwrap() };
        let (established, accepted) = tokio::join!(early.established(), accept);
        let (session, _) = established.unwrap();
        // Nobody is pinned any more.
        let nobody = Pins::new()
            .pin("localhost:1", FalconId::new([0; 32]))
            .unwrap();
        world.client.set_policy(nobody).unwrap();
        assert_eq!(session.closed().await.code, Code::REVOKED);
        let lost = receive.read_to_end(64).await.unwrap_err();
        assert!(matches!(lost, EarlyStreamError::Lost(_)), "{lost:?}");
        drop((request, accepted));
        world.close().await;
    })
    .await;
}

#[tokio::test]
async fn who_gives_up_an_early_connection_closes_it() {
    within(async {
        let world = world(true);
        world.visit().await;
        let early = world.client.connect_early(&world.url).await.unwrap();
        let (mut send, mut receive) = early.open_bi().await.unwrap();
        send.write_all(b"?").await.unwrap();
        let request = world.server.accept_early().await.unwrap();
        drop(early);
        let lost = receive.read_to_end(64).await.unwrap_err();
        // The second, if the server had not answered by then.
        assert!(
            matches!(lost, EarlyStreamError::Lost(_) | EarlyStreamError::Rejected),
            "{lost:?}"
        );
        drop(request);
        // The endpoint knew of it, so it knows that it has ended.
        world.client.wait_idle().await;
        world.close().await;
    })
    .await;
}

#[tokio::test]
async fn nothing_is_sent_early_to_a_server_whose_grant_has_ended() {
    within(async {
        let (authority, key) = (FalconKey::generate(), Arc::new(FalconKey::generate()));
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap() + Duration::from_secs(3);
        let grant = Grant {
            authority: authority.id(),
            subject: key.id(),
            serial: 1,
            not_before: UnixMicros(0),
            not_after: UnixMicros(since.as_secs() * 1_000_000),
            names: vec!["localhost".into()],
        };
        let signed = grant.to_be_signed().unwrap();
        let signature = authority.sign(Domain::GRANT, &[&signed]).unwrap();
        let granted = SignedGrant::new(grant, signature).unwrap();
        let mut config = ServerConfig::new(Identity::granted(key, &granted).unwrap());
        config.early_data = true;
        let server = Endpoint::server("[::]:0".parse().unwrap(), config).unwrap();
        let url = format!(
            "stoq://localhost:{}/test",
            server.local_addr().unwrap().port()
        );
        let trust = FalconTrust::Authority(Authority::new(authority.verifying_key().clone()));
        let policy = PqPolicy::Require(trust);
        let world = World {
            server,
            client: Endpoint::client(ClientConfig::new(policy.clone())).unwrap(),
            url,
            policy,
        };
        world.visit().await;
        // Time passes: that is what this is about.
        while SystemTime::UNIX_EPOCH.elapsed().unwrap() < since + Duration::from_secs(1) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let early = world.client.connect_early(&world.url).await.unwrap();
        assert!(!early.can_send());
        let error = early.established().await.unwrap_err();
        let expired = IdentityRejected::Grant(GrantError::Expired);
        assert!(matches!(error, ConnectError::Identity(got) if got == expired));
        world.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_service_that_wants_a_token_takes_nothing_early() {
    within(async {
        let world = world(true);
        world.visit().await;
        let issuer = FalconKey::generate();
        let verifier = Verifier::new(issuer.id(), [issuer.verifying_key().clone()]);
        let rules = AccessRules::new(verifier).require("test".parse().unwrap(), None);
        world.server.set_access(Some(rules)).unwrap();
        let early = world.client.connect_early(&world.url).await.unwrap();
        assert!(early.can_send());
        let (mut send, mut receive) = early.open_bi().await.unwrap();
        // It may be told before it has sent all.
        let _ = send.write_all(b"?").await;
        let refused = receive.read_to_end(64).await.unwrap_err();
        assert_eq!(refused, EarlyStreamError::Reset(Code::TOKEN_REQUIRED));
        let error = early.established().await.unwrap_err();
        assert_eq!(error.code(), Code::TOKEN_REQUIRED);
        world.close().await;
    })
    .await;
}
