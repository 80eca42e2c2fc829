use alloc::vec;

use super::*;
use crate::frame::RequestHeaders;
use crate::stream::Payload;
use crate::varint::VarInt;

const START: Timestamp = Timestamp::from_micros(1_000_000);

/// A client and a server whose control streams are joined without a network.
struct Pair {
    client: Session,
    server: Session,
    /// What each end told its user, in order; control bytes have been delivered instead.
    client_saw: Vec<Output>,
    server_saw: Vec<Output>,
}

fn config(side: Side, service: Option<&str>) -> Config {
    Config {
        side,
        service: service.map(|name| ServiceName::new(name).unwrap()),
        random: [side as u8 + 1; 32],
        limits: Limits {
            max_sessions: 2,
            ..Limits::default()
        },
    }
}

fn answer() -> Answer {
    Answer {
        random: [9; 32],
        max_datagram_size: 1_100,
    }
}

fn request(service: &str) -> Request {
    Request {
        service: ServiceName::new(service).unwrap(),
        random: [7; 32],
        authority: "example.org:443".into(),
        headers: vec![("lang".into(), "de".into())],
    }
}

/// A machine without its stream type byte, and what it sent first.
fn start(side: Side, service: Option<&str>) -> (Session, Vec<Output>) {
    let mut out = Vec::new();
    let mut session = Session::new(START, config(side, service), &mut out);
    let Output::Send(first) = &mut out[0] else {
        panic!("nothing sent")
    };
    assert_eq!(first.split_to(1)[0], 0x00, "the control stream's type");
    let control = Input::Stream {
        stream: 0,
        header: StreamHeader::Control,
    };
    session.handle(START, control, &mut Vec::new()).unwrap();
    (session, out)
}

impl Pair {
    fn new() -> Self {
        let (client, first) = start(Side::Client, Some("files"));
        let (server, _) = start(Side::Server, None);
        let mut pair = Self {
            client,
            server,
            client_saw: vec![],
            server_saw: vec![],
        };
        pair.deliver_to_server(first);
        pair
    }

    /// Session 0 is open on both ends; nothing is left to look at.
    fn open() -> Self {
        let mut pair = Self::new();
        pair.server(|server, out| server.accept(SessionId::ZERO, &answer(), out));
        pair.client_saw.clear();
        pair.server_saw.clear();
        pair
    }

    fn client<T>(&mut self, call: impl FnOnce(&mut Session, &mut Vec<Output>) -> T) -> T {
        let mut out = Vec::new();
        let result = call(&mut self.client, &mut out);
        self.deliver_to_server(out);
        result
    }

    fn server<T>(&mut self, call: impl FnOnce(&mut Session, &mut Vec<Output>) -> T) -> T {
        let mut out = Vec::new();
        let result = call(&mut self.server, &mut out);
        self.deliver_to_client(out);
        result
    }

    fn deliver_to_server(&mut self, out: Vec<Output>) {
        let mut answers = Vec::new();
        for output in out {
            match output {
                Output::Send(bytes) => {
                    self.server
                        .handle(START, Input::Control(&bytes), &mut answers)
                        .unwrap();
                }
                other => self.client_saw.push(other),
            }
        }
        if !answers.is_empty() {
            self.deliver_to_client(answers);
        }
    }

    fn deliver_to_client(&mut self, out: Vec<Output>) {
        let mut answers = Vec::new();
        for output in out {
            match output {
                Output::Send(bytes) => {
                    self.client
                        .handle(START, Input::Control(&bytes), &mut answers)
                        .unwrap();
                }
                other => self.server_saw.push(other),
            }
        }
        if !answers.is_empty() {
            self.deliver_to_server(answers);
        }
    }
}

fn frame(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}

fn id(value: u64) -> SessionId {
    SessionId::new(value).unwrap()
}

fn data(session: u64) -> StreamHeader {
    StreamHeader::Data {
        session: id(session),
        payload: Payload::Raw,
    }
}

