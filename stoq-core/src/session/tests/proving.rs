//! Who must show to be the holder of a token, and who passes that on.

use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;

use super::*;
use crate::access::{HolderKey, HolderProof, TokenHash, proof_message};
use crate::frame::Auth;
use crate::hash::Sha256;

const TOKEN: TokenHash = TokenHash::new([0xaa; 32]);
const OTHER: TokenHash = TokenHash::new([0xbb; 32]);

fn key(filler: u8) -> SigningKey {
    SigningKey::from_slice(&[filler; 32]).unwrap()
}

fn holder() -> Holder {
    let point = key(1).verifying_key().to_sec1_point(true);
    let key = HolderKey::from_bytes(point.as_bytes().try_into().unwrap()).unwrap();
    Holder { token: TOKEN, key }
}

fn proof(key: &SigningKey, token: &TokenHash, session: &SessionHash) -> HolderProof {
    let mut hash = Sha256::new();
    hash.update(&proof_message(token, session));
    let signature: p256::ecdsa::Signature = key.sign_prehash(&hash.finish()).unwrap();
    HolderProof::new(signature.to_bytes().into())
}

fn asks_for_proof() -> Answer {
    Answer {
        holder: Some(holder()),
        ..answer()
    }
}

/// A pair whose session 0 was accepted and awaits the proof, and what the client was asked.
fn proving_0() -> (Pair, SessionHash) {
    let mut first = Vec::new();
    let config = Config {
        access_tokens: vec![Bytes::from_static(b"token")],
        holders: vec![TOKEN],
        ..config(Side::Client, Some("files"))
    };
    let mut client = Session::new(START, config, &mut first).unwrap();
    let Output::Send(bytes) = &mut first[0] else {
        panic!("{first:?}")
    };
    let _type = bytes.split_to(1);
    let stream = 0;
    let header = StreamHeader::Control;
    let control = Input::Stream { stream, header };
    client.handle(START, control, &mut Vec::new()).unwrap();
    let (server, _) = start(Side::Server, None);
    let mut pair = Pair {
        client,
        server,
        client_saw: vec![],
        server_saw: vec![],
    };
    pair.deliver_to_server(first);
    pair.server_saw.clear();
    pair.server(|server, out| server.accept(START, SessionId::ZERO, &asks_for_proof(), out));
    let hash = asked(&pair, SessionId::ZERO);
    (pair, hash)
}

/// The same of a multiplexed session.
fn proving_1() -> (Pair, SessionHash) {
    let mut pair = Pair::open();
    let request = Request {
        holders: vec![TOKEN],
        ..request("echo")
    };
    let opened = pair.client(|client, out| client.open(&request, out));
    assert_eq!(opened, Ok(id(1)));
    pair.server_saw.clear();
    pair.server(|server, out| server.accept(START, id(1), &asks_for_proof(), out));
    let hash = asked(&pair, id(1));
    (pair, hash)
}

/// The session hash that the client is to sign; nothing else has happened on either side.
fn asked(pair: &Pair, session: SessionId) -> SessionHash {
    assert_eq!(pair.server_saw, []);
    let [Output::Prove { id, hash, token }] = &pair.client_saw[..] else {
        panic!("{:?}", pair.client_saw)
    };
    assert_eq!((*id, *token), (session, TOKEN));
    *hash
}

fn datagram(session: SessionId) -> Bytes {
    let mut bytes = Vec::new();
    Datagram::header(session, &mut bytes);
    bytes.push(7);
    bytes.into()
}

#[test]
fn a_proven_session_opens_at_the_server_and_then_at_the_client() {
    for (mut pair, hash) in [proving_0(), proving_1()] {
        let session = if pair.server.session_count() == 0 {
            id(0)
        } else {
            id(1)
        };
        // What comes before is held, on both sides.
        for machine in [&mut pair.server, &mut pair.client] {
            let mut out = Vec::new();
            let stream = Input::Stream {
                stream: 5,
                header: data(session.value()),
            };
            machine.handle(START, stream, &mut out).unwrap();
            machine
                .handle(START, Input::Datagram(datagram(session)), &mut out)
                .unwrap();
            assert_eq!(out, []);
        }
        assert_eq!(pair.server.next_due(), Some(START + PROOF_TIMEOUT));
        pair.client_saw.clear();
        let proof = proof(&key(1), &TOKEN, &hash);
        pair.client(|client, out| client.prove(session, &TOKEN, &proof, out));
        for saw in [&pair.server_saw, &pair.client_saw] {
            let [
                Output::Opened {
                    id, hash: opened, ..
                },
                Output::Stream { stream: 5, .. },
                Output::Datagram { .. },
            ] = &saw[..]
            else {
                panic!("{saw:?}")
            };
            assert_eq!((*id, *opened), (session, hash));
        }
        assert!(pair.server.is_open() && pair.client.is_open());
        assert_eq!(pair.server.next_due(), None);
        assert_eq!(pair.client.next_due(), None);
        // It counts once.
        pair.server_saw.clear();
        pair.client(|client, out| client.prove(session, &TOKEN, &proof, out));
        assert_eq!(pair.server_saw, []);
    }
}

