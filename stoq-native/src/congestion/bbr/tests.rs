use proptest::prelude::*;

use super::simulation::{Network, jain};
use super::*;

const MTU: u16 = 1200;
const DATAGRAM: u64 = MTU as u64;
const RATE: f64 = 20_000_000.0;
const SECOND: Duration = Duration::from_secs(1);

fn network(milliseconds: u64) -> Network {
    Network {
        bits_per_second: RATE,
        round_trip: Duration::from_millis(milliseconds),
        products: 1.0,
        loss_per_mille: 0,
        seed: 1,
    }
}

#[test]
fn alone_it_fills_the_path_and_little_of_the_queue() {
    for milliseconds in [10, 100] {
        let mut run = network(milliseconds).run(&[Duration::ZERO]);
        run.pass(4 * SECOND);
        let figures = run.pass(12 * SECOND);
        let filled = figures.goodput[0] / RATE;
        assert!(filled > 0.9, "{milliseconds} ms: {filled}");
        let queue = figures.queue.as_secs_f64() * 1000.0 / milliseconds as f64;
        assert!(queue < 0.4, "{milliseconds} ms: {queue} round trips");
        assert_eq!(figures.lost, 0, "{milliseconds} ms");
    }
}

#[test]
fn what_is_lost_by_chance_costs_hardly_more_than_itself() {
    for milliseconds in [10, 100] {
        let mut network = network(milliseconds);
        network.loss_per_mille = 30;
        let mut run = network.run(&[Duration::ZERO]);
        run.pass(4 * SECOND);
        let filled = run.pass(12 * SECOND).goodput[0] / RATE;
        assert!(filled > 0.85, "{milliseconds} ms: {filled}");
    }
}

#[test]
fn two_flows_share_alike_whoever_comes_first() {
    for (milliseconds, seed) in [(10, 1), (100, 1), (100, 2), (100, 3)] {
        for apart in [Duration::ZERO, 2 * SECOND] {
            let network = Network {
                seed,
                ..network(milliseconds)
            };
            let mut run = network.run(&[Duration::ZERO, apart]);
            run.pass(apart + 4 * SECOND);
            let figures = run.pass(20 * SECOND);
            let fair = jain(&figures.goodput);
            let name = format!("{milliseconds} ms, {apart:?} apart, seed {seed}");
            assert!(fair >= 0.9, "{name}: {fair}, {:?}", figures.goodput);
            let lossy = figures.lost as f64 / figures.sent as f64;
            assert!(lossy < 0.03, "{name}: {lossy}");
        }
    }
}

#[test]
fn a_rate_that_has_gone_is_forgotten() {
    let mut run = network(100).run(&[Duration::ZERO]);
    run.pass(6 * SECOND);
    let before = run.bbr(0).rate();
    assert!((0.9..1.1).contains(&(before * 8.0 / RATE)), "{before}");
    run.change_rate(RATE / 4.0);
    run.pass(6 * SECOND);
    let after = run.bbr(0).rate();
    assert!((0.9..1.1).contains(&(after * 32.0 / RATE)), "{after}");
    run.change_rate(RATE);
    run.pass(12 * SECOND);
    let again = run.bbr(0).rate();
    assert!((0.9..1.1).contains(&(again * 8.0 / RATE)), "{again}");
}

/// One flow, without a network.
struct Path {
    bbr: Bbr,
    now: Instant,
    limited: bool,
}

impl Path {
    /// As fast as a datagram in a millisecond, over ten.
    fn steady(state: &State) -> Self {
        let mut path = Self {
            bbr: Bbr::new(state, 1),
            now: Instant::now() + SECOND,
            limited: false,
        };
        path.goes_on(1000, 10);
        path
    }

    /// So many datagrams arrive, with this round trip.
    fn goes_on(&mut self, datagrams: u64, milliseconds: u64) {
        let round_trip = Duration::from_millis(milliseconds);
        for _ in 0..datagrams {
            self.bbr.sent(self.now);
            self.now += Duration::from_millis(1);
            let sent = self.now - round_trip;
            self.bbr.arrived(self.now, sent, DATAGRAM);
            let in_flight = milliseconds * DATAGRAM;
            self.bbr.acknowledged(self.now, in_flight, self.limited);
        }
    }
}

fn known(datagrams: u64) -> State {
    let mut state = State::new(MTU);
    state.carry(datagrams * DATAGRAM);
    state
}

#[test]
fn it_begins_with_the_window_that_there_is() {
    let bbr = Bbr::new(&known(100), 1);
    assert_eq!(bbr.window(), 100 * DATAGRAM);
    assert!(!bbr.is_starting(), "somebody has found it");
    let bbr = Bbr::new(&State::new(MTU), 1);
    assert_eq!(bbr.window(), 10 * DATAGRAM);
    assert!(bbr.is_starting());
}

