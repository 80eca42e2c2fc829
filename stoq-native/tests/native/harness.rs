//! A server, a client and a session between them.

use std::net::{Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use stoq_native::{
    ClientConfig, Connection, Endpoint, Identity, Limits, PqPolicy, Request, ServerConfig,
    ServiceName, Session, Target, Trust,
};

/// Fails a test that waits for something that does not come.
pub(crate) async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), test)
        .await
        .expect("the test waits for something that does not come")
}

/// Whether the future has to wait.
pub(crate) async fn waits(future: impl Future) -> bool {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

/// Waits for what no event announces.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

/// A server and a client that trusts it.
pub(crate) struct Peers {
    pub(crate) server: Endpoint,
    pub(crate) client: Endpoint,
    /// What another client has to believe in.
    pub(crate) policy: PqPolicy,
}

impl Peers {
    pub(crate) fn new() -> Self {
        Self::with(|_, _| ())
    }

    pub(crate) fn with_limits(limits: Limits) -> Self {
        Self::with(|server, client| {
            server.transport.limits = limits;
            client.transport.limits = limits;
        })
    }

    pub(crate) fn with(change: impl FnOnce(&mut ServerConfig, &mut ClientConfig)) -> Self {
        let identity = Identity::self_signed(["localhost"]).unwrap();
        let mut client =
            ClientConfig::new(Trust::CertificateHashes(vec![identity.certificate_hash()]));
        let mut server = ServerConfig::new(identity);
        change(&mut server, &mut client);
        let policy = client.policy.clone();
        Self {
            policy,
            server: Endpoint::server("[::]:0".parse().unwrap(), server).unwrap(),
            client: Endpoint::client(client).unwrap(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (
            Ipv6Addr::LOCALHOST,
            self.server.local_addr().unwrap().port(),
        )
            .into()
    }

    pub(crate) fn url(&self, service: &str) -> String {
        format!("stoq://{}/{service}", self.address())
    }

    /// Both ends of a session on a connection of its own.
    pub(crate) async fn session(&self) -> (Session, Session) {
        let url = self.url("test");
        let accept = async { self.server.accept().await.unwrap().accept().await.unwrap() };
        let (client, server) = tokio::join!(self.client.connect(&url), accept);
        (client.unwrap(), server)
    }

    /// A connection to multiplex sessions on.
    pub(crate) async fn connection(&self) -> Connection {
        let target: Target = self.url("").parse().unwrap();
        self.client.connect_to(&target).await.unwrap()
    }

    /// Both ends of a session that is multiplexed on this connection.
    pub(crate) async fn multiplexed(&self, connection: &Connection) -> (Session, Session) {
        let accept = async { self.server.accept().await.unwrap().accept().await.unwrap() };
        let (client, server) = tokio::join!(
            connection.open_session(Request::new(service("test"))),
            accept
        );
        (client.unwrap(), server)
    }

    /// Closes both ends, and finds that nothing is left.
    pub(crate) async fn close(self) {
        for endpoint in [&self.client, &self.server] {
            endpoint.close(stoq_native::Code::NO_ERROR, "");
        }
        for endpoint in [&self.client, &self.server] {
            endpoint.wait_idle().await;
            assert_eq!(endpoint.open_connections(), 0);
        }
    }
}

pub(crate) fn service(name: &str) -> ServiceName {
    ServiceName::new(name).unwrap()
}

/// Sends back all that comes on streams and datagrams, until the session ends.
pub(crate) async fn echo(session: Session) {
    let mut streams = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            Ok((mut send, mut receive)) = session.accept_bi() => {
                streams.spawn(async move {
                    while let Ok(Some(chunk)) = receive.read_chunk(usize::MAX).await {
                        if send.write_chunk(chunk).await.is_err() {
                            return;
                        }
                    }
                    let _ = send.finish();
                });
            }
            Ok(payload) = session.recv_datagram() => {
                let _ = session.send_datagram(payload);
            }
            Some(_) = streams.join_next() => {}
            else => return,
        }
    }
}

/// Bytes that differ from place to place.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}
