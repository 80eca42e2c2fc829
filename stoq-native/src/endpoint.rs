//! The UDP sockets, and what begins and ends on them.

mod bind;
mod rotate;
mod runtime;
mod trust;

use core::fmt;
use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex as StdMutex};

use stoq_core::close::Code;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::DropGuard;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::closed::Closed;
use crate::connect::{ConnectError, ConnectOptions, Connector, EarlyConnection};
use crate::connection::Connection;
use crate::driver;
use crate::early::EarlyRequest;
use crate::metrics::EndpointStats;
use crate::request::SessionRequest;
use crate::session::Session;
use crate::socket::SocketConfig;
use crate::target::Target;
pub use bind::BindError;
pub(crate) use bind::{open_client, tracker};
pub use rotate::RotateError;
use trust::House;
pub use trust::PolicyError;

/// A UDP socket with the connections on it: a client's, which connects, or a server's, which accepts.
///
/// Clones are handles to the same endpoint. When the last is dropped, a server takes no new sessions; connections that run
/// go on, and are closed by their own handles.
#[derive(Clone)]
pub struct Endpoint(Arc<Inner>);

struct Inner {
    /// One for each worker; a client has one.
    quinn: Vec<quinn::Endpoint>,
    drivers: Arc<driver::Shared>,
    /// Those that are open.
    sockets: TaskTracker,
    role: Role,
}

enum Role {
    /// With the settings of its socket.
    Client(Arc<Connector>, SocketConfig),
    Server(Box<Server>),
}

struct Server {
    house: StdMutex<House>,
    /// What the house makes handshakes with now.
    welcome: watch::Sender<quinn::ServerConfig>,
    requests: Mutex<mpsc::Receiver<SessionRequest>>,
    early: Mutex<mpsc::Receiver<EarlyRequest>>,
    _accepting: Accepting,
}

/// Takes new connections until it is dropped.
enum Accepting {
    Here(#[expect(dead_code, reason = "aborts on drop")] AbortOnDropHandle<()>),
    Workers(#[expect(dead_code, reason = "stops them on drop")] DropGuard),
}

impl Endpoint {
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
            .connect(self.0.first(), &self.0.drivers, &target, options)
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
            .connect_early(self.0.first(), &self.0.drivers, target)
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
                self.0.first(),
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
    /// server that does not take [early data](crate::ServerConfig::early_data), and on a client's.
    ///
    /// At most [`ServerConfig::max_waiting`](crate::ServerConfig::max_waiting) wait here; more are rejected with [`Code::LIMIT`].
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
        self.0.first().local_addr()
    }

    /// Closes all connections at once, and takes no new ones. Peers are told code and reason.
    pub fn close(&self, code: Code, reason: &str) {
        self.0.drivers.ending.end(Closed::local(code, reason));
        for quinn in &self.0.quinn {
            quinn.close(code.value().into(), reason.as_bytes());
        }
    }

    /// Resolves when no connection is left, and peers had the time to learn of it. Does not close any.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn wait_idle(&self) {
        self.0.drivers.tasks.wait().await;
        for quinn in &self.0.quinn {
            quinn.wait_idle().await;
        }
    }

    /// Resolves when the sockets are gone, and the address is free for another. The future is no handle: close the endpoint, take the
    /// future, drop the endpoint, and wait.
    ///
    /// ```no_run
    /// # async fn restart(endpoint: stoq_native::Endpoint) {
    /// endpoint.shutdown(std::time::Duration::from_secs(10)).await;
    /// let released = endpoint.released();
    /// drop(endpoint);
    /// released.await;
    /// # }
    /// ```
    ///
    /// Whatever sends on a socket holds it: handles of the endpoint, and those of its connections, sessions and streams, even if they
    /// have ended. Their last drop is noticed by a task of the runtime, so without this it is not known when.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub fn released(&self) -> impl Future<Output = ()> + Send + use<> {
        let sockets = self.0.sockets.clone();
        async move { sockets.wait().await }
    }

    /// Connections that are open now, or closing.
    pub fn open_connections(&self) -> usize {
        self.0.drivers.tasks.len()
    }

    /// Connections of each [worker](crate::ServerConfig::workers), those included that are closing; a client has one worker.
    pub fn connections_by_worker(&self) -> Vec<usize> {
        let quinn = self.0.quinn.iter();
        quinn.map(quinn::Endpoint::open_connections).collect()
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
            Role::Client(connector, _) => Ok(connector),
            Role::Server(_) => Err(ConnectError::NotAClient),
        }
    }
}

impl Inner {
    fn first(&self) -> &quinn::Endpoint {
        self.quinn.first().expect("there is at least one worker")
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Otherwise first packets would go on to gather for a server that nobody asks.
        for quinn in &self.quinn {
            quinn.set_server_config(None);
        }
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
