//! A path between real UDP sockets: both directions of it are a [`Pipe`], and each has a thread of its own that moves packets
//! through it.
//!
//! ```text
//!   client 0 ──▶ front 0 ─┐            ┌─▶ back 0 ──▶ server         the thread "up", and its pipe
//!   client 1 ──▶ front 1 ─┴─ one pipe ─┴─▶ back 1 ──▶
//!   client 0 ◀── front 0 ─┬─ one pipe ─┬── back 0 ◀── server         the thread "down", and its own
//! ```
//! So flows share the narrowest place and the queue before it, as they do at a router. Packets are read and written in batches (GRO and
//! GSO), and a thread sleeps until the next packet comes or is due, to the microsecond where the system can.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quinn::udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, Transmit, UdpSocketState};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::pipe::{Conditions, Counters, Pipe};

/// A running path. Ends when it is dropped.
#[derive(Debug)]
pub struct Emulator {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    flows: Vec<Flow>,
    /// Up and down.
    pipes: [Mutex<Pipe<Packet>>; 2],
    ending: AtomicBool,
}

/// One client's way to the server.
#[derive(Debug)]
struct Flow {
    front: Socket,
    back: Socket,
    /// Who sent to the front first.
    client: OnceLock<SocketAddr>,
}

#[derive(Debug)]
struct Socket {
    udp: UdpSocket,
    state: UdpSocketState,
}

#[derive(Debug)]
struct Packet {
    flow: usize,
    ecn: Option<EcnCodepoint>,
    bytes: Vec<u8>,
}

/// Places of the pipes.
const UP: usize = 0;
const DOWN: usize = 1;

impl Emulator {
    /// A path to `server` for so many clients, with the same conditions in both directions.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(
        server: SocketAddr,
        flows: usize,
        conditions: Conditions,
        seed: u64,
    ) -> io::Result<Self> {
        let flow = |_| {
            Ok(Flow {
                front: Socket::bind()?,
                back: Socket::bind()?,
                client: OnceLock::new(),
            })
        };
        let pipe = |direction| Mutex::new(Pipe::new(conditions, seed.wrapping_mul(2) + direction));
        let shared = Arc::new(Shared {
            server,
            flows: (0..flows).map(flow).collect::<io::Result<_>>()?,
            pipes: [pipe(0), pipe(1)],
            ending: AtomicBool::new(false),
        });
        let thread = |direction: usize| {
            let shared = shared.clone();
            let name = ["path up", "path down"][direction];
            let thread = std::thread::Builder::new().name(name.into());
            thread.spawn(move || shared.run(direction))
        };
        let threads = vec![thread(UP)?, thread(DOWN)?];
        Ok(Self { shared, threads })
    }

    /// Where the client of this flow sends to.
    ///
    /// # Errors
    /// What the system says.
    pub fn front(&self, flow: usize) -> io::Result<SocketAddr> {
        self.shared.flows[flow].front.udp.local_addr()
    }

    /// What became of the packets to the server, and of those from it.
    pub fn counters(&self) -> [Counters; 2] {
        [UP, DOWN].map(|direction| lock(&self.shared.pipes[direction]).counters().clone())
    }

    /// Counts from zero.
    pub fn reset(&self) {
        for pipe in &self.shared.pipes {
            lock(pipe).reset();
        }
    }

    /// Packets that its own sockets had no room for since they were bound, so that no pipe has seen them; `None` where the system
    /// does not tell.
    pub fn own_losses(&self) -> Option<u64> {
        let sockets = self
            .shared
            .flows
            .iter()
            .flat_map(|flow| [&flow.front, &flow.back]);
        sockets
            .map(|socket| drops(socket.udp.local_addr().ok()?))
            .sum()
    }

    /// Whether both of its threads still run.
    pub fn is_sound(&self) -> bool {
        !self.threads.iter().any(JoinHandle::is_finished)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.shared.ending.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => eprintln!("the path had ended: {error}"),
                Err(_) => eprintln!("the path had panicked"),
            }
        }
    }
}

