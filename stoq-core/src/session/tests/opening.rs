//! Sessions that come to be, or do not.

use super::*;

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
    pair.server(|server, out| server.accept(START, SessionId::ZERO, &answer(), out));
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
    pair.server(|server, out| server.accept(START, one, &answer(), out));
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
    pair.server(|server, out| server.accept(START, one, &answer(), out));
    let Some(Output::Opened { hash, .. }) = pair.client_saw.last() else {
        panic!("{:?}", pair.client_saw)
    };
    assert_eq!(*hash, SessionHash::new(&[7; 32], &[9; 32], "echo"));
}
