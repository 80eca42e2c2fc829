//! The UDP socket, and what begins and ends on it.

mod trust;

use core::fmt;
use core::time::Duration;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex as StdMutex};

use stoq_core::close::Code;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::acceptor::{self, Door, Welcomes};
use crate::closed::Closed;
use crate::config::{ClientConfig, ConfigError, ServerConfig};
use crate::connect::{ConnectError, ConnectOptions, Connector, EarlyConnection};
use crate::connection::Connection;
use crate::driver;
use crate::early::EarlyRequest;
use crate::metrics::EndpointStats;
use crate::request::SessionRequest;
use crate::security::Judge;
use crate::session::Session;
use crate::socket;
use crate::target::Target;
use crate::tls::clients::Clients;
use crate::transport::IpVersions;
use crate::trust::TrustError;
use trust::House;
pub use trust::PolicyError;

/// A UDP socket with the connections on it: a client's, which connects, or a server's, which accepts.
///
/// Clones are handles to the same endpoint. When the last is dropped, a server takes no new sessions; connections that run
/// go on, and are closed by their own handles.
#[derive(Clone)]
pub struct Endpoint(Arc<Inner>);

struct Inner {
    quinn: quinn::Endpoint,
    drivers: Arc<driver::Shared>,
    role: Role,
}

enum Role {
    Client(Arc<Connector>),
    Server(Box<Server>),
}

struct Server {
    house: StdMutex<House>,
    /// What new connections are accepted with. Replaced when the house changes.
    welcome: watch::Sender<quinn::ServerConfig>,
    requests: Mutex<mpsc::Receiver<SessionRequest>>,
    early: Mutex<mpsc::Receiver<EarlyRequest>>,
    _acceptor: AbortOnDropHandle<()>,
}

impl Endpoint {
    /// A client, on any free port.
    ///
    /// Must be called within a tokio runtime, whose tasks then drive the endpoint.
    ///
    /// # Errors
    /// [`BindError`] if a setting cannot work, or the system does not give a socket.
    pub fn client(config: ClientConfig) -> Result<Self, BindError> {
        let connector = Connector::new(&config).map_err(BindError::Config)?;
        let judge = connector.judge(config.policy).map_err(BindError::Trust)?;
        let socket = socket::bind_any(config.transport.ip).map_err(|error| BindError::Socket {
            address: None,
            error,
        })?;
        let quinn = endpoint(socket, None, None)?;
        Ok(Self(Arc::new(Inner {
            quinn,
            drivers: Arc::new(driver::Shared::new(
                &config.transport,
                config.framed_streams,
                false,
                judge,
                None,
            )),
            role: Role::Client(Arc::new(connector)),
        })))
    }

    /// A server, at this address: `[::]:port` for all interfaces and both IP versions, port 0 for any that is free.
    ///
    /// Must be called within a tokio runtime, whose tasks then drive the endpoint.
    ///
    /// # Errors
    /// [`BindError`] if a setting cannot work, or the system does not give the address.
    pub fn server(address: SocketAddr, config: ServerConfig) -> Result<Self, BindError> {
        let family_fits = match config.transport.ip {
            IpVersions::Both => true,
            IpVersions::V6Only => address.is_ipv6(),
            IpVersions::V4Only => address.is_ipv4(),
        };
        if !family_fits {
            return Err(BindError::Config(ConfigError {
                setting: "ip",
                value: format!("{:?}", config.transport.ip),
                rule: "the address to bind is of the other version",
            }));
        }
        config.transport.check().map_err(BindError::Config)?;
        let door = Door::new(&config);
        let house = House {
            identity: config.identity,
            clients: Arc::new(Clients::new(config.clients)),
            cipher: config.cipher,
            transport: config.transport.clone(),
            framed_streams: config.framed_streams,
            early_data: config.early_data,
            token_key: House::token_key(),
        };
        let server = house.quinn();
        let judge = Judge::Clients(house.clients.clone());

        let socket =
            socket::bind(address, config.transport.ip).map_err(|error| BindError::Socket {
                address: Some(address),
                error,
            })?;
        let quinn = endpoint(socket, Some(address), Some(server.clone()))?;
        let welcome = watch::Sender::new(server);
        let (early_sender, early) = mpsc::channel(config.max_waiting.max(1));
        let early_sender = config.early_data.then_some(early_sender);
        let drivers = driver::Shared::new(
            &config.transport,
            config.framed_streams,
            config.relay,
            judge,
            early_sender,
        );
        drivers.access.send_replace(config.access.map(Arc::new));
        let drivers = Arc::new(drivers);
        let (sender, requests) = mpsc::channel(config.max_waiting.max(1));
        let welcomes = Welcomes::new(welcome.subscribe(), config.transport);
        let accepting = acceptor::accept(quinn.clone(), drivers.clone(), sender, door, welcomes);
        Ok(Self(Arc::new(Inner {
            quinn,
            drivers,
            role: Role::Server(Box::new(Server {
                house: StdMutex::new(house),
                welcome,
                requests: Mutex::new(requests),
                early: Mutex::new(early),
                _acceptor: AbortOnDropHandle::new(tokio::spawn(accepting)),
            })),
        })))
    }

