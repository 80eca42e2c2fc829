//! Who may use which service, as the flags of `stoq serve` say, and what clients show.

use crate::error::CommandError;
use core::convert::Infallible;
use core::str::FromStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stoq_native::{
    Access, AccessRules, AccessToken, Endpoint, FalconId, HolderKeyPair, HolderKeys, HolderSigner,
    ServiceName, Session, SignedAccessToken, Verifier, access_token_from_file,
    revocations_from_file, verifying_key_from_pem_file,
};
use tracing::{error, info};

/// A service that wants access tokens, and perhaps what they must permit: `files` or `files=read`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    service: ServiceName,
    permission: Option<String>,
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (service, permission) = match text.split_once('=') {
            Some((service, permission)) => (service, Some(permission)),
            None => (text, None),
        };
        let service = ServiceName::new(service).map_err(|error| error.to_string())?;
        match permission {
            Some(word) if !AccessToken::is_permission(word) => {
                Err("a permission is up to 32 of a-z, 0-9 and .:_-".into())
            }
            _ => Ok(Self {
                service,
                permission: permission.map(Into::into),
            }),
        }
    }
}

/// The rules of a server, and the file that takes tokens back.
#[derive(Debug)]
pub(crate) struct Rules {
    rules: AccessRules,
    revoked: Option<PathBuf>,
}

impl Rules {
    /// What the flags want, for tokens that are for `audience`.
    ///
    /// # Errors
    /// [`CommandError`] if a file is of no use.
    pub(crate) fn load(
        wanted: &[Wanted],
        audience: FalconId,
        issuers: &[PathBuf],
        revoked: Option<PathBuf>,
    ) -> Result<Self, CommandError> {
        let issuers = issuers.iter().map(verifying_key_from_pem_file);
        let issuers = issuers.collect::<Result<Vec<_>, _>>();
        let verifier = Verifier::new(audience, issuers.map_err(CommandError::PublicKey)?);
        let mut rules = AccessRules::new(verifier);
        for Wanted {
            service,
            permission,
        } in wanted
        {
            rules = rules.require(service.clone(), permission.as_deref());
        }
        let mut rules = Self { rules, revoked };
        rules.read_revoked()?;
        Ok(rules)
    }

    pub(crate) fn get(&self) -> AccessRules {
        self.rules.clone()
    }

    /// Reads the file again, at each SIGHUP, for as long as the server runs. Sessions with a token that it names are closed. A
    /// file that cannot be used is reported, and the last one stays.
    pub(crate) async fn follow(mut self, endpoint: &Endpoint) -> Infallible {
        let Ok(mut hangup) = hangups(self.revoked.is_some()) else {
            return core::future::pending().await;
        };
        loop {
            hangup.recv().await;
            match self.read_revoked() {
                Ok(()) => {
                    let nonces = self.rules.verifier().revocations().len();
                    info!(nonces, "access tokens are revoked");
                    let set = endpoint.set_access(Some(self.get()));
                    set.expect("it is a server's endpoint");
                }
                Err(error) => error!(%error, "the revoked nonces stay as they are"),
            }
        }
    }

    fn read_revoked(&mut self) -> Result<(), CommandError> {
        if let Some(path) = &self.revoked {
            let list = revocations_from_file(path).map_err(CommandError::TokenFile)?;
            self.rules.set_revocations(list);
        }
        Ok(())
    }
}

/// What comes at each SIGHUP; elsewhere, and where nobody wants to know, nothing ever does, and the signal does what it always
/// does.
#[cfg(unix)]
fn hangups(wanted: bool) -> Result<tokio::signal::unix::Signal, ()> {
    use tokio::signal::unix::{SignalKind, signal};
    match wanted {
        true => signal(SignalKind::hangup()).map_err(|_| ()),
        false => Err(()),
    }
}

#[cfg(not(unix))]
fn hangups(_wanted: bool) -> Result<Never, ()> {
    Err(())
}

/// There are no such signals.
#[cfg(not(unix))]
struct Never;

#[cfg(not(unix))]
impl Never {
    async fn recv(&mut self) {
        core::future::pending().await
    }
}

/// Whether a session may do this: a service that wants no token permits everything.
pub(crate) fn permits(session: &Session, permission: &str) -> bool {
    session
        .access()
        .is_none_or(|access: &Access| access.permits(permission))
}

/// The tokens in these files, and the keys of those who hold them.
///
/// # Errors
/// [`CommandError`] if a file is of no use, a token names a holder whose key is not there, or a key is of no token.
pub(crate) fn credentials(
    tokens: &[PathBuf],
    keys: &[PathBuf],
) -> Result<(Vec<SignedAccessToken>, HolderKeys), CommandError> {
    let tokens = tokens.iter().map(|path| {
        let token = access_token_from_file(path).map_err(CommandError::TokenFile)?;
        Ok((path.as_path(), token))
    });
    let tokens = tokens.collect::<Result<Vec<_>, CommandError>>()?;
    let keys = keys.iter().map(|path| {
        let pair = HolderKeyPair::from_pem_file(path).map_err(CommandError::HolderKey)?;
        Ok((path.as_path(), pair))
    });
    let keys = keys.collect::<Result<Vec<_>, CommandError>>()?;
    check(&tokens, &keys)?;
    let holders = keys
        .into_iter()
        .map(|(_, pair)| Arc::new(pair) as Arc<dyn HolderSigner>);
    let tokens = tokens.into_iter().map(|(_, token)| token);
    Ok((tokens.collect(), holders.collect()))
}

fn check(
    tokens: &[(&Path, SignedAccessToken)],
    keys: &[(&Path, HolderKeyPair)],
) -> Result<(), CommandError> {
    for (path, token) in tokens {
        if let Some(holder) = token.claim().holder
            && !keys.iter().any(|(_, pair)| pair.public() == holder)
        {
            let path = path.to_path_buf();
            return Err(CommandError::NoHolderKey { path, holder });
        }
    }
    for (path, pair) in keys {
        let holder = Some(pair.public());
        if !tokens
            .iter()
            .any(|(_, token)| token.claim().holder == holder)
        {
            let path = path.to_path_buf();
            return Err(CommandError::IdleHolderKey { path });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_and_perhaps_a_permission() {
        let wanted = |text: &str| text.parse::<Wanted>().ok();
        let files = |permission: Option<&str>| {
            Some(Wanted {
                service: "files".parse().unwrap(),
                permission: permission.map(Into::into),
            })
        };
        assert_eq!(wanted("files"), files(None));
        assert_eq!(wanted("files=read"), files(Some("read")));
        for text in ["", "=read", "files=", "files=Read", "files=a=b", "Files"] {
            assert_eq!(wanted(text), None, "{text}");
        }
    }
}