#[test]
fn another_key_another_session_and_another_algorithm_do_not_do() {
    let elsewhere = SessionHash::new(&[0; 32], &[0; 32], "echo");
    let (_, hash) = proving_1();
    let good = proof(&key(1), &TOKEN, &hash);
    let by_another = proof(&key(2), &TOKEN, &hash);
    let for_another_session = proof(&key(1), &TOKEN, &elsewhere);
    let for_another_token = proof(&key(1), &OTHER, &hash);
    for (algorithm, signature) in [
        (1, by_another.as_bytes().as_slice()),
        (1, for_another_session.as_bytes()),
        (1, for_another_token.as_bytes()),
        (0, good.as_bytes()),
        (1, &good.as_bytes()[..63]),
        (1, &[]),
    ] {
        let (mut pair, again) = proving_1();
        assert_eq!(again, hash);
        pair.client_saw.clear();
        let auth = Auth {
            id: id(1),
            token: *TOKEN.as_bytes(),
            algorithm,
            signature,
        };
        let bytes = frame(&Frame::Auth(auth));
        pair.server(|server, out| {
            server.handle(START, Input::Control(&bytes), out).unwrap();
        });
        assert!(matches!(
            &pair.server_saw[..],
            [Output::Unproven {
                code: Code::HOLDER_WRONG,
                ..
            }]
        ));
        assert!(matches!(
            &pair.client_saw[..],
            [Output::Refused {
                code: Code::HOLDER_WRONG,
                ..
            }]
        ));
        assert_eq!(
            (pair.server.session_count(), pair.client.session_count()),
            (0, 0)
        );
    }
}

#[test]
fn session_0_is_refused_over_a_wrong_proof() {
    let (mut pair, hash) = proving_0();
    let wrong = proof(&key(2), &TOKEN, &hash);
    pair.client_saw.clear();
    // Whoever waits for session 0 opens no others.
    let opened = pair.client(|client, out| client.open(&request("echo"), out));
    assert_eq!(opened, Err(OpenError::NotOpen));
    pair.client(|client, out| client.prove(SessionId::ZERO, &TOKEN, &wrong, out));
    assert!(matches!(
        &pair.client_saw[..],
        [Output::Refused {
            id: SessionId::ZERO,
            code: Code::HOLDER_WRONG,
            ..
        }]
    ));
    assert!(matches!(&pair.server_saw[..], [Output::Unproven { .. }]));
    let mut out = Vec::new();
    pair.server
        .handle(START, Input::ControlClosed, &mut out)
        .unwrap();
    assert!(matches!(
        &out[..],
        [Output::CloseCarrier {
            code: Code::HOLDER_WRONG,
            ..
        }]
    ));
}

#[test]
fn who_shows_nothing_in_time_is_expelled() {
    for (mut pair, _) in [proving_0(), proving_1()] {
        pair.client_saw.clear();
        let tick = |pair: &mut Pair, now| {
            pair.server(|server, out| server.handle(now, Input::Tick, out).map(drop).unwrap());
        };
        let almost = Duration::from_micros(PROOF_TIMEOUT.as_micros() as u64 - 1);
        tick(&mut pair, START + almost);
        assert_eq!(pair.server_saw, []);
        tick(&mut pair, START + PROOF_TIMEOUT);
        assert!(matches!(
            &pair.server_saw[..],
            [Output::Unproven {
                code: Code::HOLDER_MISSING,
                ..
            }]
        ));
        assert!(matches!(
            &pair.client_saw[..],
            [Output::Refused {
                code: Code::HOLDER_MISSING,
                ..
            }]
        ));
    }
}

#[test]
fn a_client_does_not_wait_for_ever_for_a_confirmation() {
    let (mut pair, _) = proving_1();
    let late = START + config(Side::Client, None).limits.settings_timeout;
    pair.client_saw.clear();
    let mut out = Vec::new();
    pair.client.handle(late, Input::Tick, &mut out).unwrap();
    assert!(matches!(
        &out[..],
        [
            Output::Send(_),
            Output::Refused {
                code: Code::TIMEOUT,
                ..
            }
        ]
    ));
    let (mut pair, _) = proving_0();
    let error = pair.client.handle(late, Input::Tick, &mut out).unwrap_err();
    assert_eq!(error, SessionError::ProofTimeout);
}