#[test]
fn both_ends_share_the_session_hash() {
    let mut pair = Pair::new();
    let [Output::Requested(asked)] = &pair.server_saw[..] else {
        panic!("{:?}", pair.server_saw)
    };
    assert_eq!(asked.service.as_ref().unwrap().as_str(), "files");
    assert!(
        pair.client_saw.is_empty(),
        "connect() may not resolve before the server has judged"
    );
    pair.server(|server, out| server.accept(SessionId::ZERO, &answer(), out));
    let [
        Output::Opened {
            hash: at_client,
            max_datagram_size,
            ..
        },
    ] = &pair.client_saw[..]
    else {
        panic!("{:?}", pair.client_saw)
    };
    let Some(Output::Opened {
        hash: at_server, ..
    }) = pair.server_saw.last()
    else {
        panic!("{:?}", pair.server_saw)
    };
    assert_eq!(at_client, at_server);
    assert_eq!(*max_datagram_size, 1_100);
}

#[test]
fn a_refused_connection_says_why() {
    let mut pair = Pair::new();
    pair.server(|server, out| {
        server.refuse(
            START,
            SessionId::ZERO,
            Code::UNKNOWN_SERVICE,
            "no such service",
            out,
        );
    });
    assert_eq!(
        pair.client_saw,
        [Output::Refused {
            id: SessionId::ZERO,
            code: Code::UNKNOWN_SERVICE,
            reason: "no such service".into()
        }]
    );
    let mut out = Vec::new();
    let late = pair.server.next_due().unwrap();
    pair.server.handle(late, Input::Tick, &mut out).unwrap();
    assert!(matches!(
        &out[..],
        [Output::CloseCarrier {
            code: Code::UNKNOWN_SERVICE,
            ..
        }]
    ));
}

#[test]
fn multiplexed_sessions_open_and_close_each_by_itself() {
    let mut pair = Pair::open();
    let one = pair
        .client(|client, out| client.open(&request("files"), out))
        .unwrap();
    let two = pair
        .client(|client, out| client.open(&request("echo"), out))
        .unwrap();
    assert_eq!((one, two), (id(1), id(2)));
    assert_eq!(
        pair.client(|client, out| client.open(&request("echo"), out)),
        Err(OpenError::TooMany { limit: 2 })
    );
    pair.server(|server, out| server.accept(one, &answer(), out));
    pair.server(|server, out| server.refuse(START, two, Code::new(77), "not today", out));
    assert!(matches!(pair.client_saw[0], Output::Opened { id, .. } if id == one));
    assert_eq!(
        pair.client_saw[1],
        Output::Refused {
            id: two,
            code: Code::new(77),
            reason: "not today".into()
        }
    );
    pair.client(|client, out| client.close(START, one, Code::new(5), "done", out));
    assert_eq!(
        pair.server_saw.last(),
        Some(&Output::Closed {
            id: one,
            code: Code::new(5),
            reason: "done".into()
        })
    );
    assert_eq!(
        (pair.client.session_count(), pair.server.session_count()),
        (0, 0)
    );
}

#[test]
fn a_request_that_the_peer_could_not_read_is_not_sent() {
    let mut pair = Pair::open();
    let mut out = Vec::new();
    let pairs = |count: usize| vec![(String::from("name"), String::from("value")); count];
    for (authority, headers) in [
        (260, pairs(0)),
        (0, pairs(65)),
        (0, vec![("a".repeat(9_000), "b".repeat(9_000))]),
    ] {
        let request = Request {
            authority: "a".repeat(authority),
            headers,
            ..request("echo")
        };
        let error = pair.client.open(&request, &mut out).unwrap_err();
        assert!(matches!(error, OpenError::TooLarge { .. }), "{error}");
    }
    assert_eq!((out, pair.client.session_count()), (vec![], 0));
}

#[test]
fn hashes_of_multiplexed_sessions_use_the_far_ends_randoms() {
    let mut pair = Pair::open();
    let one = pair
        .client(|client, out| client.open(&request("echo"), out))
        .unwrap();
    pair.server(|server, out| server.accept(one, &answer(), out));
    let Some(Output::Opened { hash, .. }) = pair.client_saw.last() else {
        panic!("{:?}", pair.client_saw)
    };
    assert_eq!(*hash, SessionHash::new(&[7; 32], &[9; 32], "echo"));
}

