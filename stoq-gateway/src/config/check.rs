//! What no field can say by itself.

use std::time::Duration;

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
}
