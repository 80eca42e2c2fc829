//! Endpoints in one runtime, used from another.

use tokio::runtime::Runtime;

use crate::harness::{Peers, echo, within};

#[test]
fn a_connection_outlives_the_runtime_that_asked_for_it() {
    let home = Runtime::new().unwrap();
    let peers = home.block_on(async {
        let peers = Peers::new();
        let server = peers.server.clone();
        tokio::spawn(async move {
            while let Some(request) = server.accept().await {
                tokio::spawn(async move { echo(request.accept().await.unwrap()).await });
            }
        });
        peers
    });

    let visited = Runtime::new().unwrap();
    let (session, shared) = visited.block_on(within(async {
        let session = peers.client.connect(&peers.url("echo")).await.unwrap();
        // So that the socket is asked for here too.
        peers.client.rebind().unwrap();
        (session, peers.connection().await)
    }));
    drop(visited);

    home.block_on(within(async {
        assert_eq!(session.connection().runtime().id(), home.handle().id());
        assert!(shared.takes_sessions());
        let (mut send, mut receive) = session.open_bi().await.unwrap();
        send.write_all(b"still here").await.unwrap();
        send.finish().unwrap();
        assert_eq!(receive.read_to_end(100).await.unwrap(), b"still here");
        drop((session, shared));
        peers.close().await;
    }));
}
