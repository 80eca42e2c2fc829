//! quinn's ends, as its own documentation sets them up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use quinn::congestion::{BbrConfig, ControllerFactory, CubicConfig, NewRenoConfig};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{Endpoint, EndpointConfig, Incoming, TokioRuntime};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use stoq_native::Identity;

use crate::Result;
use crate::contenders::{
    Algorithm, PIECE, Ready, Received, Sender, Sent, ServerTrust, WINDOW, socket,
};

fn transport(algorithm: Algorithm) -> Arc<quinn::TransportConfig> {
    let controller: Arc<dyn ControllerFactory + Send + Sync> = match algorithm {
        Algorithm::NewReno => Arc::new(NewRenoConfig::default()),
        Algorithm::Cubic => Arc::new(CubicConfig::default()),
        Algorithm::Bbr => Arc::new(BbrConfig::default()),
    };
    let mut transport = quinn::TransportConfig::default();
    transport
        .congestion_controller_factory(controller)
        .stream_receive_window(WINDOW.into())
        .receive_window(quinn::VarInt::MAX)
        .send_window(WINDOW.into());
    Arc::new(transport)
}

fn endpoint(server: Option<quinn::ServerConfig>) -> Result<Endpoint> {
    let config = EndpointConfig::default();
    let runtime = Arc::new(TokioRuntime);
    Ok(Endpoint::new(config, server, socket()?, runtime)?)
}

pub(crate) async fn serve(algorithm: Algorithm, received: Received, ready: Ready) {
    let endpoint = (|| {
        let identity = Identity::self_signed(["localhost"])?;
        let chain = identity.certificate_chain();
        let chain: Vec<_> = chain
            .map(|der| CertificateDer::from(der.to_vec()))
            .collect();
        let key = identity.private_key().ok_or("it has a classical key")?;
        let key = PrivateKeyDer::try_from(key.to_vec())?;
        let trust = ServerTrust::Certificate(chain[0].to_vec());
        let tls = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        let tls = Arc::new(QuicServerConfig::try_from(tls)?);
        let mut config = quinn::ServerConfig::with_crypto(tls);
        config.transport_config(transport(algorithm));
        let endpoint = endpoint(Some(config))?;
        Result::Ok((endpoint.local_addr()?, trust, endpoint))
    })();
    let endpoint = match endpoint {
        Ok((address, trust, endpoint)) => {
            let _ = ready.send(Ok((address, trust)));
            endpoint
        }
        Err(error) => return drop(ready.send(Err(error))),
    };
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(receive(incoming, received.clone()));
    }
}

async fn receive(incoming: Incoming, received: Received) -> Result<()> {
    let connection = incoming.await?;
    let mut stream = connection.accept_uni().await?;
    let mut flow = [0];
    stream.read(&mut flow).await?;
    let received = received.get(usize::from(flow[0])).ok_or("such a flow")?;
    while let Some(chunk) = stream.read_chunk(PIECE, true).await? {
        received.fetch_add(chunk.bytes.len() as u64, Relaxed);
    }
    Ok(())
}

pub(crate) async fn send(
    algorithm: Algorithm,
    flow: u8,
    to: SocketAddr,
    trust: &ServerTrust,
) -> Result<Sender> {
    let ServerTrust::Certificate(certificate) = trust else {
        return Err("quinn goes by certificate here".into());
    };
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(certificate.clone()))?;
    let tls = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(transport(algorithm));
    let mut endpoint = endpoint(None)?;
    endpoint.set_default_client_config(config);
    let connection = endpoint.connect(to, "localhost")?.await?;
    let address = endpoint.local_addr()?;
    let watched = connection.clone();
    let writing = async move {
        // Nobody else holds it.
        let _endpoint = endpoint;
        let piece = Bytes::from(vec![flow; PIECE]);
        match connection.open_uni().await {
            Ok(mut stream) => loop {
                if let Err(error) = stream.write_chunk(piece.clone()).await {
                    break told(&error);
                }
            },
            Err(error) => told(&error),
        }
    };
    Ok(Sender {
        writing: Box::pin(writing),
        sent: Box::new(move || {
            let path = watched.stats().path;
            Sent {
                sent: path.sent_packets,
                lost: path.lost_packets,
            }
        }),
        address,
    })
}

/// An error with its reasons, which quinn's do not tell by themselves.
fn told(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut next = error.source();
    while let Some(reason) = next {
        told.push_str(&format!(": {reason}"));
        next = reason.source();
    }
    told
}
