//! Clients that ask for more than their share of what all have in common.

use stoq_native::{Code, Endpoint, OpenError, Request, Session, Target};
use tokio::task::JoinSet;

use crate::chain::{Chain, service, until, within};

/// Takes every session, and sends back what comes on streams.
async fn echo(target: Endpoint) {
    let mut sessions = JoinSet::new();
    while let Some(request) = target.accept().await {
        sessions.spawn(async move {
            let Ok(session) = request.accept().await else {
                return;
            };
            while let Ok((mut send, mut receive)) = session.accept_bi().await {
                if let Ok(all) = receive.read_to_end(100).await {
                    let _ = send.write_all(&all).await;
                    let _ = send.finish();
                }
            }
        });
    }
}

async fn echoes(session: &Session) -> bool {
    let (mut send, mut receive) = session.open_bi().await.unwrap();
    send.write_all(b"still there?").await.unwrap();
    send.finish().unwrap();
    receive.read_to_end(100).await.unwrap() == b"still there?"
}

#[tokio::test]
async fn a_client_that_opens_and_closes_without_end_leaves_others_their_sessions() {
    within(async {
        let chain = Chain::new(1);
        let mut serving = JoinSet::new();
        serving.spawn(echo(chain.target.clone()));
        let modest = chain.client.connect(&chain.url()).await.unwrap();

        let to: Target = chain.url().parse().unwrap();
        let greedy = chain.client.connect_to(&to).await.unwrap();
        let mut opened = 0;
        let refused = loop {
            match greedy.open_session(Request::new(service())).await {
                Ok(session) => session.close(Code::NO_ERROR, ""),
                Err(error) => break error,
            }
            opened += 1;
            // As many as the core would have let one end ask for at once.
            assert!(opened < 2048, "nobody stops it");
        };
        let OpenError::Refused { code, .. } = refused else {
            panic!("{refused}");
        };
        assert_eq!(code, Code::LIMIT);
        assert!(opened >= 170, "its share: {opened}");
        assert_eq!(chain.stats(1).refused_pace, 1);
        until(|| chain.stats(1).sessions_open == 1).await;
        // All went over the connection that the modest client's session is on.
        assert_eq!(chain.stats(1).next_hop_connections, 1);
        assert!(echoes(&modest).await);

        let other = chain.client.connect_to(&to).await.unwrap();
        let other = other.open_session(Request::new(service())).await.unwrap();
        assert!(echoes(&other).await);
    })
    .await;
}
