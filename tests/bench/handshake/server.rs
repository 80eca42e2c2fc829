//! Servers. Each has a thread and a runtime of its own, so the thread's processor time is the server's.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use stoq_native::{Endpoint, ServerConfig};
use tokio::sync::{mpsc, oneshot};

use crate::Result;

/// A server that listens.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    ask: mpsc::UnboundedSender<oneshot::Sender<Duration>>,
}

impl Server {
    /// Processor time that its thread has taken so far. Answered when no connection is left, so that all of what a
    /// connection costs is in it.
    pub(crate) async fn cpu(&self) -> Result<Duration> {
        let (answer, time) = oneshot::channel();
        self.ask.send(answer)?;
        Ok(time.await?)
    }

    /// Stock quinn. It answers each connection with one byte, where STOQ answers with its SETTINGS.
    pub(crate) fn quinn(config: quinn::ServerConfig) -> Result<Self> {
        start(move |ready, mut asked| async move {
            let endpoint = match quinn::Endpoint::server(config, any_port()) {
                Ok(endpoint) => endpoint,
                Err(error) => return drop(ready.send(Err(error.into()))),
            };
            let _ = ready.send(endpoint.local_addr().map_err(Into::into));
            let accepting = endpoint.clone();
            tokio::spawn(async move {
                while let Some(incoming) = accepting.accept().await {
                    tokio::spawn(async move {
                        let connection = incoming.await?;
                        let mut answer = connection.open_uni().await?;
                        answer.write_all(&[0]).await?;
                        connection.closed().await;
                        Result::Ok(())
                    });
                }
            });
            while let Some(answer) = asked.recv().await {
                endpoint.wait_idle().await;
                let _ = answer.send(thread_cpu());
            }
        })
    }

    /// STOQ, without the limit on first packets: nobody here is under attack.
    pub(crate) fn stoq(mut config: ServerConfig) -> Result<Self> {
        config.retry_above = u32::MAX;
        start(move |ready, mut asked| async move {
            let endpoint = match Endpoint::server(any_port(), config) {
                Ok(endpoint) => endpoint,
                Err(error) => return drop(ready.send(Err(error.into()))),
            };
            let _ = ready.send(endpoint.local_addr().map_err(Into::into));
            while let Some(answer) = asked.recv().await {
                endpoint.wait_idle().await;
                let _ = answer.send(thread_cpu());
            }
        })
    }
}

type Asked = mpsc::UnboundedReceiver<oneshot::Sender<Duration>>;

/// Runs a server for the rest of the process.
fn start<F>(
    server: impl FnOnce(Sender<Result<SocketAddr>>, Asked) -> F + Send + 'static,
) -> Result<Server>
where
    F: Future<Output = ()>,
{
    let (ready, listening) = channel();
    let (ask, asked) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime
            .expect("a thread can have a runtime")
            .block_on(server(ready, asked));
    });
    Ok(Server {
        address: listening.recv()??,
        ask,
    })
}

/// Processor time of the calling thread.
pub(crate) fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}

fn any_port() -> SocketAddr {
    (std::net::Ipv4Addr::LOCALHOST, 0).into()
}

/// quinn's settings for this TLS configuration.
pub(crate) fn quinn_config(tls: rustls::ServerConfig) -> Result<quinn::ServerConfig> {
    let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(tls)?;
    Ok(quinn::ServerConfig::with_crypto(Arc::new(crypto)))
}
