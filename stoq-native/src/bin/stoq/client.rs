//! What the commands that talk to a server share.

use crate::arguments::PeerArguments;
use crate::error::CommandError;
use crate::protocol::{Request, decode_answer, encode, read_line};
use crate::signals::Signals;
use crate::verified::Reader;
use core::time::Duration;
use serde::de::DeserializeOwned;
use stoq_native::{
    ChannelConfig, ClientConfig, Code, Endpoint, FalconId, RecvStream, SendStream, Session,
};
use tokio::io::BufReader;
use tokio::time::timeout;

/// How long a silent server is waited for: someone sits at a terminal, and the default of 30 s is for machines.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a relay may take to say how a session has ended, after its streams have.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Connects as the flags say, does `work`, and takes leave of the server, whatever came of it: also when a signal cuts
/// the work off, which drops what it holds (a half-fetched file is removed).
///
/// # Errors
/// [`CommandError`].
pub(crate) async fn with<T>(
    peer: &PeerArguments,
    work: impl AsyncFnOnce(&Client) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let mut signals = Signals::new().map_err(CommandError::System)?;
    let config = config(peer)?;
    let endpoint = Endpoint::client(config).map_err(CommandError::Client)?;
    let done = async {
        let target = peer.neighbour();
        let url = target.to_string();
        let connected = endpoint.connect_with(&url, peer.options());
        let session = connected
            .await
            .map_err(|source| CommandError::Connect { target, source })?;
        let client = Client { session };
        let done = work(&client).await;
        match done {
            // The session's own end says why, and is on its way: a relay ends the streams first.
            Err(CommandError::BrokenOff(Code::SESSION_CLOSED)) => {
                let closed = timeout(CLOSE_TIMEOUT, client.session.closed()).await;
                closed.map_or(done, |closed| Err(CommandError::Lost(closed)))
            }
            done => done,
        }
    };
    let done = tokio::select! {
        done = done => done,
        signal = signals.next() => Err(CommandError::Ended(signal)),
    };
    endpoint.close(Code::NO_ERROR, "");
    endpoint.wait_idle().await;
    done
}

/// What the flags make of a client.
///
/// # Errors
/// [`CommandError`] if a file is of no use.
pub(crate) fn config(peer: &PeerArguments) -> Result<ClientConfig, CommandError> {
    let mut config = ClientConfig::new(peer.policy()?);
    config.identity = peer.identity()?;
    let (tokens, holders) = peer.credentials()?;
    config.access_tokens = tokens.iter().map(|token| token.encode().into()).collect();
    config.holders = holders;
    config.transport.idle_timeout = IDLE_TIMEOUT;
    config.transport = peer.trust.transport.get(config.transport)?;
    Ok(config)
}

/// A session with the service that the user named.
pub(crate) struct Client {
    pub(crate) session: Session,
}

impl Client {
    /// Opens a stream and sends `request` on it.
    ///
    /// # Errors
    /// [`CommandError`].
    pub(crate) async fn request(
        &self,
        request: &Request,
    ) -> Result<(SendStream, BufReader<RecvStream>), CommandError> {
        let (mut send, receive) = self.session.open_bi().await?;
        send.write_all(&encode(request)).await?;
        Ok((send, BufReader::new(receive)))
    }

    /// Opens a verified stream, sends `request` on it, and says that this is all; one of `origins` has to sign the answer.
    ///
    /// # Errors
    /// [`CommandError`].
    pub(crate) async fn request_verified(
        &self,
        request: &Request,
        origins: &[FalconId],
    ) -> Result<BufReader<Reader>, CommandError> {
        let config = ChannelConfig::default().from_origins(origins.iter().copied());
        let (mut send, receive) = self.session.open_verified_bi(&config).await?;
        send.write(encode(request).into()).await?;
        send.finish().await?;
        Ok(BufReader::new(Reader::new(receive)))
    }

    /// Sends a request that has no body, and reads its answer of one line, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`CommandError`].
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        request: &Request,
        limit: usize,
    ) -> Result<T, CommandError> {
        let (mut send, mut receive) = self.request(request).await?;
        // An error says that the server wants no more, which there is none of.
        let _ = send.finish();
        Ok(decode_answer(&read_line(&mut receive, limit).await?)?)
    }
}
