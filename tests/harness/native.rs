//! The conformance traits on native sessions: direct ones, and ones multiplexed on a connection.

use bytes::Bytes;
use stoq_conformance::{Connect, Failure, RecvHalf, SendHalf, Session as SessionUnderTest};
use stoq_core::close::Code;
use stoq_core::service::ServiceName;
use stoq_native::{
    ClientConfig, Connection, Endpoint, RecvStream, Request, SendStream, Session, Trust,
};

use crate::services::Services;

/// Each session is the session 0 of a connection of its own.
#[derive(Debug)]
pub struct Direct {
    endpoint: Endpoint,
    authority: String,
}

impl Direct {
    /// A client that trusts `services`.
    pub fn new(services: &Services) -> Self {
        let trust = Trust::CertificateHashes(vec![services.certificate_hash]);
        let endpoint = Endpoint::client(ClientConfig::new(trust)).expect("a client socket is free");
        Self {
            endpoint,
            authority: services.authority(),
        }
    }

    /// One connection on which sessions can be multiplexed.
    pub async fn multiplexed(&self) -> Multiplexed {
        let target = format!("stoq://{}", self.authority)
            .parse()
            .expect("an address is a target");
        let connection = self
            .endpoint
            .connect_to(&target)
            .await
            .expect("the services listen");
        Multiplexed { connection }
    }
}

/// A type of stoq-native, so that the traits of another crate can be implemented for it.
#[derive(Debug)]
pub struct Native<T>(pub T);

impl Connect for Direct {
    type Session = Native<Session>;

    async fn connect(&self, service: &str) -> Result<Native<Session>, Failure> {
        let url = format!("stoq://{}/{service}", self.authority);
        self.endpoint
            .connect(&url)
            .await
            .map(Native)
            .map_err(|error| Failure(error.code()))
    }
}

/// All sessions share one connection, as browser sessions do behind a gateway.
#[derive(Debug)]
pub struct Multiplexed {
    connection: Connection,
}

impl Connect for Multiplexed {
    type Session = Native<Session>;

    async fn connect(&self, service: &str) -> Result<Native<Session>, Failure> {
        let service = ServiceName::new(service).map_err(|_| Failure(Code::INVALID_ARGUMENT))?;
        let session = self.connection.open_session(Request::new(service)).await;
        session.map(Native).map_err(|error| Failure(error.code()))
    }
}

impl SessionUnderTest for Native<Session> {
    type Send = Native<SendStream>;
    type Recv = Native<RecvStream>;

    async fn open_bi(&self) -> Result<(Self::Send, Self::Recv), Failure> {
        let opened = self
            .0
            .open_bi()
            .await
            .map_err(|error| Failure(error.code()));
        opened.map(|(send, recv)| (Native(send), Native(recv)))
    }

    async fn open_uni(&self) -> Result<Self::Send, Failure> {
        self.0
            .open_uni()
            .await
            .map(Native)
            .map_err(|error| Failure(error.code()))
    }

    async fn accept_bi(&self) -> Result<(Self::Send, Self::Recv), Failure> {
        let accepted = self
            .0
            .accept_bi()
            .await
            .map_err(|closed| Failure(closed.code));
        accepted.map(|(send, recv)| (Native(send), Native(recv)))
    }

    async fn accept_uni(&self) -> Result<Self::Recv, Failure> {
        self.0
            .accept_uni()
            .await
            .map(Native)
            .map_err(|closed| Failure(closed.code))
    }

    async fn send_datagram(&self, payload: &[u8]) -> Result<(), Failure> {
        let payload = Bytes::copy_from_slice(payload);
        self.0
            .send_datagram(payload)
            .map_err(|error| Failure(error.code()))
    }

    async fn recv_datagram(&self) -> Result<Vec<u8>, Failure> {
        let datagram = self.0.recv_datagram().await;
        datagram
            .map(|bytes| bytes.to_vec())
            .map_err(|closed| Failure(closed.code))
    }

    fn max_datagram_size(&self) -> usize {
        self.0.max_datagram_size()
    }

    async fn send_message(&self, message: &[u8]) -> Result<(), Failure> {
        let message = Bytes::copy_from_slice(message);
        let sent = self.0.send_message(message).await;
        sent.map_err(|error| Failure(error.code()))
    }

    async fn recv_message(&self) -> Result<Vec<u8>, Failure> {
        let message = self.0.recv_message().await;
        message
            .map(|bytes| bytes.to_vec())
            .map_err(|closed| Failure(closed.code))
    }

    fn max_message_size(&self) -> usize {
        self.0.max_message_size()
    }

    async fn ping(&self) -> Result<(), Failure> {
        self.0
            .ping()
            .await
            .map(drop)
            .map_err(|error| Failure(error.code()))
    }

    async fn close(&self, code: Code, reason: &str) {
        self.0.close(code, reason);
    }

    async fn closed(&self) -> (Code, String) {
        let closed = self.0.closed().await;
        (closed.code, closed.reason)
    }
}

impl SendHalf for Native<SendStream> {
    async fn write(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.0
            .write_all(data)
            .await
            .map_err(|error| Failure(error.code()))
    }

    async fn finish(&mut self) -> Result<(), Failure> {
        self.0.finish().map_err(|_| Failure(Code::INVALID_ARGUMENT))
    }

    async fn reset(&mut self, code: Code) {
        self.0.reset(code);
    }
}

impl RecvHalf for Native<RecvStream> {
    async fn read(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let bytes = self.0.read_chunk(64 * 1024).await;
        bytes
            .map(|bytes| bytes.map(|bytes| bytes.to_vec()))
            .map_err(|error| Failure(error.code()))
    }

    async fn stop(&mut self, code: Code) {
        self.0.stop(code);
    }
}
