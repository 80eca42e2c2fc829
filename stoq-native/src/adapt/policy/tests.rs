use proptest::prelude::*;

use super::*;

const QUARTER: Duration = Duration::from_millis(250);

/// A full path that carries so many megabits a second.
fn sample(number: u32, megabits: u64) -> Sample {
    Sample {
        at: number * QUARTER,
        length: QUARTER,
        rtt: Duration::from_millis(20),
        rtt_variation: Some(Duration::from_millis(2)),
        delivery_rate: megabits * 125_000,
        sent_packets: 1000,
        lost_packets: 1,
        congestion_events: 1,
        limited: false,
        ramping: false,
    }
}

/// What it decides on a sample every quarter of a second, and when: number and tier.
fn decisions(policy: &mut Policy, samples: impl IntoIterator<Item = Sample>) -> Vec<(u32, Tier)> {
    let mut decisions = Vec::new();
    for (at, sample) in samples.into_iter().enumerate() {
        if let Verdict::Change(tier) = policy.observe(&sample) {
            assert_eq!(policy.tier(), tier);
            decisions.push((at as u32, tier));
        }
    }
    decisions
}

fn rates(rates: impl IntoIterator<Item = u64>) -> impl Iterator<Item = Sample> {
    (0..).zip(rates).map(|(at, rate)| sample(at, rate))
}

fn policy() -> Policy {
    Policy::new(&AdaptationConfig::default())
}

#[test]
fn three_in_a_row_make_a_change() {
    let mut policy = policy();
    assert_eq!(policy.tier(), Tier::Home);
    let seen = [1500, 1500, 500, 1500, 1500, 500, 50, 50, 500, 1500, 50];
    assert_eq!(decisions(&mut policy, rates(seen)), []);
    assert_eq!(
        decisions(&mut policy, rates([1500, 1200, 1999])),
        [(2, Tier::Standard)]
    );
}

#[test]
fn a_change_is_no_greater_than_all_of_them_say() {
    assert_eq!(
        decisions(&mut policy(), rates([30_000, 2_600, 12_000])),
        [(2, Tier::Performance)]
    );
    let mut policy = policy();
    policy.force(Duration::ZERO, Tier::DataCenter);
    let later = [50, 3_000, 11_000].into_iter().zip(30..);
    let later = later.map(|(rate, at)| sample(at, rate));
    assert_eq!(decisions(&mut policy, later), [(2, Tier::Enterprise)]);
}

#[test]
fn five_seconds_lie_between_two_changes() {
    // Faster and slower every second.
    let seen = (0..200).map(|at| if at / 4 % 2 == 0 { 1_500 } else { 150 });
    let changes = decisions(&mut policy(), rates(seen));
    assert!(changes.len() >= 5, "{changes:?}");
    for pair in changes.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= 20, "{pair:?}");
    }
}

#[test]
fn what_says_nothing_of_the_path_is_ignored() {
    let mut policy = policy();
    let limited = |at, rate| Sample {
        limited: true,
        ..sample(at, rate)
    };
    let ramping = |at, rate| Sample {
        ramping: true,
        ..sample(at, rate)
    };
    for at in 0..10 {
        assert_eq!(policy.observe(&limited(at, 1)), Verdict::Ignored);
        assert_eq!(policy.observe(&ramping(at, 1)), Verdict::Ignored);
    }
    // It does not stand between those that count either.
    policy.observe(&sample(10, 1));
    policy.observe(&sample(11, 1));
    policy.observe(&limited(12, 0));
    let verdict = policy.observe(&sample(13, 1));
    assert_eq!(verdict, Verdict::Change(Tier::Slow));
    // What was carried, can be carried.
    let faster: Vec<_> = (40..43).map(|at| limited(at, 1_100)).collect();
    assert_eq!(decisions(&mut policy, faster), [(2, Tier::Standard)]);
}

#[test]
fn what_is_long_ago_is_no_longer_in_the_row() {
    let gap = (LONGEST_GAP.as_millis() / QUARTER.as_millis()) as u32;
    let mut policy = policy();
    for at in [1, 2] {
        assert_eq!(policy.observe(&sample(at, 1)), Verdict::Counted);
    }
    for at in 3..=gap + 3 {
        let limited = Sample {
            limited: true,
            ..sample(at, 1)
        };
        assert_eq!(policy.observe(&limited), Verdict::Ignored);
    }
    // More than the gap lies between: three are needed again, and the gap itself is none.
    let later = [gap + 4, 2 * gap + 5, 3 * gap + 6];
    assert_eq!(policy.observe(&sample(later[0], 1)), Verdict::Counted);
    assert_eq!(policy.observe(&sample(later[1], 1)), Verdict::Counted);
    let verdict = policy.observe(&sample(later[2], 1));
    assert_eq!(verdict, Verdict::Change(Tier::Slow));
}

