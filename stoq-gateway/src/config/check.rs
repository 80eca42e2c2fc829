//! What no field can say by itself.

use url::Url;

use super::{Config, ConfigError};

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
        if let Some(authority) = &self.authority {
            let url = Url::parse(&format!("https://{authority}/"));
            if !url.is_ok_and(|url| url.path() == "/" && url.username().is_empty()) {
                return bad(
                    "authority".into(),
                    authority.clone(),
                    "host:port, or a host",
                );
            }
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
        Ok(())
    }
}