#[test]
fn early_streams_and_datagrams_are_held_then_delivered() {
    let mut pair = Pair::open();
    let mut out = Vec::new();
    let stream = Input::Stream {
        stream: 40,
        header: data(1),
    };
    pair.server.handle(START, stream, &mut out).unwrap();
    let mut datagram = BytesMut::new();
    Datagram::header(id(1), &mut datagram);
    datagram.extend_from_slice(b"early");
    pair.server
        .handle(START, Input::Datagram(datagram.freeze()), &mut out)
        .unwrap();
    assert_eq!(out, []);
    let one = pair
        .client(|client, out| client.open(&request("echo"), out))
        .unwrap();
    pair.server(|server, out| server.accept(one, &answer(), out));
    assert_eq!(
        pair.server_saw[2..],
        [
            Output::Stream {
                stream: 40,
                session: one,
                payload: Payload::Raw
            },
            Output::Datagram {
                session: one,
                payload: Bytes::from_static(b"early")
            },
        ]
    );
    assert_eq!(pair.server.next_due(), None);
}

#[test]
fn what_is_held_too_long_or_too_much_is_rejected() {
    let mut pair = Pair::open();
    let mut out = Vec::new();
    for stream in 0..17 {
        let input = Input::Stream {
            stream,
            header: data(1),
        };
        pair.server.handle(START, input, &mut out).unwrap();
    }
    assert_eq!(
        out,
        [Output::RejectStream {
            stream: 16,
            code: Code::LIMIT
        }]
    );
    pair.server
        .handle(START, Input::StreamGone(3), &mut out)
        .unwrap();
    out.clear();
    let due = pair.server.next_due().unwrap();
    assert_eq!(due.saturating_since(START), Duration::from_secs(5));
    pair.server.handle(due, Input::Tick, &mut out).unwrap();
    assert_eq!(out.len(), 15);
    assert!(out.iter().all(|rejected| matches!(
        rejected,
        Output::RejectStream {
            code: Code::HELD_TOO_LONG,
            ..
        }
    )));
}

#[test]
fn held_datagrams_are_bounded_in_bytes() {
    let (mut server, _) = start(Side::Server, None);
    let mut out = Vec::new();
    for _ in 0..100 {
        let mut datagram = BytesMut::new();
        Datagram::header(SessionId::ZERO, &mut datagram);
        datagram.extend_from_slice(&[0; 1_000]);
        server
            .handle(START, Input::Datagram(datagram.freeze()), &mut out)
            .unwrap();
    }
    assert!(server.datagrams_dropped() >= 100 - 66);
    assert_eq!(out, []);
}

#[test]
fn streams_of_closed_and_unknown_sessions_are_rejected() {
    let mut pair = Pair::open();
    let one = pair
        .client(|client, out| client.open(&request("echo"), out))
        .unwrap();
    pair.server(|server, out| server.accept(one, &answer(), out));
    pair.client(|client, out| client.close(START, one, Code::NO_ERROR, "", out));
    let mut out = Vec::new();
    pair.server
        .handle(
            START,
            Input::Stream {
                stream: 1,
                header: data(1),
            },
            &mut out,
        )
        .unwrap();
    pair.client
        .handle(
            START,
            Input::Stream {
                stream: 2,
                header: data(6),
            },
            &mut out,
        )
        .unwrap();
    assert_eq!(
        out,
        [
            Output::RejectStream {
                stream: 1,
                code: Code::SESSION_CLOSED
            },
            Output::RejectStream {
                stream: 2,
                code: Code::UNKNOWN_SESSION
            },
        ]
    );
}

