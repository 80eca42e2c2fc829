//! What a user can say of relays: to be one, and to go through some.

use super::TransportArguments;
use clap::Args;
use core::str::FromStr;
use std::net::SocketAddr;
use std::path::PathBuf;
use stoq_native::{FalconId, ServiceName, Target};

#[derive(Debug, Args)]
pub(crate) struct RelayArguments {
    /// Address to listen on; port 0 takes any free one
    #[arg(long, default_value = "[::]:4433")]
    pub(crate) listen: SocketAddr,
    /// Private key of the relay's FALCON identity, PEM, as `stoq keygen` makes it
    #[arg(long, value_name = "FILE")]
    pub(crate) falcon_key: PathBuf,
    /// An authority's grant for that identity, PEM, as `stoq grant` makes it
    #[arg(long, value_name = "FILE")]
    pub(crate) grant: Option<PathBuf>,
    /// Who is forwarded to when a route names it, and where it is; NAME is for the log (repeatable). Nobody else is
    #[arg(long = "next", value_name = "IDENTITY@HOST:PORT[=NAME]")]
    pub(crate) next: Vec<Hop>,
    /// The target of a service, for requests whose route is at its end; it counts as --next too (repeatable)
    #[arg(long = "service", value_name = "SERVICE=IDENTITY@HOST:PORT")]
    pub(crate) services: Vec<ServiceHop>,
    /// Lets in only this FALCON identity, client or relay, or another that is named so (repeatable). Without any, all clients
    /// are let in, and no relays
    #[arg(
        long = "client",
        value_name = "IDENTITY",
        conflicts_with = "client_authority"
    )]
    pub(crate) clients: Vec<FalconId>,
    /// Lets in only who shows a grant by this authority; its public key, PEM, as `stoq id --public` prints it
    #[arg(long, value_name = "FILE")]
    pub(crate) client_authority: Option<PathBuf>,
    /// Lets clients in that are not named, too, but no such relays
    #[arg(long)]
    pub(crate) open: bool,
    /// Relays, this one included, that a request may pass
    #[arg(long, value_name = "COUNT", default_value_t = stoq_native::HopChain::DEFAULT_MAX, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) max_hops: u8,
    /// Address that stands in the chain of relays, where it is not the one listened on
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) address: Option<SocketAddr>,
    /// What the relay says of itself in the chain (repeatable, up to eight)
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) metadata: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) transport: TransportArguments,
    /// Seconds that running sessions have to end after a signal; a second signal ends them at once
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) grace: u32,
}

/// `IDENTITY@HOST:PORT`, perhaps with `=NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) id: FalconId,
    pub(crate) place: Target,
    pub(crate) name: Option<String>,
}

/// `SERVICE=IDENTITY@HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceHop {
    pub(crate) service: ServiceName,
    pub(crate) hop: Hop,
}

impl FromStr for Hop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, place) =
            (text.split_once('@')).ok_or_else(|| "write it as IDENTITY@HOST:PORT".to_owned())?;
        let (place, name) = match place.split_once('=') {
            Some((place, name)) => (place, Some(name.to_owned())),
            None => (place, None),
        };
        let place: Result<Target, _> = format!("stoq://{place}/").parse();
        Ok(Self {
            id: id.parse().map_err(|error| format!("{error}"))?,
            place: place.map_err(|error| error.to_string())?,
            name,
        })
    }
}

impl FromStr for ServiceHop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (service, hop) = (text.split_once('='))
            .ok_or_else(|| "write it as SERVICE=IDENTITY@HOST:PORT".to_owned())?;
        Ok(Self {
            service: ServiceName::new(service).map_err(|error| error.to_string())?,
            hop: hop.parse()?,
        })
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = (text.split_once('=')).ok_or_else(|| "write it as KEY=VALUE".to_owned())?;
    Ok((key.into(), value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_is_somebody_somewhere() {
        let id = FalconId::new([7; 32]);
        let hop: Hop = format!("{id}@[::1]:7=Frankfurt 2").parse().unwrap();
        assert_eq!((hop.id, hop.place.authority()), (id, "[::1]:7".into()));
        assert_eq!(hop.name.as_deref(), Some("Frankfurt 2"));
        let service: ServiceHop = format!("files={id}@h:1").parse().unwrap();
        assert_eq!(service.service.as_str(), "files");
        assert_eq!(service.hop.name, None);
        for text in [
            format!("{id}"),
            format!("{id}@h"),
            "x@h:1".into(),
            "@h:1".into(),
        ] {
            assert!(text.parse::<Hop>().is_err(), "{text}");
        }
        assert!(format!("Files={id}@h:1").parse::<ServiceHop>().is_err());
    }
}
