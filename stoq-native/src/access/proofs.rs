//! Which tokens a client can prove to be its own, and the way of proofs through a relay.

use core::fmt;
use std::sync::Arc;

use bytes::Bytes;
use stoq_core::access::{SignedAccessToken, TokenHash};

use super::HolderSigner;
use crate::session::Session;

/// Keys of holders. A token that names one of them is proven with it, once the session has been answered.
#[derive(Clone, Default)]
pub struct HolderKeys(Vec<Arc<dyn HolderSigner>>);

/// Tokens to prove, and with which key.
pub(crate) type Proofs = Vec<(TokenHash, Arc<dyn HolderSigner>)>;

impl HolderKeys {
    /// None.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds one.
    pub fn push(&mut self, key: Arc<dyn HolderSigner>) {
        self.0.push(key);
    }

    pub(crate) fn proofs(&self, tokens: &[Bytes]) -> Proofs {
        let mut proofs = Proofs::new();
        for token in tokens {
            if let Ok(signed) = SignedAccessToken::decode(token)
                && let Some(wanted) = signed.claim().holder
                && let Some(key) = self.0.iter().find(|key| key.holder_key() == wanted)
            {
                proofs.push((signed.hash(), key.clone()));
            }
        }
        // A token that is presented twice is proven once.
        proofs.sort_by_key(|(token, _)| *token);
        proofs.dedup_by_key(|(token, _)| *token);
        proofs
    }
}

impl FromIterator<Arc<dyn HolderSigner>> for HolderKeys {
    fn from_iter<I: IntoIterator<Item = Arc<dyn HolderSigner>>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

impl PartialEq for HolderKeys {
    fn eq(&self, other: &Self) -> bool {
        let keys = |keys: &Self| {
            keys.0
                .iter()
                .map(|key| key.holder_key())
                .collect::<Vec<_>>()
        };
        keys(self) == keys(other)
    }
}

impl Eq for HolderKeys {}

impl fmt::Debug for HolderKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.0.iter().map(|key| key.holder_key());
        f.debug_list().entries(keys).finish()
    }
}

/// For a relay that took a session with [`accept_with`](crate::SessionRequest::accept_with) and opened another with the target:
/// passes proofs of access tokens on to the target, and its confirmations back. Resolves when one of the sessions has ended.
///
/// # Cancel safety
/// If the future is dropped, proofs that come later are passed on by the next call.
pub async fn relay_auths(client: &Session, target: &Session) {
    let forth = async {
        while let Ok(auth) = client.recv_auth().await {
            target.send_auth(auth);
        }
    };
    let back = async {
        while let Ok(auth) = target.recv_auth().await {
            client.send_auth(auth);
        }
    };
    tokio::select! {
        () = forth => {}
        () = back => {}
    }
}
