//! What can be seen and sent on the wire without any key: Retry packets, and first packets that nobody stands behind.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::UdpSocket;
use tokio_util::task::AbortOnDropHandle;

use super::rogue::{Schemes, client_tls};

/// Stands between one client and a server, passes on all that they send, and counts what the server sends.
pub(crate) struct Tap {
    pub(crate) address: SocketAddr,
    answers: Arc<AtomicUsize>,
    retries: Arc<AtomicUsize>,
    _passing: AbortOnDropHandle<()>,
}

impl Tap {
    pub(crate) async fn new(server: SocketAddr) -> Self {
        let [front, back] = [bind().await, bind().await];
        back.connect(server).await.unwrap();
        let address = front.local_addr().unwrap();
        let [answers, retries] = [(); 2].map(|()| Arc::<AtomicUsize>::default());
        let counters = [answers.clone(), retries.clone()];
        let passing = async move {
            let (mut out, mut home) = ([0; 2048], [0; 2048]);
            let mut client = None;
            loop {
                tokio::select! {
                    Ok((length, from)) = front.recv_from(&mut out) => {
                        client = Some(from);
                        back.send(&out[..length]).await.unwrap();
                    }
                    Ok(length) = back.recv(&mut home) => {
                        counters[0].fetch_add(1, Ordering::SeqCst);
                        counters[1].fetch_add(is_retry(&home[..length]).into(), Ordering::SeqCst);
                        let client = client.expect("the server only answers");
                        front.send_to(&home[..length], client).await.unwrap();
                    }
                }
            }
        };
        Self {
            address,
            answers,
            retries,
            _passing: AbortOnDropHandle::new(tokio::spawn(passing)),
        }
    }

    /// Datagrams that the server has sent.
    pub(crate) fn answers(&self) -> usize {
        self.answers.load(Ordering::SeqCst)
    }

    /// Retry packets among them.
    pub(crate) fn retries(&self) -> usize {
        self.retries.load(Ordering::SeqCst)
    }
}

/// The first packets of `count` clients, each in the two datagrams that a hybrid key share takes. They offer FALCON.
pub(crate) async fn first_packets(count: usize) -> Vec<Vec<Vec<u8>>> {
    let socket = bind().await;
    let nobody = socket.local_addr().unwrap();
    let tls = client_tls(None, Schemes::WithComposite);
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(tls));
    let endpoint = quinn::Endpoint::client("[::1]:0".parse().unwrap()).unwrap();
    let mut packets = HashMap::<Vec<u8>, Vec<Vec<u8>>>::new();
    let mut buffer = [0; 2048];
    for so_far in 1..=count {
        let connecting = endpoint.connect_with(config.clone(), nobody, "localhost");
        while packets.len() < so_far || packets.values().any(|datagrams| datagrams.len() < 2) {
            let (length, _) = socket.recv_from(&mut buffer).await.unwrap();
            let datagram = buffer[..length].to_vec();
            assert!(length >= 1200 && is_long(&datagram), "an Initial packet");
            let id = datagram[6..6 + usize::from(datagram[5])].to_vec();
            let datagrams = packets.entry(id).or_default();
            // What comes after the two says the same again, or that the client gives up.
            if datagrams.len() < 2 {
                datagrams.push(datagram);
            }
        }
        drop(connecting);
    }
    packets.into_values().collect()
}

/// Sends all of them, and counts the Retry packets that come back. Nobody answers those.
pub(crate) async fn flood(server: SocketAddr, packets: &[Vec<Vec<u8>>]) -> usize {
    let socket = bind().await;
    let (mut retries, mut buffer) = (0, [0; 2048]);
    for datagrams in packets {
        for datagram in datagrams {
            socket.send_to(datagram, server).await.unwrap();
        }
        // Each client hears something: so the server keeps up, and no socket's buffer overflows.
        let (length, _) = socket.recv_from(&mut buffer).await.unwrap();
        retries += usize::from(is_retry(&buffer[..length]));
        while let Ok((length, _)) = socket.try_recv_from(&mut buffer) {
            retries += usize::from(is_retry(&buffer[..length]));
        }
    }
    retries
}

async fn bind() -> UdpSocket {
    UdpSocket::bind("[::1]:0").await.unwrap()
}

/// RFC 9000, section 17.2. The bit beside the first one may have any value (RFC 9287).
fn is_long(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| first & 0x80 != 0)
}

fn is_retry(datagram: &[u8]) -> bool {
    is_long(datagram) && datagram[0] & 0x30 == 0x30
}
