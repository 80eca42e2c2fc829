//! Where a page's request goes on, and what is said there of the way that it came.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use stoq_core::close::Code;
use stoq_core::hops::{HopChain, Passage, check_route};
use stoq_core::service::ServiceName;
use stoq_core::session::IncomingRequest;
use stoq_native::relay::passed_hop;
use stoq_native::{BindError, FalconId};

use crate::config::Config;
use crate::upstream::Upstream;

/// The ways on.
#[derive(Debug)]
pub(crate) struct Hops {
    targets: HashMap<ServiceName, (Arc<Upstream>, Vec<FalconId>)>,
    /// Relays that pages may name.
    relays: HashMap<FalconId, Arc<Upstream>>,
    /// Who the gateway is, if it is anybody.
    own: Option<FalconId>,
    address: SocketAddr,
}

/// Where a request goes, and with what.
pub(crate) struct Onward {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) route: Vec<FalconId>,
    pub(crate) hops: Option<HopChain>,
}

impl Hops {
    /// `listening` is the address of the socket for browsers.
    ///
    /// # Errors
    /// Which way there cannot be, and why.
    pub(crate) fn new(config: &Config, listening: SocketAddr) -> Result<Self, (String, BindError)> {
        let mut targets = HashMap::new();
        for route in &config.routes {
            let upstream = Upstream::to_target(route, config);
            let upstream = upstream.map_err(|error| (route.service.to_string(), error))?;
            let way = (Arc::new(upstream), route.via.clone());
            targets.insert(route.service.clone(), way);
        }
        let mut relays = HashMap::new();
        for hop in &config.hops.next {
            let upstream = Upstream::to_relay(hop, config);
            let upstream = upstream.map_err(|error| (hop.id.to_string(), error))?;
            relays.insert(hop.id, Arc::new(upstream));
        }
        Ok(Self {
            targets,
            relays,
            own: config.identity.as_ref().map(|signer| signer.id()),
            address: config.hops.address.unwrap_or(listening),
        })
    }

    /// Where the request goes on: by the page's own route, or by the one that the service has here.
    ///
    /// # Errors
    /// Code and reason for the page.
    pub(crate) fn onward(
        &self,
        config: &Config,
        service: &ServiceName,
        request: &IncomingRequest,
    ) -> Result<Onward, (Code, String)> {
        if request
            .hops
            .as_ref()
            .is_some_and(|chain| !chain.hops.is_empty())
        {
            // Nobody can be the last of a chain who cannot prove it.
            let reason = "a browser is no relay: it brings no relays that it has passed";
            return Err((Code::UNTRUSTED, reason.into()));
        }
        let chain = request.hops.clone();
        let max = config.hops.max;
        let (upstream, route, hops) = match request.route.split_first() {
            Some((next, rest)) => {
                let relay = self.relays.get(next).ok_or_else(|| {
                    let reason = format!("this gateway does not forward to {next}");
                    (Code::NEXT_HOP, reason)
                })?;
                let hops = self.passed(config, chain, &request.route, max)?;
                (relay, rest, hops)
            }
            None => {
                let (target, via) = self.targets.get(service).ok_or_else(|| {
                    let reason = format!("there is no service {service} here");
                    (Code::UNKNOWN_SERVICE, reason)
                })?;
                let hops = self.passed(config, chain, via, max)?;
                (target, &via[..], hops)
            }
        };
        Ok(Onward {
            upstream: upstream.clone(),
            route: route.to_vec(),
            hops,
        })
    }

    /// The chain with the gateway in it, if it is anybody.
    fn passed(
        &self,
        config: &Config,
        chain: Option<HopChain>,
        route: &[FalconId],
        max: u8,
    ) -> Result<Option<HopChain>, (Code, String)> {
        let Some(own) = self.own else {
            let max = chain.as_ref().map_or(max, |chain| chain.max_hops.min(max));
            let checked = check_route(route, max);
            return checked
                .map(|()| chain)
                .map_err(|error| (error.code(), error.to_string()));
        };
        let hop = passed_hop(own, self.address, &config.hops.metadata);
        Passage::new(chain, route.to_vec(), hop, max)
            .map(|passage| Some(passage.hops))
            .map_err(|error| (error.code(), error.to_string()))
    }

    /// Every way on.
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        let targets = self.targets.values().map(|(upstream, _)| upstream);
        targets.chain(self.relays.values())
    }
}

#[cfg(test)]
mod tests {
    use stoq_core::session_id::SessionId;
    use stoq_native::Trust;

    use super::*;
    use crate::config::{Certificate, Route};

    #[tokio::test]
    async fn a_browser_that_says_which_relays_it_has_passed_is_not_believed() {
        let service: ServiceName = "echo".parse().unwrap();
        let listen: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let trust = Trust::CertificateHashes(vec![[0; 32]]);
        let route = Route::new(service.clone(), "stoq://h:1".parse().unwrap(), trust);
        let names = vec!["localhost".into()];
        let config = Config::new(listen, Certificate::SelfSigned { names }, vec![route]);
        let hops = Hops::new(&config, listen).unwrap();
        let mut request = IncomingRequest {
            id: SessionId::ZERO,
            service: Some(service.clone()),
            random: [0; 32],
            authority: String::new(),
            headers: vec![],
            access_tokens: vec![],
            route: vec![],
            hops: Some(HopChain::new(3)),
        };
        let onward = hops.onward(&config, &service, &request).unwrap();
        assert_eq!(onward.hops, Some(HopChain::new(3)), "the gateway is nobody");
        let claimed = passed_hop(FalconId::new([1; 32]), listen, &[]);
        request.hops.as_mut().unwrap().hops.push(claimed);
        let refused = hops.onward(&config, &service, &request);
        assert_eq!(refused.map(|_| ()).unwrap_err().0, Code::UNTRUSTED);
    }
}
