//! The certificates of `stoq serve`, and their successors.

use crate::digest::Digest;
use crate::error::CommandError;
use crate::identity::FalconFiles;
use core::convert::Infallible;
use core::fmt;
use core::time::Duration;
use std::path::Path;
use stoq_native::{Endpoint, Identity, IdentityError};
use tokio::time::sleep;
use tracing::{info, warn};

/// How old a certificate becomes that was made here. It holds for 13 days, so clients that go by its hash have the longest
/// time with one, and two days are left for a machine that sleeps.
const RENEWED_AFTER: Duration = Duration::from_secs(11 * 24 * 60 * 60);

/// What the server's identity is made of.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// From files; without them, a certificate for development is made.
    files: Option<Identity>,
    /// For certificates that are made here.
    names: Vec<String>,
    falcon: Option<FalconFiles>,
}

impl Certificates {
    /// `files` are a certificate chain and its private key.
    ///
    /// # Errors
    /// [`CommandError`] if a file is of no use.
    pub(crate) fn load(
        files: Option<(&Path, &Path)>,
        names: Vec<String>,
        falcon: Option<FalconFiles>,
    ) -> Result<Self, CommandError> {
        let files = files.map(|(chain, key)| Identity::from_pem_files(chain, key));
        Ok(Self {
            files: files.transpose()?,
            names,
            falcon,
        })
    }

    /// The identity, with new certificates where they are made here.
    ///
    /// # Errors
    /// [`IdentityError`] if a name cannot stand in a certificate.
    pub(crate) fn identity(&self) -> Result<Identity, IdentityError> {
        let classical = match &self.files {
            Some(identity) => identity.clone(),
            None => Identity::self_signed(self.names.iter().cloned())?,
        };
        match &self.falcon {
            Some(falcon) => Ok(classical.with_falcon(falcon.identity(&self.names)?)),
            None => Ok(classical),
        }
    }

    /// Gives the server new certificates in time, for ever. Connections that run stay as they are.
    ///
    /// # Cancel safety
    /// Dropping the future ends the renewals.
    pub(crate) async fn renew(&self, endpoint: &Endpoint) -> Infallible {
        if self.files.is_some() && self.falcon.is_none() {
            // Who made them renews them.
            core::future::pending::<()>().await;
        }
        loop {
            sleep(RENEWED_AFTER).await;
            let renewed = self.identity().map_err(|error| error.to_string());
            let shown = renewed.and_then(|identity| {
                let summary = Summary(&identity).to_string();
                let set = endpoint.set_identity(identity);
                set.map_err(|error| error.to_string()).map(|()| summary)
            });
            match shown {
                Ok(summary) => info!("certificates are renewed:{summary}"),
                Err(error) => warn!(%error, "the certificates cannot be renewed"),
            }
        }
    }
}

/// ` certificate-hash <hex>` for each certificate, the classical one first, and ` falcon-id <identity>` if there is one.
pub(crate) struct Summary<'a>(pub(crate) &'a Identity);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for hash in self.0.certificate_hashes() {
            write!(f, " certificate-hash {}", Digest(hash))?;
        }
        match self.0.falcon_id() {
            Some(id) => write!(f, " falcon-id {id}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stoq_native::{
        ClientConfig, ConnectError, FalconKey, IdentityRejected, PqPolicy, ServerConfig, Trust,
    };
    use tempfile::TempDir;

    /// The hash of the certificate that a server shows, classical or FALCON's.
    async fn shown(url: &str, falcon: bool) -> String {
        let nobody = Trust::CertificateHashes(vec![[0; 32]]);
        let policy = match falcon {
            true => PqPolicy::Prefer(nobody),
            false => PqPolicy::Off(nobody),
        };
        let client = Endpoint::client(ClientConfig::new(policy)).unwrap();
        match client.connect(url).await {
            Err(ConnectError::Identity(IdentityRejected::Hash { got })) => got,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_is_made_here_is_renewed_before_its_time_is_over() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("key.pem");
        FalconKey::generate().write_pem_file(&path).unwrap();
        let falcon = FalconFiles::load(&path, None).unwrap();
        let names = vec!["localhost".to_owned()];
        let certificates = Certificates::load(None, names, Some(falcon)).unwrap();
        let first = certificates.identity().unwrap();
        let hashes = first.certificate_hashes().into_iter().map(Digest);
        let hashes: Vec<_> = hashes.map(|hash| hash.to_string()).collect();
        let config = ServerConfig::new(first);
        let server = Endpoint::server("127.0.0.1:0".parse().unwrap(), config).unwrap();
        let url = format!("stoq://{}/echo", server.local_addr().unwrap());

        let renewing = certificates.renew(&server);
        let mut renewing = core::pin::pin!(renewing);
        let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
        assert!(step(renewing.as_mut()).await);
        for (passed, renewed) in [(days(10), false), (days(1), true)] {
            tokio::time::pause();
            tokio::time::advance(passed).await;
            assert!(step(renewing.as_mut()).await);
            tokio::time::resume();
            for (falcon, hash) in [(false, &hashes[0]), (true, &hashes[1])] {
                let is_other = shown(&url, falcon).await != *hash;
                assert_eq!(is_other, renewed, "falcon {falcon}");
            }
        }
    }

    /// Lets the future go on as far as it can; whether it is not at its end.
    async fn step<F: Future>(mut future: core::pin::Pin<&mut F>) -> bool {
        core::future::poll_fn(|context| {
            core::task::Poll::Ready(future.as_mut().poll(context).is_pending())
        })
        .await
    }
}
