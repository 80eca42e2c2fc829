//! Connecting with early data.

use core::fmt;
use std::sync::Arc;

use stoq_core::stream::Direction;
use tokio::time::timeout;

use super::{Attempt, ConnectError, Connector};
use crate::driver;
use crate::early::{self, EarlyRecvStream, EarlySendStream, EarlyStreamError};
use crate::resolve::resolve;
use crate::security::Judge;
use crate::session::Session;
use crate::target::Target;

/// A connection on its way, on which requests can be sent before the server has answered, if there is a session with this
/// server to resume.
///
/// What is sent here can be sent again by whoever recorded it: send only what does no harm when it is carried out twice.
/// Dropped before [`established`](Self::established), the connection is given up.
pub struct EarlyConnection {
    connector: Arc<Connector>,
    drivers: Arc<driver::Shared>,
    target: Target,
    attempt: Attempt,
    state: State,
}

enum State {
    /// Nothing to resume.
    Full(quinn::Connecting),
    Early(quinn::Connection, quinn::ZeroRttAccepted),
}

impl Connector {
    pub(crate) async fn connect_early(
        self: &Arc<Self>,
        endpoint: &quinn::Endpoint,
        drivers: &Arc<driver::Shared>,
        target: Target,
    ) -> Result<EarlyConnection, ConnectError> {
        let Target { host, port, .. } = &target;
        let addresses = resolve(host, *port, self.ip).await;
        let addresses = addresses.map_err(|error| ConnectError::Resolve {
            host: host.clone(),
            error,
        })?;
        let no_address = || ConnectError::NoAddress { host: host.clone() };
        let address = *addresses.first().ok_or_else(no_address)?;
        let Judge::Servers(servers) = drivers.judge.borrow().clone() else {
            return Err(ConnectError::NotAClient);
        };
        let attempt = self.attempt(&servers, host, *port)?;
        let connecting = self.begin(endpoint, address, &attempt)?;
        let state = match connecting.into_0rtt() {
            Ok((connection, accepted)) => State::Early(connection, accepted),
            Err(connecting) => State::Full(connecting),
        };
        Ok(EarlyConnection {
            connector: self.clone(),
            drivers: drivers.clone(),
            target,
            attempt,
            state,
        })
    }
}

impl EarlyConnection {
    /// Whether there is a session to resume, so that streams can be opened here. Whether the server takes them,
    /// [`established`](Self::established) says.
    pub fn can_send(&self) -> bool {
        matches!(self.state, State::Early(..))
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
    pub async fn established(self) -> Result<(Session, bool), ConnectError> {
        let Self {
            connector,
            drivers,
            target,
            attempt,
            state,
        } = self;
        let after = connector.timeout;
        let work = async {
            let (connected, accepted) = match state {
                State::Full(connecting) => (connecting.await, false),
                State::Early(connection, accepted) => {
                    let accepted = accepted.await;
                    let closed = connection.close_reason();
                    (closed.map_or(Ok(connection), Err), accepted)
                }
            };
            let (connection, peer) = attempt.finish(connected, &drivers)?;
            let (_, session) = connector.open(connection, peer, &drivers, &target).await?;
            let url = || target.to_string();
            let session = session.ok_or_else(|| ConnectError::NoService { url: url() })?;
            Ok((session, accepted))
        };
        timeout(after, work)
            .await
            .unwrap_or(Err(ConnectError::Timeout { after }))
    }

    fn connection(&self) -> Result<&quinn::Connection, EarlyStreamError> {
        match &self.state {
            State::Full(_) => Err(EarlyStreamError::NothingToResume),
            State::Early(connection, _) => Ok(connection),
        }
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
