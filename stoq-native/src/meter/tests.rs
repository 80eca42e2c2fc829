use super::*;

#[test]
fn the_variation_is_that_of_the_rfc() {
    let mut meter = Meter::default();
    meter.observe(Duration::from_millis(333));
    assert_eq!(meter.rtt_variation, None, "a guess is no measurement");
    // RFC 9002, section 5.3, in microseconds.
    let samples = [20_000.0, 28_000.0, 22_000.0, 90_000.0, 20_500.0, 20_400.0];
    let (mut smoothed, mut variation) = (0.0, 0.0);
    for (at, sample) in samples.into_iter().enumerate() {
        if at == 0 {
            (smoothed, variation) = (sample, sample / 2.0);
        } else {
            variation = 0.75 * variation + 0.25 * f64::abs(smoothed - sample);
            smoothed = 0.875 * smoothed + 0.125 * sample;
        }
        // Every packet of an acknowledgement shows the same.
        for _ in 0..3 {
            meter.observe(Duration::from_secs_f64(smoothed / 1e6));
        }
        let measured = meter.rtt_variation.unwrap().as_secs_f64() * 1e6;
        assert!(
            (measured - variation).abs() < 0.1,
            "{measured}, {variation}"
        );
    }
}

/// A meter that sees an acknowledgement of `bytes` every 10 ms, for so long.
fn run(meter: &mut Meter, start: Instant, bytes: u64, limited: bool, time: Duration) -> Instant {
    let step = Duration::from_millis(10);
    let mut now = start;
    while now < start + time {
        now += step;
        meter.arrived(bytes, limited);
        meter.acknowledged(now, limited, 50_000);
    }
    now
}

#[test]
fn the_rate_is_what_arrived_lately() {
    let mut meter = Meter::default();
    let start = Instant::now();
    assert_eq!(meter.send_rate(start), 0);
    let second = Duration::from_secs(1);
    let now = run(&mut meter, start, 20_000, true, second);
    assert_eq!(meter.send_rate(now), 2_000_000);
    let now = run(&mut meter, now, 100_000, true, second);
    assert_eq!(meter.send_rate(now), 10_000_000);
    // Silence counts.
    let quiet = meter.send_rate(now + 10 * second);
    assert!(quiet < 300_000, "{quiet}");
}

#[test]
fn a_path_is_placed_when_it_was_full() {
    let mut meter = Meter::default();
    let start = Instant::now();
    let second = Duration::from_secs(1);
    let now = run(&mut meter, start, 10_000, true, second);
    assert_eq!(meter.tier, None, "the application had no more to send");
    // 8 Mbit/s, then 800, then 8000.
    let now = run(&mut meter, now, 10_000, false, second);
    assert_eq!(meter.tier, Some(Tier::Slow));
    let now = run(&mut meter, now, 1_000_000, false, second);
    assert_eq!(meter.tier, Some(Tier::Home));
    let now = run(&mut meter, now, 10_000_000, false, second);
    assert_eq!(meter.tier, Some(Tier::Performance));
    // All has arrived: the pause before what comes next is no fault of the path, nor is a slow application.
    meter.acknowledged(now, false, 0);
    let now = run(&mut meter, now + 10 * second, 10_000_000, false, second);
    assert_eq!(meter.tier, Some(Tier::Performance));
    let now = run(&mut meter, now, 10_000, true, second);
    assert_eq!(meter.tier, Some(Tier::Performance));
    // What it has carried, it carries at least.
    run(&mut meter, now, 20_000_000, true, second);
    assert_eq!(meter.tier, Some(Tier::Enterprise));
}

#[test]
fn a_page_is_told_when_all_is_measured() {
    let mut path = PathStats {
        rtt: Duration::from_millis(20),
        rtt_variation: None,
        lost_packets: 1,
        congestion_window: 12_000,
        send_rate: 5,
        tier: None,
    };
    assert_eq!(path.to_frame(), None);
    path.rtt_variation = Some(Duration::from_millis(3));
    let told = path.to_frame().unwrap();
    assert_eq!(
        (told.rtt_variation, told.tier),
        (Duration::from_millis(3), 0)
    );
    path.tier = Some(Tier::Home);
    assert_eq!(path.to_frame().unwrap().tier, 2);
}
