//! Connecting with early data.

use core::fmt;
use std::sync::Arc;

use stoq_core::close::Code;
use stoq_core::stream::Direction;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::{Attempt, ConnectError, ConnectOptions, Connector, note_failure};
use crate::driver;
use crate::early::{self, EarlyRecvStream, EarlySendStream, EarlyStreamError};
use crate::resolve::resolve;
use crate::security::Judge;
use crate::session::Session;
use crate::target::Target;

/// A connection on its way, on which requests can be sent before the server has answered, if there is a session with this
/// server to resume.
///
/// What is sent here can be sent again by whoever recorded it: send only what does no harm when it is carried out twice. The
/// session is opened meanwhile, as by [`Endpoint::connect`](crate::Endpoint::connect). Dropped before
/// [`established`](Self::established), the connection is closed with [`Code::CANCELLED`], and its streams with it.
pub struct EarlyConnection {
    target: Target,
    /// If there is a session to resume.
    early: Option<quinn::Connection>,
    opening: oneshot::Receiver<Opening>,
    abort: AbortHandle,
    established: bool,
}

/// What came of it, and whether the server took the early data.
type Opening = Result<(Session, bool), ConnectError>;

impl Connector {
    pub(crate) async fn connect_early(
        self: &Arc<Self>,
        endpoint: &quinn::Endpoint,
        drivers: &Arc<driver::Shared>,
        target: Target,
    ) -> Result<EarlyConnection, ConnectError> {
        let (begun, attempt) = (self.begin_early(endpoint, drivers, &target).await)
            .inspect_err(|error| note_failure(&drivers.counters, error))?;
        let early = begun.connection();
        // The endpoint's own, so that what is agreed on is judged in any case, whatever the caller waits for.
        let (sender, opening) = oneshot::channel();
        let work = self
            .clone()
            .open_early(begun, attempt, drivers.clone(), target.clone());
        let work = async move {
            // If nobody waits any more, the session is closed by its drop.
            let _ = sender.send(work.await);
        };
        let task = drivers.tasks.spawn_on(work, &drivers.runtime);
        Ok(EarlyConnection {
            target,
            early,
            opening,
            abort: task.abort_handle(),
            established: false,
        })
    }

    /// Up to the first packet, which is on its way then.
    async fn begin_early(
        &self,
        endpoint: &quinn::Endpoint,
        drivers: &driver::Shared,
        target: &Target,
    ) -> Result<(Begun, Attempt), ConnectError> {
        let Target { host, port, .. } = target;
        let addresses = resolve(host, *port, self.transport.ip).await;
        let addresses = addresses.map_err(|error| ConnectError::Resolve {
            host: host.clone(),
            error,
        })?;
        let no_address = || ConnectError::NoAddress { host: host.clone() };
        let address = *addresses.first().ok_or_else(no_address)?;
        let Judge::Servers(servers) = drivers.judge.borrow().clone() else {
            return Err(ConnectError::NotAClient);
        };
        servers.forget_unless_believed(host, *port);
        let attempt = self.attempt(&servers, host, *port)?;
        let connecting = self.begin(endpoint, address, &attempt)?;
        let begun = match connecting.into_0rtt() {
            Ok((connection, accepted)) => Begun::Early(connection, accepted),
            Err(connecting) => Begun::Full(connecting),
        };
        Ok((begun, attempt))
    }

    async fn open_early(
        self: Arc<Self>,
        begun: Begun,
        attempt: Attempt,
        drivers: Arc<driver::Shared>,
        target: Target,
    ) -> Opening {
        let after = self.timeout;
        let late = begun.connection();
        let mut shaken = false;
        let work = async {
            let (connected, accepted) = match begun {
                Begun::Full(connecting) => (connecting.await, false),
                Begun::Early(connection, accepted) => {
                    let accepted = accepted.await;
                    let closed = connection.close_reason();
                    (closed.map_or(Ok(connection), Err), accepted)
                }
            };
            let (connection, peer) = attempt.finish(connected, &drivers)?;
            shaken = true;
            let (_, session) = self
                .open(
                    connection,
                    peer,
                    &drivers,
                    &target,
                    ConnectOptions::default(),
                )
                .await?;
            let url = || target.to_string();
            let session = session.ok_or_else(|| ConnectError::NoService { url: url() })?;
            Ok((session, accepted))
        };
        let opened = timeout(after, work).await.unwrap_or_else(|_| {
            // Streams would keep it open.
            if let Some(connection) = late {
                connection.close(Code::TIMEOUT.value().into(), b"");
            }
            Err(ConnectError::Timeout { after })
        });
        if let (false, Err(error)) = (shaken, &opened) {
            note_failure(&drivers.counters, error);
        }
        opened
    }
}

