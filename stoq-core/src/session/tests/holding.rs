//! Streams and datagrams that come before their session, or after it.

use super::*;

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
    pair.server(|server, out| server.accept(START, one, &answer(), out));
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
                content: Bytes::from_static(b"\0early")
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
fn a_session_has_one_announcing_stream_also_among_those_held() {
    let mut pair = Pair::open();
    let mut out = Vec::new();
    let mut announce = |pair: &mut Pair, stream, session| {
        let header = StreamHeader::Data {
            session: id(session),
            payload: Payload::Announce,
        };
        let input = Input::Stream { stream, header };
        pair.server.handle(START, input, &mut out).unwrap();
        core::mem::take(&mut out)
    };
    let placed = |stream, session| Output::Stream {
        stream,
        session: id(session),
        payload: Payload::Announce,
    };
    let refused = |stream| Output::RejectStream {
        stream,
        code: Code::PROTOCOL,
    };
    assert_eq!(announce(&mut pair, 7, 0), [placed(7, 0)]);
    assert_eq!(announce(&mut pair, 8, 0), [refused(8)]);
    // Two for a session that is not open yet.
    assert_eq!(announce(&mut pair, 9, 1), []);
    assert_eq!(announce(&mut pair, 10, 1), []);
    let one = pair
        .client(|client, out| client.open(&request("echo"), out))
        .unwrap();
    pair.server(|server, out| server.accept(START, one, &answer(), out));
    assert_eq!(pair.server_saw[2..], [placed(9, 1), refused(10)]);
    assert_eq!(announce(&mut pair, 11, 1), [refused(11)]);
    assert_eq!(pair.server.announcements_refused(), 3);
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
    pair.server(|server, out| server.accept(START, one, &answer(), out));
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
