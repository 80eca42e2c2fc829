//! The services that the conformance bodies ask for, on a real native endpoint.

use std::sync::{Arc, Mutex};

use stoq_conformance::services::{
    CLOSE, COUNT, ECHO, GREETING, MAIL, OPENS, REFUSAL, REFUSE, RESET, SEEDS, SIGNED, STOP, WITNESS,
};
use stoq_core::close::Code;
use stoq_native::{
    ChannelConfig, DatagramItem, Endpoint, FalconKey, Identity, Parity, ReadError, RecvStream,
    SeedEvent, SendStream, ServerConfig, Session, SessionRequest, WriteError,
};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;

/// A native server with every conformance service. Its tasks end when it is dropped.
#[derive(Debug)]
pub struct Services {
    /// The endpoint that serves.
    pub endpoint: Endpoint,
    /// SHA-256 of its certificate.
    pub certificate_hash: [u8; 32],
    /// How the sessions that have ended did so, in order.
    pub closed: Closings,
    _tasks: JoinSet<()>,
}

/// Codes and reasons of ended sessions, shared with the tasks that see them.
#[derive(Clone, Debug, Default)]
pub struct Closings(Arc<Mutex<Vec<(Code, String)>>>);

impl Closings {
    /// Whether a session has ended with this code and reason.
    pub fn contains(&self, code: Code, reason: &str) -> bool {
        let ended = self.0.lock().expect("no holder of the lock panics");
        ended.iter().any(|(c, r)| *c == code && r == reason)
    }
}

impl Services {
    /// Serves on a port of loopback that the system gives.
    pub fn start() -> Self {
        let identity = Identity::self_signed(["localhost", "127.0.0.1", "::1"])
            .expect("these are valid names");
        let certificate_hash = identity.certificate_hash();
        let address = "127.0.0.1:0".parse().expect("a constant address");
        let mut config = ServerConfig::new(identity);
        // What is lost between a browser and the gateway does not show here.
        config.transport.messages.parity = Parity::Fixed(12);
        // For announcements.
        config.framed_streams = true;
        let endpoint = Endpoint::server(address, config).expect("loopback has free ports");
        let closed = Closings::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(endpoint.clone(), closed.clone()));
        Self {
            endpoint,
            certificate_hash,
            closed,
            _tasks: tasks,
        }
    }

    /// `host:port`.
    pub fn authority(&self) -> String {
        let address = self.endpoint.local_addr().expect("the endpoint is bound");
        format!("127.0.0.1:{}", address.port())
    }
}

async fn serve(endpoint: Endpoint, closed: Closings) {
    let mut sessions = JoinSet::new();
    let key = Arc::new(FalconKey::generate());
    while let Some(request) = endpoint.accept().await {
        sessions.spawn(serve_session(request, closed.clone(), key.clone()));
        while sessions.try_join_next().is_some() {}
    }
}

async fn serve_session(request: SessionRequest, closings: Closings, key: Arc<FalconKey>) {
    let name = request.service().as_str().to_owned();
    let known = [
        ECHO, COUNT, RESET, STOP, WITNESS, OPENS, CLOSE, MAIL, SEEDS, SIGNED,
    ];
    if name == REFUSE {
        return request.refuse(REFUSAL.0, REFUSAL.1);
    }
    if !known.contains(&name.as_str()) {
        return request.refuse(Code::UNKNOWN_SERVICE, "no such service");
    }
    let Ok(session) = request.accept().await else {
        return;
    };
    let mut streams = JoinSet::new();
    if name == OPENS {
        streams.spawn(open_streams(session.clone()));
    }
    if name == SEEDS {
        streams.spawn(announce_back(session.clone()));
    }
    if name == SIGNED {
        let mut config = ChannelConfig::default();
        config.signer = Some(key.clone());
        let first = session.verify_datagrams(&config);
        first.expect("nobody has had the session before");
        streams.spawn(sign_back(session.clone()));
    }
    loop {
        tokio::select! {
            stream = session.accept_bi() => {
                let Ok((send, recv)) = stream else { break };
                let id = key.id().to_string();
                streams.spawn(serve_stream(name.clone(), id, session.clone(), send, recv));
            }
            datagram = session.recv_datagram() => {
                let Ok(datagram) = datagram else { break };
                // One that no longer fits is lost, as datagrams may be.
                let _ = session.send_datagram(datagram);
            }
            message = session.recv_message() => {
                let Ok(message) = message else { break };
                let _ = session.send_message(message).await;
            }
            Some(_) = streams.join_next(), if !streams.is_empty() => {}
        }
    }
    let closed = session.closed().await;
    closings
        .0
        .lock()
        .expect("no holder of the lock panics")
        .push((closed.code, closed.reason));
}