/// A handshake that has begun.
enum Begun {
    /// Nothing to resume.
    Full(quinn::Connecting),
    Early(quinn::Connection, quinn::ZeroRttAccepted),
}

impl Begun {
    fn connection(&self) -> Option<quinn::Connection> {
        match self {
            Self::Full(_) => None,
            Self::Early(connection, _) => Some(connection.clone()),
        }
    }
}

impl EarlyConnection {
    /// Whether there is a session to resume, so that streams can be opened here. Whether the server takes them,
    /// [`established`](Self::established) says.
    pub fn can_send(&self) -> bool {
        self.early.is_some()
    }

    /// Opens a stream in both directions, for early data.
    ///
    /// # Errors
    /// [`EarlyStreamError`]; [`NothingToResume`](EarlyStreamError::NothingToResume) unless [`can_send`](Self::can_send).
    ///
    /// # Cancel safety
    /// If the future is dropped, the server may see a stream that was reset at once.
    pub async fn open_bi(&self) -> Result<(EarlySendStream, EarlyRecvStream), EarlyStreamError> {
        let (send, receive) = self.connection()?.open_bi().await.map_err(lost)?;
        let mut send = EarlySendStream::new(send);
        let receive = EarlyRecvStream::new(receive);
        self.write_header(&mut send, Direction::Bidirectional)
            .await?;
        Ok((send, receive))
    }

    /// Opens a stream that waits for no answer, for early data.
    ///
    /// # Errors
    /// As [`open_bi`](Self::open_bi).
    ///
    /// # Cancel safety
    /// As [`open_bi`](Self::open_bi).
    pub async fn open_uni(&self) -> Result<EarlySendStream, EarlyStreamError> {
        let send = self.connection()?.open_uni().await.map_err(lost)?;
        let mut send = EarlySendStream::new(send);
        self.write_header(&mut send, Direction::Unidirectional)
            .await?;
        Ok(send)
    }

    /// Resolves when the handshake is done and the server has taken the session. The streams opened before go on; if the
    /// second value is `false`, the server has not seen them, and they fail with
    /// [`Rejected`](EarlyStreamError::Rejected).
    ///
    /// # Errors
    /// [`ConnectError`], as [`Endpoint::connect`](crate::Endpoint::connect).
    ///
    /// # Cancel safety
    /// If the future is dropped, the connection is given up.
    pub async fn established(mut self) -> Result<(Session, bool), ConnectError> {
        let opening = (&mut self.opening).await;
        self.established = true;
        opening.unwrap_or(Err(ConnectError::EndpointClosed))
    }

    fn connection(&self) -> Result<&quinn::Connection, EarlyStreamError> {
        self.early.as_ref().ok_or(EarlyStreamError::NothingToResume)
    }

    async fn write_header(
        &self,
        send: &mut EarlySendStream,
        direction: Direction,
    ) -> Result<(), EarlyStreamError> {
        let service = self.target.service.as_ref();
        let service = service.expect("connect_early refuses targets without a service");
        send.write_all(&early::header(direction, service)).await
    }
}

impl Drop for EarlyConnection {
    fn drop(&mut self) {
        if self.established {
            return;
        }
        self.abort.abort();
        if let Some(connection) = &self.early {
            connection.close(Code::CANCELLED.value().into(), b"");
        }
    }
}

impl fmt::Debug for EarlyConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EarlyConnection")
            .field("target", &self.target)
            .field("can_send", &self.can_send())
            .finish_non_exhaustive()
    }
}

fn lost(error: quinn::ConnectionError) -> EarlyStreamError {
    crate::closed::Closed::from_quic(&error).into()
}
