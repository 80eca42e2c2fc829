//! Tokens and proofs through a relay, which verifies its own and passes the others on.

use super::*;
use stoq_native::relay_auths;

/// A relay in front of the target, which wants a token for itself.
async fn relay(relay: Endpoint, target: Target, trust: Trust) {
    let client = Endpoint::client(ClientConfig::new(trust)).unwrap();
    let connection = client.connect_to(&target).await.unwrap();
    while let Some(request) = relay.accept().await {
        let mut onward = Request::new(request.service().clone());
        onward.random = request.random();
        onward.access_tokens = request.access_tokens().to_vec();
        let there = match connection.open_session(onward).await {
            Ok(there) => there,
            Err(OpenError::Refused { code, reason }) => {
                request.refuse(code, &reason);
                continue;
            }
            Err(other) => panic!("{other}"),
        };
        let answer = stoq_native::Answer::new(there.random(), 1000);
        let Ok(here) = request.accept_with(answer).await else {
            continue;
        };
        assert_eq!(here.hash(), there.hash());
        tokio::spawn(async move {
            let streams = async {
                while let Ok((mut send, mut receive)) = here.accept_bi().await {
                    let (mut onward, mut back) = there.open_bi().await.unwrap();
                    // Held at the target as long as the proof is missing.
                    tokio::spawn(async move {
                        let asked = receive.read_to_end(64).await.unwrap();
                        onward.write_all(&asked).await.unwrap();
                        onward.finish().unwrap();
                        if let Ok(answer) = back.read_to_end(64).await {
                            send.write_all(&answer).await.unwrap();
                            send.finish().unwrap();
                        }
                    });
                }
            };
            let closes = async {
                tokio::select! {
                    closed = there.closed() => here.close(closed.code, &closed.reason),
                    closed = here.closed() => there.close(closed.code, &closed.reason),
                }
            };
            tokio::join!(streams, relay_auths(&here, &there), closes);
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_on_the_way_takes_its_own_token_and_proof() {
    within(async {
        let far = world();
        let near = world();
        near.served.abort();
        let target: Target = format!("stoq://{}/", far.server.local_addr().unwrap())
            .parse()
            .unwrap();
        let relaying = tokio::spawn(relay(near.server.clone(), target, far.trust.clone()));

        let (key, other) = (
            Arc::new(HolderKeyPair::generate()),
            Arc::new(HolderKeyPair::generate()),
        );
        let held = |world: &World, key: &HolderKeyPair| {
            let holder = Some(key.public());
            world.signed(|token| token.holder = holder)
        };
        let (for_relay, for_target) = (held(&near, &key), held(&far, &other));
        let tokens = [for_relay.clone(), for_target.clone()];
        near.admitted(&tokens, holders(&[&key, &other])).await;

        // Without one of the tokens, each says it for itself.
        let keys = || holders(&[&key, &other]);
        let without = near.by_settings(from_ref(&for_target), keys()).await;
        assert_eq!(without.map(drop), Err(Code::TOKEN_AUDIENCE));
        let without = near.by_headers(from_ref(&for_relay), keys()).await;
        assert_eq!(without.map(drop), Err(Code::TOKEN_AUDIENCE));
        assert_eq!(near.refusals(Code::TOKEN_AUDIENCE), 1);
        assert_eq!(far.refusals(Code::TOKEN_AUDIENCE), 1);

        // The target's proof is the only one that does not hold: the client is told why, through the relay.
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
        let mut keys = holders(&[&key]);
        keys.push(Arc::new(Impostor(
            other.public(),
            HolderKeyPair::generate(),
        )));
        let wrong = near.by_headers(&tokens, keys.clone()).await;
        assert_eq!(wrong.map(drop), Err(Code::HOLDER_WRONG));
        let wrong = near.by_settings(&tokens, keys).await;
        assert_eq!(wrong.map(drop), Err(Code::HOLDER_WRONG));
        assert_eq!(far.refusals(Code::HOLDER_WRONG), 2);
        assert_eq!(near.refusals(Code::HOLDER_WRONG), 0);

        relaying.abort();
        near.server.close(Code::NO_ERROR, "");
        far.close().await;
    })
    .await;
}
