//! Who may enter: how many at once, pages of which origins, to which services.

use std::sync::Arc;

use quinn::Incoming;
use stoq_core::close::Code;
use stoq_core::service::ServiceName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::{Config, Origins};

/// The gateway's door.
#[derive(Debug)]
pub(crate) struct Admission {
    sessions: Arc<Semaphore>,
    max_sessions: usize,
    handshakes: Arc<Semaphore>,
    max_handshakes: usize,
    origins: Origins,
    /// The page that the gateway serves itself.
    own_origins: Vec<String>,
    require_origin: bool,
}

/// What happens to a connection attempt before anything is spent on it.
#[derive(Debug)]
pub(crate) enum Door {
    Open(Permits),
    /// The address must prove itself first.
    Retry,
    TooManySessions,
    TooManyHandshakes,
}

/// A place among the sessions, and one among the handshakes.
#[derive(Debug)]
pub(crate) struct Permits {
    /// Kept as long as the session.
    pub(crate) session: OwnedSemaphorePermit,
    /// Kept until the session has been asked for.
    pub(crate) handshake: OwnedSemaphorePermit,
}

impl Admission {
    pub(crate) fn new(config: &Config, own_origins: Vec<String>) -> Self {
        let max_sessions = config.limits.max_sessions.get() as usize;
        let max_handshakes = config.limits.max_handshakes.get() as usize;
        Self {
            sessions: Arc::new(Semaphore::new(max_sessions)),
            max_sessions,
            handshakes: Arc::new(Semaphore::new(max_handshakes)),
            max_handshakes,
            origins: config.origins.clone(),
            own_origins,
            require_origin: config.require_origin,
        }
    }

    /// Judges a connection attempt. `open_connections` are those that the endpoint has, in whatever state: they can be
    /// more than the sessions, because a client may keep a connection alive on which it asks for nothing.
    pub(crate) fn door(&self, incoming: &Incoming, open_connections: usize) -> Door {
        if self.handshakes.available_permits() <= self.max_handshakes / 2
            && !incoming.remote_address_validated()
            && incoming.may_retry()
        {
            return Door::Retry;
        }
        if open_connections > self.max_sessions + self.max_handshakes {
            return Door::TooManySessions;
        }
        let Ok(session) = self.sessions.clone().try_acquire_owned() else {
            return Door::TooManySessions;
        };
        match self.handshakes.clone().try_acquire_owned() {
            Ok(handshake) => Door::Open(Permits { session, handshake }),
            Err(_) => Door::TooManyHandshakes,
        }
    }

    /// Whether a page of this origin may open a session. Not a secret and not a password: it keeps a stranger's page from
    /// using a visitor's browser, no more.
    pub(crate) fn allows(&self, origin: Option<&str>) -> bool {
        let Some(origin) = origin else {
            return !self.require_origin;
        };
        match &self.origins {
            Origins::Any => true,
            Origins::These(origins) => origins.iter().chain(&self.own_origins).any(|o| o == origin),
        }
    }
}

/// The service that a path asks for, or how the refusal reads.
pub(crate) fn service(path: &str) -> Result<ServiceName, (Code, String)> {
    ServiceName::from_path(path).map_err(|error| (Code::UNKNOWN_PATH, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Certificate;

    fn admission(origins: Origins, require_origin: bool) -> Admission {
        let certificate = Certificate::SelfSigned { names: vec![] };
        let mut config = Config::new("[::]:0".parse().unwrap(), certificate, vec![]);
        config.origins = origins;
        config.require_origin = require_origin;
        Admission::new(&config, vec!["http://127.0.0.1:8080".into()])
    }

    #[test]
    fn only_listed_origins_and_the_own_page_enter() {
        let admission = admission(Origins::These(vec!["https://example.org".into()]), false);
        assert!(admission.allows(Some("https://example.org")));
        assert!(admission.allows(Some("http://127.0.0.1:8080")));
        assert!(admission.allows(None));
        for stranger in [
            "http://example.org",
            "https://example.org:8443",
            "https://example.org.evil",
            "null",
            "",
        ] {
            assert!(!admission.allows(Some(stranger)), "{stranger}");
        }
    }

    #[test]
    fn origin_can_be_required_or_be_any() {
        assert!(!admission(Origins::Any, true).allows(None));
        assert!(admission(Origins::Any, true).allows(Some("null")));
    }
}
