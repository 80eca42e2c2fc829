//! Tokens with a holder, who proves to have the key.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_key_off_the_curve_is_found_behind_the_signature() {
    within(async {
        let world = world();
        let token = world.token(|token| token.holder = Some(HolderKeyPair::generate().public()));
        let mut bytes = token.to_be_signed().unwrap();
        // x = 1 belongs to no point.
        let key = bytes.len() - tail(&token) - HolderKey::LEN;
        bytes[key] = 2;
        bytes[key + 1..key + HolderKey::LEN].fill(0);
        bytes[key + HolderKey::LEN - 1] = 1;
        for (signer, code) in [
            (&FalconKey::generate(), Code::TOKEN_FORGED),
            (&world.issuer, Code::TOKEN_MALFORMED),
        ] {
            let signature = signer.sign(Domain::ACCESS_TOKEN, &[&bytes]).unwrap();
            let token = [&bytes[..], signature.as_bytes()].concat();
            world
                .refused(&[token.into()], HolderKeys::new(), code)
                .await;
        }
        world.close().await;
    })
    .await;
}

/// Bytes of what stands behind the holder's key.
fn tail(token: &AccessToken) -> usize {
    let words = token.permissions.iter().map(|word| 1 + word.len());
    2 + token.subject.len() + token.service.as_str().len() + 1 + words.sum::<usize>()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_gets_in_with_the_key_and_only_with_it() {
    within(async {
        let world = world();
        let key = Arc::new(HolderKeyPair::generate());
        let held = world.signed(|token| {
            token.holder = Some(key.public());
            token.expiry = UnixMicros(now() + 86_400 * SECOND);
        });
        world.admitted(from_ref(&held), holders(&[&key])).await;
        // A signer that says that it has the key, and signs with another.
        #[derive(Debug)]
        struct Impostor(HolderKey, HolderKeyPair);
        impl HolderSigner for Impostor {
            fn holder_key(&self) -> HolderKey {
                self.0
            }
            fn sign(&self, message: &[u8]) -> Result<HolderProof, SignError> {
                self.1.sign(message)
            }
        }
        let impostor: Arc<dyn HolderSigner> =
            Arc::new(Impostor(key.public(), HolderKeyPair::generate()));
        let keys: HolderKeys = [impostor].into_iter().collect();
        world.refused(&[held], keys, Code::HOLDER_WRONG).await;
        world.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_proves_nothing_gets_nothing_and_is_told_after_a_while() {
    within(async {
        let world = world();
        let key = HolderKeyPair::generate();
        let held = world.signed(|token| token.holder = Some(key.public()));
        let begun = std::time::Instant::now();
        // It does not know that a proof is wanted, and thinks that it is in.
        let session = world.by_settings(&[held], HolderKeys::new()).await.unwrap();
        let (mut send, mut receive) = session.open_bi().await.unwrap();
        send.write_all(b"hello").await.unwrap();
        send.finish().unwrap();
        assert!(receive.read_to_end(64).await.is_err());
        let closed = session.closed().await;
        assert_eq!(
            (closed.code, closed.by),
            (Code::HOLDER_MISSING, ClosedBy::Peer)
        );
        assert!(begun.elapsed() >= Duration::from_secs(5));
        assert_eq!(world.refusals(Code::HOLDER_MISSING), 1);
        world.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_closes_instead_of_proving_leaves_nobody_waiting() {
    within(async {
        let world = world();
        world.served.abort();
        let key = HolderKeyPair::generate();
        let held = world.signed(|token| token.holder = Some(key.public()));
        let serve = async {
            let request = world.server.accept().await.unwrap();
            request.accept().await
        };
        let close = async {
            // It does not know that a proof is wanted.
            let session = world.by_headers(&[held], HolderKeys::new()).await.unwrap();
            session.close(Code::CANCELLED, "no longer");
            // The connection stays: that of the session alone is told.
            session
        };
        let (accepted, session) = tokio::join!(serve, close);
        let closed = accepted.unwrap_err();
        assert_eq!((closed.code, closed.by), (Code::CANCELLED, ClosedBy::Peer));
        assert_eq!(closed.reason, "no longer");
        assert!(session.connection().is_open());
        assert_eq!(world.server.access_refusals().total(), 0);
        world.server.close(Code::NO_ERROR, "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_that_fails_says_so_at_once() {
    within(async {
        let world = world();
        let key = HolderKeyPair::generate();
        let held = world.signed(|token| token.holder = Some(key.public()));
        #[derive(Debug)]
        struct Broken(HolderKey);
        impl HolderSigner for Broken {
            fn holder_key(&self) -> HolderKey {
                self.0
            }
            fn sign(&self, _: &[u8]) -> Result<HolderProof, SignError> {
                Err(SignError::Device("unplugged".into()))
            }
        }
        let broken: Arc<dyn HolderSigner> = Arc::new(Broken(key.public()));
        let keys: HolderKeys = [broken].into_iter().collect();
        let url = format!("stoq://{}/", world.server.local_addr().unwrap());
        let client = world.client(from_ref(&held), keys.clone());
        let error = client.connect(&format!("{url}files")).await.unwrap_err();
        assert_eq!(error.code(), Code::INTERNAL);
        assert!(error.to_string().contains("unplugged"), "{error}");
        let connection = client.connect_to(&url.parse().unwrap()).await.unwrap();
        let mut request = Request::new(service("files"));
        request.access_tokens = vec![held];
        request.holders = keys;
        let error = connection.open_session(request).await.unwrap_err();
        assert!(
            matches!(error, OpenError::NotProven(SignError::Device(_))),
            "{error}"
        );
        assert!(connection.is_open());
        world.close().await;
    })
    .await;
}
