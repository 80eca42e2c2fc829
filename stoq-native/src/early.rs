//! Early data (0-RTT): streams that a client sends with its first packets, before the server has answered.
//!
//! ```text
//! 03 · length varint · service · data of the application
//! ```
//!
//! Whoever recorded these packets can send them again, to this server or another one with the same keys, and the server cannot
//! tell: so only requests may be sent this way that do no harm when they are carried out twice, and only servers that say
//! so take them ([`ServerConfig::early_data`](crate::ServerConfig::early_data)). Our servers accept each session to resume
//! once, as long as they run, which makes replays rare and no less possible: never rely on it.

use core::fmt;
use core::time::Duration;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{BufMut as _, BytesMut};
use stoq_core::close::Code;
use stoq_core::identity::FalconId;
use stoq_core::service::ServiceName;
use stoq_core::stream::{Direction, StreamHeader};
use stoq_core::varint::VarInt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::access::AccessRules;
use crate::closed::Closed;
use crate::stream::Arrived;

/// A request that came as early data. Somebody else may have sent it before: do nothing that must not be done twice.
///
/// Dropped, its streams are reset with [`Code::CANCELLED`].
pub struct EarlyRequest {
    /// What the client asks for.
    pub service: ServiceName,
    /// The identity that the client proved in the session that it resumes.
    pub peer: Option<FalconId>,
    /// Where it says it is.
    pub remote_address: SocketAddr,
    /// The way back; `None` if the client waits for no answer. It goes out at once, before the handshake is done.
    pub send: Option<EarlySendStream>,
    /// What it sends.
    pub receive: EarlyRecvStream,
}

/// The sending half of a stream of early data. Dropped unfinished, it is reset with [`Code::CANCELLED`].
pub struct EarlySendStream(Option<quinn::SendStream>);

/// The receiving half of a stream of early data. Dropped before its end, it tells the peer to stop with
/// [`Code::CANCELLED`].
pub struct EarlyRecvStream(Option<quinn::RecvStream>);

impl EarlySendStream {
    pub(crate) fn new(stream: quinn::SendStream) -> Self {
        Self(Some(stream))
    }

    /// Sends all of `data`. Waits for room in the peer's window.
    ///
    /// # Errors
    /// [`EarlyStreamError`].
    ///
    /// # Cancel safety
    /// If the future is dropped, part of the data may have been taken: reset the stream.
    pub async fn write_all(&mut self, data: &[u8]) -> Result<(), EarlyStreamError> {
        let stream = self.0.as_mut().ok_or(EarlyStreamError::Finished)?;
        stream.write_all(data).await.map_err(|error| match error {
            quinn::WriteError::Stopped(code) => {
                EarlyStreamError::Stopped(Code::from_quic(code.into_inner()))
            }
            quinn::WriteError::ConnectionLost(error) => Closed::from_quic(&error).into(),
            quinn::WriteError::ClosedStream => EarlyStreamError::Finished,
            quinn::WriteError::ZeroRttRejected => EarlyStreamError::Rejected,
        })
    }

    /// Says that nothing more comes.
    ///
    /// # Errors
    /// [`EarlyStreamError::Finished`] if it was said before.
    pub fn finish(&mut self) -> Result<(), EarlyStreamError> {
        let mut stream = self.0.take().ok_or(EarlyStreamError::Finished)?;
        stream.finish().map_err(|_| EarlyStreamError::Finished)
    }
}

impl EarlyRecvStream {
    pub(crate) fn new(stream: quinn::RecvStream) -> Self {
        Self(Some(stream))
    }

    /// Reads all of it, at most `limit` bytes.
    ///
    /// # Errors
    /// [`EarlyStreamError`].
    ///
    /// # Cancel safety
    /// If the future is dropped, what it has read is lost.
    pub async fn read_to_end(&mut self, limit: usize) -> Result<Vec<u8>, EarlyStreamError> {
        let stream = self.0.as_mut().ok_or(EarlyStreamError::Finished)?;
        let read = stream.read_to_end(limit).await;
        if read.is_ok() {
            self.0 = None;
        }
        read.map_err(|error| match error {
            quinn::ReadToEndError::TooLong => EarlyStreamError::TooLong { limit },
            quinn::ReadToEndError::Read(error) => match error {
                quinn::ReadError::Reset(code) => {
                    EarlyStreamError::Reset(Code::from_quic(code.into_inner()))
                }
                quinn::ReadError::ConnectionLost(error) => Closed::from_quic(&error).into(),
                quinn::ReadError::ZeroRttRejected => EarlyStreamError::Rejected,
                quinn::ReadError::ClosedStream | quinn::ReadError::IllegalOrderedRead => {
                    EarlyStreamError::Finished
                }
            },
        })
    }
}

impl Drop for EarlySendStream {
    fn drop(&mut self) {
        if let Some(stream) = &mut self.0 {
            let _ = stream.reset(Code::CANCELLED.value().into());
        }
    }
}

