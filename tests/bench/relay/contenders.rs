//! The contenders. Each server, and the gateway, has a thread and a runtime of its own; all clients share the
//! main thread. Windows and socket buffers are the same for all.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use stoq_conformance::Connect;
use stoq_core::service::ServiceName;
use stoq_gateway::Gateway;
use stoq_gateway::config::{Certificate, Config, Route};
use stoq_native::{ClientConfig, Endpoint, Identity, Limits, ServerConfig, Trust};
use stoq_tests::webtransport::{self, WebTransport};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::Result;
use crate::measure::serve;

type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;
type Stream = (Box<dyn AsyncWrite + Unpin>, Box<dyn AsyncRead + Unpin>);

/// Something that can be connected to.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    connect: Box<dyn Fn() -> Boxed<Result<Connection>>>,
}

impl Contender {
    pub(crate) async fn connect(&self) -> Result<Connection> {
        (self.connect)().await
    }
}

/// An open connection, whatever it is.
pub(crate) struct Connection(Box<dyn Fn() -> Boxed<Result<Stream>>>);

impl Connection {
    pub(crate) async fn open(&self) -> Result<Stream> {
        (self.0)().await
    }
}

/// Runs a server for the rest of the process, and returns what it says once it listens.
fn on_a_thread<T, F>(server: impl FnOnce(Sender<Result<T>>) -> F + Send + 'static) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = ()>,
{
    let (ready, listening) = channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime
            .expect("a thread can have a runtime")
            .block_on(server(ready));
    });
    listening.recv()?
}

fn identity() -> Result<Identity> {
    Ok(Identity::self_signed(["localhost", "127.0.0.1"])?)
}

/// quinn's own settings, with the windows that STOQ has.
fn transport() -> Arc<quinn::TransportConfig> {
    let limits = Limits::default();
    let mut transport = quinn::TransportConfig::default();
    transport
        .stream_receive_window(limits.stream_window.into())
        .receive_window(quinn::VarInt::MAX)
        .send_window(limits.send_window);
    Arc::new(transport)
}

/// A socket with the buffers that STOQ asks for.
fn socket() -> Result<std::net::UdpSocket> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
    socket.set_recv_buffer_size(4 * 1024 * 1024)?;
    socket.set_send_buffer_size(4 * 1024 * 1024)?;
    let any: std::net::SocketAddr = "127.0.0.1:0".parse()?;
    socket.bind(&any.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn quinn_endpoint(server: Option<quinn::ServerConfig>) -> Result<quinn::Endpoint> {
    let runtime = Arc::new(quinn::TokioRuntime);
    Ok(quinn::Endpoint::new(
        quinn::EndpointConfig::default(),
        server,
        socket()?,
        runtime,
    )?)
}

/// quinn as its own documentation uses it.
pub(crate) fn quinn_alone() -> Result<Contender> {
    let identity = identity()?;
    let chain: Vec<_> = identity
        .certificate_chain()
        .map(|der| CertificateDer::from(der.to_vec()))
        .collect();
    let key = PrivateKeyDer::try_from(
        identity
            .private_key()
            .ok_or("it has a classical key")?
            .to_vec(),
    )?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(chain[0].clone())?;
    let address = on_a_thread(move |ready| async move {
        let endpoint = (|| {
            let tls = rustls::ServerConfig::builder()
                .with_no_client_auth()
                .with_single_cert(chain, key)?;
            let tls = Arc::new(QuicServerConfig::try_from(tls)?);
            let mut config = quinn::ServerConfig::with_crypto(tls);
            config.transport_config(transport());
            quinn_endpoint(Some(config))
        })();
        let endpoint = match endpoint {
            Ok(endpoint) => endpoint,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let _ = ready.send(endpoint.local_addr().map_err(Into::into));
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move {
                let connection = incoming.await?;
                while let Ok((send, recv)) = connection.accept_bi().await {
                    tokio::spawn(serve(send, recv));
                }
                Result::Ok(())
            });
        }
    })?;
    let tls = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(transport());
    let mut endpoint = quinn_endpoint(None)?;
    endpoint.set_default_client_config(config);
    let connect = move || -> Boxed<Result<Connection>> {
        let connecting = endpoint.connect(address, "localhost");
        Box::pin(async move {
            let connection = connecting?.await?;
            Ok(Connection(Box::new(move || {
                let connection = connection.clone();
                Box::pin(async move {
                    let (send, recv) = connection.open_bi().await?;
                    Ok((Box::new(send) as _, Box::new(recv) as _))
                })
            })))
        })
    };
    Ok(Contender {
        name: "quinn",
        connect: Box::new(connect),
    })
}

