//! Sockets that share a port, and what one of them received for another.

use core::task::Context;
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quinn::udp::{EcnCodepoint, RecvMeta};

use super::doorbell::Doorbell;
use super::steering::Steering;

/// One socket's view of all that share its port.
///
/// The kernel steers whole buffers, and may have joined datagrams of one sender in one: of several connections, if they come from
/// one socket. So each socket looks at what it receives, and hands over what belongs to another.
#[derive(Debug)]
pub(crate) struct Siblings {
    steering: Steering,
    worker: usize,
    group: Arc<Group>,
    /// Whether the inbox was looked into first the last time.
    inbox_was_first: AtomicBool,
}

#[derive(Debug)]
struct Group {
    inboxes: Vec<Inbox>,
    /// Keeps all of them open until the last is done: the kernel counts those that are, so steering would change.
    _sockets: Vec<UdpSocket>,
}

#[derive(Debug, Default)]
struct Inbox {
    parcels: Mutex<Parcels>,
    is_some: AtomicBool,
    owner: Doorbell,
}

#[derive(Debug, Default)]
struct Parcels {
    waiting: VecDeque<Parcel>,
    bytes: usize,
}

/// A datagram on its way to its worker.
#[derive(Debug)]
struct Parcel {
    from: SocketAddr,
    ecn: Option<EcnCodepoint>,
    to: Option<IpAddr>,
    contents: Vec<u8>,
}

impl Siblings {
    /// Of each of these sockets, in their order.
    ///
    /// # Errors
    /// What the system says.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "one socket has no siblings")
    )]
    pub(super) fn of(steering: Steering, sockets: &[UdpSocket]) -> io::Result<Vec<Self>> {
        let open: io::Result<_> = sockets.iter().map(UdpSocket::try_clone).collect();
        let group = Arc::new(Group {
            inboxes: sockets.iter().map(|_| Inbox::default()).collect(),
            _sockets: open?,
        });
        let of = |worker| Self {
            steering,
            worker,
            group: group.clone(),
            inbox_was_first: AtomicBool::new(false),
        };
        Ok((0..sockets.len()).map(of).collect())
    }

    /// Hands over what of these buffers belongs to others, and leaves the rest; a buffer of which nothing is left has length 0.
    pub(super) fn sort(&self, bufs: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) {
        let mut filled = Vec::new();
        for (buf, meta) in bufs.iter_mut().zip(metas) {
            let stride = meta.stride.max(1);
            let mut kept = 0;
            for start in (0..meta.len).step_by(stride) {
                let datagram = start..meta.len.min(start + stride);
                match self.steering.of_datagram(&buf[datagram.clone()]) {
                    Some(owner) if owner != self.worker => {
                        let parcel = Parcel {
                            from: meta.addr,
                            ecn: meta.ecn,
                            to: meta.dst_ip,
                            contents: buf[datagram].to_vec(),
                        };
                        let inbox = &self.group.inboxes[owner];
                        if inbox.put(parcel) {
                            filled.push(inbox);
                        }
                    }
                    _ => {
                        let len = datagram.len();
                        if kept != start {
                            buf.copy_within(datagram, kept);
                        }
                        kept += len;
                    }
                }
            }
            meta.len = kept;
        }
        // Once for all of it.
        for inbox in filled {
            inbox.owner.ring();
        }
    }

    /// Whether the inbox is to be looked into before the socket itself: every other time, so that neither can keep the other
    /// from being read.
    pub(super) fn inbox_is_first(&self) -> bool {
        !self.inbox_was_first.fetch_xor(true, Ordering::Relaxed)
    }

    /// What others have received for this one. The present task is woken when there is more.
    pub(super) fn receive(
        &self,
        cx: &Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> usize {
        let inbox = &self.group.inboxes[self.worker];
        // First to be known, then to look: whoever puts something in afterwards sees whom to wake.
        inbox.owner.register(cx);
        if !inbox.is_some.load(Ordering::SeqCst) {
            return 0;
        }
        let mut parcels = inbox.lock();
        let mut count = 0;
        for (buf, meta) in bufs.iter_mut().zip(metas) {
            let Some(parcel) = parcels.waiting.pop_front() else {
                break;
            };
            let len = parcel.contents.len();
            parcels.bytes -= parcel.cost();
            // Buffers of siblings have the same size.
            buf[..len].copy_from_slice(&parcel.contents);
            *meta = RecvMeta {
                addr: parcel.from,
                len,
                stride: len,
                ecn: parcel.ecn,
                dst_ip: parcel.to,
            };
            count += 1;
        }
        inbox
            .is_some
            .store(!parcels.waiting.is_empty(), Ordering::SeqCst);
        count
    }
}

impl Inbox {
    /// What finds no room is lost, as in the system's own buffer. Whether the inbox was empty, so that its owner is to be told: it
    /// reads until nothing is left.
    fn put(&self, parcel: Parcel) -> bool {
        let mut parcels = self.lock();
        let bytes = parcels.bytes + parcel.cost();
        if bytes > MAX_WAITING {
            return false;
        }
        parcels.bytes = bytes;
        parcels.waiting.push_back(parcel);
        !self.is_some.swap(true, Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, Parcels> {
        self.parcels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parcel {
    /// Bytes that it takes in an inbox.
    fn cost(&self) -> usize {
        self.contents.len() + OVERHEAD
    }
}

/// Bytes that may wait in an inbox, with what keeps them: some 600 packets of Ethernet's size, so far more than the kernel joins
/// before the owner wakes.
const MAX_WAITING: usize = 1024 * 1024;
/// What a parcel takes beside its contents: its place, twice, because the queue doubles when it grows, and what an allocator notes.
const OVERHEAD: usize = 2 * size_of::<Parcel>() + 16;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn an_inbox_takes_no_more_memory_than_it_may_however_small_the_datagrams() {
        for size in [5, 100, 1452] {
            let inbox = Inbox::default();
            let parcel = || Parcel {
                from: (Ipv4Addr::LOCALHOST, 1).into(),
                ecn: None,
                to: None,
                contents: vec![7; size],
            };
            assert!(inbox.put(parcel()), "it was empty");
            for _ in 0..MAX_WAITING / size {
                assert!(!inbox.put(parcel()), "it was not");
            }
            let parcels = inbox.lock();
            let contents: usize = parcels
                .waiting
                .iter()
                .map(|it| it.contents.capacity())
                .sum();
            let taken = parcels.waiting.capacity() * size_of::<Parcel>() + contents;
            assert!(taken <= MAX_WAITING, "{size}: {taken}");
            assert!(
                parcels.waiting.len() > 500,
                "{size}: {}",
                parcels.waiting.len()
            );
        }
    }
}