#[test]
fn tiers_beyond_the_bounds_are_not_gone_to() {
    let mut policy = Policy::new(&AdaptationConfig {
        lowest: Tier::Home,
        highest: Tier::Standard,
        ..AdaptationConfig::default()
    });
    assert_eq!(decisions(&mut policy, rates([1; 30])), []);
    assert_eq!(
        decisions(&mut policy, rates([90_000; 30])),
        [(2, Tier::Standard)]
    );
}

#[test]
fn what_was_forced_stays_for_the_pause() {
    let mut policy = policy();
    policy.observe(&sample(0, 1_500));
    policy.observe(&sample(1, 1_500));
    policy.force(QUARTER, Tier::Enterprise);
    let seen = (2..40).map(|at| sample(at, 1_500));
    // 5 s are twenty samples, the first of which is number 1.
    assert_eq!(decisions(&mut policy, seen), [(19, Tier::Standard)]);
}

proptest! {
    /// Whatever a path does: changes have their distance, stay in their bounds, and are what each of the last samples that count
    /// says at least (or at most).
    #[test]
    fn no_path_moves_it_against_the_rules(
        seen in prop::collection::vec((prop_oneof![20 => 1..8u32, 1 => 8..60u32], 0..40_000u64, any::<[bool; 2]>()), 1..300),
        samples in 1..=5u8,
    ) {
        let config = AdaptationConfig {
            samples,
            start: Tier::Standard,
            lowest: Tier::Home,
            highest: Tier::Enterprise,
            ..AdaptationConfig::default()
        };
        let mut policy = Policy::new(&config);
        let (mut at, mut last) = (0, None);
        let mut counted = Vec::new();
        let mut ended = Duration::ZERO;
        for (wait, rate, [limited, ramping]) in seen {
            at += wait;
            let before = policy.tier();
            let sample = Sample { limited, ramping, ..sample(at, rate) };
            let place = Tier::of(sample.delivery_rate).clamp(config.lowest, config.highest);
            let verdict = policy.observe(&sample);
            if verdict != Verdict::Ignored {
                if at * QUARTER - QUARTER > ended + LONGEST_GAP {
                    counted.clear();
                }
                ended = at * QUARTER;
                counted.push(place);
            }
            let Verdict::Change(tier) = verdict else {
                prop_assert_eq!(policy.tier(), before);
                continue;
            };
            prop_assert!(last.is_none_or(|last| (at - last) * QUARTER >= config.pause));
            prop_assert!(counted.len() >= usize::from(samples), "a row that is not one");
            let row = &counted[counted.len() - usize::from(samples)..];
            if tier > before {
                prop_assert_eq!(row.iter().min(), Some(&tier));
            } else {
                prop_assert_eq!(row.iter().max(), Some(&tier));
                prop_assert!(!limited && !ramping);
            }
            prop_assert!((config.lowest..=config.highest).contains(&tier));
            last = Some(at);
            counted.clear();
        }
    }
}

/// A recorded run comes to the same decisions again.
#[test]
fn a_recorded_run_is_decided_as_it_was() {
    let mut policy = policy();
    let mut decided = Vec::new();
    let (mut samples, mut changes) = (0, 0);
    for line in include_str!("recorded.txt").lines() {
        if let Some(tier) = line.strip_prefix("> ") {
            assert_eq!(decided.pop().map(Tier::name), Some(tier));
            changes += 1;
        } else if !line.starts_with('#') {
            assert_eq!(decided, [], "before: {line}");
            samples += 1;
            if let Verdict::Change(tier) = policy.observe(&read(line)) {
                decided.push(tier);
            }
        }
    }
    assert_eq!(decided, []);
    assert!(samples > 100 && changes > 2, "{samples}, {changes}");
}

fn read(line: &str) -> Sample {
    let mut fields = line.split(' ');
    let mut next = || fields.next().unwrap();
    let micros = |text: &str| Duration::from_micros(text.parse().unwrap());
    Sample {
        at: micros(next()),
        length: micros(next()),
        rtt: micros(next()),
        rtt_variation: Some(micros(next())),
        delivery_rate: next().parse().unwrap(),
        sent_packets: next().parse().unwrap(),
        lost_packets: next().parse().unwrap(),
        congestion_events: next().parse().unwrap(),
        limited: next().parse().unwrap(),
        ramping: next().parse().unwrap(),
    }
}