/// Packets for which the socket at this address had no room, by the system's own count.
pub fn drops(address: SocketAddr) -> Option<u64> {
    let port = format!("{:04X}", address.port());
    let table = match address {
        SocketAddr::V4(_) => "/proc/net/udp",
        SocketAddr::V6(_) => "/proc/net/udp6",
    };
    let table = std::fs::read_to_string(table).ok()?;
    let mut rows = table.lines().skip(1).map(|row| row.split_whitespace());
    let mut row = rows.find(|row| {
        let address = row
            .clone()
            .nth(1)
            .and_then(|local| local.rsplit(':').next());
        address == Some(port.as_str())
    })?;
    row.nth(12)?.parse().ok()
}

impl Shared {
    fn run(&self, direction: usize) -> io::Result<()> {
        // The system may wake a thread 50 µs late by default, to spare power.
        #[cfg(target_os = "linux")]
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        let mut reader = Reader::new();
        let mut due = Vec::new();
        let mut batch = Vec::new();
        while !self.ending.load(Relaxed) {
            let now = Instant::now();
            let next = {
                let mut pipe = lock(&self.pipes[direction]);
                due.extend(core::iter::from_fn(|| pipe.pop(now)));
                pipe.due()
            };
            self.send(direction, &due, &mut batch)?;
            due.clear();
            let until = next.map_or(LONGEST, |next| next.saturating_duration_since(now));
            self.wait(direction, until.min(LONGEST))?;
            self.receive(direction, &mut reader)?;
        }
        Ok(())
    }

    /// Until a packet has come, or the time is up.
    fn wait(&self, direction: usize, time: Duration) -> io::Result<()> {
        let sockets = self.flows.iter().map(|flow| flow.from(direction));
        let mut polled: Vec<_> = sockets
            .map(|socket| PollFd::new(&socket.udp, PollFlags::IN))
            .collect();
        let time = Timespec {
            tv_sec: 0,
            tv_nsec: time.subsec_nanos().into(),
        };
        match poll(&mut polled, Some(&time)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn receive(&self, direction: usize, reader: &mut Reader) -> io::Result<()> {
        for (number, flow) in self.flows.iter().enumerate() {
            let socket = flow.from(direction);
            // Bounded, so that what is due does not wait for a sender that never stops.
            for _ in 0..READS {
                let Some(read) = reader.read(socket)? else {
                    break;
                };
                let now = Instant::now();
                let mut pipe = lock(&self.pipes[direction]);
                for (meta, bytes) in read {
                    if direction == UP {
                        flow.client.get_or_init(|| meta.addr);
                    }
                    for packet in bytes.chunks(meta.stride.max(1)) {
                        let packet = Packet {
                            flow: number,
                            ecn: meta.ecn,
                            bytes: packet.to_vec(),
                        };
                        pipe.push(now, packet.bytes.len(), packet);
                    }
                }
            }
        }
        Ok(())
    }

    /// Runs of packets alike, each in one call.
    fn send(&self, direction: usize, due: &[Packet], batch: &mut Vec<u8>) -> io::Result<()> {
        let mut left = due;
        while let Some(first) = left.first() {
            let flow = &self.flows[first.flow];
            let (socket, destination) = match direction {
                UP => (&flow.back, Some(self.server)),
                _ => (&flow.front, flow.client.get().copied()),
            };
            let size = first.bytes.len();
            let most = socket.state.max_gso_segments();
            let most = most.min(LARGEST_BATCH / size.max(1)).max(1);
            let alike = left
                .iter()
                .take(most)
                .take_while(|packet| {
                    packet.flow == first.flow
                        && packet.ecn == first.ecn
                        && packet.bytes.len() == size
                })
                .count();
            let (run, rest) = left.split_at(alike);
            left = rest;
            // Nobody is there to whom the server could have sent something.
            let Some(destination) = destination else {
                continue;
            };
            batch.clear();
            run.iter()
                .for_each(|packet| batch.extend_from_slice(&packet.bytes));
            socket.send(&Transmit {
                destination,
                ecn: first.ecn,
                contents: batch,
                segment_size: (alike > 1).then_some(size),
                src_ip: None,
            })?;
        }
        Ok(())
    }
}

impl Flow {
    /// The socket whose packets go this way.
    fn from(&self, direction: usize) -> &Socket {
        match direction {
            UP => &self.front,
            _ => &self.back,
        }
    }
}

impl Socket {
    fn bind() -> io::Result<Self> {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let state = UdpSocketState::new((&udp).into())?;
        // The system may give less; what is lost for it is counted.
        let _ = state.set_recv_buffer_size((&udp).into(), BUFFER);
        let _ = state.set_send_buffer_size((&udp).into(), BUFFER);
        Ok(Self { udp, state })
    }

    /// Waits for room, because a path has no losses but its own.
    fn send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        loop {
            match self.state.try_send((&self.udp).into(), transmit) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut polled = [PollFd::from_borrowed_fd(self.udp.as_fd(), PollFlags::OUT)];
                    let _ = poll(&mut polled, None);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Whoever listened there has gone.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(()),
                sent => return sent,
            }
        }
    }
}

