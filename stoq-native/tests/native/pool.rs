//! Connections that many sessions share: made when needed, replaced when broken, and let go.

use std::net::SocketAddr;
use std::time::Duration;

use stoq_core::session::MAX_PINGS;
use stoq_native::{
    ClientConfig, Code, Endpoint, Identity, OpenError, PingError, Pool, PoolConfig, PoolError,
    PqPolicy, ServerConfig, Session, Trust,
};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::harness::{Peers, until, waits, within};

fn pool(client: &Endpoint, change: impl FnOnce(&mut PoolConfig)) -> Pool {
    let mut config = PoolConfig::default();
    change(&mut config);
    Pool::new(client.clone(), config).unwrap()
}

/// Takes every session and holds it until the client closes it.
fn serve(server: Endpoint) {
    tokio::spawn(async move {
        let mut sessions = JoinSet::new();
        while let Some(request) = server.accept().await {
            let session = request.accept().await;
            sessions.spawn(async move { session.unwrap().closed().await });
        }
    });
}

/// Opens so many sessions at once.
async fn crowd(pool: &Pool, url: &str, size: usize) -> Vec<Session> {
    let mut opening = JoinSet::new();
    for _ in 0..size {
        let (pool, url) = (pool.clone(), url.to_owned());
        opening.spawn(async move { pool.open(&url).await.unwrap() });
    }
    opening.join_all().await
}

/// Ends the session at both ends, as far as the pool can see.
async fn end(session: Session) {
    session.close(Code::NO_ERROR, "");
    session.closed().await;
}

