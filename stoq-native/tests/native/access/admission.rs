//! Who gets in, and each reason why not.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_good_token_lets_in() {
    within(async {
        let world = world();
        let none = HolderKeys::new;
        let good = world.signed(|_| ());
        world.admitted(from_ref(&good), none()).await;
        // Behind others, of which one cannot be read, one is for somebody else, and one has expired.
        let elsewhere = world.signed(|token| token.audience = FalconId::new([1; 32]));
        let expired = world.signed(|token| token.expiry = UnixMicros(now() - SECOND));
        let unreadable = Bytes::from_static(b"?");
        world
            .admitted(&[unreadable, elsewhere, expired, good], none())
            .await;
        assert_eq!(world.server.access_refusals().total(), 0);
        world.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_to_refuse_has_its_code() {
    within(async {
        let world = world();
        let none = HolderKeys::new;
        world.refused(&[], none(), Code::TOKEN_REQUIRED).await;
        let junk = Bytes::from_static(&[1; 1500]);
        world.refused(&[junk], none(), Code::TOKEN_MALFORMED).await;
        let stranger = FalconKey::generate();
        let by_stranger = sign(world.token(|token| token.issuer = stranger.id()), &stranger);
        world
            .refused(&[by_stranger], none(), Code::TOKEN_ISSUER)
            .await;
        let forged = sign(world.token(|_| ()), &stranger);
        world.refused(&[forged], none(), Code::TOKEN_FORGED).await;
        type Change = fn(&mut AccessToken);
        let changes: [(Change, Code); 7] = [
            (
                |token| token.expiry = UnixMicros(now() - SECOND),
                Code::TOKEN_EXPIRED,
            ),
            (
                |token| token.not_before = UnixMicros(now() + 60 * SECOND),
                Code::TOKEN_NOT_YET_VALID,
            ),
            (
                |token| token.audience = FalconId::new([1; 32]),
                Code::TOKEN_AUDIENCE,
            ),
            (|token| token.service = service("echo"), Code::TOKEN_SERVICE),
            (
                |token| token.permissions = vec!["write".into()],
                Code::PERMISSION,
            ),
            (
                |token| token.expiry = UnixMicros(now() + 241 * SECOND),
                Code::TOKEN_MALFORMED,
            ),
            (
                |token| token.nonce = Nonce::new([7; 16]),
                Code::TOKEN_REVOKED,
            ),
        ];
        let mut revoking = rules(world.audience, &world.issuer);
        revoking.set_revocations(Revocations::parse(&"07".repeat(16)).unwrap());
        world.server.set_access(Some(revoking)).unwrap();
        for (change, code) in changes {
            world.refused(&[world.signed(change)], none(), code).await;
        }
        // A bit of what is permitted.
        let mut tampered = world.signed(|_| ()).to_vec();
        let at = tampered.len() - 1280 - 1;
        tampered[at] ^= 1;
        world
            .refused(&[tampered.into()], none(), Code::TOKEN_FORGED)
            .await;
        world.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_presents_too_many_forged_tokens_is_not_looked_at_for_a_while() {
    within(async {
        let world = world();
        let forged = sign(world.token(|_| ()), &FalconKey::generate());
        let client = world.client(&[], HolderKeys::new());
        let url = format!("stoq://{}/", world.server.local_addr().unwrap());
        let connection = client.connect_to(&url.parse().unwrap()).await.unwrap();
        let mut request = Request::new(service("files"));
        request.access_tokens = vec![forged; 4];
        let mut codes = Vec::new();
        // A slow machine earns some back meanwhile: fewer than it spends.
        while codes.last() != Some(&Code::LIMIT) && codes.len() < 4096 {
            let refused = connection.open_session(request.clone()).await;
            codes.push(refused.unwrap_err().code());
        }
        assert_eq!(codes.last(), Some(&Code::LIMIT));
        let verified = codes.iter().filter(|code| **code == Code::TOKEN_FORGED);
        assert!(verified.count() >= 1024 / 4);
        assert!(world.refusals(Code::LIMIT) > 0);
        // The connection stays, and others are let in.
        request.access_tokens.clear();
        request.service = service("open");
        works(&connection.open_session(request).await.unwrap()).await;
        let good = world.signed(|_| ());
        world.admitted(&[good], HolderKeys::new()).await;
        world.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_a_rule_wants_nothing_and_confirms_what_is_proven() {
    within(async {
        let world = world();
        let key = Arc::new(HolderKeyPair::generate());
        let held = world.signed(|token| token.holder = Some(key.public()));
        let client = world.client(&[held], holders(&[&key]));
        let url = format!("stoq://{}/open", world.server.local_addr().unwrap());
        let session = client.connect(&url).await.unwrap();
        works(&session).await;
        assert_eq!(session.access(), None);
        world.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_refused_never_reaches_the_application() {
    within(async {
        let world = world();
        world.served.abort();
        let client = world.client(&[], HolderKeys::new());
        let url = format!("stoq://{}/files", world.server.local_addr().unwrap());
        assert!(client.connect(&url).await.is_err());
        assert!(waits(world.server.accept()).await);
        world.server.close(Code::NO_ERROR, "");
    })
    .await;
}

#[tokio::test]
async fn tokens_that_cannot_be_presented_are_named() {
    let trust = Trust::CertificateHashes(vec![[0; 32]]);
    for tokens in [
        vec![Bytes::new(); 5],
        vec![Bytes::from(vec![0; 4097])],
        vec![Bytes::from(vec![0; 4000]); 2],
    ] {
        let mut config = ClientConfig::new(trust.clone());
        config.access_tokens = tokens;
        let error = Endpoint::client(config).unwrap_err();
        assert!(
            error.to_string().starts_with("access_tokens is "),
            "{error}"
        );
    }
}