/// Room for what one call reads.
struct Reader {
    buffers: Vec<Vec<u8>>,
    metas: [RecvMeta; BATCH_SIZE],
}

impl Reader {
    fn new() -> Self {
        Self {
            buffers: vec![vec![0; 64 * 1024]; BATCH_SIZE],
            metas: [RecvMeta::default(); BATCH_SIZE],
        }
    }

    /// What has come, or `None` if nothing has.
    fn read(
        &mut self,
        socket: &Socket,
    ) -> io::Result<Option<impl Iterator<Item = (&RecvMeta, &[u8])>>> {
        let count = {
            let buffers = self.buffers.iter_mut();
            let mut slices: Vec<_> = buffers.map(|buffer| io::IoSliceMut::new(buffer)).collect();
            let read = socket
                .state
                .recv((&socket.udp).into(), &mut slices, &mut self.metas);
            match read {
                Ok(count) => count,
                Err(error) => {
                    return match error.kind() {
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
                        io::ErrorKind::ConnectionRefused => Ok(None),
                        _ => Err(error),
                    };
                }
            }
        };
        let metas = self.metas[..count].iter();
        let read = metas.zip(&self.buffers);
        Ok(Some(read.map(|(meta, buffer)| (meta, &buffer[..meta.len]))))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// So that a path that nobody uses ends soon when it is dropped.
const LONGEST: Duration = Duration::from_millis(50);
/// Calls, of at most 32 batches each, before what is due is looked at.
const READS: usize = 4;
/// The kernel sends no more at once (a UDP payload over IPv4).
const LARGEST_BATCH: usize = 65_507;
const BUFFER: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn bound() -> UdpSocket {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        socket
    }

    #[test]
    fn two_clients_reach_the_server_and_hear_from_it_no_sooner_than_the_delay() {
        let server = bound();
        let conditions = Conditions {
            bits_per_second: 100_000_000,
            queue: 1_000_000,
            delay: Duration::from_millis(20),
            loss_per_mille: 0,
            largest: 1472,
        };
        let path = Emulator::start(server.local_addr().unwrap(), 2, conditions, 1).unwrap();
        for (number, client) in [bound(), bound()].into_iter().enumerate() {
            let start = Instant::now();
            let front = path.front(number).unwrap();
            // Sizes that make one batch and more, and one that the path does not take.
            for size in [1400, 1400, 1400, 1473, 10] {
                client.send_to(&vec![number as u8; size], front).unwrap();
            }
            let mut buffer = [0; 2000];
            for size in [1400, 1400, 1400, 10] {
                let (length, from) = server.recv_from(&mut buffer).unwrap();
                assert_eq!(buffer[..length], vec![number as u8; size]);
                server.send_to(&buffer[..length], from).unwrap();
            }
            for size in [1400, 1400, 1400, 10] {
                let (length, from) = client.recv_from(&mut buffer).unwrap();
                assert_eq!((length, from), (size, front));
            }
            assert!(start.elapsed() >= Duration::from_millis(40));
        }
        assert!(path.is_sound());
        let [up, down] = path.counters();
        assert_eq!((up.passed, up.too_large, down.passed), (8, 2, 8));
        assert_eq!(path.own_losses().unwrap_or(0), 0);
    }
}