#[tokio::test]
async fn sessions_with_one_peer_share_a_connection() {
    within(async {
        let peers = Peers::new();
        serve(peers.server.clone());
        let pool = pool(&peers.client, |_| ());
        let url = peers.url("test");
        // All but one wait for a connection that is being made.
        let sessions = crowd(&pool, &url, 20).await;
        let stats = pool.stats();
        assert_eq!((stats.connections, stats.connected), (1, 1));
        assert_eq!((stats.opened, stats.shared), (20, 19));
        assert_eq!(peers.server.open_connections(), 1);
        drop(sessions);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_connection_has_as_many_sessions_as_it_may_and_as_the_peer_takes() {
    within(async {
        for (own, peer) in [(2, 64), (64, 2)] {
            let peers = Peers::with(|server, _| server.transport.limits.max_sessions = peer);
            serve(peers.server.clone());
            let pool = pool(&peers.client, |config| {
                config.sessions_per_connection = own.try_into().unwrap();
            });
            let mut sessions = Vec::new();
            for _ in 0..5 {
                sessions.push(pool.open(&peers.url("test")).await.unwrap());
            }
            assert_eq!(pool.stats().connections, 3, "{own} {peer}");
            drop(sessions);
            peers.close().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_crowd_finds_places_however_few_a_connection_has() {
    within(async {
        let peers = Peers::with(|server, _| server.transport.limits.max_sessions = 1);
        serve(peers.server.clone());
        let pool = pool(&peers.client, |_| ());
        let sessions = crowd(&pool, &peers.url("test"), 8).await;
        assert_eq!(pool.stats().connections, sessions.len());
        drop(sessions);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_crowd_asks_a_silent_connection_for_one_sign_of_life() {
    within(async {
        let peers = Peers::new();
        serve(peers.server.clone());
        let pool = pool(&peers.client, |config| {
            config.check_after = Duration::ZERO;
        });
        end(pool.open(&peers.url("test")).await.unwrap()).await;
        drop(crowd(&pool, &peers.url("test"), 60).await);
        let stats = pool.stats();
        assert_eq!((stats.connected, stats.broken), (1, 0));
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_connection_on_which_much_is_pinged_is_kept() {
    within(async {
        let peers = Peers::new();
        serve(peers.server.clone());
        let pool = pool(&peers.client, |config| {
            config.check_after = Duration::ZERO;
        });
        let url = peers.url("test");
        let session = pool.open(&url).await.unwrap();
        // All of them are asked for before one is sent, and then the pool asks.
        let mut pings: Vec<_> = (0..=MAX_PINGS).map(|_| Box::pin(session.ping())).collect();
        for ping in &mut pings {
            assert!(waits(ping.as_mut()).await);
        }
        pool.open(&url).await.unwrap();
        let one_more = pings.pop().unwrap().await;
        let limit = MAX_PINGS;
        assert_eq!(one_more, Err(PingError::TooMany { limit }));
        for ping in pings {
            ping.await.unwrap();
        }
        let stats = pool.stats();
        assert_eq!((stats.connected, stats.broken), (1, 0));
        drop(session);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn the_least_recently_used_makes_room_and_who_is_in_use_does_not() {
    within(async {
        let identity = Identity::self_signed(["localhost"]).unwrap();
        let trust = Trust::CertificateHashes(vec![identity.certificate_hash()]);
        let start = || {
            let any = "[::1]:0".parse().unwrap();
            let server = Endpoint::server(any, ServerConfig::new(identity.clone())).unwrap();
            serve(server.clone());
            server
        };
        let [a, b, c] = [start(), start(), start()];
        let url = |server: &Endpoint| format!("stoq://{}/test", server.local_addr().unwrap());
        let client = Endpoint::client(ClientConfig::new(trust)).unwrap();
        let pool = pool(&client, |config| config.max_connections = 2);
        for server in [&a, &b, &a] {
            end(pool.open(&url(server)).await.unwrap()).await;
        }
        let to_c = pool.open(&url(&c)).await.unwrap();
        until(|| b.open_connections() == 0).await;
        assert_eq!((a.open_connections(), c.open_connections()), (1, 1));
        assert_eq!(pool.stats().evicted, 1);

        let to_a = pool.open(&url(&a)).await.unwrap();
        let full = pool.open(&url(&b)).await.unwrap_err();
        assert!(matches!(full, PoolError::Full { limit: 2 }), "{full}");
        drop((to_a, to_c));
        client.close(Code::NO_ERROR, "");
        client.wait_idle().await;
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed_after_a_while() {
    within(async {
        let peers = Peers::new();
        serve(peers.server.clone());
        let pool = pool(&peers.client, |config| {
            config.idle_timeout = Duration::from_millis(40);
            config.sessions_per_connection = 1.try_into().unwrap();
        });
        let busy = pool.open(&peers.url("test")).await.unwrap();
        end(pool.open(&peers.url("test")).await.unwrap()).await;
        until(|| peers.server.open_connections() == 1).await;
        // The other one is as old.
        assert_eq!((pool.stats().connections, pool.stats().expired), (1, 1));
        end(busy).await;
        until(|| peers.server.open_connections() == 0).await;
        assert_eq!((pool.stats().connections, pool.stats().expired), (0, 2));
        end(pool.open(&peers.url("test")).await.unwrap()).await;
        assert_eq!(pool.stats().connected, 3);
        peers.close().await;
    })
    .await;
}

/// A server that can be ended, with or without a word, and started again where it was.
struct Mortal {
    identity: Identity,
    address: SocketAddr,
    life: Option<(Runtime, Endpoint)>,
}

impl Mortal {
    fn start() -> Self {
        let mut server = Self {
            identity: Identity::self_signed(["localhost"]).unwrap(),
            address: "[::1]:0".parse().unwrap(),
            life: None,
        };
        server.restart();
        server
    }

    fn restart(&mut self) {
        let runtime = Runtime::new().unwrap();
        let config = ServerConfig::new(self.identity.clone());
        let endpoint = runtime.block_on(async {
            let endpoint = Endpoint::server(self.address, config).unwrap();
            serve(endpoint.clone());
            endpoint
        });
        self.address = endpoint.local_addr().unwrap();
        self.life = Some((runtime, endpoint));
    }

    fn end(&mut self, say_so: bool) {
        let (runtime, endpoint) = self.life.take().unwrap();
        if say_so {
            endpoint.close(Code::GOING_AWAY, "");
            runtime.block_on(endpoint.wait_idle());
        }
        drop(endpoint);
        runtime.shutdown_timeout(Duration::from_secs(10));
    }
}

#[test]
fn a_peer_that_starts_again_is_found_again_and_nobody_notices() {
    let runtime = Runtime::new().unwrap();
    for say_so in [true, false] {
        let mut server = Mortal::start();
        let trust = Trust::CertificateHashes(vec![server.identity.certificate_hash()]);
        let url = format!("stoq://{}/test", server.address);
        let (client, pool) = runtime.block_on(async {
            let client = Endpoint::client(ClientConfig::new(trust)).unwrap();
            let pool = pool(&client, |config| {
                config.check_after = Duration::ZERO;
                // The one that has gone without a word never answers.
                config.check_timeout = Duration::from_millis(300);
            });
            end(pool.open(&url).await.unwrap()).await;
            (client, pool)
        });
        server.end(say_so);
        server.restart();
        runtime.block_on(within(async {
            end(pool.open(&url).await.unwrap()).await;
            assert_eq!(pool.stats().connections, 1);
            assert_eq!(pool.stats().connected, 2);
            client.close(Code::NO_ERROR, "");
            client.wait_idle().await;
        }));
        server.end(true);
    }
}

#[tokio::test]
async fn what_cannot_be_had_is_said_to_all_who_wait() {
    within(async {
        let peers = Peers::with(|_, client| client.connect_timeout = Duration::from_millis(300));
        let pool = pool(&peers.client, |config| {
            config.answer_timeout = Duration::from_millis(100);
        });
        let silent = tokio::net::UdpSocket::bind("[::1]:0").await.unwrap();
        let nobody = format!("stoq://{}/test", silent.local_addr().unwrap());
        let (one, other) = tokio::join!(pool.open(&nobody), pool.open(&nobody));
        for error in [one.unwrap_err(), other.unwrap_err()] {
            assert!(matches!(error, PoolError::Connect(_)), "{error}");
        }
        assert_eq!(pool.stats().connected, 1);
        assert_eq!(pool.stats().connections, 0);

        // Nobody accepts it there.
        let error = pool.open(&peers.url("test")).await.unwrap_err();
        assert!(matches!(error, PoolError::NoAnswer { .. }), "{error}");
        let refuse = async {
            loop {
                let request = peers.server.accept().await.unwrap();
                request.refuse(Code::UNKNOWN_SERVICE, "not here");
            }
        };
        let url = peers.url("test");
        let error = tokio::select! {
            error = pool.open(&url) => error.unwrap_err(),
            never = refuse => never,
        };
        let PoolError::Open(OpenError::Refused { code, .. }) = error else {
            panic!("{error}");
        };
        assert_eq!(code, Code::UNKNOWN_SERVICE);

        let error = pool.open("stoq://localhost:1/").await.unwrap_err();
        assert!(matches!(error, PoolError::NoService { .. }), "{error}");
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_takes_no_multiplexed_sessions_is_not_connected_to_again_and_again() {
    within(async {
        let peers = Peers::with(|server, _| server.transport.limits.max_sessions = 0);
        let pool = pool(&peers.client, |_| ());
        for _ in 0..3 {
            let error = pool.open(&peers.url("test")).await.unwrap_err();
            assert!(matches!(error, PoolError::NoPlace), "{error}");
        }
        assert_eq!(pool.stats().connected, 1);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_no_longer_believed_is_no_longer_shared() {
    within(async {
        let peers = Peers::new();
        serve(peers.server.clone());
        let pool = pool(&peers.client, |_| ());
        let session = pool.open(&peers.url("test")).await.unwrap();
        let nobody = Trust::CertificateHashes(vec![[7; 32]]);
        peers.client.set_policy(PqPolicy::from(nobody)).unwrap();
        let error = pool.open(&peers.url("test")).await.unwrap_err();
        assert!(matches!(error, PoolError::Connect(_)), "{error}");
        drop(session);
        peers.close().await;
    })
    .await;
}
