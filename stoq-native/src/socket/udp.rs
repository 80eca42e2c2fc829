//! The socket as quinn uses it.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio_util::sync::ReusableBoxFuture;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::Bound;
use super::batch::{self, Rest};
use super::doorbell::Doorbell;
use super::siblings::Siblings;

/// quinn's own socket but for two things. Batches that are larger than the system takes go out in pieces: quinn asks for the
/// number of datagrams in a batch once for all connections of a socket, whatever the size of their packets. And the buffer
/// that quinn receives into is no larger than what one call to the system can fill.
#[derive(Debug)]
pub(crate) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    /// Datagrams of the size that quinn's receive buffer is counted in.
    receive_segments: usize,
    unsent: Unsent,
    /// The others on its port, if there are any.
    siblings: Option<Siblings>,
    /// Dropped last, when the socket is closed.
    _lease: Option<TaskTrackerToken>,
}

/// The rest of a batch for which the system had no room. While there is one, nothing else is sent.
#[derive(Debug, Default)]
struct Unsent {
    rest: Mutex<Option<Rest>>,
    /// Whether there is one, or may be soon.
    is_some: AtomicBool,
    /// Who receives, and sends the rest when there is room: whoever gave the batch may have nothing more to send.
    receiver: Doorbell,
}

impl Socket {
    /// Must be called within a tokio runtime. `max_payload` is the size of the largest datagram that the endpoint takes.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn new(bound: Bound, max_payload: u16) -> io::Result<Self> {
        let Bound { socket, siblings } = bound;
        let state = UdpSocketState::new((&socket).into())?;
        // Where the system joins datagrams on receipt, it gives them as one that is no larger than IP can carry.
        let receive_segments = if state.gro_segments() > 1 {
            usize::from(u16::MAX).div_ceil(max_payload.into())
        } else {
            1
        };
        Ok(Self {
            io: UdpSocket::from_std(socket)?,
            state,
            receive_segments,
            unsent: Unsent::default(),
            siblings,
            _lease: None,
        })
    }

    /// Counted there as long as it is open.
    pub(crate) fn held_by(self, tracker: &TaskTracker) -> Self {
        let _lease = Some(tracker.token());
        Self { _lease, ..self }
    }

    fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.io.try_io(Interest::WRITABLE, || {
            self.state.send((&self.io).into(), transmit)
        })
    }

    /// Sends what is left of an earlier batch, then this one.
    fn send_in_order(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let mut rest = self.flush()?;
        if let Some(left) = batch::send(transmit, |piece| self.send(piece))? {
            *rest = Some(left);
            self.unsent.is_some.store(true, Ordering::SeqCst);
            drop(rest);
            self.unsent.receiver.ring();
        }
        Ok(())
    }

    /// # Errors
    /// `WouldBlock`, if there is no room still.
    fn flush(&self) -> io::Result<MutexGuard<'_, Option<Rest>>> {
        let unsent = self.unsent.rest.lock();
        let mut unsent = unsent.unwrap_or_else(PoisonError::into_inner);
        while let Some(rest) = unsent.as_ref() {
            *unsent = batch::send(&rest.transmit(), |piece| self.send(piece))?;
        }
        self.unsent.is_some.store(false, Ordering::SeqCst);
        Ok(unsent)
    }

    /// Sends what is left of a batch, as soon as there is room.
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.io.poll_send_ready(cx))?;
            match self.flush() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                flushed => return Poll::Ready(flushed.map(drop)),
            }
        }
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller {
            writable: ReusableBoxFuture::new(writable(self.clone())),
            socket: self,
            is_done: false,
        })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if batch::fits(transmit) && !self.unsent.is_some.load(Ordering::SeqCst) {
            self.send(transmit)
        } else {
            self.send_in_order(transmit)
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        // First to be known, then to look: whoever leaves something afterwards sees whom to wake.
        self.unsent.receiver.register(cx);
        if self.unsent.is_some.load(Ordering::SeqCst)
            && let Poll::Ready(Err(error)) = self.poll_flush(cx)
        {
            return Poll::Ready(Err(error));
        }
        if let Some(siblings) = &self.siblings {
            let count = siblings.receive(cx, bufs, meta);
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
        }
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            // Errors are about datagrams that were sent earlier, or there is nothing to receive.
            if let Ok(received) = self.io.try_io(Interest::READABLE, || {
                self.state.recv((&self.io).into(), bufs, meta)
            }) {
                if let Some(siblings) = &self.siblings {
                    siblings.sort(&mut bufs[..received], &mut meta[..received]);
                }
                return Poll::Ready(Ok(received));
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.receive_segments
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

/// Tells one task when there is room to send.
#[derive(Debug)]
struct Poller {
    socket: Arc<Socket>,
    writable: ReusableBoxFuture<'static, io::Result<()>>,
    /// Whether that future has been used up.
    is_done: bool,
}

impl UdpPoller for Poller {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_done {
            this.writable.set(writable(this.socket.clone()));
            this.is_done = false;
        }
        let writable = this.writable.poll(cx);
        this.is_done = writable.is_ready();
        writable
    }
}

async fn writable(socket: Arc<Socket>) -> io::Result<()> {
    socket.io.writable().await
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::future::poll_fn;

    use super::super::{Steering, bind, bind_group};
    use super::*;
    use crate::socket::SocketConfig;
    use crate::transport::IpVersions;

    /// All datagrams that wait, or that come until there are so many.
    async fn receive(socket: &Socket, count: usize) -> Vec<Vec<u8>> {
        let mut came = Vec::new();
        let mut buffer = vec![0; 4 * 65_536];
        while came.len() < count {
            let mut bufs: Vec<_> = buffer.chunks_mut(65_536).map(IoSliceMut::new).collect();
            let mut metas = [RecvMeta::default(); 4];
            let received = poll_fn(|cx| socket.poll_recv(cx, &mut bufs, &mut metas)).await;
            for (buf, meta) in bufs.iter().zip(&metas[..received.unwrap()]) {
                came.extend(
                    buf[..meta.len]
                        .chunks(meta.stride.max(1))
                        .map(<[u8]>::to_vec),
                );
            }
        }
        came
    }

    /// One batch, which the kernel gives to one socket as a whole, with datagrams for all of them.
    #[tokio::test]
    async fn what_the_kernel_joined_is_sorted() {
        let (steering, config) = (Steering::new(3), SocketConfig::default());
        let address = "127.0.0.1:0".parse().unwrap();
        let bound = bind_group(address, IpVersions::V4Only, &config, steering).unwrap();
        let sockets: Vec<_> = bound
            .into_iter()
            .map(|bound| Socket::new(bound, 1452).unwrap())
            .collect();
        let sender = bind(address, IpVersions::V4Only, &config).unwrap();
        let sender = Socket::new(sender, 1452).unwrap();

        let mut contents = vec![0; 29 * 100 + 60];
        aws_lc_rs::rand::fill(&mut contents).unwrap();
        let mut expected: BTreeMap<usize, Vec<&[u8]>> = BTreeMap::new();
        for datagram in contents.chunks(100) {
            let worker = steering.of_datagram(datagram).unwrap();
            expected.entry(worker).or_default().push(datagram);
        }
        assert_eq!(expected.len(), 3, "30 datagrams, and one socket has none");
        let batch = Transmit {
            destination: sockets[0].local_addr().unwrap(),
            ecn: None,
            contents: &contents,
            segment_size: Some(100),
            src_ip: None,
        };
        poll_fn(|cx| sender.io.poll_send_ready(cx)).await.unwrap();
        sender.try_send(&batch).unwrap();
        let counts: Vec<_> = (0..3).map(|worker| expected[&worker].len()).collect();
        let came = tokio::join!(
            receive(&sockets[0], counts[0]),
            receive(&sockets[1], counts[1]),
            receive(&sockets[2], counts[2]),
        );
        for (worker, came) in [came.0, came.1, came.2].into_iter().enumerate() {
            assert_eq!(came, expected[&worker]);
        }
    }

    /// A batch of ten datagrams of the largest size arrives whole.
    #[tokio::test]
    async fn batches_beyond_what_the_system_takes_arrive() {
        let address = "127.0.0.1:0".parse().unwrap();
        let socket = || {
            let bound = bind(address, IpVersions::V4Only, &SocketConfig::default());
            Socket::new(bound.unwrap(), 65_507).unwrap()
        };
        let (sender, receiver) = (socket(), socket());
        for size in [1200, 9000, 16_000, 65_507] {
            let mut contents = vec![0; 10 * size];
            aws_lc_rs::rand::fill(&mut contents).unwrap();
            let batch = Transmit {
                destination: receiver.local_addr().unwrap(),
                ecn: None,
                contents: &contents,
                segment_size: Some(size),
                src_ip: None,
            };
            poll_fn(|cx| sender.io.poll_send_ready(cx)).await.unwrap();
            sender.try_send(&batch).unwrap();
            let came = receive(&receiver, 10).await;
            assert!(came.concat() == contents, "{size}");
        }
    }
}
