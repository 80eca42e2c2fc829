//! Tables, and the verdict.

use std::time::Duration;

use rustls::CipherSuite;

use crate::client::PATIENCE;
use crate::contenders::{
    COMPOSITE, Contender, ED25519_X25519, GRANTED, HALF, ML_DSA_65, ML_DSA_87, MUTUAL,
};
use crate::machine::{machine, versions};
use crate::measure::{Cpu, Journey};
use crate::proxy::{Sender, list};
use crate::{DELAY, LOSS_PER_MILLE, Options};

/// What was measured, by the contender's place.
pub(crate) struct Report {
    options: Options,
    contenders: Vec<(&'static str, CipherSuite)>,
    signatures: Vec<(&'static str, Duration)>,
    pub(crate) cpu: Vec<Vec<Cpu>>,
    pub(crate) journeys: Vec<Vec<Journey>>,
    pub(crate) lossy: Vec<Vec<Journey>>,
    /// Connections that did not come about over the path that loses.
    pub(crate) failed: Vec<usize>,
}

/// What a server may spend on one composite handshake.
const CPU_TARGET: Duration = Duration::from_micros(2200);
/// What a server may send to an address that has not proved itself, for each byte from there (RFC 9000, section 8.1).
const AMPLIFICATION: usize = 3;
/// What the first flight of a server with a grant must stay below.
const FLIGHT_TARGET: usize = 7200;

impl Report {
    pub(crate) fn new(
        options: Options,
        contenders: &[Contender],
        signatures: Vec<(&'static str, Duration)>,
    ) -> Self {
        Self {
            options,
            contenders: contenders
                .iter()
                .map(|contender| (contender.name, contender.suite))
                .collect(),
            signatures,
            cpu: contenders.iter().map(|_| Vec::new()).collect(),
            journeys: contenders.iter().map(|_| Vec::new()).collect(),
            lossy: contenders.iter().map(|_| Vec::new()).collect(),
            failed: vec![0; contenders.len()],
        }
    }

    pub(crate) fn print(&self) {
        println!("machine   {}", machine());
        let packages = [
            "quinn",
            "rustls",
            "aws-lc-rs",
            "pqcrypto-falcon",
            "stoq-native",
        ];
        println!("versions  {}", versions(&packages));
        self.print_cpu();
        self.print_signatures();
        self.print_flights();
        self.print_delay();
        self.print_loss();
        self.print_verdict();
    }

    fn print_cpu(&self) {
        println!(
            "\nprocessor time per connection, its end included; medians of {} rounds of {} connections, contenders in turn",
            self.options.rounds, self.options.connections
        );
        println!(
            "{:<42} {:<8} {:>10} {:>10} {:>14} {:>9}",
            "", "suite", "server ms", "client ms", "per core and s", "server ×"
        );
        for (place, (name, suite)) in self.contenders.iter().enumerate() {
            let server = self.server_cpu(place);
            let base = self.place(ED25519_X25519, *suite);
            println!(
                "{name:<42} {:<8} {:>10.3} {:>10.3} {:>14.0} {:>9.2}",
                short(*suite),
                millis(server),
                millis(median(self.cpu[place].iter().map(|cpu| cpu.client))),
                1.0 / server.as_secs_f64(),
                self.server_ratio(place, base),
            );
        }
        println!(
            "server ×: against {ED25519_X25519} with the same suite, median of the ratios within a round"
        );
    }

    fn print_signatures(&self) {
        println!("\nprocessor time of one signature alone, median");
        for (name, time) in &self.signatures {
            println!("{name:<42} {:>8.3} ms", millis(*time));
        }
    }

    fn print_flights(&self) {
        println!(
            "\nflights until the client is done: bytes of UDP payload / datagrams / QUIC packets; → client, ← server"
        );
        println!(
            "{:<42} {:<8} {:>11} {:>10}  flights",
            "", "suite", "round trips", "allowance"
        );
        for (place, (name, suite)) in self.contenders.iter().enumerate() {
            let Some(journey) = self.journeys[place].first() else {
                continue;
            };
            println!(
                "{name:<42} {:<8} {:>11} {:>10}  {}",
                short(*suite),
                journey.round_trips(),
                allowance(journey),
                list(&journey.flights),
            );
        }
        println!(
            "allowance: {AMPLIFICATION} × the client's first flight, which is all that a server may send before it hears \
             from the client again"
        );
    }

    fn print_delay(&self) {
        println!(
            "\ntime over a path of {} ms each way, medians of {} (an emulation: datagrams wait in a proxy, whose timers round \
             up to 1 ms)",
            DELAY.as_millis(),
            self.options.journeys
        );
        self.print_times(&self.journeys, false);
    }

    fn print_loss(&self) {
        println!(
            "\nthe same path, {} % of datagrams lost each way (seeded; the same places for all), {} connections each; failed: \
             not there after {} s, and not in the percentiles",
            f64::from(LOSS_PER_MILLE) / 10.0,
            self.options.lossy_journeys,
            PATIENCE.as_secs()
        );
        self.print_times(&self.lossy, true);
    }

    fn print_times(&self, journeys: &[Vec<Journey>], tail: bool) {
        let shown = |time: Option<Duration>| {
            time.map_or_else(|| "-".into(), |time| format!("{:.1}", millis(time)))
        };
        let last = |times: Vec<Duration>| shown(tail.then(|| percentile(times, 95)));
        println!(
            "{:<42} {:<8} {:>12} {:>12} {:>12} {:>12} {:>8}",
            "", "suite", "TLS p50 ms", "TLS p95 ms", "answer p50", "answer p95", "failed"
        );
        for (place, (name, suite)) in self.contenders.iter().enumerate() {
            let journeys = &journeys[place];
            if journeys.is_empty() {
                continue;
            }
            let tls: Vec<_> = journeys.iter().filter_map(|journey| journey.tls).collect();
            let answered: Vec<_> = journeys.iter().map(|journey| journey.answered).collect();
            let tls_shows = !tls.is_empty();
            println!(
                "{name:<42} {:<8} {:>12} {:>12} {:>12} {:>12} {:>8}",
                short(*suite),
                shown(tls_shows.then(|| percentile(tls.clone(), 50))),
                if tls_shows { last(tls) } else { "-".into() },
                shown(Some(percentile(answered.clone(), 50))),
                last(answered),
                if tail { self.failed[place] } else { 0 },
            );
        }
        println!(
            "TLS: the client's handshake is done (STOQ's own client does not show it). answer: the server's first word after \
             its own is done; `connect()` of STOQ resolves then"
        );
    }

    fn print_verdict(&self) {
        println!("\nverdict");
        let aes_256 = CipherSuite::TLS13_AES_256_GCM_SHA384;
        for name in [COMPOSITE, MUTUAL, GRANTED, HALF] {
            let journeys = &self.journeys[self.place(name, aes_256)];
            let most = journeys.iter().map(Journey::round_trips).max().unwrap_or(0);
            verdict(
                most == 1,
                &format!("{name}: {most} round trip(s), target 1"),
            );
        }
        let composite = self.place(COMPOSITE, aes_256);
        let server = self.server_cpu(composite);
        verdict(
            server <= CPU_TARGET,
            &format!(
                "{COMPOSITE}: {:.3} ms of server, target {:.1}",
                millis(server),
                millis(CPU_TARGET)
            ),
        );
        for name in [COMPOSITE, GRANTED] {
            let journeys = &self.journeys[self.place(name, aes_256)];
            let bytes = journeys.iter().filter_map(first_of_server).max();
            let allowed = journeys.iter().map(allowance).min().unwrap_or(0);
            let bytes = bytes.unwrap_or(0);
            verdict(
                bytes > 0 && bytes < FLIGHT_TARGET && bytes <= allowed,
                &format!(
                    "{name}: first flight of {bytes} bytes, target below {FLIGHT_TARGET}, allowance {allowed}"
                ),
            );
        }
        for other in [ML_DSA_65, ML_DSA_87] {
            let place = self.place(other, aes_256);
            let sent = |place: usize| {
                let journeys: &[Journey] = &self.journeys[place];
                let bytes = journeys.first().map(bytes_of_server).unwrap_or(0);
                let trips = journeys.first().map_or(0, Journey::round_trips);
                (bytes, trips)
            };
            let ((ours, our_trips), (theirs, their_trips)) = (sent(composite), sent(place));
            println!(
                "       {COMPOSITE} against {other}: server × {:.2}, its bytes {ours} : {theirs} (× {:.2}), round trips \
                 {our_trips} : {their_trips}",
                self.server_ratio(composite, place),
                ours as f64 / theirs as f64,
            );
        }
    }

    fn place(&self, name: &str, suite: CipherSuite) -> usize {
        let found = |(other, of): &(&str, CipherSuite)| *other == name && *of == suite;
        let place = self.contenders.iter().position(found);
        place.expect("the names are constants of the contenders")
    }

    fn server_cpu(&self, place: usize) -> Duration {
        median(self.cpu[place].iter().map(|cpu| cpu.server))
    }

    /// Only what ran in the same round is compared.
    fn server_ratio(&self, place: usize, base: usize) -> f64 {
        let rounds = self.cpu[place].iter().zip(&self.cpu[base]);
        let mut ratios: Vec<f64> = rounds
            .map(|(cpu, base)| cpu.server.as_secs_f64() / base.server.as_secs_f64())
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }
}

fn verdict(met: bool, what: &str) {
    println!("{}  {what}", if met { "met  " } else { "MISSED" });
}

fn first_of_server(journey: &Journey) -> Option<usize> {
    let mut flights = journey.flights.iter();
    let first = flights.find(|flight| flight.sender == Sender::Server);
    first.map(|flight| flight.bytes)
}

fn bytes_of_server(journey: &Journey) -> usize {
    let flights = journey.flights.iter();
    flights
        .filter(|flight| flight.sender == Sender::Server)
        .map(|flight| flight.bytes)
        .sum()
}

fn allowance(journey: &Journey) -> usize {
    journey
        .flights
        .first()
        .map_or(0, |flight| AMPLIFICATION * flight.bytes)
}

fn short(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "AES-128",
        _ => "AES-256",
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    percentile(times.collect(), 50)
}

fn percentile(mut times: Vec<Duration>, percent: usize) -> Duration {
    times.sort();
    times[(times.len() - 1) * percent / 100]
}
