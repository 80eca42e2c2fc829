//! The gateway among relays: before some, behind none, and beside one of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use stoq_core::close::Code;
use stoq_gateway::config::{self, Route, Signer};
use stoq_gateway::{Config, Gateway};
use stoq_native::relay::{NextHop, Relay, RelayConfig};
use stoq_native::{
    ClientConfig, ClientPolicy, ClientTrust, ConnectError, ConnectOptions, Endpoint, FalconId,
    FalconKey, Identity, Pins,
};

use crate::page::{Asking, Page, Refusal};
use crate::target::{Target, echo};
use crate::{at_rest, noise, until, within};

/// Keys of a gateway, a relay and a target, and the target.
struct World {
    gateway: Arc<FalconKey>,
    relay: Arc<FalconKey>,
    target_id: FalconId,
    target: Target,
}

impl World {
    async fn new() -> Self {
        let [gateway, relay, target] = [(); 3].map(|()| Arc::new(FalconKey::generate()));
        Self {
            gateway,
            relay,
            target_id: target.id(),
            target: Target::start_with(|config| config.identity = identity(&target)).await,
        }
    }

    /// A gateway with an identity, whose service `echo` is at `upstream`.
    fn config(&self, upstream: SocketAddr, id: FalconId) -> Config {
        let mut config = crate::config(&self.target, &[]);
        config.identity = Some(Signer::new(self.gateway.clone()));
        let pins = Pins::new().pin(&upstream.to_string(), id).unwrap();
        let url = format!("stoq://{upstream}");
        let route = Route::new("echo".parse().unwrap(), url.parse().unwrap(), pins);
        config.routes.push(route);
        config
    }

    /// A relay that takes requests from the gateway and knows where `echo` is.
    fn relay(&self) -> Relay {
        let clients = ClientTrust::Ids([self.gateway.id()].into());
        let mut config = RelayConfig::new(identity(&self.relay), ClientPolicy::Require(clients));
        config.next_hops = vec![self.next()];
        config
            .services
            .insert("echo".parse().unwrap(), self.target_id);
        Relay::bind("127.0.0.1:0".parse().unwrap(), config).unwrap()
    }

    fn next(&self) -> NextHop {
        NextHop::new(self.target_id, &self.target.address().to_string()).unwrap()
    }

    /// A page's session, through whatever its gateway and its own words say, which must carry bytes both ways.
    async fn works(&self, gateway: &Gateway, asking: Asking, hops: &[FalconId]) {
        let (page, session) = tokio::join!(Page::ask(gateway, asking), self.target.accept());
        let page = page.unwrap();
        assert_eq!(page.hash, *session.hash().as_bytes());
        for chain in [page.hops.as_ref(), session.hops()] {
            let ids: Vec<_> = chain.unwrap().hops.iter().map(|hop| hop.id).collect();
            assert_eq!(ids, hops);
        }
        let serving = tokio::spawn(echo(session));
        let (mut send, mut receive) = page.open_bi().await;
        let data = noise(100_000);
        let sending = async {
            send.write_all(&data).await.unwrap();
            send.quic_stream_mut().finish().unwrap();
        };
        let (back, ()) = tokio::join!(crate::page::read_to_end(&mut receive), sending);
        assert!(back.unwrap() == data);
        page.close(Code::NO_ERROR, "");
        serving.await.unwrap();
    }
}

fn identity(key: &Arc<FalconKey>) -> Identity {
    Identity::falcon(key.clone(), ["localhost"]).unwrap()
}

fn asking(route: &[FalconId], max_hops: Option<u8>) -> Asking {
    Asking {
        route: route.to_vec(),
        max_hops,
        ..Asking::path("/stoq/v1/echo")
    }
}

async fn refused(gateway: &Gateway, asking: Asking) -> Code {
    match Page::ask(gateway, asking).await {
        Err(Refusal::InBand(code, _)) => code,
        Err(Refusal::Carrier) => panic!("no carrier"),
        Ok(_) => panic!("it was let through"),
    }
}

#[tokio::test]
async fn a_gateway_with_an_identity_stands_in_the_chain() {
    within(async {
        let world = World::new().await;
        let mut config = world.config(world.target.address(), world.target_id);
        config.hops.metadata = vec![("region".into(), "eu".into())];
        config.hops.address = Some("192.0.2.1:443".parse().unwrap());
        let gateway = Gateway::bind(config).await.unwrap();
        world
            .works(&gateway, asking(&[], None), &[world.gateway.id()])
            .await;
        let (page, session) =
            tokio::join!(Page::open(&gateway, "/stoq/v1/echo"), world.target.accept());
        let chain = page.unwrap().hops.unwrap();
        assert_eq!(Some(&chain), session.hops());
        assert_eq!((chain.max_hops, chain.hops[0].port), (8, 443));
        assert_eq!(chain.hops[0].address.to_string(), "::ffff:192.0.2.1");
        assert_eq!(chain.hops[0].metadata, [("region".into(), "eu".into())]);
        let too_far = refused(&gateway, asking(&[], Some(0))).await;
        assert_eq!(too_far, Code::TOO_MANY_HOPS);
        assert_eq!(gateway.metrics().refused.hops, 1);
    })
    .await;
}

