//! Who verifies datagrams reads the same stream as who asks for seeds.

use stoq_core::frame::{FalconKey, Frame, Seed, SeedPriority};
use stoq_core::identity::SignatureAlgorithm;
use stoq_core::seeds::SeedEvent;
use stoq_core::time::UnixMicros;

use crate::{ClientConfig, Endpoint, Identity, ServerConfig, Session, Trust};

async fn session() -> (Endpoint, Session, Session) {
    let identity = Identity::self_signed(["localhost"]).unwrap();
    let trust = Trust::CertificateHashes(vec![identity.certificate_hash()]);
    let mut server = ServerConfig::new(identity);
    server.framed_streams = true;
    let server = Endpoint::server("[::1]:0".parse().unwrap(), server).unwrap();
    let client = Endpoint::client(ClientConfig::new(trust)).unwrap();
    let url = format!("stoq://{}/test", server.local_addr().unwrap());
    let accept = async { server.accept().await.unwrap().accept().await.unwrap() };
    let (client, accepted) = tokio::join!(client.connect(&url), accept);
    (server, client.unwrap(), accepted)
}

fn encode(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}

#[tokio::test]
async fn seeds_and_signatures_reach_those_who_wait_for_them() {
    let (_server, from, to) = session().await;
    let key = |byte| {
        encode(&Frame::FalconKey(FalconKey {
            algorithm: SignatureAlgorithm(1),
            key: &[byte; 1793],
            created: UnixMicros(0),
        }))
    };
    let seed = |content| Seed {
        content: [content; 32],
        replication: 1,
        priority: SeedPriority::Low,
        nodes: vec![],
    };
    // Each waits while the other reads, whoever came first.
    let mut signatures = tokio::task::JoinSet::new();
    let mut seeds = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let (one, other) = (to.clone(), to.clone());
        signatures.spawn(async move { one.next_signature_frame().await.unwrap().unwrap() });
        seeds.spawn(async move { other.next_seed_event().await.unwrap() });
        tokio::task::yield_now().await;
    }
    let frames = [key(1), encode(&Frame::Seed(seed(1))), key(2)].concat();
    from.announce_frames(&frames).await.unwrap();
    from.send_seed(&seed(2)).await.unwrap();
    let mut keys = signatures.join_all().await;
    keys.sort();
    assert_eq!(keys, [key(1), key(2)]);
    let mut announced = Vec::new();
    for event in seeds.join_all().await {
        match event {
            SeedEvent::Announced(seed) => announced.push(seed.content[0]),
            other => panic!("{other:?}"),
        }
    }
    announced.sort_unstable();
    assert_eq!(announced, [1, 2]);
}
