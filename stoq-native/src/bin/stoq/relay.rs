//! `stoq relay`: pass sessions on, unread, to those who are listed; drain on a signal.

use crate::arguments::{Hop, RelayArguments, ServiceHop};
use crate::error::CommandError;
use crate::identity::{authority, falcon};
use crate::signals::Signals;
use crate::terminal;
use core::time::Duration;
use std::path::Path;
use stoq_native::relay::{NextHop, Relay, RelayConfig};
use stoq_native::{ClientPolicy, ClientTrust, FalconId};
use tracing::info;

/// Relays until a signal, then drains. Once it can be reached it says `listening on <address> falcon-id <identity>`.
///
/// # Errors
/// [`CommandError`] if it cannot start.
pub(crate) async fn run(arguments: RelayArguments) -> Result<(), CommandError> {
    let mut signals = Signals::new().map_err(CommandError::System)?;
    let RelayArguments {
        listen,
        falcon_key,
        grant,
        next,
        services,
        clients,
        client_authority,
        open,
        max_hops,
        address,
        metadata,
        transport,
        grace,
    } = arguments;
    let identity = falcon(&falcon_key, grant.as_deref())?;
    let clients = who_may_enter(clients, client_authority.as_deref(), open)?;
    let mut config = RelayConfig::new(identity, clients);
    config.transport = transport.get(config.transport)?;
    config.max_hops = max_hops;
    config.address = address;
    config.metadata = metadata;
    for hop in next {
        list(&mut config, hop);
    }
    for ServiceHop { service, hop } in services {
        if config.services.insert(service.clone(), hop.id).is_some() {
            return Err(CommandError::ServiceTwice(service));
        }
        list(&mut config, hop);
    }
    let relay = Relay::bind(listen, config).map_err(CommandError::Bind)?;
    let (at, id) = (relay.local_addr(), relay.falcon_id());
    terminal::say(format_args!("listening on {at} falcon-id {id}"))?;

    let signal = signals.next().await;
    let sessions = relay.stats().sessions_open;
    info!(?signal, sessions, "draining");
    tokio::select! {
        () = relay.shutdown(Duration::from_secs(grace.into())) => {}
        _ = signals.next() => {
            info!("ending at once");
            relay.close().await;
        }
    }
    Ok(())
}

/// Puts somebody on the list, unless they are on it in the same words.
fn list(config: &mut RelayConfig, Hop { id, place, name }: Hop) {
    let mut hop = NextHop::new(id, &place.authority()).expect("it is the authority of a target");
    hop.name = name;
    let listed = |other: &NextHop| other.id == id && other.target == hop.target;
    if !config.next_hops.iter().any(listed) {
        config.next_hops.push(hop);
    }
}

/// Whom the flags let in.
fn who_may_enter(
    ids: Vec<FalconId>,
    by_authority: Option<&Path>,
    open: bool,
) -> Result<ClientPolicy, CommandError> {
    let trust = match by_authority {
        Some(path) => ClientTrust::Authority(authority(path)?),
        None if ids.is_empty() => return Ok(ClientPolicy::Off),
        None => ClientTrust::Ids(ids.into_iter().collect()),
    };
    Ok(match open {
        true => ClientPolicy::Prefer(trust),
        false => ClientPolicy::Require(trust),
    })
}