/// Serves STOQ; returns `host:port` and the certificate's hash.
fn serve_stoq() -> Result<(String, [u8; 32])> {
    on_a_thread(|ready| async move {
        let endpoint = (|| {
            let identity = identity()?;
            let hash = identity.certificate_hash();
            let endpoint = Endpoint::server("127.0.0.1:0".parse()?, ServerConfig::new(identity))?;
            Result::Ok((endpoint.local_addr()?.to_string(), hash, endpoint))
        })();
        let endpoint = match endpoint {
            Ok((address, hash, endpoint)) => {
                let _ = ready.send(Ok((address, hash)));
                endpoint
            }
            Err(error) => return drop(ready.send(Err(error))),
        };
        while let Some(request) = endpoint.accept().await {
            tokio::spawn(async move {
                let session = request.accept().await?;
                while let Ok((send, recv)) = session.accept_bi().await {
                    tokio::spawn(serve(send, recv));
                }
                Result::Ok(())
            });
        }
    })
}

/// STOQ between native peers.
pub(crate) fn stoq() -> Result<Contender> {
    let (authority, hash) = serve_stoq()?;
    let trust = Trust::CertificateHashes(vec![hash]);
    let endpoint = Endpoint::client(ClientConfig::new(trust))?;
    let connect = move || -> Boxed<Result<Connection>> {
        let (endpoint, url) = (endpoint.clone(), format!("stoq://{authority}/bench"));
        Box::pin(async move {
            let session = endpoint.connect(&url).await?;
            Ok(Connection(Box::new(move || {
                let session = session.clone();
                Box::pin(async move {
                    let (send, recv) = session.open_bi().await?;
                    Ok((Box::new(send) as _, Box::new(recv) as _))
                })
            })))
        })
    };
    Ok(Contender {
        name: "STOQ",
        connect: Box::new(connect),
    })
}

/// A server that speaks WebTransport itself, by the wtransport crate alone.
pub(crate) fn webtransport_alone() -> Result<Contender> {
    let identity = wtransport::Identity::self_signed(["localhost", "127.0.0.1"])?;
    let hash = identity.certificate_chain().as_slice()[0].hash();
    let port = on_a_thread(move |ready| async move {
        let config = wtransport::ServerConfig::builder()
            .with_bind_address("127.0.0.1:0".parse().expect("a constant address"))
            .with_identity(identity)
            .build();
        let endpoint = match wtransport::Endpoint::server(config) {
            Ok(endpoint) => endpoint,
            Err(error) => return drop(ready.send(Err(error.into()))),
        };
        let address = endpoint.local_addr();
        let _ = ready.send(address.map(|address| address.port()).map_err(Into::into));
        loop {
            let incoming = endpoint.accept().await;
            tokio::spawn(async move {
                let connection = incoming.await?.accept().await?;
                while let Ok((send, recv)) = connection.accept_bi().await {
                    tokio::spawn(serve(send, recv));
                }
                Result::Ok(())
            });
        }
    })?;
    let config = wtransport::ClientConfig::builder()
        .with_bind_default()
        .with_server_certificate_hashes([hash])
        .build();
    let endpoint = Arc::new(wtransport::Endpoint::client(config)?);
    let connect = move || -> Boxed<Result<Connection>> {
        let endpoint = endpoint.clone();
        Box::pin(async move {
            let connection = endpoint
                .connect(format!("https://127.0.0.1:{port}/"))
                .await?;
            Ok(Connection(Box::new(move || {
                let connection = connection.clone();
                Box::pin(async move {
                    let (send, recv) = connection.open_bi().await?.await?;
                    Ok((Box::new(send) as _, Box::new(recv) as _))
                })
            })))
        })
    };
    Ok(Contender {
        name: "WebTransport server",
        connect: Box::new(connect),
    })
}

/// The same WebTransport client, through the gateway to a native STOQ service.
pub(crate) fn gateway() -> Result<Contender> {
    let (authority, hash) = serve_stoq()?;
    let (url, hash) = on_a_thread(move |ready| async move {
        let started = async {
            let service = ServiceName::new("bench")?;
            let target = format!("stoq://{authority}").parse()?;
            let route = Route::new(service, target, Trust::CertificateHashes(vec![hash]));
            let names = vec!["localhost".into(), "127.0.0.1".into()];
            let certificate = Certificate::SelfSigned { names };
            let config = Config::new("127.0.0.1:0".parse()?, certificate, vec![route]);
            Result::Ok(Gateway::bind(config).await?)
        };
        match started.await {
            Ok(gateway) => {
                let _ = ready.send(Ok((gateway.url().to_owned(), gateway.certificate_hash())));
                // The gateway lives as long as its handle.
                std::future::pending::<()>().await;
                drop(gateway);
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    })?;
    let client = Arc::new(WebTransport::new(&url, hash));
    let connect = move || -> Boxed<Result<Connection>> {
        let client = client.clone();
        Box::pin(async move {
            let session = client.connect("bench").await;
            let session = session.map_err(|failure| format!("connect: {}", failure.0))?;
            let session: Arc<webtransport::Session> = Arc::new(session);
            Ok(Connection(Box::new(move || {
                let session = session.clone();
                Box::pin(async move {
                    let (send, recv) = session.open_raw().await?;
                    Ok((Box::new(send) as _, Box::new(recv) as _))
                })
            })))
        })
    };
    Ok(Contender {
        name: "WebTransport → gateway → STOQ",
        connect: Box::new(connect),
    })
}
