//! How an endpoint comes about, and moves.

mod error;

use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex as StdMutex};

use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::runtime::Home;
use super::trust::House;
use super::{Accepting, Endpoint, Inner, Role, Server};
use crate::acceptor::{self, Door, Welcomes};
use crate::config::{ClientConfig, ConfigError, ServerConfig};
use crate::connect::Connector;
use crate::driver;
use crate::reset_key::ResetKey;
use crate::security::Judge;
use crate::socket::{self, Bound, Identifiers, QuinnSocket, SocketConfig, Steering};
use crate::tls::clients::Clients;
use crate::transport::IpVersions;
use crate::workers;
pub use error::BindError;

impl Endpoint {
    /// A client, on any free port.
    ///
    /// Must be called within a tokio runtime, whose tasks then drive the endpoint and all its connections, whichever runtime
    /// [`connect`](Self::connect) is called in.
    ///
    /// # Errors
    /// [`BindError`] if a setting cannot work, or the system does not give a socket.
    pub fn client(config: ClientConfig) -> Result<Self, BindError> {
        let connector = Connector::new(&config).map_err(BindError::Config)?;
        let judge = connector.judge(config.policy).map_err(BindError::Trust)?;
        in_runtime()?;
        let settings = config.transport.socket;
        let socket = socket::bind_any(config.transport.ip, &settings).map_err(unbound(None))?;
        let sockets = tracker();
        let quinn = open_client(socket, &settings, &sockets)?;
        Ok(Self(Arc::new(Inner {
            quinn: vec![quinn],
            drivers: Arc::new(driver::Shared::new(
                &config.transport,
                config.framed_streams,
                false,
                judge,
                None,
            )),
            sockets,
            role: Role::Client(Arc::new(connector), settings),
        })))
    }

    /// A server, at this address: `[::]:port` for all interfaces and both IP versions, port 0 for any that is free.
    ///
    /// Must be called within a tokio runtime, whose tasks then drive the endpoint; with several [workers](ServerConfig::workers),
    /// their threads do.
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
        in_runtime()?;
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
        let welcome = watch::Sender::new(house.quinn());
        let welcomes = Welcomes::new(welcome.subscribe(), config.transport.clone());
        let welcomes = welcomes.map_err(BindError::Config)?;
        let (early_sender, early) = mpsc::channel(config.max_waiting.max(1));
        let drivers = driver::Shared::new(
            &config.transport,
            config.framed_streams,
            config.relay,
            Judge::Clients(house.clients.clone()),
            config.early_data.then_some(early_sender),
        );
        drivers.access.send_replace(config.access.map(Arc::new));
        let drivers = Arc::new(drivers);
        let (sender, requests) = mpsc::channel(config.max_waiting.max(1));
        let accept = {
            let drivers = drivers.clone();
            move |quinn| {
                let (drivers, sender) = (drivers.clone(), sender.clone());
                acceptor::accept(quinn, drivers, sender, door.clone(), welcomes.clone())
            }
        };

