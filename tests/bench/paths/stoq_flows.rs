//! STOQ's ends.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use stoq_native::{
    ClientConfig, CongestionAlgorithm, Endpoint, Identity, ServerConfig, SessionRequest,
    TransportConfig, Trust,
};

use crate::Result;
use crate::contenders::{Algorithm, PIECE, Ready, Received, Sender, Sent, ServerTrust, WINDOW};

fn transport(algorithm: Algorithm) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.congestion = match algorithm {
        Algorithm::NewReno => CongestionAlgorithm::NewReno,
        Algorithm::Cubic => CongestionAlgorithm::Cubic,
        Algorithm::Bbr => CongestionAlgorithm::Bbr,
    };
    transport.limits.stream_window = WINDOW;
    transport.limits.send_window = WINDOW.into();
    transport
}

pub(crate) async fn serve(algorithm: Algorithm, received: Received, ready: Ready) {
    let endpoint = (|| {
        let identity = Identity::self_signed(["127.0.0.1"])?;
        let trust = ServerTrust::Hash(identity.certificate_hash());
        let mut config = ServerConfig::new(identity);
        config.transport = transport(algorithm);
        let endpoint = Endpoint::server("127.0.0.1:0".parse()?, config)?;
        Result::Ok((endpoint.local_addr()?, trust, endpoint))
    })();
    let endpoint = match endpoint {
        Ok((address, trust, endpoint)) => {
            let _ = ready.send(Ok((address, trust)));
            endpoint
        }
        Err(error) => return drop(ready.send(Err(error))),
    };
    while let Some(request) = endpoint.accept().await {
        tokio::spawn(receive(request, received.clone()));
    }
}

async fn receive(request: SessionRequest, received: Received) -> Result<()> {
    let session = request.accept().await?;
    let mut stream = session.accept_uni().await?;
    let mut flow = [0];
    stream.read(&mut flow).await?;
    let received = received.get(usize::from(flow[0])).ok_or("such a flow")?;
    while let Some(bytes) = stream.read_chunk(PIECE).await? {
        received.fetch_add(bytes.len() as u64, Relaxed);
    }
    Ok(())
}

pub(crate) async fn send(
    algorithm: Algorithm,
    flow: u8,
    to: SocketAddr,
    trust: &ServerTrust,
) -> Result<Sender> {
    let ServerTrust::Hash(hash) = trust else {
        return Err("STOQ goes by hash here".into());
    };
    let mut config = ClientConfig::new(Trust::CertificateHashes(vec![*hash]));
    config.transport = transport(algorithm);
    let endpoint = Endpoint::client(config)?;
    let session = endpoint.connect(&format!("stoq://{to}/sink")).await?;
    let connection = session.connection().clone();
    let address = endpoint.local_addr()?;
    let writing = async move {
        // Nobody else holds it.
        let _endpoint = endpoint;
        let piece = Bytes::from(vec![flow; PIECE]);
        match session.open_uni().await {
            Ok(mut stream) => loop {
                if let Err(error) = stream.write_chunk(piece.clone()).await {
                    break error.to_string();
                }
            },
            Err(error) => error.to_string(),
        }
    };
    Ok(Sender {
        writing: Box::pin(writing),
        sent: Box::new(move || {
            let stats = connection.stats();
            Sent {
                sent: stats.sent_packets,
                lost: stats.lost_packets,
            }
        }),
        address,
    })
}
