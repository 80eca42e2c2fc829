//! Policies and identities that change while connections are open.

use std::time::{Duration, SystemTime};

use stoq_native::{
    Authority, ClientConfig, ClientPolicy, ClientTrust, ClosedBy, Code, ConnectError, Endpoint,
    FalconId, FalconKey, FalconSigner as _, FalconTrust, Identity, IdentityRejected, Pins,
    PolicyError, PqPolicy, ServerConfig, Session, Trust,
};

use super::certificates::{Holder, SOON, Time, grant};
use super::table::{KNOWN, STRANGER};
use super::tap::Tap;
use crate::harness::{echo, until, waits, within};

fn serve(identity: Identity, clients: ClientPolicy) -> Endpoint {
    let mut config = ServerConfig::new(identity);
    config.clients = clients;
    Endpoint::server("[::1]:0".parse().unwrap(), config).unwrap()
}

fn client(policy: impl Into<PqPolicy>, identity: Option<Identity>) -> Endpoint {
    let mut config = ClientConfig::new(policy);
    config.identity = identity;
    Endpoint::client(config).unwrap()
}

fn authority(server: &Endpoint) -> String {
    server.local_addr().unwrap().to_string()
}

fn pins(servers: &[(&Endpoint, FalconId)]) -> Pins {
    servers.iter().fold(Pins::new(), |pins, (server, id)| {
        pins.pin(&authority(server), *id).unwrap()
    })
}

/// Both ends of a session.
async fn session(client: &Endpoint, server: &Endpoint) -> (Session, Session) {
    let url = format!("stoq://{}/test", authority(server));
    let accept = async { server.accept().await.unwrap().accept().await.unwrap() };
    let (client, server) = tokio::join!(client.connect(&url), accept);
    (client.unwrap(), server)
}

async fn error(client: &Endpoint, server: &Endpoint) -> ConnectError {
    let url = format!("stoq://{}/test", authority(server));
    client.connect(&url).await.unwrap_err()
}

/// That data goes there and back.
async fn goes_on(session: &Session) {
    let (mut send, mut receive) = session.open_bi().await.unwrap();
    send.write_all(b"still here").await.unwrap();
    send.finish().unwrap();
    assert_eq!(receive.read_to_end(64).await.unwrap(), b"still here");
}

/// That it was revoked, by the end that changed its mind.
async fn is_revoked(by_us: &Session, theirs: &Session) {
    let closed = by_us.closed().await;
    assert_eq!((closed.code, closed.by), (Code::REVOKED, ClosedBy::Local));
    let seen = theirs.closed().await;
    assert_eq!((seen.code, seen.by), (Code::REVOKED, ClosedBy::Peer));
    // The peer is told why.
    assert_eq!(seen.reason, closed.reason);
    assert!(!seen.reason.is_empty());
    assert!(!by_us.connection().is_open() && !theirs.connection().is_open());
}

