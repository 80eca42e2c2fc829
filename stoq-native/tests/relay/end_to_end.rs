//! What both ends do with each other and relays do not look at: proofs of access tokens, verified streams, messages, seeds.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use stoq_native::{
    AccessRules, AccessToken, ChannelConfig, Code, FalconSigner as _, HolderKeyPair, HolderKeys,
    Item, Priority, Seed, SeedEvent, SeedNode, SeedPriority, UnixMicros, Verifier, fresh_nonce,
    issue_access_token,
};

use crate::chain::{CLIENT, Chain, STRANGER, TARGET, client, id, key, pattern, service, within};

/// A token for the target, whose holder has this key.
fn token(holder: &HolderKeyPair) -> Bytes {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap().as_micros() as u64;
    let token = AccessToken {
        issuer: id(STRANGER),
        audience: id(TARGET),
        nonce: fresh_nonce(),
        not_before: UnixMicros(now - 60_000_000),
        expiry: UnixMicros(now + 60_000_000),
        holder: Some(holder.public()),
        subject: "alice".into(),
        service: service(),
        permissions: vec!["read".into()],
    };
    let issued = issue_access_token(token, &*key(STRANGER)).unwrap();
    issued.encode().into()
}

#[tokio::test]
async fn tokens_and_the_proofs_of_their_holders_reach_the_target() {
    within(async {
        let chain = Chain::new(3);
        let verifier = Verifier::new(id(TARGET), [key(STRANGER).verifying_key().clone()]);
        let rules = AccessRules::new(verifier).require(service(), Some("read"));
        chain.target.set_access(Some(rules)).unwrap();
        let holder = Arc::new(HolderKeyPair::generate());
        let first = (1, chain.first());
        let enter = async |tokens: Vec<Bytes>, keys: HolderKeys| {
            let client = client(&[first], |config| {
                config.access_tokens = tokens;
                config.holders = keys;
            });
            let url = chain.url();
            let session = client.connect_with(&url, chain.route()).await;
            session.map_err(|error| error.code())
        };
        let held = token(&holder);
        let mut keys = HolderKeys::new();
        keys.push(holder);
        let accept = async { chain.target.accept().await.unwrap().accept().await };
        let (entered, accepted) = tokio::join!(enter(vec![held.clone()], keys.clone()), accept);
        let (entered, accepted) = (entered.unwrap(), accepted.unwrap());
        assert_eq!(entered.hash(), accepted.hash());
        assert_eq!(accepted.access().unwrap().subject(), "alice");

        let refused = enter(vec![], HolderKeys::new()).await;
        assert_eq!(refused.map(drop), Err(Code::TOKEN_REQUIRED));
        // The target's close comes through all relays, as soon as it has waited long enough for the proof.
        let accept = async { chain.target.accept().await.unwrap().accept().await };
        let (entered, accepted) = tokio::join!(enter(vec![held], HolderKeys::new()), accept);
        assert_eq!(accepted.unwrap_err().code, Code::HOLDER_MISSING);
        match entered {
            Ok(session) => assert_eq!(session.closed().await.code, Code::HOLDER_MISSING),
            Err(code) => assert_eq!(code, Code::HOLDER_MISSING),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verified_streams_messages_and_seeds_go_through_three_relays() {
    within(async {
        let chain = Chain::new(3);
        let (near, far) = chain.session().await;
        let data = Bytes::from(pattern(3_000_000));
        let mut asks = ChannelConfig::default()
            .signed_by(key(CLIENT))
            .from_origins([id(TARGET)]);
        asks.priority = Some(Priority {
            urgency: 1,
            incremental: false,
        });
        let answers = ChannelConfig::default()
            .signed_by(key(TARGET))
            .from_origins([id(CLIENT)]);
        let echo = async {
            let (mut send, mut receive) = far.accept_verified_bi(&answers).await.unwrap();
            while let Some(item) = receive.next().await.unwrap() {
                if let Item::Data { data, .. } = item {
                    send.write(data).await.unwrap();
                }
            }
            assert_eq!(receive.signer(), Some(id(CLIENT)));
            send.finish().await.unwrap();
        };
        let (mut send, mut receive) = near.open_verified_bi(&asks).await.unwrap();
        let ask = async {
            send.write(data.clone()).await.unwrap();
            send.finish().await.unwrap();
        };
        let ((), (), read) = tokio::join!(echo, ask, receive.read_to_end(data.len()));
        assert!(read.unwrap() == data);
        assert_eq!(receive.signer(), Some(id(TARGET)));

        for (from, to) in [(&near, &far), (&far, &near)] {
            let message = data.slice(..20_000);
            // Shards are datagrams, of which even this machine may lose some.
            let arrived = loop {
                from.send_message(message.clone()).await.unwrap();
                tokio::select! {
                    arrived = to.recv_message() => break arrived.unwrap(),
                    () = tokio::time::sleep(std::time::Duration::from_millis(500)) => {}
                }
            };
            assert!(arrived == message);
        }

        for (content, from, to) in [(1, &near, &far), (2, &far, &near)] {
            let mut seed = Seed {
                content: [content; 32],
                replication: 2,
                priority: SeedPriority::Critical,
                nodes: vec![SeedNode {
                    id: id(STRANGER),
                    address: std::net::Ipv6Addr::LOCALHOST,
                    port: 4433,
                    reliability: 100,
                }],
            };
            from.send_seed(&seed).await.unwrap();
            let told = to.next_seed_event().await;
            assert_eq!(told, Ok(SeedEvent::Announced(seed.clone())));
            seed.nodes.clear();
            from.send_seed(&seed).await.unwrap();
            let told = to.next_seed_event().await;
            assert_eq!(told, Ok(SeedEvent::Changed(seed)));
        }
    })
    .await;
}
