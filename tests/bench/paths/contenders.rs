//! Who is measured, and what is the same for all.

use std::fmt;
use std::future::Future;
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::{Result, quinn_flows, stoq_flows};

/// A library and its congestion control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Contender {
    pub(crate) library: Library,
    pub(crate) algorithm: Algorithm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Library {
    Stoq,
    /// quinn as its own documentation uses it, with its own controllers.
    Quinn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Algorithm {
    NewReno,
    Cubic,
    Bbr,
}

pub(crate) const ALL: [Contender; 6] = {
    use Algorithm::{Bbr, Cubic, NewReno};
    use Library::{Quinn, Stoq};
    const fn contender(library: Library, algorithm: Algorithm) -> Contender {
        Contender { library, algorithm }
    }
    [
        contender(Stoq, NewReno),
        contender(Quinn, NewReno),
        contender(Stoq, Cubic),
        contender(Quinn, Cubic),
        contender(Stoq, Bbr),
        contender(Quinn, Bbr),
    ]
};

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let library = match self.library {
            Library::Stoq => "STOQ",
            Library::Quinn => "quinn",
        };
        let algorithm = match self.algorithm {
            Algorithm::NewReno => "NewReno",
            Algorithm::Cubic => "Cubic",
            Algorithm::Bbr => "BBR",
        };
        f.pad(&format!("{library} {algorithm}"))
    }
}

/// Bytes that the server's application has read, by the flow that sent them.
pub(crate) type Received = Arc<[AtomicU64; 2]>;

/// QUIC packets of a sender so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) sent: u64,
    pub(crate) lost: u64,
}

/// A server, until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) trust: ServerTrust,
    _ending: tokio::sync::oneshot::Sender<()>,
}

/// Why clients believe it.
#[derive(Clone)]
pub(crate) enum ServerTrust {
    Hash([u8; 32]),
    Certificate(Vec<u8>),
}

/// What a server says once it listens.
pub(crate) type Ready = std::sync::mpsc::Sender<Result<(SocketAddr, ServerTrust)>>;

type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;

/// A sender that always has more to send.
pub(crate) struct Sender {
    /// Writes until the connection ends, and says how it did.
    pub(crate) writing: Boxed<String>,
    pub(crate) sent: Box<dyn Fn() -> Sent>,
    pub(crate) address: SocketAddr,
}

impl Contender {
    /// Serves on a thread and a runtime of its own.
    pub(crate) fn serve(self, received: Received) -> Result<Server> {
        let (ready, listening) = std::sync::mpsc::channel();
        let (ending, ended) = tokio::sync::oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("server".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                let runtime = match runtime {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(ready.send(Err(error.into()))),
                };
                runtime.block_on(async {
                    let serving: Boxed<()> = match self.library {
                        Library::Stoq => {
                            Box::pin(stoq_flows::serve(self.algorithm, received, ready))
                        }
                        Library::Quinn => {
                            Box::pin(quinn_flows::serve(self.algorithm, received, ready))
                        }
                    };
                    tokio::select! {
                        () = serving => {}
                        _ = ended => {}
                    }
                });
            })?;
        let (address, trust) = listening.recv()??;
        Ok(Server {
            address,
            trust,
            _ending: ending,
        })
    }

    /// A client whose packets go to `to`, and a stream that begins with the flow's number.
    pub(crate) async fn send(
        self,
        flow: u8,
        to: SocketAddr,
        trust: &ServerTrust,
    ) -> Result<Sender> {
        match self.library {
            Library::Stoq => stoq_flows::send(self.algorithm, flow, to, trust).await,
            Library::Quinn => quinn_flows::send(self.algorithm, flow, to, trust).await,
        }
    }
}

/// Unread bytes of a stream, and unacknowledged ones: beyond any product of rate and round trip here.
pub(crate) const WINDOW: u32 = 16 * 1024 * 1024;
/// Written at once.
pub(crate) const PIECE: usize = 64 * 1024;

/// With the buffers that STOQ asks for.
pub(crate) fn socket() -> Result<UdpSocket> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
    socket.set_recv_buffer_size(4 * 1024 * 1024)?;
    socket.set_send_buffer_size(4 * 1024 * 1024)?;
    let any: SocketAddr = "127.0.0.1:0".parse()?;
    socket.bind(&any.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
