//! Connections to a next hop that is asked for a sign of life, because its answer is late.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use stoq_core::session::MAX_PINGS;
use stoq_native::relay::{OpenFailure, Pool, PoolSettings};
use stoq_native::{Code, PingError, Request};

use crate::harness::{Peers, service, waits, within};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);

fn pool(peers: &Peers) -> Arc<Pool> {
    let settings = PoolSettings {
        target: peers.url("").parse().unwrap(),
        identity: None,
        sessions_per_connection: 64.try_into().unwrap(),
        answer_timeout: ANSWER_TIMEOUT,
    };
    Arc::new(Pool::new(peers.client.clone(), settings))
}

#[tokio::test]
async fn a_next_hop_on_which_much_is_pinged_is_not_taken_for_gone() {
    within(async {
        let peers = Peers::new();
        let pool = pool(&peers);
        let accept = async { peers.server.accept().await.unwrap().accept().await.unwrap() };
        let open = pool.open(Request::new(service("test")), false);
        let (lease, accepted) = tokio::join!(open, accept);
        let lease = lease.unwrap();

        let mut late = Box::pin(pool.open(Request::new(service("test")), false));
        let unanswered = tokio::select! {
            request = peers.server.accept() => request.unwrap(),
            early = &mut late => panic!("{early:?}"),
        };
        // The clock goes on only where the test says so: not as long as a blocking task runs.
        let (release, blocked) = mpsc::channel::<()>();
        let blocking = tokio::task::spawn_blocking(move || blocked.recv());
        tokio::time::pause();
        // The pool sees that it is time to ask only when it is polled, which is after these were asked for.
        tokio::time::advance(ANSWER_TIMEOUT * 3 / 4).await;
        let mut pings: Vec<_> = (0..=MAX_PINGS).map(|_| Box::pin(lease.ping())).collect();
        for ping in &mut pings {
            assert!(waits(ping.as_mut()).await);
        }
        assert!(waits(late.as_mut()).await);
        let limit = MAX_PINGS;
        let one_more = pings.pop().unwrap().await;
        assert_eq!(one_more, Err(PingError::TooMany { limit }));
        for ping in pings {
            ping.await.unwrap();
        }
        assert!(waits(late.as_mut()).await);
        tokio::time::advance(ANSWER_TIMEOUT).await;
        let failure = late.await.unwrap_err();
        assert_eq!(failure, OpenFailure::Unreachable("no answer".into()));
        tokio::time::resume();
        drop(release);
        blocking.await.unwrap().unwrap_err();
        unanswered.refuse(Code::LIMIT, "");

        let accept = async { peers.server.accept().await.unwrap().accept().await.unwrap() };
        let open = pool.open(Request::new(service("test")), false);
        let (next, other) = tokio::join!(open, accept);
        assert_eq!(peers.client.stats().connections_opened, 1);
        drop((next.unwrap(), other, lease, accepted));
        // QUIC takes the time that went by for the length of the way, and would wait three times as long for the last packets.
    })
    .await;
}