impl Drop for EarlyRecvStream {
    fn drop(&mut self) {
        if let Some(stream) = &mut self.0 {
            let _ = stream.stop(Code::CANCELLED.value().into());
        }
    }
}

impl fmt::Debug for EarlyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EarlyRequest")
            .field("service", &self.service)
            .field("peer", &self.peer)
            .field("remote_address", &self.remote_address)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for EarlySendStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EarlySendStream")
    }
}

impl fmt::Debug for EarlyRecvStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EarlyRecvStream")
    }
}

/// A stream of early data failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EarlyStreamError {
    /// There is no session to resume, so there is no early data: use the session that
    /// [`EarlyConnection::established`](crate::EarlyConnection::established) gives.
    #[error("there is no session to resume, so nothing can be sent early")]
    NothingToResume,
    /// The server did not take early data. It has seen nothing of it: send it again, in the session.
    #[error("the server did not take early data: send it again in the session")]
    Rejected,
    /// The stream was finished, or read to its end, before.
    #[error("the stream is already finished")]
    Finished,
    /// The peer reset the stream.
    #[error("the peer reset the stream: {0}")]
    Reset(Code),
    /// The peer wants no more data.
    #[error("the peer stopped the stream: {0}")]
    Stopped(Code),
    /// More came than was asked for.
    #[error("more than {limit} bytes came")]
    TooLong {
        /// What was asked for, in bytes.
        limit: usize,
    },
    /// The connection ended.
    #[error(transparent)]
    Lost(#[from] Closed),
}

impl EarlyStreamError {
    /// The code of the table that all sides share.
    pub fn code(&self) -> Code {
        match self {
            Self::NothingToResume | Self::Rejected => Code::EARLY_DATA_REJECTED,
            Self::Finished => Code::INVALID_ARGUMENT,
            Self::Reset(code) | Self::Stopped(code) => *code,
            Self::TooLong { .. } => Code::LIMIT,
            Self::Lost(closed) => closed.code,
        }
    }
}

/// What stands in front of a stream of early data.
pub(crate) fn header(direction: Direction, service: &ServiceName) -> BytesMut {
    let mut header = BytesMut::new();
    StreamHeader::Early.encode(direction, &mut header);
    let name = service.as_str().as_bytes();
    VarInt::from(name.len() as u8).encode(&mut header);
    header.put_slice(name);
    header
}

/// Reads the service's name from a stream whose header has been read, and hands the stream over. Whom the server has no
/// room for, or who would need an access token, is told so.
pub(crate) async fn hand_over(
    stream: Arrived,
    peer: Option<FalconId>,
    remote_address: SocketAddr,
    requests: mpsc::Sender<EarlyRequest>,
    rules: Option<Arc<AccessRules>>,
) {
    let Some((send, mut receive)) = stream.into_early() else {
        return;
    };
    let send = send.map(EarlySendStream::new);
    let service = match timeout(NAME_TIMEOUT, read_service(&mut receive)).await {
        Ok(Ok(service)) => service,
        Ok(Err(code)) => return reject(send, EarlyRecvStream::new(receive), code),
        Err(_) => return reject(send, EarlyRecvStream::new(receive), Code::TIMEOUT),
    };
    // What is sent so early can be sent again by others, so it comes with no token.
    if rules.is_some_and(|rules| rules.protects(&service)) {
        return reject(send, EarlyRecvStream::new(receive), Code::TOKEN_REQUIRED);
    }
    let request = EarlyRequest {
        service,
        peer,
        remote_address,
        send,
        receive: EarlyRecvStream::new(receive),
    };
    if let Err(error) = requests.try_send(request) {
        let EarlyRequest { send, receive, .. } = error.into_inner();
        reject(send, receive, Code::LIMIT);
    }
}

async fn read_service(receive: &mut quinn::RecvStream) -> Result<ServiceName, Code> {
    let mut length = [0];
    let exact = |_| Code::FRAME;
    receive.read_exact(&mut length).await.map_err(exact)?;
    // Names are shorter than 64 bytes, so the shortest form of their length is one byte.
    let mut name = [0; ServiceName::MAX_LEN];
    let name = name.get_mut(..length[0].into()).ok_or(Code::FRAME)?;
    receive.read_exact(name).await.map_err(exact)?;
    let name = core::str::from_utf8(name).map_err(|_| Code::FRAME)?;
    ServiceName::new(name).map_err(|_| Code::FRAME)
}

fn reject(mut send: Option<EarlySendStream>, mut receive: EarlyRecvStream, code: Code) {
    let code = code.value().into();
    if let Some(mut stream) = send.as_mut().and_then(|send| send.0.take()) {
        let _ = stream.reset(code);
    }
    if let Some(mut stream) = receive.0.take() {
        let _ = stream.stop(code);
    }
}

/// As long as the header of a stream may take.
const NAME_TIMEOUT: Duration = Duration::from_secs(5);
