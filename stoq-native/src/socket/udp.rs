//! The socket as quinn uses it.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;

use quinn::udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio_util::sync::ReusableBoxFuture;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::Bound;
use super::siblings::Siblings;
use super::turn;
use super::wire::Wire;

/// quinn's own socket, with these differences. Batches that are larger than the system takes go out in pieces: quinn asks for the
/// number of datagrams in a batch once for all connections of a socket, whatever the size of their packets. Those that are smaller
/// go out [together](turn). The buffer that quinn receives into is no larger than what one call to the system can fill. And a call that
/// fills fewer buffers than it was given is not followed by another: on Linux it ends so only when nothing more is there.
#[derive(Debug)]
pub(crate) struct Socket {
    /// The others on its port, if there are any. Dropped before what has the lease, because they hold their sockets too.
    siblings: Option<Siblings>,
    wire: Arc<Wire>,
    /// Datagrams of the size that quinn's receive buffer is counted in.
    receive_segments: usize,
}

impl Socket {
    /// Must be called within a tokio runtime. `max_payload` is the size of the largest datagram that the endpoint takes; the lease
    /// is dropped when the socket has been closed.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn new(
        bound: Bound,
        max_payload: u16,
        lease: Option<TaskTrackerToken>,
    ) -> io::Result<Self> {
        let Bound { socket, siblings } = bound;
        let state = UdpSocketState::new((&socket).into())?;
        // Where the system joins datagrams on receipt, it gives them as one that is no larger than IP can carry.
        let receive_segments = if state.gro_segments() > 1 {
            usize::from(u16::MAX).div_ceil(max_payload.into())
        } else {
            1
        };
        Ok(Self {
            wire: Arc::new(Wire::new(UdpSocket::from_std(socket)?, state, lease)),
            receive_segments,
            siblings,
        })
    }

    #[cfg(test)]
    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// What the system has received, less what belongs to others.
    fn poll_own(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let Wire { io, state, .. } = &*self.wire;
        loop {
            ready!(io.poll_recv_ready(cx))?;
            let mut received = 0;
            // Errors are about datagrams that were sent earlier, or there is nothing to receive.
            let _ = io.try_io(Interest::READABLE, || {
                received = state.recv(io.into(), bufs, meta)?;
                // The system had no more, and need not be asked again to say so.
                if received < bufs.len().min(BATCH_SIZE) {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Ok(())
            });
            if received > 0 {
                if let Some(siblings) = &self.siblings {
                    siblings.sort(&mut bufs[..received], &mut meta[..received]);
                }
                return Poll::Ready(Ok(received));
            }
        }
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller {
            writable: ReusableBoxFuture::new(writable(self.wire.clone())),
            wire: self.wire.clone(),
            is_done: false,
        })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        turn::send(&self.wire, transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        // First to be known, then to look: whoever leaves something afterwards sees whom to wake.
        self.wire.register(cx);
        if self.wire.is_blocked()
            && let Poll::Ready(Err(error)) = self.wire.poll_flush(cx)
        {
            return Poll::Ready(Err(error));
        }
        let Some(siblings) = &self.siblings else {
            return self.poll_own(cx, bufs, meta);
        };
        if siblings.inbox_is_first() {
            return match siblings.receive(cx, bufs, meta) {
                0 => self.poll_own(cx, bufs, meta),
                count => Poll::Ready(Ok(count)),
            };
        }
        match self.poll_own(cx, bufs, meta) {
            Poll::Pending => match siblings.receive(cx, bufs, meta) {
                0 => Poll::Pending,
                count => Poll::Ready(Ok(count)),
            },
            own => own,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.wire.io.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.wire.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.receive_segments
    }

    fn may_fragment(&self) -> bool {
        self.wire.state.may_fragment()
    }
}

/// Tells one task when there is room to send.
#[derive(Debug)]
struct Poller {
    wire: Arc<Wire>,
    writable: ReusableBoxFuture<'static, io::Result<()>>,
    /// Whether that future has been used up.
    is_done: bool,
}

impl UdpPoller for Poller {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_done {
            this.writable.set(writable(this.wire.clone()));
            this.is_done = false;
        }
        let writable = this.writable.poll(cx);
        this.is_done = writable.is_ready();
        writable
    }
}

