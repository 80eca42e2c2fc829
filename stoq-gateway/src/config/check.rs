//! What no field can say by itself.

use std::time::Duration;

use super::authority::canonical;
use super::{Config, ConfigError, MAX_RENEWAL};

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
