use proptest::prelude::*;
use quinn::congestion::Controller as _;

use super::state::{MAX_WINDOW, State};
use super::*;

const MTU: u16 = 1200;
const DATAGRAM: u64 = MTU as u64;
const RTT: Duration = Duration::from_millis(100);

/// A path, and the time on it.
struct Path {
    choice: Arc<Choice>,
    controller: Controller,
    now: Instant,
}

impl Path {
    fn new(algorithm: CongestionAlgorithm) -> Self {
        let (choice, now) = (Choice::new(algorithm), Instant::now());
        Self {
            controller: Controller::new(choice.clone(), now, MTU),
            choice,
            now,
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    /// A packet arrives that was sent when the present window began.
    fn arrives(&mut self, bytes: u64) {
        self.controller
            .arrived(self.now, self.now, bytes, false, RTT);
    }

    fn loses(&mut self, persistently: bool) {
        self.controller
            .on_congestion_event(self.now, self.now, persistently, DATAGRAM);
    }

    /// A packet is sent, at which another algorithm begins.
    fn sends(&mut self) {
        self.controller.on_sent(self.now, DATAGRAM, 0);
    }

    /// Without the byte that is quinn's.
    fn window(&self) -> u64 {
        self.controller.window() - 1
    }

    fn state(&self) -> State {
        self.controller.state().clone()
    }

    /// Loses a packet at a window of so many datagrams.
    fn full_at(&mut self, datagrams: u64) {
        let missing = datagrams * DATAGRAM - self.window();
        self.arrives(missing);
        assert_eq!(self.window(), datagrams * DATAGRAM);
        self.loses(false);
        self.wait(RTT);
    }
}

#[test]
fn the_first_window_is_that_of_the_rfc() {
    // RFC 9002, section 7.2.
    for (mtu, window) in [
        (1200, 12_000),
        (1452, 14_520),
        (1500, 14_720),
        (9000, 18_000),
    ] {
        let choice = Choice::new(CongestionAlgorithm::Cubic);
        let controller = Controller::new(choice, Instant::now(), mtu);
        assert_eq!(
            (controller.window(), controller.initial_window()),
            (window + 1, window)
        );
    }
}

#[test]
fn slow_start_grows_by_what_arrives() {
    for algorithm in [CongestionAlgorithm::NewReno, CongestionAlgorithm::Cubic] {
        let mut path = Path::new(algorithm);
        for _ in 0..10 {
            path.arrives(DATAGRAM);
        }
        assert_eq!(path.window(), 20 * DATAGRAM, "twice as much after a round");
    }
}

#[test]
fn as_many_datagrams_go_as_the_window_holds() {
    // quinn sends one more as long as the sum stays below what it is told (RFC 9002, section 7, has it stay at or below).
    for algorithm in CongestionAlgorithm::ALL {
        let path = Path::new(algorithm);
        let goes = |datagrams: u64| datagrams * DATAGRAM < path.controller.window();
        assert!(goes(10) && !goes(11), "{algorithm}");
    }
}

#[test]
fn new_reno_halves_and_adds_a_datagram_for_each_window() {
    let mut path = Path::new(CongestionAlgorithm::NewReno);
    path.full_at(100);
    assert_eq!(path.window(), 50 * DATAGRAM);
    assert_eq!(path.state().threshold(), 50 * DATAGRAM);
    // RFC 9002, appendix B.5: with each datagram its part of one.
    for round in 0..10 {
        let before = path.window();
        for _ in 0..50 + round {
            path.arrives(DATAGRAM);
        }
        let grown = (path.window() - before) as f64 / DATAGRAM as f64;
        assert!((0.98..=1.0).contains(&grown), "{grown}");
    }
}

#[test]
fn new_reno_keeps_half_of_what_it_grew_since_the_last_datagram() {
    // A window of four in which two have arrived when something is lost; half a datagram is an eighth of the window that is left.
    let mut path = Path::new(CongestionAlgorithm::NewReno);
    path.full_at(10);
    path.loses(false);
    path.wait(RTT);
    assert_eq!(path.window(), 10 * DATAGRAM / 4);
    path.arrives(DATAGRAM);
    path.arrives(DATAGRAM);
    let grown = path.window() as f64 / DATAGRAM as f64;
    assert!((grown - 3.24).abs() < 0.01, "{grown}");
    path.loses(false);
    assert_eq!(path.window(), 2 * DATAGRAM, "the least there is");
    let mut path = Path::new(CongestionAlgorithm::NewReno);
    path.full_at(16);
    for _ in 0..4 {
        path.arrives(DATAGRAM);
    }
    path.loses(false);
    assert!(
        path.window() > 4 * DATAGRAM + DATAGRAM / 5,
        "{}",
        path.window()
    );
}

#[test]
fn a_round_trip_has_one_reduction() {
    for algorithm in [CongestionAlgorithm::NewReno, CongestionAlgorithm::Cubic] {
        let mut path = Path::new(algorithm);
        let sent = path.now;
        path.wait(RTT);
        path.loses(false);
        let reduced = path.state();
        path.controller
            .on_congestion_event(path.now, sent, false, DATAGRAM);
        path.controller
            .arrived(path.now, sent, DATAGRAM, false, RTT);
        assert_eq!(
            path.state(),
            reduced,
            "{algorithm}: both were sent before it"
        );
    }
}

#[test]
fn persistent_congestion_begins_anew_up_to_the_threshold() {
    // RFC 9002, section 7.6.2 and appendix B.8; what was reduced a moment ago collapses all the same.
    for (algorithm, left) in [
        (CongestionAlgorithm::NewReno, 50),
        (CongestionAlgorithm::Cubic, 70),
    ] {
        let mut path = Path::new(algorithm);
        path.full_at(100);
        let sent = path.now - 2 * RTT;
        path.controller
            .on_congestion_event(path.now, sent, true, DATAGRAM);
        assert_eq!(path.window(), 2 * DATAGRAM, "{algorithm}");
        assert_eq!(path.state().threshold(), left * DATAGRAM, "{algorithm}");
        // Slow start, and what was sent before all that counts too.
        path.wait(RTT);
        path.arrives(DATAGRAM);
        path.controller
            .arrived(path.now, sent, DATAGRAM, false, RTT);
        assert_eq!(path.window(), 4 * DATAGRAM, "{algorithm}");
    }
}

#[test]
fn cubic_keeps_seven_tenths_and_comes_back_along_its_curve() {
    let mut path = Path::new(CongestionAlgorithm::Cubic);
    path.full_at(1000);
    assert_eq!(path.window(), 700 * DATAGRAM);
    path.arrives(1);
    // RFC 9438, figure 2: K is the cube root of (W_max - cwnd_epoch) / C, in segments.
    let curve = path
        .controller
        .cubic()
        .and_then(|cubic| cubic.curve())
        .unwrap()
        .clone();
    let flat_at = (300.0_f64 / 0.4).cbrt();
    assert!((curve.flat_at - flat_at).abs() < 1e-9);
    assert!((flat_at - 9.085_603).abs() < 1e-6, "seconds");
    // Figure 1, at its beginning, at K, and as far beyond.
    let at = |seconds| curve.at(seconds, DATAGRAM) / DATAGRAM as f64;
    assert!((at(0.0) - 700.0).abs() < 1e-6);
    assert!((at(flat_at) - 1000.0).abs() < 1e-6);
    assert!((at(2.0 * flat_at) - 1300.0).abs() < 1e-6);

    // Each window that arrives brings the window to where the curve is a round trip later.
    let begun = path.now;
    let rounds = (flat_at / RTT.as_secs_f64()) as u32;
    for _ in 0..rounds {
        path.wait(RTT);
        for _ in 0..path.window() / DATAGRAM {
            path.arrives(DATAGRAM);
        }
    }
    let seconds = (path.now - begun + RTT).as_secs_f64();
    let (window, curve) = (path.window() as f64, curve.at(seconds, DATAGRAM));
    assert!((window / curve - 1.0).abs() < 0.01, "{window}, {curve}");
}

#[test]
fn cubic_makes_room_when_the_path_is_full_earlier() {
    let full = |path: &Path| path.controller.cubic().and_then(|cubic| cubic.full());
    let mut path = Path::new(CongestionAlgorithm::Cubic);
    path.full_at(1000);
    assert_eq!(full(&path), Some(1_200_000.0));
    // At 700, below 1000: RFC 9438, section 4.7.
    path.loses(false);
    assert_eq!(full(&path), Some(0.85 * 700.0 * 1200.0));
    assert_eq!(
        path.window(),
        490 * DATAGRAM,
        "from where it was, not from there"
    );
}

#[test]
fn cubic_is_no_slower_than_new_reno() {
    // A short path and a small window: RFC 9438, section 4.3, with W_est as it says.
    let mut path = Path::new(CongestionAlgorithm::Cubic);
    path.full_at(20);
    let mut estimate = 14.0_f64;
    assert_eq!(path.window(), 14 * DATAGRAM);
    for _ in 0..2000 {
        // 3 × (1 - 0.7) / (1 + 0.7)
        let alpha = if estimate < 20.0 { 9.0 / 17.0 } else { 1.0 };
        estimate += alpha / (path.window() as f64 / DATAGRAM as f64);
        path.controller.arrived(
            path.now,
            path.now,
            DATAGRAM,
            false,
            Duration::from_micros(100),
        );
        path.wait(Duration::from_micros(5));
    }
    let window = path.window() as f64 / DATAGRAM as f64;
    assert!((window - estimate).abs() < 0.01, "{window}, {estimate}");
    assert!(window > 20.0);
}

#[test]
fn time_without_anything_to_send_is_no_time_for_cubic() {
    // RFC 9438, section 5.8.
    let run = |pause: Duration| {
        let mut path = Path::new(CongestionAlgorithm::Cubic);
        path.full_at(1000);
        for round in 0..20 {
            path.wait(RTT);
            if round == 10 {
                path.controller
                    .arrived(path.now, path.now, DATAGRAM, true, RTT);
                path.wait(pause);
            }
            for _ in 0..100 {
                path.arrives(DATAGRAM);
            }
        }
        path.window()
    };
    assert_eq!(run(Duration::ZERO), run(Duration::from_secs(3600)));
}

#[test]
fn a_swap_between_new_reno_and_cubic_keeps_the_window_and_the_threshold() {
    let mut path = Path::new(CongestionAlgorithm::NewReno);
    path.full_at(100);
    let before = path.state();
    for algorithm in [CongestionAlgorithm::Cubic, CongestionAlgorithm::NewReno] {
        path.choice.choose(algorithm);
        assert_eq!(path.choice.took(), None, "nothing has moved yet");
        path.sends();
        assert_eq!(path.controller.algorithm(), algorithm);
        assert_eq!(path.state(), before, "{algorithm}");
        assert!(!path.controller.in_slow_start());
        assert!(path.choice.took().is_some());
        // What was sent before the reduction still says nothing new.
        path.controller
            .on_congestion_event(path.now, path.now - RTT, false, DATAGRAM);
        assert_eq!(path.state(), before, "{algorithm}");
    }
    // From there it grows as the algorithm does.
    path.choice.choose(CongestionAlgorithm::Cubic);
    for _ in 0..50 {
        path.arrives(DATAGRAM);
    }
    path.sends();
    let window = path.window();
    for _ in 0..window / DATAGRAM {
        path.arrives(DATAGRAM);
    }
    assert!(path.window() >= window + DATAGRAM * 9 / 10);
}

#[test]
fn bbr_begins_with_the_window_and_leaves_its_own() {
    let mut path = Path::new(CongestionAlgorithm::Cubic);
    path.arrives(60 * DATAGRAM);
    assert!(path.controller.in_slow_start());
    path.choice.choose(CongestionAlgorithm::Bbr);
    path.sends();
    assert_eq!(path.controller.algorithm(), CongestionAlgorithm::Bbr);
    assert_eq!(path.window(), 70 * DATAGRAM);
    path.choice.choose(CongestionAlgorithm::NewReno);
    path.sends();
    assert_eq!(path.window(), 70 * DATAGRAM);
    assert!(
        !path.controller.in_slow_start(),
        "looks for more with care from there"
    );
}

#[test]
fn what_is_chosen_outlives_the_path() {
    let now = Instant::now();
    let factory = Factory::new(CongestionAlgorithm::Cubic);
    let build = || {
        let built = factory.clone().build(now, MTU).into_any();
        built.downcast::<Controller>().unwrap()
    };
    let mut first = build();
    first.arrived(now, now, 50 * DATAGRAM, false, RTT);
    first.choice().choose(CongestionAlgorithm::NewReno);
    let mut copy = first.clone_box();
    copy.on_sent(now, DATAGRAM, 0);
    let copy = copy.into_any().downcast::<Controller>().unwrap();
    assert_eq!(copy.algorithm(), CongestionAlgorithm::NewReno);
    assert_eq!(
        copy.state().window(),
        60 * DATAGRAM,
        "a copy is of the same path"
    );
    let second = build();
    assert_eq!(second.algorithm(), CongestionAlgorithm::NewReno);
    assert_eq!(
        second.state().window(),
        10 * DATAGRAM,
        "a new path is unknown"
    );
}

#[test]
fn names_come_back() {
    for algorithm in CongestionAlgorithm::ALL {
        assert_eq!(algorithm.name().parse(), Ok(algorithm));
        assert_eq!(
            CongestionAlgorithm::from_number(algorithm.number()),
            algorithm
        );
    }
    let error = "reno".parse::<CongestionAlgorithm>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no congestion control \"reno\", but new-reno, cubic and bbr"
    );
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Arrives { bytes: u64, limited: bool },
    Loses { age: u64, persistently: bool },
    Waits { micros: u64 },
    Mtu(u16),
    Swaps(CongestionAlgorithm),
}

fn event() -> impl Strategy<Value = Event> {
    let waits = prop_oneof![0..1_000_000u64, Just(10 * 86_400_000_000)];
    let bytes = prop_oneof![1..65_536u64, Just(u64::MAX / 2)];
    let algorithm = prop_oneof![
        Just(CongestionAlgorithm::NewReno),
        Just(CongestionAlgorithm::Cubic)
    ];
    prop_oneof![
        20 => (bytes, prop::bool::weighted(0.2)).prop_map(|(bytes, limited)| Event::Arrives { bytes, limited }),
        2 => (0..1_000_000u64, prop::bool::weighted(0.2))
            .prop_map(|(age, persistently)| Event::Loses { age, persistently }),
        10 => waits.prop_map(|micros| Event::Waits { micros }),
        1 => (1200..=65_527u16).prop_map(Event::Mtu),
        1 => algorithm.prop_map(Event::Swaps),
    ]
}

proptest! {
    #[test]
    fn the_window_stays_in_its_bounds(events in prop::collection::vec(event(), 1..400)) {
        let mut path = Path::new(CongestionAlgorithm::Cubic);
        // So that there is a past to have sent in.
        path.wait(Duration::from_secs(2));
        let mut mtu = DATAGRAM;
        for event in events {
            let before = path.window();
            match event {
                Event::Arrives { bytes, limited } => {
                    path.controller.arrived(path.now, path.now, bytes, limited, RTT);
                    prop_assert!(path.window() >= before, "what arrives takes nothing away");
                    prop_assert!(!limited || path.window() == before, "not filled, and larger");
                    let most = before.saturating_add(bytes.max(mtu) + 1);
                    prop_assert!(path.window() <= most, "no more than what arrived");
                }
                Event::Loses { age, persistently } => {
                    let sent = path.now - Duration::from_micros(age);
                    path.controller.on_congestion_event(path.now, sent, persistently, 1);
                    prop_assert!(path.window() <= before);
                }
                Event::Waits { micros } => path.wait(Duration::from_micros(micros)),
                Event::Mtu(new) => {
                    mtu = new.into();
                    path.controller.on_mtu_update(new);
                    let most = before.max(14_720.max(4 * mtu));
                    prop_assert!(path.window() <= most, "no more than a fresh path is given");
                }
                Event::Swaps(algorithm) => {
                    let state = path.state();
                    path.choice.choose(algorithm);
                    path.sends();
                    prop_assert_eq!(path.state(), state);
                }
            }
            prop_assert!((2 * mtu..=MAX_WINDOW).contains(&path.window()));
        }
    }
}
