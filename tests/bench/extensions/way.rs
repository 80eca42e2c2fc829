//! The way to the origin: no relay or some, each on a thread of its own, and a path that can lose datagrams in front.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::channel;

use stoq_native::relay::{NextHop, Relay, RelayConfig};
use stoq_native::{
    ClientConfig, ClientPolicy, ClientTrust, ConnectOptions, Endpoint, FalconId, FalconKey,
    FalconSigner as _, FalconTrust, Identity, Pins, PqPolicy, Session,
};

use crate::Result;
use crate::origin::{AT_ONCE, HELD_BACK, Origin};
use crate::road::Road;

/// Somebody that can be connected to.
#[derive(Clone, Copy)]
pub(crate) struct Party {
    pub(crate) address: SocketAddr,
    pub(crate) id: FalconId,
}

/// Who the client connects to, and the relays behind it.
pub(crate) struct Way {
    first: Party,
    route: Vec<FalconId>,
}

impl Way {
    /// Relays are started from the origin's end; each knows only the one behind it.
    pub(crate) async fn new(origin: &Origin, relays: usize) -> Result<Self> {
        let mut first = origin.party;
        let mut route = Vec::new();
        let mut keys: Vec<_> = (0..relays)
            .map(|_| Arc::new(FalconKey::generate()))
            .collect();
        let ids: Vec<_> = keys.iter().map(|key| key.verifying_key().id()).collect();
        for at in (0..relays).rev() {
            let key = keys.pop().ok_or("a key for each relay")?;
            let before = at.checked_sub(1).map(|before| ids[before]);
            if first.id != origin.id() {
                route.insert(0, first.id);
            }
            first = relay(key, first, before)?;
        }
        Ok(Self { first, route })
    }

    /// A session over a path that loses so many of a thousand datagrams in each direction, if any; and the path.
    pub(crate) async fn connect(
        &self,
        held_back: bool,
        loss_per_mille: u32,
    ) -> Result<(Session, Option<Road>)> {
        let road = match loss_per_mille {
            0 => None,
            _ => Some(Road::to(self.first.address).await),
        };
        let address = road
            .as_ref()
            .map_or(self.first.address, |road| road.address);
        let pins = Pins::new().pin(&address.to_string(), self.first.id)?;
        let mut config = ClientConfig::new(PqPolicy::Require(FalconTrust::Pins(pins)));
        config.framed_streams = true;
        let mut options = ConnectOptions::default();
        options.route.clone_from(&self.route);
        let service = if held_back { HELD_BACK } else { AT_ONCE };
        let url = format!("stoq://{address}/{service}");
        let session = Endpoint::client(config)?
            .connect_with(&url, options)
            .await?;
        if let Some(road) = &road {
            road.lose(loss_per_mille);
        }
        Ok((session, road))
    }
}

fn relay(key: Arc<FalconKey>, next: Party, before: Option<FalconId>) -> Result<Party> {
    let id = key.verifying_key().id();
    let identity = Identity::falcon(key, ["localhost", "127.0.0.1"])?;
    let clients = match before {
        Some(before) => ClientPolicy::Require(ClientTrust::Ids([before].into())),
        None => ClientPolicy::Off,
    };
    let mut config = RelayConfig::new(identity, clients);
    config.next_hops = vec![NextHop::new(next.id, &next.address.to_string())?];
    for service in [AT_ONCE, HELD_BACK] {
        config.services.insert(service.parse()?, next.id);
    }
    let (ready, listening) = channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a thread can have a runtime");
        runtime.block_on(async {
            let address = SocketAddr::from(([127, 0, 0, 1], 0));
            let relay = Relay::bind(address, config).expect("a port is free");
            let _ = ready.send(relay.local_addr());
            std::future::pending::<()>().await;
        });
    });
    let address = listening.recv()?;
    Ok(Party { address, id })
}
