use super::*;
use crate::{LiveConfig, Profiles, Tier};

/// The setting that a change to the defaults makes impossible.
fn fault(change: impl FnOnce(&mut TransportConfig)) -> &'static str {
    let mut config = TransportConfig::default();
    change(&mut config);
    config.check().map_or_else(|error| error.setting, |()| "")
}

#[test]
fn names_the_setting_that_cannot_work() {
    assert_eq!(fault(|_| ()), "");
    let idle = |idle| fault(|config| config.idle_timeout = idle);
    assert_eq!(idle(Duration::ZERO), "idle_timeout");
    assert_eq!(idle(Duration::MAX), "idle_timeout");
    let kept = |interval| fault(|config| config.keep_alive = KeepAlive::Every(interval));
    assert_eq!(kept(Duration::from_secs(29)), "");
    assert_eq!(kept(Duration::from_secs(30)), "keep_alive");
    assert_eq!(kept(Duration::ZERO), "keep_alive");
    let often = fault(|config| config.metrics_interval = Duration::ZERO);
    assert_eq!(often, "metrics_interval");
    let limits = |change: fn(&mut Limits)| fault(|config| change(&mut config.limits));
    assert_eq!(limits(|it| it.stream_window = 0), "limits.stream_window");
    assert_eq!(limits(|it| it.send_window = 1199), "limits.send_window");
    assert_eq!(limits(|it| it.send_window = 1 << 62), "limits.send_window");
    let received = |bytes| fault(|config| config.limits.receive_window = Some(bytes));
    assert_eq!(received(1199), "limits.receive_window");
    assert_eq!(received(1 << 62), "limits.receive_window");
    assert_eq!(received((1 << 62) - 1), "");
    assert_eq!(
        limits(|it| it.datagram_buffer = 9),
        "limits.datagram_buffer"
    );
    assert_eq!(limits(|it| it.max_streams = 0), "limits.max_streams");
    let acks = |packets, delay| {
        let asked = AckFrequency { packets, delay };
        fault(|config| config.ack_frequency = Some(asked))
    };
    assert_eq!(acks(0, Duration::from_millis(9)), "ack_frequency.packets");
    assert_eq!(acks(9, Duration::ZERO), "ack_frequency.delay");
    assert_eq!(acks(9, Duration::from_secs(20)), "ack_frequency.delay");
    assert_eq!(acks(u32::MAX, Duration::from_secs(16)), "");
    assert_eq!(limits(|it| it.max_sessions = 0), "");
    let both = |it: &mut Limits| (it.max_sessions, it.max_streams) = (u32::MAX, u32::MAX);
    assert_eq!(limits(both), "limits.max_sessions");
    let messages = |change: fn(&mut MessageConfig)| fault(|config| change(&mut config.messages));
    assert_eq!(messages(|it| it.max_waiting = 0), "messages.max_waiting");
    assert_eq!(
        messages(|it| it.timeout = Duration::ZERO),
        "messages.timeout"
    );
}

#[test]
fn the_example_says_the_defaults_and_leaves_none_out() {
    let example = include_str!("../../transport.example.toml");
    assert_eq!(
        TransportConfig::from_toml(example).unwrap(),
        TransportConfig::default()
    );
    let all: toml::Table = toml::from_str(example).unwrap();
    let written = toml::Table::try_from(TransportConfig::default()).unwrap();
    assert_eq!(names(&all), names(&written));
}