#[tokio::test]
async fn a_route_of_the_gateway_goes_through_relays() {
    within(async {
        let world = World::new().await;
        let last = world.relay();
        // The first relay knows the last one, and nothing of the service.
        let first_key = Arc::new(FalconKey::generate());
        let clients = ClientPolicy::Require(ClientTrust::Ids([world.gateway.id()].into()));
        let mut config = RelayConfig::new(identity(&first_key), clients);
        config.next_hops =
            vec![NextHop::new(last.falcon_id(), &last.local_addr().to_string()).unwrap()];
        let first = Relay::bind("127.0.0.1:0".parse().unwrap(), config).unwrap();
        let mut config = world.config(first.local_addr(), first_key.id());
        config.routes[0].via = vec![last.falcon_id()];
        let gateway = Gateway::bind(config).await.unwrap();
        // The last one takes nothing from the first: it does not trust it.
        assert_eq!(
            refused(&gateway, asking(&[], None)).await,
            Code::UPSTREAM_UNREACHABLE
        );

        // With one relay, which does.
        let config = world.config(last.local_addr(), last.falcon_id());
        let gateway = Gateway::bind(config).await.unwrap();
        let hops = [world.gateway.id(), last.falcon_id()];
        world.works(&gateway, asking(&[], None), &hops).await;
        assert_eq!(
            refused(&gateway, asking(&[], Some(1))).await,
            Code::TOO_MANY_HOPS
        );
        until(&gateway, at_rest).await;
        while last.stats().sessions_open > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_route_through_two_relays_is_gone_to_its_end() {
    within(async {
        let world = World::new().await;
        let first_key = Arc::new(FalconKey::generate());
        let last_clients = ClientTrust::Ids([first_key.id()].into());
        let mut config =
            RelayConfig::new(identity(&world.relay), ClientPolicy::Require(last_clients));
        config.next_hops = vec![world.next()];
        config
            .services
            .insert("echo".parse().unwrap(), world.target_id);
        let last = Relay::bind("127.0.0.1:0".parse().unwrap(), config).unwrap();
        let clients = ClientTrust::Ids([world.gateway.id()].into());
        let mut config = RelayConfig::new(identity(&first_key), ClientPolicy::Require(clients));
        config.next_hops =
            vec![NextHop::new(last.falcon_id(), &last.local_addr().to_string()).unwrap()];
        let first = Relay::bind("127.0.0.1:0".parse().unwrap(), config).unwrap();
        let mut config = world.config(first.local_addr(), first_key.id());
        config.routes[0].via = vec![last.falcon_id()];
        let gateway = Gateway::bind(config).await.unwrap();
        let hops = [world.gateway.id(), first_key.id(), last.falcon_id()];
        world.works(&gateway, asking(&[], None), &hops).await;
    })
    .await;
}

#[tokio::test]
async fn a_page_goes_only_to_relays_that_the_gateway_lists() {
    within(async {
        let world = World::new().await;
        let relay = world.relay();
        let own = world.gateway.id();
        let route = || asking(&[world.relay.id()], None);
        let closed = world.config(world.target.address(), world.target_id);
        let gateway = Gateway::bind(closed.clone()).await.unwrap();
        assert_eq!(refused(&gateway, route()).await, Code::NEXT_HOP);
        assert_eq!(gateway.metrics().refused.hops, 1);
        assert_eq!(
            gateway.metrics().upstream_connections,
            0,
            "nobody was asked"
        );

        let mut open = closed;
        let at = relay.local_addr().to_string();
        open.hops.next = vec![NextHop::new(world.relay.id(), &at).unwrap()];
        let gateway = Gateway::bind(open).await.unwrap();
        world
            .works(&gateway, route(), &[own, world.relay.id()])
            .await;
        for (route, code) in [
            (&[world.target_id][..], Code::NEXT_HOP),
            (&[world.relay.id(), own], Code::HOP_LOOP),
            (&[world.relay.id(), world.relay.id()], Code::HOP_LOOP),
            (&[world.relay.id(), FalconId::new([9; 32])], Code::NEXT_HOP),
        ] {
            assert_eq!(
                refused(&gateway, asking(route, None)).await,
                code,
                "{route:?}"
            );
        }
        let too_far = asking(&[world.relay.id()], Some(1));
        assert_eq!(refused(&gateway, too_far).await, Code::TOO_MANY_HOPS);
    })
    .await;
}

#[tokio::test]
async fn a_relay_runs_beside_the_gateway_and_drains_with_it() {
    within(async {
        let world = World::new().await;
        let mut config = world.config(world.target.address(), world.target_id);
        let mut relay = config::Relay::new("127.0.0.1:0".parse().unwrap(), ClientPolicy::Off);
        relay.next = vec![world.next()];
        relay
            .services
            .insert("echo".parse().unwrap(), world.target_id);
        config.relay = Some(relay);
        let gateway = Gateway::bind(config).await.unwrap();
        let address = gateway.relay_addr().unwrap();
        let pins = Pins::new()
            .pin(&address.to_string(), world.gateway.id())
            .unwrap();
        let client = Endpoint::client(ClientConfig::new(pins)).unwrap();
        let url = format!("stoq://{address}/echo");
        let (near, far) = tokio::join!(client.connect(&url), world.target.accept());
        let near = near.unwrap();
        assert_eq!(near.hash(), far.hash());
        assert_eq!(near.hops().unwrap().hops[0].id, world.gateway.id());
        let counted = gateway.metrics().relay.unwrap();
        assert_eq!((counted.sessions_open, counted.connections), (1, 1));

        let mut options = ConnectOptions::default();
        options.route = vec![world.relay.id()];
        let elsewhere = client.connect_with(&url, options).await;
        assert!(
            matches!(
                elsewhere,
                Err(ConnectError::Refused {
                    code: Code::NEXT_HOP,
                    ..
                })
            ),
            "{elsewhere:?}"
        );
        assert_eq!(gateway.metrics().relay.unwrap().refused_next_hop, 1);

        let leave = async {
            assert_eq!(near.connection().going_away().await.code, Code::GOING_AWAY);
            near.close(Code::new(3), "in time");
            assert_eq!(far.closed().await.code, Code::new(3));
        };
        let (drained, ()) = tokio::join!(gateway.shutdown(Duration::from_secs(20)), leave);
        assert_eq!((drained.ended, drained.cut), (0, 0), "sessions of pages");
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_among_relays_is_named() {
    let world = World::new().await;
    let own = world.gateway.id();
    let listed = |id| NextHop::new(id, "h:1").unwrap();
    let other = FalconId::new([9; 32]);
    type Change = Box<dyn Fn(&mut Config)>;
    let changes: [(Change, &str); 7] = [
        (Box::new(|config| config.hops.max = 0), "hops.max = \"0\""),
        (
            Box::new(|config| config.hops.metadata = vec![(String::new(), String::new()); 9]),
            "hops.metadata",
        ),
        (
            Box::new(move |config| config.hops.next = vec![listed(own)]),
            "hops.next[0].id",
        ),
        (
            Box::new(move |config| config.hops.next = vec![listed(other); 2]),
            "hops.next[1].id",
        ),
        (
            Box::new(move |config| config.routes[0].via = vec![other, other]),
            "route[0].via",
        ),
        (
            Box::new(move |config| {
                config.routes[0].via = vec![other];
                config.routes[0].policy = stoq_native::Trust::SystemRoots.into();
            }),
            "route[0].via",
        ),
        (
            Box::new(|config| {
                config.identity = None;
                let at = "127.0.0.1:0".parse().unwrap();
                config.relay = Some(config::Relay::new(at, ClientPolicy::Off));
            }),
            "relay = ",
        ),
    ];
    for (change, setting) in changes {
        let mut config = world.config(world.target.address(), world.target_id);
        change(&mut config);
        let error = Gateway::bind(config).await.unwrap_err().to_string();
        assert!(error.starts_with(setting), "{error}");
    }
}

#[test]
fn the_tables_of_the_file_become_settings() {
    let id = FalconId::new([9; 32]);
    let text = format!(
        r#"
        listen = "[::]:4433"
        certificate = {{ names = ["localhost"] }}
        [hops]
        max = 3
        address = "192.0.2.1:443"
        metadata = {{ region = "eu" }}
        [[hops.next]]
        id = "{id}"
        address = "relay.example.org:1"
        name = "the next"
        [relay]
        listen = "[::]:4434"
        clients = ["{id}"]
        open = true
        [[relay.next]]
        id = "{id}"
        address = "files.example.org:2"
        [relay.services]
        files = "{id}"
        [[route]]
        service = "echo"
        upstream = "stoq://h:1"
        falcon = ["{id}"]
        via = ["{id}"]
        "#
    );
    let config = Config::from_toml(&text, std::path::Path::new("")).unwrap();
    assert_eq!(config.hops.max, 3);
    assert_eq!(config.hops.address, Some("192.0.2.1:443".parse().unwrap()));
    assert_eq!(config.hops.metadata, [("region".into(), "eu".into())]);
    assert_eq!(config.hops.next[0].target.host, "relay.example.org");
    assert_eq!(config.hops.next[0].name.as_deref(), Some("the next"));
    let relay = config.relay.unwrap();
    assert_eq!(
        relay.clients,
        ClientPolicy::Prefer(ClientTrust::Ids([id].into()))
    );
    assert_eq!(relay.next[0].target.port, 2);
    assert_eq!(relay.services[&"files".parse().unwrap()], id);
    assert_eq!(config.routes[0].via, [id]);
}
