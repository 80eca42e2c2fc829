//! The origin: a service on a thread of its own, that counts what comes and signs its answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use bytes::Bytes;
use stoq_native::{
    ChannelConfig, Delivery, Endpoint, FalconId, FalconKey, FalconSigner as _, Identity, Item,
    ServerConfig, Session,
};
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Result;
use crate::way::Party;

/// Where it is, who it is, and who signs what is sent to it.
pub(crate) struct Origin {
    pub(crate) party: Party,
    /// The client's own key, which the origin trusts.
    pub(crate) signer: Arc<FalconKey>,
}

/// What a raw stream begins with.
pub(crate) const BULK: u8 = 0;
pub(crate) const ECHO: u8 = 1;
pub(crate) const MESSAGES: u8 = 2;
/// The service that hands data out at once, and the one that holds it back until it is verified.
pub(crate) const AT_ONCE: &str = "at-once";
pub(crate) const HELD_BACK: &str = "held-back";
/// Bytes of an echo.
pub(crate) const ECHO_LEN: usize = 64;

/// Messages that came, and when the first and the last did.
#[derive(Clone, Copy, Default)]
struct Came {
    count: u64,
    times: Option<(Instant, Instant)>,
}

/// Starts it for the rest of the process.
pub(crate) fn start() -> Result<Origin> {
    let key = Arc::new(FalconKey::generate());
    let signer = Arc::new(FalconKey::generate());
    let id = key.verifying_key().id();
    let from = signer.verifying_key().id();
    let identity = Identity::falcon(key, ["localhost", "127.0.0.1"])?;
    let (ready, listening) = channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a thread can have a runtime");
        runtime.block_on(async {
            let mut config = ServerConfig::new(identity);
            config.framed_streams = true;
            let address = SocketAddr::from(([127, 0, 0, 1], 0));
            let server = Endpoint::server(address, config).expect("a port is free");
            let _ = ready.send(server.local_addr().expect("it is bound"));
            let mut sessions = JoinSet::new();
            while let Some(request) = server.accept().await {
                let mut config = ChannelConfig::default().from_origins([from]);
                config.delivery = match request.service().as_str() {
                    AT_ONCE => Delivery::Pending,
                    _ => Delivery::Verified,
                };
                if let Ok(session) = request.accept().await {
                    // All three end with the session.
                    sessions.spawn(async move {
                        let (came, seen) = watch::channel(Came::default());
                        let _ = tokio::join!(
                            raw(&session, seen),
                            verified(&session, &config),
                            messages(&session, came)
                        );
                    });
                }
            }
        });
    });
    let address = listening.recv()?;
    Ok(Origin {
        party: Party { address, id },
        signer,
    })
}

async fn raw(session: &Session, seen: watch::Receiver<Came>) -> Result<()> {
    loop {
        let (mut send, mut recv) = session.accept_bi().await?;
        let mut kind = [0];
        recv.read_exact(&mut kind).await?;
        match kind[0] {
            BULK => {
                let mut count = 0_u64;
                while let Some(chunk) = recv.read_chunk(usize::MAX).await? {
                    count += chunk.len() as u64;
                }
                send.write_all(&count.to_be_bytes()).await?;
            }
            ECHO => {
                let mut message = [0; ECHO_LEN];
                while recv.read_exact(&mut message).await.is_ok() {
                    send.write_all(&message).await?;
                }
            }
            _ => {
                let mut wanted = [0; 8];
                recv.read_exact(&mut wanted).await?;
                let (count, time) = settled(seen.clone(), u64::from_be_bytes(wanted)).await;
                send.write_all(&count.to_be_bytes()).await?;
                send.write_all(&(time.as_nanos() as u64).to_be_bytes())
                    .await?;
            }
        }
        send.finish()?;
    }
}

/// How many messages came, and how long the last came behind the first, when as many have come, or none for a while: that
/// while is not counted.
async fn settled(mut seen: watch::Receiver<Came>, wanted: u64) -> (u64, Duration) {
    loop {
        let came = *seen.borrow_and_update();
        let quiet = tokio::time::timeout(Duration::from_millis(500), seen.changed());
        if came.count >= wanted || !matches!(quiet.await, Ok(Ok(()))) {
            let time = came
                .times
                .map_or(Duration::ZERO, |(first, last)| last - first);
            return (came.count, time);
        }
    }
}

async fn messages(session: &Session, came: watch::Sender<Came>) -> Result<()> {
    loop {
        let _message = session.recv_message().await?;
        let now = Instant::now();
        came.send_modify(|came| {
            came.count += 1;
            came.times = Some((came.times.map_or(now, |(first, _)| first), now));
        });
    }
}

async fn verified(session: &Session, config: &ChannelConfig) -> Result<()> {
    loop {
        let (mut send, mut recv) = session.accept_verified_bi(config).await?;
        let mut count = 0_u64;
        while let Some(item) = recv.next().await? {
            if let Item::Data { data, .. } = item {
                count += data.len() as u64;
            }
        }
        send.write(Bytes::copy_from_slice(&count.to_be_bytes()))
            .await?;
        send.finish().await?;
    }
}

impl Origin {
    pub(crate) fn id(&self) -> FalconId {
        self.party.id
    }
}
