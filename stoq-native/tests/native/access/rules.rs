//! Rules that change, and who is in or waits then.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_ends_its_sessions_and_no_others() {
    within(async {
        let world = world();
        let (lost, kept) = (Nonce::new([1; 16]), Nonce::new([2; 16]));
        let none = HolderKeys::new;
        let with = |nonce| world.signed(|token| token.nonce = nonce);
        let by_settings = world.by_settings(&[with(lost)], none()).await.unwrap();
        let by_headers = world.by_headers(&[with(lost)], none()).await.unwrap();
        let other = world.by_settings(&[with(kept)], none()).await.unwrap();
        let client = world.client(&[], none());
        let url = format!("stoq://{}/open", world.server.local_addr().unwrap());
        let open = client.connect(&url).await.unwrap();

        let mut rules = rules(world.audience, &world.issuer);
        rules.set_revocations(Revocations::parse(&lost.to_string()).unwrap());
        world.server.set_access(Some(rules)).unwrap();
        for session in [&by_settings, &by_headers] {
            let closed = session.closed().await;
            assert_eq!(
                (closed.code, closed.by),
                (Code::TOKEN_REVOKED, ClosedBy::Peer)
            );
            assert!(closed.reason.contains(&lost.to_string()), "{closed}");
        }
        for session in [&other, &open] {
            works(session).await;
        }
        assert!(by_headers.connection().is_open());
        assert_eq!(world.refusals(Code::TOKEN_REVOKED), 2);
        let again = world.by_settings(&[with(lost)], none()).await;
        assert_eq!(again.map(drop), Err(Code::TOKEN_REVOKED));

        // An issuer who is trusted no longer.
        let nobody = Verifier::new(world.audience, []);
        world
            .server
            .set_access(Some(AccessRules::new(nobody)))
            .unwrap();
        assert_eq!(other.closed().await.code, Code::TOKEN_ISSUER);
        works(&open).await;
        // Without rules nobody is asked.
        world.server.set_access(None).unwrap();
        let session = world.by_settings(&[], none()).await.unwrap();
        works(&session).await;
        assert!(client.set_access(None).is_err());
        world.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_while_the_request_waits_is_refused() {
    within(async {
        let world = world();
        world.served.abort();
        let token = world.signed(|token| token.nonce = Nonce::new([1; 16]));
        let client = world.client(&[token], HolderKeys::new());
        let url = format!("stoq://{}/files", world.server.local_addr().unwrap());
        let serve = async {
            let request = world.server.accept().await.unwrap();
            assert!(request.access().unwrap().permits("read"));
            let mut rules = rules(world.audience, &world.issuer);
            rules.set_revocations(Revocations::parse(&"01".repeat(16)).unwrap());
            world.server.set_access(Some(rules)).unwrap();
            request.accept().await
        };
        let (connected, accepted) = tokio::join!(client.connect(&url), serve);
        assert_eq!(connected.unwrap_err().code(), Code::TOKEN_REVOKED);
        assert_eq!(accepted.unwrap_err().code, Code::TOKEN_REVOKED);
        world.server.close(Code::NO_ERROR, "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_is_judged_by_the_rules_that_hold_when_it_is_taken() {
    within(async {
        let world = world();
        world.served.abort();
        let reader = world.signed(|_| ());
        // What the rules come to while the request waits, for whom, and what becomes of it.
        let wants = |permission| {
            let verifier = Verifier::new(world.audience, [world.issuer.verifying_key().clone()]);
            let rules = AccessRules::new(verifier);
            Some(rules.require(service("files"), permission))
        };
        let before = || Some(rules(world.audience, &world.issuer));
        for (first, then, tokens, expected) in [
            (
                before(),
                wants(Some("write")),
                vec![reader.clone()],
                Err(Code::PERMISSION),
            ),
            (None, wants(Some("read")), vec![], Err(Code::TOKEN_REQUIRED)),
            (None, wants(None), vec![reader.clone()], Ok(true)),
            (before(), wants(None), vec![reader.clone()], Ok(true)),
            (before(), None, vec![reader.clone()], Ok(false)),
        ] {
            world.server.set_access(first).unwrap();
            let serve = async {
                let request = world.server.accept().await.unwrap();
                world.server.set_access(then).unwrap();
                request.accept().await
            };
            let (asked, accepted) =
                tokio::join!(world.by_headers(&tokens, HolderKeys::new()), serve);
            let access = accepted.as_ref().map(|session| session.access().is_some());
            assert_eq!(access.map_err(|closed| closed.code), expected);
            assert_eq!(asked.map(drop), expected.map(drop));
        }
        world.server.close(Code::NO_ERROR, "");
    })
    .await;
}