async fn announce_back(session: Session) {
    while let Ok(event) = session.next_seed_event().await {
        if let SeedEvent::Announced(mut seed) | SeedEvent::Changed(mut seed) = event {
            seed.replication = seed.replication.saturating_add(1);
            if session.send_seed(&seed).await.is_err() {
                return;
            }
        }
    }
}

async fn sign_back(session: Session) {
    while let Ok(item) = session.recv_verified_datagram().await {
        if let DatagramItem::Data { data, .. } = item {
            // One that no longer fits is lost, as datagrams may be.
            let _ = session.send_verified_datagram(&data);
        }
    }
}

async fn say(mut send: SendStream, text: &str) -> Served {
    send.write_all(text.as_bytes()).await?;
    send.finish()?;
    send.stopped().await?;
    Ok(())
}

/// Streams may fail at any time, because clients do what they like; then the behaviour is over.
async fn serve_stream(
    name: String,
    id: String,
    session: Session,
    send: SendStream,
    recv: RecvStream,
) {
    let _ = match name.as_str() {
        COUNT => count(send, recv).await,
        RESET => reset(send, recv).await,
        STOP => stop(send, recv).await,
        WITNESS => witness(session, send, recv).await,
        CLOSE => close(session, recv).await,
        MAIL => mail(session, recv).await,
        SIGNED => say(send, &id).await,
        _ => echo(send, recv).await,
    };
}

type Served = Result<(), Box<dyn std::error::Error + Send + Sync>>;

async fn echo(mut send: SendStream, mut recv: RecvStream) -> Served {
    while let Some(bytes) = recv.read_chunk(64 * 1024).await? {
        send.write_chunk(bytes).await?;
    }
    send.finish()?;
    send.stopped().await?;
    Ok(())
}

async fn mail(session: Session, mut recv: RecvStream) -> Served {
    let letter = recv.read_to_end(1024 * 1024).await?;
    session.send_message(letter.into()).await?;
    Ok(())
}

async fn count(mut send: SendStream, mut recv: RecvStream) -> Served {
    let mut total = 0;
    while let Some(bytes) = recv.read_chunk(64 * 1024).await? {
        total += bytes.len();
    }
    send.write_all(total.to_string().as_bytes()).await?;
    send.finish()?;
    send.stopped().await?;
    Ok(())
}

async fn read_code(
    recv: &mut RecvStream,
) -> Result<Code, Box<dyn std::error::Error + Send + Sync>> {
    let mut code = [0; 4];
    recv.read_exact(&mut code).await?;
    Ok(Code::new(u32::from_be_bytes(code)))
}

async fn reset(mut send: SendStream, mut recv: RecvStream) -> Served {
    let code = read_code(&mut recv).await?;
    send.reset(code);
    while recv.read_chunk(64 * 1024).await?.is_some() {}
    Ok(())
}

async fn stop(mut send: SendStream, mut recv: RecvStream) -> Served {
    let code = read_code(&mut recv).await?;
    recv.stop(code);
    send.write_all(b"stopped").await?;
    send.finish()?;
    send.stopped().await?;
    Ok(())
}

async fn witness(session: Session, mut send: SendStream, mut recv: RecvStream) -> Served {
    let mut mode = [0];
    recv.read_exact(&mut mode).await?;
    send.write_all(&mode).await?;
    let seen = if &mode == b"r" {
        loop {
            match recv.read_chunk(64 * 1024).await {
                Ok(Some(_)) => {}
                Err(ReadError::Reset(code)) => break code,
                Ok(None) => return Err("finished instead of reset".into()),
                Err(error) => return Err(error.into()),
            }
        }
    } else {
        loop {
            match send.write_all(&[0; 4_096]).await {
                Ok(()) => {}
                Err(WriteError::Stopped(code)) => break code,
                Err(error) => return Err(error.into()),
            }
        }
    };
    let mut report = session.open_uni().await?;
    report
        .write_all(seen.value().to_string().as_bytes())
        .await?;
    report.finish()?;
    if &mode == b"r" {
        send.finish()?;
        send.stopped().await?;
    } else {
        while recv.read_chunk(64 * 1024).await?.is_some() {}
    }
    report.stopped().await?;
    Ok(())
}

async fn close(session: Session, mut recv: RecvStream) -> Served {
    let code = read_code(&mut recv).await?;
    let reason = recv.read_to_end(1_024).await?;
    session.close(code, &String::from_utf8_lossy(&reason));
    Ok(())
}

async fn open_streams(session: Session) {
    let opened: Served = async {
        let mut uni = session.open_uni().await?;
        uni.write_all(GREETING).await?;
        uni.finish()?;
        let (mut send, recv) = session.open_bi().await?;
        send.write_all(GREETING).await?;
        echo(send, recv).await?;
        uni.stopped().await?;
        Ok(())
    }
    .await;
    drop(opened);
}
