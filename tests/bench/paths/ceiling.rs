//! Which rate the emulator passes on this machine without losing anything by itself.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use quinn::udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use stoq_tests::link::emulator::Emulator;

use crate::Result;
use crate::contenders::{Algorithm, Contender, Library, socket};
use crate::run::{LARGEST_PAYLOAD, Path, Plan, run};

/// Bits a second that pass in bare UDP, in batches, without a loss: the highest of a ladder.
pub(crate) fn bare() -> Result<u64> {
    let mut highest = None;
    for megabits in LADDER {
        let rate = megabits * 1_000_000;
        // Once is enough: what else runs here may take a core away for longer than buffers last.
        let mut passed = false;
        for _ in 0..ATTEMPTS {
            passed = passed || passes(rate)?;
        }
        eprintln!(
            "bare UDP at {megabits} Mbit/s: {}",
            if passed { "no loss" } else { "lost some" }
        );
        if !passed {
            break;
        }
        highest = Some(rate);
    }
    highest
        .ok_or_else(|| "the emulator loses packets at the lowest rate; is the machine busy?".into())
}

/// The highest rate, from two thirds of `bare` downwards, that one QUIC transfer fills without a loss of the machine's. No transfer
/// has come near those two thirds: its ends take as much of the machine as the emulator does.
pub(crate) fn carried(bare: u64, seed: u64) -> Result<u64> {
    let contender = Contender {
        library: Library::Quinn,
        algorithm: Algorithm::Cubic,
    };
    let most = (bare * 2 / 3).max(LADDER[0] * 1_000_000);
    let ladder = LADDER
        .into_iter()
        .rev()
        .map(|megabits| megabits * 1_000_000);
    for rate in ladder.filter(|rate| *rate <= most) {
        let plan = Plan {
            path: Path::new(rate, Duration::from_millis(10)),
            loss_per_mille: 0,
            flows: 1,
            apart: Duration::ZERO,
            warm_up: Duration::from_secs(1),
            lasts: Duration::from_secs(2),
            seed,
        };
        let sample = run(contender, plan)?;
        let filled = sample.total() / rate as f64;
        eprintln!(
            "{contender} at {} Mbit/s: {:.0} % filled, {} lost by this machine",
            rate / 1_000_000,
            filled * 100.0,
            sample.own_losses
        );
        if sample.own_losses == 0 && filled >= FILLED {
            return Ok(rate);
        }
    }
    Err("no transfer fills the lowest rate; is the machine busy?".into())
}

/// Whether all that is sent through the emulator at this rate for half a second arrives.
fn passes(rate: u64) -> Result<bool> {
    let receiver = socket()?;
    // The path is a little faster than what is sent, with a queue of 50 ms: what is lost is the emulator's fault.
    let path = Path::new(rate * 11 / 10, Duration::from_millis(10));
    let mut conditions = path.conditions(0);
    conditions.queue = rate / 8 / 20;
    let emulator = Emulator::start(receiver.local_addr()?, 1, conditions, 0)?;
    let front = emulator.front(0)?;
    let sending = std::thread::spawn(move || blast(rate, front));
    let got = receive(&receiver, &sending)?;
    let (sent, in_time) = sending.join().map_err(|_| "the sender panicked")??;
    Ok(in_time && got == sent)
}

/// How many were sent, and whether as fast as they should.
fn blast(rate: u64, to: std::net::SocketAddr) -> Result<(u64, bool)> {
    let socket = socket()?;
    let state = UdpSocketState::new((&socket).into())?;
    socket.set_nonblocking(false)?;
    let burst = BURST.min(state.max_gso_segments());
    let contents = vec![0; burst * PAYLOAD];
    let transmit = Transmit {
        destination: to,
        ecn: None,
        contents: &contents,
        segment_size: Some(PAYLOAD),
        src_ip: None,
    };
    let pause = Duration::from_secs_f64((burst * PAYLOAD * 8) as f64 / rate as f64);
    let bursts = (LASTS.as_secs_f64() / pause.as_secs_f64()) as u32;
    let start = Instant::now();
    for number in 0..bursts {
        let due = start + pause * number;
        if let Some(early) = due.checked_duration_since(Instant::now()) {
            std::thread::sleep(early);
        }
        state.try_send((&socket).into(), &transmit)?;
    }
    let in_time = start.elapsed() < LASTS.mul_f64(1.1);
    Ok((u64::from(bursts) * burst as u64, in_time))
}

/// Counts until nothing comes any more after the sender has ended.
fn receive<T>(socket: &UdpSocket, sending: &std::thread::JoinHandle<T>) -> Result<u64> {
    let state = UdpSocketState::new(socket.into())?;
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(SILENCE))?;
    let mut buffers = vec![vec![0; 64 * 1024]; BATCH_SIZE];
    let mut metas = [RecvMeta::default(); BATCH_SIZE];
    let mut got = 0;
    loop {
        let ended = sending.is_finished();
        let slices = buffers.iter_mut();
        let mut slices: Vec<_> = slices
            .map(|buffer| std::io::IoSliceMut::new(buffer))
            .collect();
        match state.recv(socket.into(), &mut slices, &mut metas) {
            Ok(count) => {
                let each = metas[..count].iter();
                got += each
                    .map(|meta| meta.len.div_ceil(meta.stride.max(1)) as u64)
                    .sum::<u64>();
            }
            Err(_) if ended => return Ok(got),
            Err(_) => {}
        }
    }
}

/// Mbit/s.
const LADDER: [u64; 18] = [
    50, 100, 150, 200, 300, 400, 500, 600, 800, 1000, 1250, 1500, 2000, 2500, 3000, 4000, 5000,
    6000,
];
const ATTEMPTS: usize = 3;
const PAYLOAD: usize = 1452;
const _: () = assert!(PAYLOAD <= LARGEST_PAYLOAD);
/// Packets in a call, as QUIC's senders have them.
const BURST: usize = 10;
const LASTS: Duration = Duration::from_millis(500);
/// Longer than the path's delay and queue.
const SILENCE: Duration = Duration::from_millis(200);
/// Of a path that is filled: headers of QUIC and of UDP, and the way of Cubic up to the full queue, take the rest.
const FILLED: f64 = 0.85;
