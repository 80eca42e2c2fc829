//! Peers that break a rule.

use super::*;

/// Each row: bytes on the control stream of an open server, and the code that ends the session.
#[test]
fn broken_rules_end_the_session_with_a_code() {
    let (_, settings) = start(Side::Client, None);
    let [Output::Send(settings)] = &settings[..] else {
        panic!("{settings:?}")
    };
    let request = |id| {
        frame(&Frame::Headers(Headers::Request(RequestHeaders {
            id,
            random: [0; 32],
            authority: "",
            path: "/stoq/v1/echo",
            fields: vec![],
            access_tokens: AccessTokens::default(),
            route: Route::default(),
            hop: None,
        })))
    };
    let close = CloseSession {
        id: id(9),
        code: Code::NO_ERROR,
        reason: "",
    };
    let rows: Vec<(&str, Vec<u8>, Code)> = vec![
        ("settings twice", settings.to_vec(), Code::SETTINGS),
        ("data on control", frame(&Frame::Data(b"x")), Code::PROTOCOL),
        (
            "session 0 asked for again",
            request(SessionId::ZERO),
            Code::PROTOCOL,
        ),
        (
            "close of a session that never was",
            frame(&Frame::CloseSession(close)),
            Code::PROTOCOL,
        ),
        (
            "a length that no frame has",
            vec![0x06, 0x40, 0x09],
            Code::FRAME,
        ),
        (
            "a truncated varint cannot be finished",
            vec![0x06, 0x80, 0, 0, 9],
            Code::FRAME,
        ),
        (
            "oversized settings",
            vec![0x04, 0x80, 0x10, 0, 0],
            Code::FRAME_TOO_LARGE,
        ),
    ];
    for (name, bytes, code) in rows {
        let mut pair = Pair::open();
        let mut out = Vec::new();
        let error = pair
            .server
            .handle(START, Input::Control(&bytes), &mut out)
            .unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
        let Some(Output::Send(told)) = out.last() else {
            panic!("{name}: the peer was not told")
        };
        let (told, _) = Frame::decode(told).unwrap().unwrap();
        assert!(
            matches!(told, Frame::CloseSession(close) if close.code == code),
            "{name}"
        );
        assert_eq!(
            pair.server.handle(START, Input::Tick, &mut out),
            Ok(None),
            "{name}"
        );
    }
}

#[test]
fn the_control_stream_must_live_and_be_alone() {
    let mut pair = Pair::open();
    let mut out = Vec::new();
    assert_eq!(
        pair.server.handle(START, Input::ControlClosed, &mut out),
        Err(SessionError::ControlClosed)
    );
    let second = Input::Stream {
        stream: 8,
        header: StreamHeader::Control,
    };
    assert_eq!(
        pair.client.handle(START, second, &mut out),
        Err(SessionError::ControlRepeated)
    );
}

#[test]
fn settings_must_come_first_and_in_time() {
    let (mut server, _) = start(Side::Server, None);
    let mut out = Vec::new();
    let ping = frame(&Frame::Ping(Ping {
        data: [0; 8],
        ack: false,
    }));
    let error = server
        .handle(START, Input::Control(&ping), &mut out)
        .unwrap_err();
    assert_eq!(error.code(), Code::SETTINGS);
    let (mut client, _) = start(Side::Client, None);
    let due = client.next_due().unwrap();
    assert_eq!(
        client.handle(due, Input::Tick, &mut out),
        Err(SessionError::SettingsTimeout)
    );
}

#[test]
fn another_version_is_named() {
    let (mut server, _) = start(Side::Server, None);
    let settings = Settings::from(vec![(crate::frame::SettingId::VERSION, &[2u8][..])]);
    let bytes = frame(&Frame::Settings(settings));
    let mut out = Vec::new();
    let error = server
        .handle(START, Input::Control(&bytes), &mut out)
        .unwrap_err();
    assert_eq!(error, SessionError::Version { ours: 1, theirs: 2 });
    assert_eq!(error.code(), Code::VERSION);
}

#[test]
fn the_carriers_path_and_the_settings_must_name_one_service() {
    let (_, first) = start(Side::Client, Some("files"));
    let [Output::Send(settings)] = &first[..] else {
        panic!("{first:?}")
    };
    let (mut server, _) = start(Side::Server, Some("echo"));
    let mut out = Vec::new();
    let error = server
        .handle(START, Input::Control(settings), &mut out)
        .unwrap_err();
    assert_eq!(error.code(), Code::SETTINGS);
}

#[test]
fn a_flood_of_control_frames_is_ended() {
    let mut pair = Pair::open();
    let ping = frame(&Frame::Ping(Ping {
        data: [0; 8],
        ack: false,
    }));
    let flood = ping.repeat(5_000);
    let mut out = Vec::new();
    let error = pair
        .server
        .handle(START, Input::Control(&flood), &mut out)
        .unwrap_err();
    assert_eq!(error.code(), Code::CONTROL_FLOOD);
    assert!(out.len() <= 4_097);
}