/// Dotted names of all settings.
fn names(table: &toml::Table) -> Vec<String> {
    let mut names: Vec<_> = (table.iter())
        .flat_map(|(name, value)| match value {
            toml::Value::Table(inner) => (names(inner).iter())
                .map(|inner| format!("{name}.{inner}"))
                .collect(),
            _ => vec![name.clone()],
        })
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_written_is_read() {
    let mut config = TransportConfig {
        ip: IpVersions::V6Only,
        idle_timeout: Duration::from_millis(1500),
        keep_alive: KeepAlive::Every(Duration::from_micros(700)),
        ..TransportConfig::default()
    };
    config.messages.parity = Parity::Fixed(3);
    config.congestion = CongestionAlgorithm::NewReno;
    config.ack_frequency = Some(AckFrequency {
        packets: 9,
        delay: Duration::from_millis(3),
    });
    config.limits.stream_window = 4_000_001;
    config.limits.receive_window = Some(64_000_001);
    let mut adaptation = AdaptationConfig {
        pause: Duration::from_millis(7500),
        highest: Tier::Enterprise,
        ..AdaptationConfig::default()
    };
    adaptation.profiles[Tier::DataCenter] = LiveConfig::default();
    adaptation.profiles[Tier::Slow].congestion = Some(CongestionAlgorithm::Bbr);
    config.adaptation = Some(adaptation);
    config.limits.seeds.lifetime = Duration::from_secs(61);
    let written = toml::to_string(&config).unwrap();
    assert_eq!(TransportConfig::from_toml(&written).unwrap(), config);
    config.keep_alive = KeepAlive::Off;
    let written = toml::to_string(&config).unwrap();
    assert_eq!(TransportConfig::from_toml(&written).unwrap(), config);
}

#[test]
fn what_a_file_does_not_name_stays() {
    let mut config = TransportConfig {
        idle_timeout: Duration::from_secs(10),
        ..TransportConfig::default()
    };
    config.limits.max_streams = 7;
    let changed = config.with_toml("limits.max_sessions = 3").unwrap();
    config.limits.max_sessions = 3;
    assert_eq!(changed, config);
}

#[test]
fn a_table_turns_adaptation_on() {
    let adaptation = |text| TransportConfig::from_toml(text).unwrap().adaptation;
    assert_eq!(adaptation(""), None);
    assert_eq!(
        adaptation("[adaptation]"),
        Some(AdaptationConfig::default())
    );
    let text = "[adaptation.profiles.data-center]\nsend_window = '1 GiB'";
    let found = adaptation(text).unwrap();
    let named = LiveConfig {
        send_window: Some(1 << 30),
        ..LiveConfig::default()
    };
    assert_eq!(found.profiles[Tier::DataCenter], named, "all of it");
    assert_eq!(found.profiles[Tier::Slow], Profiles::default()[Tier::Slow]);
}

#[test]
fn what_no_file_can_say_is_an_error() {
    let mut config = TransportConfig::default();
    config.limits.seeds.memory = usize::MAX;
    let error = config.with_toml("ip = 'both'").unwrap_err();
    assert!(error.to_string().contains("u64"), "{error}");
}

#[test]
fn says_what_stands_there_and_what_could() {
    let error = |text: &str| TransportConfig::from_toml(text).unwrap_err().to_string();
    for (text, said) in [
        ("idle_timeout = 30", "a string"),
        ("idle_timeout = '30'", "\"250ms\" or \"10s\""),
        ("keep_alive = 'often'", "\"auto\", \"off\" or a time"),
        ("ip = 'v5'", "v6-only"),
        ("congestion = 'reno'", "new-reno"),
        ("idel_timeout = '30s'", "idle_timeout"),
        ("limits.stream_window = '5 GiB'", "below 4 GiB"),
        ("limits.stream_window = '5 parsecs'", "parsecs"),
        ("limits.seeds.contents = -1", "-1"),
        ("messages.parity = 256", "from 0 to 255"),
        ("messages.parity = 'all'", "\"auto\" or a number"),
        ("limits.max_streams = 0", "limits.max_streams is 0, but"),
        ("adaptation.start = 'fast'", "data-center"),
        ("adaptation.samples = 0", "adaptation.samples is 0, but"),
        (
            "adaptation.profiles.slow.max_streams = 0",
            "adaptation.profiles is slow: max_streams 0, but a session",
        ),
    ] {
        let error = error(text);
        assert!(error.contains(said), "{text}: {error}");
    }
    let missing = TransportConfig::default()
        .with_toml_file("no such file")
        .unwrap_err();
    assert!(
        missing
            .to_string()
            .starts_with("cannot read no such file: ")
    );
}

#[test]
fn clients_keep_alive_three_times_an_idle_time_out() {
    let idle = Duration::from_secs(30);
    let auto = |side| KeepAlive::Auto.interval(idle, side);
    assert_eq!(auto(quinn::Side::Client), Some(Duration::from_secs(10)));
    assert_eq!(auto(quinn::Side::Server), None);
}

#[test]
fn qlog_is_refused_where_it_was_not_built_in() {
    let asked = fault(|config| config.qlog = Some(QlogConfig::new("somewhere")));
    let built = cfg!(feature = "qlog");
    assert_eq!(asked, if built { "" } else { "qlog" });
    let error = TransportConfig::from_toml("[qlog]\ndir = 'somewhere'");
    match error {
        Ok(config) => assert!(built && config.qlog == Some(QlogConfig::new("somewhere"))),
        Err(error) => assert!(!built && error.to_string().contains("the feature `qlog`")),
    }
}
