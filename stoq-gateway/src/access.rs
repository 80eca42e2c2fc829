//! Access tokens that are for the gateway: which routes want one, and which are revoked.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use stoq_core::access::SignedAccessToken;
use stoq_core::identity::FalconId;
use stoq_core::service::ServiceName;
use stoq_native::{
    Access, AccessError, AccessRules, AccessTokenFileError, Revocations, Verifier,
    revocations_from_file,
};
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::config::{Config, Wants};

/// The rules, which every session looks at, and who replaces the list of revoked nonces.
#[derive(Debug)]
pub(crate) struct Gate {
    rules: watch::Sender<Arc<AccessRules>>,
    revoked: Option<PathBuf>,
}

/// A session's view of the [`Gate`].
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    /// Who the gateway is, if it has an identity.
    own: Option<FalconId>,
    rules: Option<watch::Receiver<Arc<AccessRules>>>,
}

impl Gate {
    /// `None` if no route wants a token. Reads the list of revoked nonces, if there is one.
    ///
    /// # Errors
    /// [`AccessTokenFileError`].
    pub(crate) async fn new(config: &Config) -> Result<Option<Self>, AccessTokenFileError> {
        // Together by `Config::check`.
        let (Some(access), Some(identity)) = (&config.access, &config.identity) else {
            return Ok(None);
        };
        let verifier = Verifier::new(identity.id(), access.issuers.iter().cloned());
        let mut rules = AccessRules::new(verifier);
        for route in &config.routes {
            let service = route.service.clone();
            rules = match &route.wants {
                Wants::Nothing => rules,
                Wants::AnyToken => rules.require(service, None),
                Wants::Permission(word) => rules.require(service, Some(word)),
            };
        }
        let gate = Self {
            rules: watch::Sender::new(Arc::new(rules)),
            revoked: access.revoked.clone(),
        };
        gate.reload().await?;
        Ok(Some(gate))
    }

    /// `own` is who the gateway is, with a gate or without.
    pub(crate) fn guard(gate: Option<&Self>, own: Option<FalconId>) -> Guard {
        let rules = gate.map(|gate| gate.rules.subscribe());
        Guard { own, rules }
    }

    /// Reads the list of revoked nonces again, and returns how many there are.
    pub(crate) async fn reload(&self) -> Result<usize, AccessTokenFileError> {
        let Some(path) = self.revoked.clone() else {
            return Ok(0);
        };
        let read = spawn_blocking(|| revocations_from_file(path));
        let list: Revocations = read.await.expect("reading a file does not panic")?;
        let count = list.len();
        self.rules.send_modify(|rules| {
            Arc::make_mut(rules).set_revocations(list);
        });
        Ok(count)
    }
}

impl Guard {
    /// What a browser may do with a service; `None` if its route wants no token.
    ///
    /// # Errors
    /// [`AccessError`].
    pub(crate) fn admit(
        &self,
        service: &ServiceName,
        tokens: &[Bytes],
    ) -> Result<Option<Access>, AccessError> {
        match &self.rules {
            Some(rules) => rules.borrow().judge(service, tokens),
            None => Ok(None),
        }
    }

    /// The tokens that are not for the gateway: whoever stands behind it looks at them.
    pub(crate) fn others(&self, tokens: &[Bytes]) -> Vec<Bytes> {
        match self.own {
            Some(own) => SignedAccessToken::for_others(tokens, own),
            None => tokens.to_vec(),
        }
    }

    /// Whether the browser's token is still good.
    ///
    /// # Errors
    /// [`AccessError`].
    pub(crate) fn recheck(&self, access: Option<&Access>) -> Result<(), AccessError> {
        match (&self.rules, access) {
            (Some(rules), Some(access)) => rules.borrow().verifier().recheck(access),
            _ => Ok(()),
        }
    }

    /// Resolves when the browser's token is good no longer.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub(crate) async fn revoked(&mut self, access: Option<&Access>) -> AccessError {
        let (Some(rules), Some(access)) = (&mut self.rules, access) else {
            return std::future::pending().await;
        };
        loop {
            if let Err(error) = rules.borrow_and_update().verifier().recheck(access) {
                return error;
            }
            if rules.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
