//! A client, relays in a row, and a target.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use stoq_native::relay::{NextHop, Relay, RelayConfig, RelayStats};
use stoq_native::{
    ClientConfig, ClientPolicy, ClientTrust, ConnectOptions, Endpoint, FalconId, FalconKey,
    Identity, KeepAlive, Pins, PqPolicy, Request, ServerConfig, ServiceName, Session, Target,
};

use tokio::runtime::Runtime;

/// Fails a test that waits for something that does not come.
pub(crate) async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), test)
        .await
        .expect("the test waits for something that does not come")
}

/// Waits for what no event announces.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

/// Bytes that differ from place to place.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

/// Who can take part: making a key takes longer than all else that a test does.
static KEYS: LazyLock<[Arc<FalconKey>; 7]> =
    LazyLock::new(|| std::array::from_fn(|_| Arc::new(FalconKey::generate())));

pub(crate) const TARGET: usize = 0;
/// The relays are 1, 2 and 3.
pub(crate) const CLIENT: usize = 4;
pub(crate) const STRANGER: usize = 5;

pub(crate) fn id(who: usize) -> FalconId {
    KEYS[who].id()
}

pub(crate) fn key(who: usize) -> Arc<FalconKey> {
    KEYS[who].clone()
}

pub(crate) fn identity(who: usize) -> Identity {
    Identity::falcon(KEYS[who].clone(), ["localhost"]).unwrap()
}

pub(crate) fn service() -> ServiceName {
    ServiceName::new("test").unwrap()
}

pub(crate) fn any_port() -> SocketAddr {
    "[::1]:0".parse().unwrap()
}

/// A client that finds these where it looks for them.
pub(crate) fn client(
    pins: &[(usize, SocketAddr)],
    change: impl FnOnce(&mut ClientConfig),
) -> Endpoint {
    let pins = pins.iter().fold(Pins::new(), |pins, (who, at)| {
        pins.pin(&at.to_string(), id(*who)).unwrap()
    });
    let mut config = ClientConfig::new(PqPolicy::from(pins));
    config.framed_streams = true;
    change(&mut config);
    Endpoint::client(config).unwrap()
}

/// A relay that forwards to `next` and takes requests without a route there, too.
pub(crate) fn relay(
    who: usize,
    next: &[(usize, SocketAddr)],
    change: impl FnOnce(&mut RelayConfig),
) -> Relay {
    let clients = ClientPolicy::Prefer(ClientTrust::Ids(BTreeSet::from_iter((0..5).map(id))));
    let mut config = RelayConfig::new(identity(who), clients);
    for (who, at) in next {
        let hop = NextHop::new(id(*who), &at.to_string()).unwrap();
        config.next_hops.push(hop);
        config.services.insert(service(), id(*who));
    }
    change(&mut config);
    Relay::bind(any_port(), config).unwrap()
}

/// A target that is asked by relays.
pub(crate) fn target(change: impl FnOnce(&mut ServerConfig)) -> Endpoint {
    let mut config = ServerConfig::new(identity(TARGET));
    config.framed_streams = true;
    let trusted = BTreeSet::from_iter((0..5).map(id));
    config.clients = ClientPolicy::Prefer(ClientTrust::Ids(trusted));
    change(&mut config);
    Endpoint::server(any_port(), config).unwrap()
}

/// A client, as many relays in a row as it says, and a target.
pub(crate) struct Chain {
    pub(crate) client: Endpoint,
    pub(crate) relays: Vec<Relay>,
    pub(crate) target: Endpoint,
}

impl Chain {
    pub(crate) fn new(relays: usize) -> Self {
        Self::with(relays, |_| {})
    }

    pub(crate) fn with(count: usize, change: impl FnMut(&mut RelayConfig)) -> Self {
        Self::apart(count, change, None)
    }

    /// With one of the relays in a runtime of its own, which can be taken away.
    pub(crate) fn apart(
        count: usize,
        mut change: impl FnMut(&mut RelayConfig),
        apart: Option<(usize, &Runtime)>,
    ) -> Self {
        let target = target(|_| {});
        let mut next = (TARGET, target.local_addr().unwrap());
        let mut relays = Vec::new();
        for who in (1..=count).rev() {
            let _guard = apart.and_then(|(other, runtime)| (other == who).then(|| runtime.enter()));
            let relay = relay(who, &[next], &mut change);
            next = (who, relay.local_addr());
            relays.insert(0, relay);
        }
        Self {
            client: client(&[next], |config| {
                // The relays may have less patience than clients have.
                config.transport.keep_alive = KeepAlive::Every(Duration::from_millis(150));
            }),
            relays,
            target,
        }
    }

    /// The relays behind the first.
    pub(crate) fn route(&self) -> ConnectOptions {
        let mut options = ConnectOptions::default();
        options.route = (2..=self.relays.len()).map(id).collect();
        options
    }

    pub(crate) fn first(&self) -> SocketAddr {
        match self.relays.first() {
            Some(relay) => relay.local_addr(),
            None => self.target.local_addr().unwrap(),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("stoq://{}/test", self.first())
    }

    async fn accept(&self) -> Session {
        self.target.accept().await.unwrap().accept().await.unwrap()
    }

    /// Both ends of a session on a connection of its own.
    pub(crate) async fn session(&self) -> (Session, Session) {
        let url = self.url();
        let connect = self.client.connect_with(&url, self.route());
        let (client, target) = tokio::join!(connect, self.accept());
        (client.unwrap(), target)
    }

    /// Both ends of a session that is multiplexed on a connection.
    pub(crate) async fn multiplexed(&self) -> (Session, Session) {
        let to: Target = self.url().parse().unwrap();
        let connection = self.client.connect_to(&to).await.unwrap();
        let mut request = Request::new(service());
        request.authority = "somewhere.example:1".into();
        request.headers = vec![("lang".into(), "eo".into())];
        request.access_tokens = vec![vec![7; 300].into()];
        request.route = self.route().route;
        let asked = async {
            let asked = self.target.accept().await.unwrap();
            assert_eq!(asked.authority(), request.authority);
            assert_eq!(asked.headers(), request.headers);
            assert_eq!(asked.access_tokens(), request.access_tokens);
            assert_eq!(asked.random(), request.random);
            asked.accept().await.unwrap()
        };
        let (client, target) = tokio::join!(connection.open_session(request.clone()), asked);
        (client.unwrap(), target)
    }

    /// What relay `n` counts, from 1.
    pub(crate) fn stats(&self, n: usize) -> RelayStats {
        self.relays[n - 1].stats()
    }
}