#[test]
fn it_gives_way_for_a_moment_when_no_round_trip_was_short_for_long() {
    let mut path = Path::steady(&known(10));
    let product = path.bbr.product();
    assert!((product / DATAGRAM as f64 - 10.0).abs() < 0.5, "{product}");
    path.goes_on(4900, 12);
    assert!(path.bbr.settled().is_some());
    path.goes_on(400, 12);
    assert_eq!(path.bbr.settled(), None);
    assert!(path.bbr.window() <= (product / 2.0) as u64 + 1);
    // The queue has gone, and half of it is on the way.
    for _ in 0..300 {
        path.bbr.sent(path.now);
        path.now += Duration::from_millis(1);
        let sent = path.now - Duration::from_millis(10);
        path.bbr.arrived(path.now, sent, DATAGRAM);
        path.bbr.acknowledged(path.now, 5 * DATAGRAM, false);
    }
    assert!(path.bbr.settled().is_some());
    path.goes_on(3000, 10);
    assert!(path.bbr.window() >= 10 * DATAGRAM);
}

#[test]
fn an_application_with_little_to_send_takes_nothing_away() {
    let mut path = Path::steady(&known(10));
    let rate = path.bbr.rate();
    path.limited = true;
    for _ in 0..1000 {
        path.now += Duration::from_millis(50);
        path.bbr.sent(path.now);
        let sent = path.now;
        path.now += Duration::from_millis(10);
        path.bbr.arrived(path.now, sent, 100);
        path.bbr.acknowledged(path.now, 0, true);
        assert!(path.bbr.settled().is_some());
    }
    assert_eq!(path.bbr.rate(), rate);
    assert!(path.bbr.window() >= 7 * DATAGRAM);
    // Nor does it say how large the window can be.
    let mut bbr = Bbr::new(&State::new(MTU), 1);
    let now = Instant::now();
    for number in 0..100 {
        let now = now + SECOND * number;
        bbr.sent(now);
        bbr.arrived(now + Duration::from_millis(10), now, 1000);
        bbr.acknowledged(now + Duration::from_millis(10), 0, true);
    }
    assert_eq!(bbr.window(), 10 * DATAGRAM);
}

#[test]
fn a_marked_round_takes_three_tenths_as_a_lossy_one_does() {
    for (bytes, with_queue) in [(0, false), (3 * DATAGRAM, true)] {
        let mut path = Path::steady(&known(10));
        path.goes_on(50, if with_queue { 20 } else { 10 });
        let before = path.bbr.bound.min(path.bbr.window() as f64);
        path.bbr.lost(bytes, false);
        path.goes_on(40, if with_queue { 20 } else { 10 });
        let bound = path.bbr.bound;
        let least = path.bbr.product();
        assert!(bound < before && bound >= 0.7 * before - 1.0, "{bound}");
        assert!(
            bound >= least * 0.99,
            "{bound} {least}: the path itself holds as much"
        );
    }
    // Without a queue it was chance.
    let mut path = Path::steady(&known(10));
    path.bbr.lost(3 * DATAGRAM, false);
    path.goes_on(40, 10);
    assert_eq!(path.bbr.bound, f64::INFINITY);
}

#[test]
fn a_path_that_may_be_another_one_begins_with_four_datagrams() {
    let mut path = Path::steady(&known(10));
    path.bbr.lost(DATAGRAM, true);
    assert_eq!(path.bbr.window(), 4 * DATAGRAM);
    path.goes_on(100, 10);
    assert!(path.bbr.window() >= 7 * DATAGRAM);
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Sends,
    Arrives { bytes: u64, age: u64 },
    Ends { in_flight: u64, limited: bool },
    Loses { bytes: u64, persistently: bool },
    Waits { micros: u64 },
    Mtu(u16),
}

fn event() -> impl Strategy<Value = Event> {
    let bytes = || prop_oneof![0..65_536u64, Just(u64::MAX / 2)];
    let waits = prop_oneof![0..1_000_000u64, Just(10 * 86_400_000_000)];
    prop_oneof![
        10 => Just(Event::Sends),
        10 => (bytes(), 0..2_000_000u64).prop_map(|(bytes, age)| Event::Arrives { bytes, age }),
        10 => (bytes(), any::<bool>())
            .prop_map(|(in_flight, limited)| Event::Ends { in_flight, limited }),
        2 => (bytes(), prop::bool::weighted(0.2))
            .prop_map(|(bytes, persistently)| Event::Loses { bytes, persistently }),
        10 => waits.prop_map(|micros| Event::Waits { micros }),
        1 => (1200..=65_527u16).prop_map(Event::Mtu),
    ]
}

proptest! {
    #[test]
    fn the_window_stays_in_its_bounds(
        events in prop::collection::vec(event(), 1..400),
        fresh in any::<bool>(),
    ) {
        let state = if fresh { State::new(MTU) } else { known(50) };
        let mut bbr = Bbr::new(&state, 0);
        let mut mtu = DATAGRAM;
        // So that there is a past to have sent in.
        let mut now = Instant::now() + 2 * SECOND;
        for event in events {
            match event {
                Event::Sends => bbr.sent(now),
                Event::Arrives { bytes, age } => {
                    bbr.arrived(now, now - Duration::from_micros(age), bytes);
                }
                Event::Ends { in_flight, limited } => bbr.acknowledged(now, in_flight, limited),
                Event::Loses { bytes, persistently } => bbr.lost(bytes, persistently),
                Event::Waits { micros } => now += Duration::from_micros(micros),
                Event::Mtu(new) => {
                    mtu = new.into();
                    bbr.set_mtu(mtu, 10 * mtu);
                }
            }
            prop_assert!((4 * mtu..=MAX_WINDOW).contains(&bbr.window()), "{}", bbr.window());
        }
    }
}