async fn writable(wire: Arc<Wire>) -> io::Result<()> {
    wire.io.writable().await
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
            .map(|bound| Socket::new(bound, 1452, None).unwrap())
            .collect();
        let sender = bind(address, IpVersions::V4Only, &config).unwrap();
        let sender = Socket::new(sender, 1452, None).unwrap();

        let mut contents = vec![0; 29 * 100 + 60];
        let of = |datagram: &[u8]| steering.of_datagram(datagram).unwrap();
        let has_some = |contents: &[u8], worker| contents.chunks(100).any(|it| of(it) == worker);
        // Once in 60,000 times, 30 datagrams leave one of three sockets without.
        while !(0..3).all(|worker| has_some(&contents, worker)) {
            aws_lc_rs::rand::fill(&mut contents).unwrap();
        }
        let mut expected: BTreeMap<usize, Vec<&[u8]>> = BTreeMap::new();
        for datagram in contents.chunks(100) {
            expected.entry(of(datagram)).or_default().push(datagram);
        }
        let batch = Transmit {
            destination: sockets[0].local_addr().unwrap(),
            ecn: None,
            contents: &contents,
            segment_size: Some(100),
            src_ip: None,
        };
        poll_fn(|cx| sender.wire.io.poll_send_ready(cx))
            .await
            .unwrap();
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

    /// However much others hand over, what the kernel gives to a socket is read, and the other way round.
    #[tokio::test]
    async fn neither_source_keeps_the_other_from_being_read() {
        let (steering, config) = (Steering::new(2), SocketConfig::default());
        let address = "127.0.0.1:0".parse().unwrap();
        let bound = bind_group(address, IpVersions::V4Only, &config, steering).unwrap();
        let sockets: Vec<_> = bound
            .into_iter()
            .map(|bound| Socket::new(bound, 1452, None).unwrap())
            .collect();
        let mut datagram = vec![0; 40];
        while steering.of_datagram(&datagram) != Some(0) {
            aws_lc_rs::rand::fill(&mut datagram).unwrap();
        }
        let direct = std::net::UdpSocket::bind(address).unwrap();
        let (target, from) = (
            sockets[0].local_addr().unwrap(),
            direct.local_addr().unwrap(),
        );
        let elsewhere = "127.0.0.1:9".parse().unwrap();
        let hand_over = || {
            let mut copy = datagram.clone();
            let mut meta = [RecvMeta {
                addr: elsewhere,
                len: copy.len(),
                stride: copy.len(),
                ..RecvMeta::default()
            }];
            let siblings = sockets[1].siblings.as_ref().unwrap();
            siblings.sort(&mut [IoSliceMut::new(&mut copy)], &mut meta);
            assert_eq!(meta[0].len, 0, "it is another's");
        };
        for _ in 0..20 {
            direct.send_to(&datagram, target).unwrap();
            sockets[0].wire.io.readable().await.unwrap();
            let mut seen = Vec::new();
            for _ in 0..2 {
                hand_over();
                let mut buffer = [0; 65_536];
                let mut bufs = [IoSliceMut::new(&mut buffer)];
                let mut meta = [RecvMeta::default()];
                let received = poll_fn(|cx| sockets[0].poll_recv(cx, &mut bufs, &mut meta));
                assert_eq!(received.await.unwrap(), 1);
                seen.push(meta[0].addr);
            }
            assert!(
                seen.contains(&from) && seen.contains(&elsewhere),
                "{seen:?}"
            );
        }
    }

    /// A batch of ten datagrams of the largest size arrives whole.
    #[tokio::test]
    async fn batches_beyond_what_the_system_takes_arrive() {
        let address = "127.0.0.1:0".parse().unwrap();
        let socket = || {
            let bound = bind(address, IpVersions::V4Only, &SocketConfig::default());
            Socket::new(bound.unwrap(), 65_507, None).unwrap()
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
            poll_fn(|cx| sender.wire.io.poll_send_ready(cx))
                .await
                .unwrap();
            sender.try_send(&batch).unwrap();
            let came = receive(&receiver, 10).await;
            assert!(came.concat() == contents, "{size}");
        }
    }
}