#[test]
fn a_target_confirms_what_it_did_not_ask_for() {
    let mut pair = Pair::open();
    let request = Request {
        holders: vec![TOKEN, OTHER],
        ..request("echo")
    };
    pair.client(|client, out| client.open(&request, out))
        .unwrap();
    pair.server(|server, out| server.accept(START, id(1), &answer(), out));
    assert!(matches!(
        pair.server_saw.last(),
        Some(Output::Opened { .. })
    ));
    pair.client_saw.clear();
    let any = HolderProof::new([1; 64]);
    pair.client(|client, out| client.prove(id(1), &TOKEN, &any, out));
    assert_eq!(pair.client_saw, []);
    pair.client(|client, out| client.prove(id(1), &OTHER, &any, out));
    assert!(matches!(&pair.client_saw[..], [Output::Opened { .. }]));
}

#[test]
fn a_relay_keeps_its_own_proof_and_passes_the_others_on_both_ways() {
    // The client and the relay, and the relay and the target.
    let mut near = Pair::open();
    let mut far = Pair::open();
    let asked = Request {
        holders: vec![TOKEN, OTHER],
        ..request("echo")
    };
    near.client(|client, out| client.open(&asked, out)).unwrap();
    far.client(|relay, out| relay.open(&request("echo"), out))
        .unwrap();
    let target = Answer {
        holder: Some(Holder {
            token: OTHER,
            ..holder()
        }),
        ..answer()
    };
    far.server(|server, out| server.accept(START, id(1), &target, out));
    assert!(
        matches!(&far.client_saw[..], [Output::Opened { .. }]),
        "a relay has nothing to prove"
    );
    let relay = Answer {
        relays_proofs: true,
        ..asks_for_proof()
    };
    near.server(|server, out| server.accept(START, id(1), &relay, out));
    let hash = match &near.client_saw[..] {
        [Output::Prove { hash, .. }, Output::Prove { .. }] => *hash,
        other => panic!("{other:?}"),
    };
    near.client_saw.clear();
    near.server_saw.clear();
    far.client_saw.clear();
    far.server_saw.clear();

    let foreign = proof(&key(1), &OTHER, &hash);
    near.client(|client, out| client.prove(id(1), &OTHER, &foreign, out));
    let [Output::Auth { id: session, auth }] = &near.server_saw[..] else {
        panic!("{:?}", near.server_saw)
    };
    assert_eq!(
        (auth.token, &auth.signature[..]),
        (OTHER, &foreign.as_bytes()[..])
    );
    far.client(|relay, out| relay.send_auth(*session, auth, out));
    assert!(matches!(&far.server_saw[..], [Output::Opened { .. }]));
    let [Output::Auth { auth, .. }] = &far.client_saw[..] else {
        panic!("{:?}", far.client_saw)
    };
    assert!(auth.signature.is_empty());
    let confirmation = auth.clone();
    near.server(|relay, out| relay.send_auth(id(1), &confirmation, out));
    assert_eq!(near.client_saw, [], "the relay's own is still missing");

    let own = proof(&key(1), &TOKEN, &hash);
    near.client(|client, out| client.prove(id(1), &TOKEN, &own, out));
    assert!(matches!(&near.client_saw[..], [Output::Opened { .. }]));
}

#[test]
fn proofs_that_nobody_may_send_end_the_connection() {
    let auth = |session, signature: &[u8]| {
        frame(&Frame::Auth(Auth {
            id: session,
            token: [1; 32],
            algorithm: 1,
            signature,
        }))
    };
    let refused = Err(SessionError::FrameNotAllowed {
        frame: crate::frame::FrameType::AUTH,
    });
    let feed = |machine: &mut Session, bytes: &[u8]| {
        machine
            .handle(START, Input::Control(bytes), &mut Vec::new())
            .map(drop)
    };
    // More than there can be tokens.
    let mut pair = Pair::open();
    for _ in 0..AccessTokens::MAX_COUNT {
        assert_eq!(feed(&mut pair.server, &auth(SessionId::ZERO, &[1])), Ok(()));
    }
    assert_eq!(
        feed(&mut pair.server, &auth(SessionId::ZERO, &[1])),
        refused
    );
    // Before there is an answer, which it would have to sign.
    let mut pair = Pair::new();
    assert_eq!(
        feed(&mut pair.server, &auth(SessionId::ZERO, &[1])),
        refused
    );
    let mut pair = Pair::open();
    pair.client(|client, out| client.open(&request("echo"), out))
        .unwrap();
    assert_eq!(feed(&mut pair.server, &auth(id(1), &[1])), refused);
    // For a session that never was, by a server, and for one that is gone: only that may happen.
    let mut pair = Pair::open();
    let nobody = Err(SessionError::SessionId { id: id(1) });
    assert_eq!(feed(&mut pair.server, &auth(id(1), &[1])), nobody);
    let mut pair = Pair::open();
    assert_eq!(
        feed(&mut pair.client, &auth(SessionId::ZERO, &[1])),
        refused
    );
    let mut pair = Pair::open();
    pair.client(|client, out| client.open(&request("echo"), out))
        .unwrap();
    pair.client(|client, out| client.close(START, id(1), Code::NO_ERROR, "", out));
    assert_eq!(feed(&mut pair.server, &auth(id(1), &[1])), Ok(()));
}