#[test]
fn unknown_stream_and_frame_types_are_skipped() {
    let mut pair = Pair::open();
    let mut out = Vec::new();
    let header = StreamHeader::Unknown(VarInt::from_u32(0x21));
    pair.server
        .handle(START, Input::Stream { stream: 1, header }, &mut out)
        .unwrap();
    assert_eq!(out, [Output::DiscardStream { stream: 1 }]);
    out.clear();
    // Type 0x21 (grease), three bytes of payload; then a ping, which must still be answered.
    let mut bytes = vec![0x21, 0x03, 1, 2, 3];
    bytes.extend(frame(&Frame::Ping(Ping {
        data: [4; 8],
        ack: false,
    })));
    pair.server
        .handle(START, Input::Control(&bytes), &mut out)
        .unwrap();
    assert!(matches!(&out[..], [Output::Send(_)]));
}

#[test]
fn control_bytes_may_be_cut_anywhere() {
    let (_, first) = start(Side::Client, Some("files"));
    let [Output::Send(settings)] = &first[..] else {
        panic!("{first:?}")
    };
    let (mut server, _) = start(Side::Server, None);
    let mut out = Vec::new();
    for byte in settings {
        assert_eq!(out, []);
        server
            .handle(START, Input::Control(&[*byte]), &mut out)
            .unwrap();
    }
    assert!(matches!(&out[..], [Output::Requested(_)]));
}

#[test]
fn ping_measures_the_round_trip() {
    let mut pair = Pair::open();
    let mut out = Vec::new();
    let ping = pair.client.ping(START, &mut out).unwrap();
    let Output::Send(bytes) = &out[0] else {
        panic!("{out:?}")
    };
    let mut pong = Vec::new();
    pair.server
        .handle(START, Input::Control(bytes), &mut pong)
        .unwrap();
    let Output::Send(bytes) = &pong[0] else {
        panic!("{pong:?}")
    };
    let mut saw = Vec::new();
    let later = START + Duration::from_millis(30);
    pair.client
        .handle(later, Input::Control(bytes), &mut saw)
        .unwrap();
    assert_eq!(
        saw,
        [Output::Pong {
            id: ping,
            rtt: Duration::from_millis(30)
        }]
    );
    for _ in 0..MAX_PINGS {
        pair.client.ping(START, &mut out).unwrap();
    }
    assert_eq!(
        pair.client.ping(START, &mut out),
        Err(PingError::TooMany { limit: MAX_PINGS })
    );
}

#[test]
fn no_ping_overtakes_settings() {
    let mut pair = Pair::new();
    let mut out = Vec::new();
    assert_eq!(pair.client.ping(START, &mut out), Err(PingError::NotOpen));
    assert_eq!(pair.server.ping(START, &mut out), Err(PingError::NotOpen));
    let ping = frame(&Frame::Ping(Ping {
        data: [0; 8],
        ack: false,
    }));
    pair.server
        .handle(START, Input::Control(&ping), &mut out)
        .unwrap();
    assert_eq!(out, []);
}

#[test]
fn closing_waits_for_the_peer_or_the_time() {
    let mut pair = Pair::open();
    pair.client(|client, out| client.close(START, SessionId::ZERO, Code::new(3), "bye", out));
    assert_eq!(
        pair.server_saw,
        [Output::Closed {
            id: SessionId::ZERO,
            code: Code::new(3),
            reason: "bye".into()
        }]
    );
    let mut out = Vec::new();
    pair.client
        .handle(START, Input::ControlClosed, &mut out)
        .unwrap();
    assert_eq!(
        out,
        [Output::CloseCarrier {
            code: Code::new(3),
            reason: "bye".into()
        }]
    );
}

#[test]
fn go_away_ends_new_sessions_and_spares_old_ones() {
    let mut pair = Pair::open();
    let one = pair
        .client(|client, out| client.open(&request("echo"), out))
        .unwrap();
    pair.server(|server, out| server.accept(one, &answer(), out));
    let grace = Duration::from_secs(3);
    pair.server(|server, out| server.go_away(Code::GOING_AWAY, grace, out));
    assert!(matches!(
        pair.client_saw.last(),
        Some(Output::GoAway { last, grace, .. }) if *last == one && *grace == Duration::from_secs(3)
    ));
    assert_eq!(
        pair.client(|client, out| client.open(&request("echo"), out)),
        Err(OpenError::GoingAway)
    );
    assert_eq!(pair.server.session_count(), 1);
}

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