        let settings = config.transport.socket;
        let steering = Steering::new(config.workers.get());
        let bound = socket::bind_group(address, config.transport.ip, &settings, steering);
        let bound = bound.map_err(unbound(Some(address)))?;
        let reset_key = config.reset_key.unwrap_or_else(ResetKey::generate);
        let server = welcome.borrow().clone();
        let sockets = tracker();
        let open = {
            let sockets = sockets.clone();
            move |worker, bound| {
                let identifiers = Identifiers { steering, worker };
                let config = for_server(&settings, &reset_key, identifiers);
                let quinn = open(bound, &settings, config, Some(server.clone()), &sockets);
                quinn.map_err(unbound(Some(address)))
            }
        };
        let (quinn, accepting) = if bound.len() == 1 {
            let quinn: Result<Vec<_>, BindError> =
                bound.into_iter().map(|bound| open(0, bound)).collect();
            let quinn = quinn?;
            let accepting = tokio::spawn(accept(quinn[0].clone()));
            (quinn, Accepting::Here(AbortOnDropHandle::new(accepting)))
        } else {
            let (quinn, stop) = workers::start(bound, open, accept, &drivers)?;
            (quinn, Accepting::Workers(stop))
        };
        Ok(Self(Arc::new(Inner {
            quinn,
            drivers,
            sockets,
            role: Role::Server(Box::new(Server {
                house: StdMutex::new(house),
                welcome,
                requests: Mutex::new(requests),
                early: Mutex::new(early),
                _accepting: accepting,
            })),
        })))
    }

    /// A client's: goes on from a new socket, on any free port, and with it all connections; what their paths are like is
    /// measured anew. Of use when the interface that the old one used is gone, or the machine has woken in another network.
    ///
    /// Returns at once. Each connection tells its server with the next packet, under a connection id that was not used before, so
    /// that nobody on the way can tell by it that the two are one. The server sees [`Connection::remote_address`](crate::Connection::remote_address)
    /// change and nothing else: sessions, streams, datagrams and messages go on; what was on its way to the old socket is sent again.
    /// A server that does not know the new address yet asks it for proof ([RFC 9000, section 8.2]) and until then sends it no more than three
    /// times what came from there. One that [refuses migration](crate::TransportConfig::migration) hears no more, and the connection
    /// ends with an idle time-out: [`Code::TIMEOUT`](crate::Code::TIMEOUT), or [`Code::CONNECTION_LOST`](crate::Code::CONNECTION_LOST)
    /// if the server's was the shorter one.
    ///
    /// [RFC 9000, section 8.2]: https://www.rfc-editor.org/rfc/rfc9000#section-8.2
    ///
    /// # Errors
    /// [`BindError::Socket`] or [`BindError::FileLimit`] if the system does not give a socket, [`BindError::NotAClient`] on a server's
    /// endpoint; then all stays as it was.
    pub fn rebind(&self) -> Result<(), BindError> {
        let Role::Client(connector, settings) = &self.0.role else {
            return Err(BindError::NotAClient);
        };
        // Whoever calls: the socket is the endpoint's.
        let _within = self.0.drivers.runtime.enter();
        let quinn = self.0.first();
        socket::bind_any(connector.ip(), settings)
            .and_then(|bound| QuinnSocket::new(bound, settings.mtu, Some(self.0.sockets.token())))
            .and_then(|socket| quinn.rebind_abstract(Arc::new(socket)))
            .map_err(unbound(None))
    }
}

/// quinn's endpoint over a client's socket.
pub(crate) fn open_client(
    bound: Bound,
    settings: &SocketConfig,
    sockets: &TaskTracker,
) -> Result<quinn::Endpoint, BindError> {
    in_runtime()?;
    let config = bounded(quinn::EndpointConfig::default(), settings);
    open(bound, settings, config, None, sockets).map_err(unbound(None))
}

/// quinn's endpoint over this socket, in the present runtime.
fn open(
    bound: Bound,
    settings: &SocketConfig,
    config: quinn::EndpointConfig,
    server: Option<quinn::ServerConfig>,
    sockets: &TaskTracker,
) -> io::Result<quinn::Endpoint> {
    let socket = QuinnSocket::new(bound, settings.mtu, Some(sockets.token()))?;
    let socket = Arc::new(socket);
    let runtime = Arc::new(Home::current());
    quinn::Endpoint::new_with_abstract_socket(config, server, socket, runtime)
}

/// Of the sockets of an endpoint.
pub(crate) fn tracker() -> TaskTracker {
    let tracker = TaskTracker::new();
    // Then `wait` resolves whenever it has none.
    tracker.close();
    tracker
}

fn for_server(
    settings: &SocketConfig,
    reset_key: &ResetKey,
    identifiers: Identifiers,
) -> quinn::EndpointConfig {
    let mut config = bounded(quinn::EndpointConfig::new(reset_key.hmac()), settings);
    config.cid_generator(move || Box::new(identifiers));
    config.min_reset_interval(RESET_INTERVAL);
    config
}

/// Between two stateless resets of one worker. quinn's default of 20 ms would leave most clients of a server that was restarted to
/// their idle time-out. A thousand a second cost a worker less than a hundredth of its time, and no stranger gets more bytes from
/// one than it sent.
const RESET_INTERVAL: Duration = Duration::from_millis(1);

fn bounded(mut config: quinn::EndpointConfig, settings: &SocketConfig) -> quinn::EndpointConfig {
    // RFC 9000. Drafts of it have other constants, and no peers any more.
    config.supported_versions(vec![1]);
    // It has been checked; quinn's default is right for most paths.
    let _ = config.max_udp_payload_size(settings.mtu);
    config
}

fn in_runtime() -> Result<(), BindError> {
    let runtime = tokio::runtime::Handle::try_current();
    runtime.map(drop).map_err(|_| BindError::NoRuntime)
}

fn unbound(address: Option<SocketAddr>) -> impl Fn(io::Error) -> BindError {
    move |error| BindError::system(error, |error| BindError::Socket { address, error })
}
