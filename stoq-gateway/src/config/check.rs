//! What no field can say by itself.

use std::time::Duration;

use stoq_core::frame::Hop;
use stoq_core::hops::{Passage, check_route};
use stoq_native::PqPolicy;
use stoq_native::relay::passed_hop;

use stoq_native::AccessToken;

use super::authority::canonical;
use super::{Config, ConfigError, MAX_RENEWAL, Wants};

impl Config {
    /// What no field can say by itself.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let bad = |setting: String, found: String, expected: &str| {
            Err(ConfigError::Setting {
                setting,
                found,
                expected: expected.into(),
            })
        };
        if self.routes.is_empty() {
            return bad(
                "route".into(),
                String::new(),
                "a gateway needs at least one",
            );
        }
        for (index, route) in self.routes.iter().enumerate() {
            if self.routes[..index]
                .iter()
                .any(|earlier| earlier.service == route.service)
            {
                let (setting, found) =
                    (format!("route[{index}].service"), route.service.to_string());
                return bad(
                    setting,
                    found,
                    "stands in an earlier route, a service has one",
                );
            }
            if route
                .upstream
                .service
                .as_ref()
                .is_some_and(|service| *service != route.service)
            {
                let (setting, found) = (
                    format!("route[{index}].upstream"),
                    route.upstream.to_string(),
                );
                return bad(
                    setting,
                    found,
                    "must name the service of the route, or none",
                );
            }
        }
        for (index, route) in self.routes.iter().enumerate() {
            let (setting, found) = match &route.wants {
                Wants::Nothing => continue,
                Wants::AnyToken => ("token", "true"),
                Wants::Permission(word) => ("permission", word.as_str()),
            };
            let setting = format!("route[{index}].{setting}");
            if found != "true" && !AccessToken::is_permission(found) {
                let rule = "up to 32 of a-z, 0-9 and .:_-, the first a letter or a digit";
                return bad(setting, found.into(), rule);
            }
            if self.access.is_none() {
                return bad(
                    setting,
                    found.into(),
                    "needs [access], whose tokens are taken",
                );
            }
        }
        if let Some(access) = &self.access {
            if self.identity.is_none() {
                let rule = "needs [identity], because tokens are for a FALCON identity";
                return bad("access".into(), String::new(), rule);
            }
            if access.issuers.is_empty() {
                return bad("access.issuers".into(), String::new(), "needs at least one");
            }
        }
        if let Some((setting, found, expected)) = self.misrouted() {
            return bad(setting, found, expected);
        }
        if let Some(authority) = &self.authority
            && canonical(authority).is_none()
        {
            return bad(
                "authority".into(),
                authority.clone(),
                "host:port, or a host",
            );
        }
        for (setting, idle) in [
            ("timing.idle", self.timing.idle),
            ("timing.upstream_idle", self.timing.upstream_idle),
        ] {
            if idle <= self.timing.keep_alive {
                return bad(
                    setting.into(),
                    format!("{idle:?}"),
                    "must be longer than timing.keep_alive",
                );
            }
        }
        for (setting, time) in [
            (
                "timing.certificate_renewal",
                self.timing.certificate_renewal,
            ),
            ("timing.record_life", self.timing.record_life),
        ] {
            if !(Duration::from_secs(1)..=MAX_RENEWAL).contains(&time) {
                return bad(
                    setting.into(),
                    format!("{time:?}"),
                    "must be from 1 s to 12 days",
                );
            }
        }
        Ok(())
    }

    /// What cannot be among relays: setting, value found, and why.
    fn misrouted(&self) -> Option<(String, String, &'static str)> {
        let own = self.identity.as_ref().map(|signer| signer.id());
        let max = self.hops.max;
        if !(1..=Hop::MAX_HOPS).contains(&max) {
            return Some(("hops.max".into(), max.to_string(), "must be from 1 to 16"));
        }
        let at = self.hops.address.unwrap_or(self.listen);
        let hop = own.map(|own| passed_hop(own, at, &self.hops.metadata));
        let alone = hop.map(|hop| Passage::new(None, Vec::new(), hop, max));
        if let Some(Err(error)) = alone {
            let found = error.to_string();
            return Some((
                "hops.metadata".into(),
                found,
                "must fit the chain of relays",
            ));
        }
        for (index, next) in self.hops.next.iter().enumerate() {
            let found = next.id.to_string();
            let setting = format!("hops.next[{index}].id");
            if own == Some(next.id) {
                return Some((setting, found, "is the gateway itself"));
            }
            if self.hops.next[..index]
                .iter()
                .any(|other| other.id == next.id)
            {
                return Some((setting, found, "stands there already"));
            }
        }
        for (index, route) in self.routes.iter().enumerate() {
            let setting = format!("route[{index}].via");
            let found = || {
                route
                    .via
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
            };
            if !route.via.is_empty() && !matches!(route.policy, PqPolicy::Require(_)) {
                let rule = "needs a first relay that is believed for its FALCON identity";
                return Some((setting, found().join(", "), rule));
            }
            if check_route(&route.via, max).is_err() || route.via.iter().any(|id| own == Some(*id))
            {
                let rule = "passes a relay twice, or more than hops.max";
                return Some((setting, found().join(", "), rule));
            }
        }
        let relay = self.relay.as_ref().filter(|_| own.is_none())?;
        let rule = "a relay needs an identity";
        Some(("relay".into(), relay.listen.to_string(), rule))
    }
}
