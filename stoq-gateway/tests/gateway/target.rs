//! A native STOQ server.

use std::net::SocketAddr;

use stoq_native::{Endpoint, Identity, ServerConfig, Session, SessionRequest, Trust};

pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    pub(crate) hash: [u8; 32],
}

impl Target {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let identity = Identity::self_signed(["localhost"]).unwrap();
        let hash = identity.certificate_hash();
        let mut config = ServerConfig::new(identity);
        config.framed_streams = true;
        change(&mut config);
        let endpoint = Endpoint::server("127.0.0.1:0".parse().unwrap(), config).unwrap();
        Self { endpoint, hash }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.endpoint.local_addr().unwrap()
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::CertificateHashes(vec![self.hash])
    }

    pub(crate) async fn request(&self) -> SessionRequest {
        self.endpoint.accept().await.unwrap()
    }

    pub(crate) async fn accept(&self) -> Session {
        self.request().await.accept().await.unwrap()
    }
}

/// Sends back every stream of the session, until it ends.
pub(crate) async fn echo(session: Session) {
    while let Ok((mut send, mut receive)) = session.accept_bi().await {
        tokio::spawn(async move {
            while let Ok(Some(chunk)) = receive.read_chunk(usize::MAX).await {
                if send.write_chunk(chunk).await.is_err() {
                    return;
                }
            }
            let _ = send.finish();
        });
    }
}
