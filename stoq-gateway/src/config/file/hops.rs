//! The tables of the TOML file that are about relays.

use std::collections::BTreeMap;

use serde::Deserialize;
use stoq_core::frame::Hop;
use stoq_core::service::ServiceName;
use stoq_native::relay::NextHop;
use stoq_native::{ClientPolicy, ClientTrust, FalconId};

use super::super::values::{address, bad, set};
use super::super::{ConfigError, Hops, Relay};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHops {
    max: Option<u8>,
    address: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    next: Vec<RawNext>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRelay {
    listen: String,
    address: Option<String>,
    /// Identities that are let in; without any, everybody is, and no relays are.
    clients: Option<Vec<String>>,
    /// Lets others in beside them, as first hops.
    #[serde(default)]
    open: bool,
    #[serde(default)]
    next: Vec<RawNext>,
    /// Names of services, and the identities of those among `next` that serve them.
    #[serde(default)]
    services: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNext {
    id: String,
    address: String,
    name: Option<String>,
}

impl RawHops {
    pub(super) fn typed(self) -> Result<Hops, ConfigError> {
        let mut hops = Hops::default();
        set(&mut hops.max, self.max);
        if !(1..=Hop::MAX_HOPS).contains(&hops.max) {
            return Err(bad("hops.max", hops.max, "must be from 1 to 16"));
        }
        let at = self.address.as_deref();
        hops.address = at.map(|at| address("hops.address", at)).transpose()?;
        hops.metadata = self.metadata.into_iter().collect();
        hops.next = listed("hops", &self.next)?;
        Ok(hops)
    }
}

impl RawRelay {
    pub(super) fn typed(self) -> Result<Relay, ConfigError> {
        let listen = address("relay.listen", &self.listen)?;
        let clients = match &self.clients {
            None => ClientPolicy::Off,
            Some(ids) => {
                let ids = ids.iter().map(|text| identity("relay.clients", text));
                let trust = ClientTrust::Ids(ids.collect::<Result<_, _>>()?);
                match self.open {
                    true => ClientPolicy::Prefer(trust),
                    false => ClientPolicy::Require(trust),
                }
            }
        };
        let mut relay = Relay::new(listen, clients);
        let at = self.address.as_deref();
        relay.address = at.map(|at| address("relay.address", at)).transpose()?;
        relay.next = listed("relay", &self.next)?;
        for (name, id) in &self.services {
            let service = ServiceName::new(name);
            let service = service.map_err(|error| bad("relay.services", name, error))?;
            let id = identity("relay.services", id)?;
            relay.services.insert(service, id);
        }
        Ok(relay)
    }
}

fn listed(table: &str, next: &[RawNext]) -> Result<Vec<NextHop>, ConfigError> {
    let next = next.iter().enumerate().map(|(index, next)| {
        let setting = |name: &str| format!("{table}.next[{index}].{name}");
        let id = identity(&setting("id"), &next.id)?;
        let mut hop = NextHop::new(id, &next.address)
            .map_err(|error| bad(setting("address"), &next.address, error))?;
        hop.name.clone_from(&next.name);
        Ok(hop)
    });
    next.collect()
}

fn identity(setting: &str, text: &str) -> Result<FalconId, ConfigError> {
    text.parse().map_err(|error| bad(setting, text, error))
}