#[tokio::test]
async fn a_pin_that_is_taken_away_closes_its_connections_and_no_others() {
    within(async {
        let first = serve(KNOWN.identity(Time::Now, None), ClientPolicy::Off);
        let second = serve(STRANGER.identity(Time::Now, None), ClientPolicy::Off);
        let both = pins(&[(&first, KNOWN.id()), (&second, STRANGER.id())]);
        let client = client(both.clone(), None);
        let (ours, theirs) = session(&client, &first).await;
        let (stays, other) = session(&client, &second).await;
        tokio::spawn(echo(other));
        client.set_policy(both.without(&KNOWN.id())).unwrap();
        is_revoked(&ours, &theirs).await;
        goes_on(&stays).await;

        let refused = error(&client, &first).await;
        let nothing = matches!(
            refused,
            ConnectError::Identity(IdentityRejected::NothingPinned { .. })
        );
        assert!(nothing, "{refused:?}");
        // Nor is what was agreed on under the old policy used with the server that is still trusted.
        let (again, _) = session(&client, &second).await;
        assert!(!again.connection().security().resumed);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_is_no_longer_trusted_is_closed_and_no_other() {
    within(async {
        let trust = |ids: &[FalconId]| {
            ClientPolicy::Require(ClientTrust::Ids(ids.iter().copied().collect()))
        };
        let server_identity = Holder::new();
        let both = trust(&[KNOWN.id(), STRANGER.id()]);
        let server = serve(server_identity.identity(Time::Now, None), both);
        let connect = |holder: &Holder| {
            let pins = pins(&[(&server, server_identity.id())]);
            client(pins, Some(holder.identity(Time::Now, None)))
        };
        let (first, second) = (connect(&KNOWN), connect(&STRANGER));
        let (theirs, ours) = session(&first, &server).await;
        let (stays, other) = session(&second, &server).await;
        assert_eq!(ours.connection().security().peer, Some(KNOWN.id()));
        tokio::spawn(echo(other));
        server.set_clients(trust(&[STRANGER.id()])).unwrap();
        is_revoked(&ours, &theirs).await;
        goes_on(&stays).await;

        let refused = error(&first, &server).await;
        assert!(
            matches!(refused, ConnectError::IdentityRefused { .. }),
            "{refused:?}"
        );
        let (again, _) = session(&second, &server).await;
        assert!(!again.connection().security().resumed);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_becomes_strict_closes_those_whom_it_does_not_know() {
    within(async {
        let server = serve(KNOWN.identity(Time::Now, None), ClientPolicy::Off);
        let client = client(pins(&[(&server, KNOWN.id())]), None);
        let (theirs, ours) = session(&client, &server).await;
        let trust = ClientTrust::Ids([STRANGER.id()].into());
        // One that shows nothing may stay under Prefer.
        server
            .set_clients(ClientPolicy::Prefer(trust.clone()))
            .unwrap();
        tokio::spawn(echo(ours.clone()));
        goes_on(&theirs).await;
        server.set_clients(ClientPolicy::Require(trust)).unwrap();
        is_revoked(&ours, &theirs).await;
    })
    .await;
}

#[tokio::test]
async fn a_client_that_becomes_strict_closes_what_it_believed_before() {
    within(async {
        let identity = Identity::self_signed(["localhost"]).unwrap();
        let trust = Trust::CertificateHashes(vec![identity.certificate_hash()]);
        let server = serve(identity, ClientPolicy::Off);
        let client = client(trust, None);
        let (ours, theirs) = session(&client, &server).await;
        client.set_policy(pins(&[(&server, KNOWN.id())])).unwrap();
        is_revoked(&ours, &theirs).await;
        let refused = error(&client, &server).await;
        assert!(
            matches!(refused, ConnectError::NotPostQuantum { .. }),
            "{refused:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_revoked_grant_closes_what_it_opened() {
    within(async {
        let issuer = FalconKey::generate();
        let word = grant(&issuer, KNOWN.id(), "::1", 7, Time::Now);
        let certificate = KNOWN.certificate(Time::Now, None, Some(&word));
        let server = serve(KNOWN.identity_with(&certificate), ClientPolicy::Off);
        let trusted = Authority::new(issuer.verifying_key().clone());
        let client = client(FalconTrust::Authority(trusted.clone()), None);
        let (ours, theirs) = session(&client, &server).await;
        tokio::spawn(echo(theirs.clone()));
        // Another serial is none of its business.
        client
            .set_policy(FalconTrust::Authority(trusted.clone().without(8)))
            .unwrap();
        goes_on(&ours).await;
        client
            .set_policy(FalconTrust::Authority(trusted.without(7)))
            .unwrap();
        is_revoked(&ours, &theirs).await;
        let refused = error(&client, &server).await;
        let expected = IdentityRejected::Revoked { serial: 7 };
        assert!(
            matches!(&refused, ConnectError::Identity(why) if *why == expected),
            "{refused:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_pin_that_is_taken_away_in_the_middle_of_a_handshake_counts() {
    within(async {
        let server = serve(KNOWN.identity(Time::Now, None), ClientPolicy::Off);
        let client = client(pins(&[(&server, KNOWN.id())]), None);
        let url = format!("stoq://{}/test", authority(&server));
        let mut connecting = Box::pin(client.connect(&url));
        // The first packets are under way; the answer has not been looked at.
        assert!(waits(&mut connecting).await);
        client
            .set_policy(pins(&[(&server, STRANGER.id())]))
            .unwrap();
        let refused = connecting.await.unwrap_err();
        let rejected = matches!(
            refused,
            ConnectError::Identity(IdentityRejected::NotPinned { .. })
        );
        assert!(rejected, "{refused:?}");
        until(|| server.open_connections() == 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_becomes_strict_in_the_middle_of_a_handshake_is_strict_in_it() {
    within(async {
        let server = serve(KNOWN.identity(Time::Now, None), ClientPolicy::Off);
        let tap = Tap::new(server.local_addr().unwrap()).await;
        let authority = tap.address.to_string();
        let client = client(Pins::new().pin(&authority, KNOWN.id()).unwrap(), None);
        let url = format!("stoq://{authority}/test");
        let mut connecting = Box::pin(client.connect(&url));
        tokio::select! {
            biased;
            _ = &mut connecting => unreachable!("the client has not heard the server yet"),
            // It has answered under the old policy, and asked for no certificate.
            () = until(|| tap.answers() > 0) => {}
        }
        let trust = ClientTrust::Ids([STRANGER.id()].into());
        server.set_clients(ClientPolicy::Require(trust)).unwrap();
        let refused = connecting.await.unwrap_err();
        let ConnectError::IdentityRefused { reason } = &refused else {
            panic!("not foreseen: {refused:?}");
        };
        assert_eq!(*reason, IdentityRejected::NoClientIdentity.to_string());
        until(|| server.open_connections() == 0).await;
        assert!(waits(server.accept()).await);
    })
    .await;
}

#[tokio::test]
async fn a_new_identity_is_shown_to_new_connections() {
    within(async {
        let server = serve(KNOWN.identity(Time::Now, None), ClientPolicy::Off);
        // The successor is pinned before it takes over.
        let client = client(
            pins(&[(&server, KNOWN.id()), (&server, STRANGER.id())]),
            None,
        );
        let (stays, other) = session(&client, &server).await;
        assert_eq!(stays.connection().security().peer, Some(KNOWN.id()));
        tokio::spawn(echo(other));
        server
            .set_identity(STRANGER.identity(Time::Now, None))
            .unwrap();
        goes_on(&stays).await;
        let (new, _other) = session(&client, &server).await;
        let security = new.connection().security();
        assert_eq!(security.peer, Some(STRANGER.id()));
        assert_eq!(
            security.capabilities.and_then(|theirs| theirs.identity),
            Some(STRANGER.id())
        );
        assert!(!security.resumed);
        goes_on(&stays).await;
    })
    .await;
}

/// Time passes here because that is what the test is about: a certificate ends, and with it what was agreed on while it held.
#[tokio::test]
async fn a_session_is_not_resumed_when_the_certificate_is_over() {
    within(async {
        let holder = Holder::new();
        let briefly = KNOWN.identity(Time::Soon, None);
        let ends = SystemTime::now() + SOON;
        let short = serve(briefly.clone(), ClientPolicy::Off);
        let trust = ClientTrust::Ids([KNOWN.id()].into());
        let long = serve(
            holder.identity(Time::Now, None),
            ClientPolicy::Require(trust),
        );
        let pins = pins(&[(&short, KNOWN.id()), (&long, holder.id())]);
        let client = client(pins, Some(briefly));
        for server in [&short, &long] {
            for resumed in [false, true] {
                let (session, _other) = session(&client, server).await;
                assert_eq!(session.connection().security().resumed, resumed);
            }
        }
        // Certificates count whole seconds.
        let left = ends.duration_since(SystemTime::now()).unwrap_or_default();
        tokio::time::sleep(left + Duration::from_secs(1)).await;
        let rejected = error(&client, &short).await;
        let expired = matches!(rejected, ConnectError::Identity(IdentityRejected::Expired));
        assert!(expired, "{rejected:?}");
        // The other way round, it is the server that judges.
        let refused = error(&client, &long).await;
        let ConnectError::IdentityRefused { reason } = &refused else {
            panic!("not foreseen: {refused:?}");
        };
        assert!(reason.contains("the certificate has expired"), "{reason}");
        until(|| long.open_connections() == 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_policy_that_cannot_be_leaves_the_old_one() {
    within(async {
        let server = serve(KNOWN.identity(Time::Now, None), ClientPolicy::Off);
        let client = client(pins(&[(&server, KNOWN.id())]), None);
        let (ours, theirs) = session(&client, &server).await;
        tokio::spawn(echo(theirs));
        let nobody = Trust::CertificateHashes(vec![]);
        let error = client.set_policy(nobody).unwrap_err();
        assert!(matches!(error, PolicyError::Trust(_)), "{error}");
        for error in [
            client.set_clients(ClientPolicy::Off).unwrap_err(),
            client
                .set_identity(KNOWN.identity(Time::Now, None))
                .unwrap_err(),
            server.set_policy(Pins::new()).unwrap_err(),
        ] {
            assert!(matches!(error, PolicyError::WrongRole), "{error}");
        }
        goes_on(&ours).await;
        let (again, _) = session(&client, &server).await;
        assert!(again.connection().security().resumed);
    })
    .await;
}