    /// Connects to `stoq://host:port/service` and opens a session with the service: session 0 of a connection of its own.
    /// Resolves when the server has accepted it.
    ///
    /// Of a name's addresses the first that answers is taken (RFC 8305).
    ///
    /// # Errors
    /// [`ConnectError`] says what stood in the way, and [`ConnectError::code`] whose matter it is.
    ///
    /// # Cancel safety
    /// If the future is dropped, so are all attempts, and a connection that had come about is closed.
    pub async fn connect(&self, url: &str) -> Result<Session, ConnectError> {
        self.connect_with(url, ConnectOptions::default()).await
    }

    /// [`connect`](Self::connect), and asks for more: a route through relays, say. Then the URL's host and port are those of
    /// the first relay, and its identity is the one that the handshake proves; the target is whom the last relay knows under
    /// the service's name. [`Session::hops`] tells the relays that were passed.
    ///
    /// # Errors
    /// As `connect`; [`ConnectError::Route`] for a way that nobody could go. A relay that does not forward refuses with its
    /// own code: [`NEXT_HOP`](Code::NEXT_HOP), [`HOP_LOOP`](Code::HOP_LOOP), [`TOO_MANY_HOPS`](Code::TOO_MANY_HOPS) or
    /// [`UPSTREAM_UNREACHABLE`](Code::UPSTREAM_UNREACHABLE).
    ///
    /// # Cancel safety
    /// As `connect`.
    pub async fn connect_with(
        &self,
        url: &str,
        options: ConnectOptions,
    ) -> Result<Session, ConnectError> {
        let target: Target = url.parse()?;
        let no_service = || ConnectError::NoService { url: url.into() };
        if target.service.is_none() {
            return Err(no_service());
        }
        let (_, session) = self
            .connector()?
            .connect(&self.0.quinn, &self.0.drivers, &target, options)
            .await?;
        session.ok_or_else(no_service)
    }

    /// Begins to connect, and resolves as soon as requests can be sent: at once, if there is a session with this server to
    /// resume, and the server took early data then. Only the first of a name's addresses is tried.
    ///
    /// What is sent so can be sent again by whoever recorded it; see [`EarlyConnection`].
    ///
    /// # Errors
    /// [`ConnectError`] if nothing can be sent to the server, or nobody there could be believed.
    ///
    /// # Cancel safety
    /// If the future is dropped, nothing has been sent.
    pub async fn connect_early(&self, url: &str) -> Result<EarlyConnection, ConnectError> {
        let target: Target = url.parse()?;
        if target.service.is_none() {
            return Err(ConnectError::NoService { url: url.into() });
        }
        self.connector()?
            .connect_early(&self.0.quinn, &self.0.drivers, target)
            .await
    }

    /// Connects without asking for a service, in order to multiplex sessions with
    /// [`Connection::open_session`]. A service in `target` is left aside.
    ///
    /// # Errors
    /// [`ConnectError`] says what stood in the way, and [`ConnectError::code`] whose matter it is.
    ///
    /// # Cancel safety
    /// If the future is dropped, so are all attempts, and a connection that had come about is closed.
    pub async fn connect_to(&self, target: &Target) -> Result<Connection, ConnectError> {
        let target = Target {
            service: None,
            ..target.clone()
        };
        let (connection, _) = self
            .connector()?
            .connect(
                &self.0.quinn,
                &self.0.drivers,
                &target,
                ConnectOptions::default(),
            )
            .await?;
        Ok(connection)
    }

    /// The next session that a client asks for, on any connection. `None` when the endpoint is closed or shutting down,
    /// and on a client's.
    ///
    /// # Cancel safety
    /// If the future is dropped, no request is lost.
    pub async fn accept(&self) -> Option<SessionRequest> {
        let Role::Server(server) = &self.0.role else {
            return None;
        };
        self.unless_ending(async { server.requests.lock().await.recv().await })
            .await
    }

