use alloc::vec;

use super::*;
use crate::frame::{AccessTokens, Hop, RequestHeaders, Route};
use crate::stream::Payload;
use crate::varint::VarInt;

mod carried;
mod holding;
mod opening;
mod proving;
mod rules;

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
        access_tokens: vec![],
        holders: vec![],
        route: vec![],
        max_hops: None,
        random: [side as u8 + 1; 32],
        limits: Limits {
            max_sessions: 2,
            ..Limits::default()
        },
    }
}

fn answer() -> Answer {
    Answer::new([9; 32], 1_100)
}

fn request(service: &str) -> Request {
    Request {
        service: ServiceName::new(service).unwrap(),
        random: [7; 32],
        authority: "example.org:443".into(),
        headers: vec![("lang".into(), "de".into())],
        access_tokens: vec![],
        holders: vec![],
        route: vec![],
        hops: None,
    }
}

/// A machine without its stream type byte, and what it sent first.
fn start(side: Side, service: Option<&str>) -> (Session, Vec<Output>) {
    let mut out = Vec::new();
    let mut session = Session::new(START, config(side, service), &mut out).unwrap();
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
        pair.server(|server, out| server.accept(START, SessionId::ZERO, &answer(), out));
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
    pair.server(|server, out| server.accept(START, one, &answer(), out));
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