    /// The next request that came as early data, on any connection. `None` when the endpoint is closed or shutting down, on a
    /// server that does not take [early data](ServerConfig::early_data), and on a client's.
    ///
    /// At most [`ServerConfig::max_waiting`] wait here; more are rejected with [`Code::LIMIT`].
    ///
    /// # Cancel safety
    /// If the future is dropped, no request is lost.
    pub async fn accept_early(&self) -> Option<EarlyRequest> {
        let Role::Server(server) = &self.0.role else {
            return None;
        };
        self.unless_ending(async { server.early.lock().await.recv().await })
            .await
    }

    /// The address of the socket.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.quinn.local_addr()
    }

    /// Closes all connections at once, and takes no new ones. Peers are told code and reason.
    pub fn close(&self, code: Code, reason: &str) {
        self.0.drivers.ending.end(Closed::local(code, reason));
        self.0.quinn.close(code.value().into(), reason.as_bytes());
    }

    /// Resolves when no connection is left, and peers had the time to learn of it. Does not close any.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn wait_idle(&self) {
        self.0.drivers.tasks.wait().await;
        self.0.quinn.wait_idle().await;
    }

    /// Connections that are open now, or closing.
    pub fn open_connections(&self) -> usize {
        self.0.drivers.tasks.len()
    }

    /// What it has done so far, all its connections together. Takes a lock of each.
    pub fn stats(&self) -> EndpointStats {
        self.0.drivers.counters.get()
    }

    /// Ends in order: takes no new sessions, tells the peers so (GOAWAY), gives running sessions `grace` to end, closes what
    /// is left with [`Code::GOING_AWAY`], and resolves when peers had the time to learn of it.
    ///
    /// # Cancel safety
    /// If the future is dropped, the endpoint takes no new sessions, and those that run can end in their own time.
    pub async fn shutdown(&self, grace: Duration) {
        self.0.drivers.shutdown.send_replace(Some(grace));
        // An error says that the time is up.
        let _ = timeout(grace, self.0.drivers.tasks.wait()).await;
        self.close(Code::GOING_AWAY, "the endpoint has shut down");
        self.wait_idle().await;
    }

    /// What comes, or `None` when the endpoint is closed or shutting down.
    async fn unless_ending<T>(&self, coming: impl Future<Output = Option<T>>) -> Option<T> {
        let mut shutdown = self.0.drivers.shutdown.subscribe();
        tokio::select! {
            biased;
            () = self.0.drivers.ending.token().cancelled() => None,
            _ = shutdown.wait_for(Option::is_some) => None,
            came = coming => came,
        }
    }

    fn connector(&self) -> Result<&Arc<Connector>, ConnectError> {
        if self.0.drivers.ending.get().is_some() || self.0.drivers.shutdown.borrow().is_some() {
            return Err(ConnectError::EndpointClosed);
        }
        match &self.0.role {
            Role::Client(connector) => Ok(connector),
            Role::Server(_) => Err(ConnectError::NotAClient),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Otherwise first packets would go on to gather for a server that nobody asks.
        self.quinn.set_server_config(None);
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("local_addr", &self.local_addr().ok())
            .field("open_connections", &self.open_connections())
            .finish_non_exhaustive()
    }
}

pub(crate) fn endpoint(
    socket: UdpSocket,
    address: Option<SocketAddr>,
    server: Option<quinn::ServerConfig>,
) -> Result<quinn::Endpoint, BindError> {
    let runtime = quinn::default_runtime().ok_or(BindError::NoRuntime)?;
    let mut config = quinn::EndpointConfig::default();
    // RFC 9000. Drafts of it have other constants, and no peers any more.
    config.supported_versions(vec![1]);
    quinn::Endpoint::new(config, server, socket, runtime)
        .map_err(|error| BindError::Socket { address, error })
}

/// An endpoint cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A setting cannot work.
    #[error(transparent)]
    Config(ConfigError),
    /// There is nothing to trust.
    #[error(transparent)]
    Trust(TrustError),
    /// The system does not give the socket.
    #[error("cannot bind {}: {error}", address.map_or_else(|| "a UDP port".into(), |address| address.to_string()))]
    Socket {
        /// The address asked for; `None` for any.
        address: Option<SocketAddr>,
        /// What the system says.
        error: io::Error,
    },
    /// The caller is not within a tokio runtime.
    #[error("not within a tokio runtime")]
    NoRuntime,
}
