//! Verified datagrams: what is lost spoils nothing, and what is changed or repeated is found out.

use core::time::Duration;

use bytes::Bytes;
use stoq_core::channel::datagrams::{
    DatagramItem, DatagramOpener, DatagramSealer, MAX_HELD_BYTES, MAX_UNSIGNED,
};
use stoq_core::channel::{ChannelError, ChannelId, Delivery, RUN_TIME, SealError};
use stoq_core::close::Code;
use stoq_core::datagram::Content;
use stoq_core::frame::{FalconSignature, FrameType, Token, TokenAlgorithm, TokenRun};
use stoq_core::replay::{ReplayWindow, TimeWindow};
use stoq_core::run::Statement;
use stoq_core::time::UnixMicros;
use stoq_core::token::{Flow, Scope};
use stoq_core::{Frame, SessionHash, VarInt};

use crate::number;
use crate::signer::Signer;
use crate::wire::{NOW, ORIGIN, OTHER, announcement, scope};

struct Sender {
    sealer: DatagramSealer,
    signer: &'static Signer,
}

impl Sender {
    fn new(signer: &'static Signer) -> Self {
        let (session, id) = (scope().session, Some(signer.key.id()));
        let algorithm = TokenAlgorithm::BLAKE3;
        let sealer = DatagramSealer::new(session, Flow::ToClient, algorithm, id);
        let sealer = sealer.expect("it is known");
        Self { sealer, signer }
    }

    fn send(&mut self, data: &'static [u8]) -> (Token, Bytes) {
        let mut content = Vec::new();
        self.sealer.seal(NOW, data, &mut content);
        assert!(content.len() <= DatagramSealer::MAX_HEADER_LEN);
        content.extend_from_slice(data);
        match Content::decode(content.into()) {
            Ok(Content::Sealed(token, data)) => (token, data),
            other => panic!("{other:?}"),
        }
    }

    /// TOKEN_RUN and FALCON_SIGNATURE.
    fn sign(&mut self) -> [Vec<u8>; 2] {
        let statement = self.sealer.close().expect("there are tokens");
        let signature = self.signer.sign(&statement);
        let mut bytes = Vec::new();
        let signed = self.sealer.signed(&signature, &mut bytes);
        signed.expect("a list was closed");
        let (_, len) = Frame::decode(&bytes).unwrap().unwrap();
        let behind = bytes.split_off(len);
        [bytes, behind]
    }
}

fn opener(delivery: Delivery) -> DatagramOpener {
    let (session, origin) = (scope().session, ORIGIN.key.id());
    let mut opener = DatagramOpener::new(session, Flow::ToClient, [origin], delivery);
    opener.announced(&announcement(&ORIGIN)).unwrap();
    opener
}

fn take(opener: &mut DatagramOpener, (token, data): &(Token, Bytes)) -> Result<(), ChannelError> {
    opener.datagram(NOW, token, data.clone())
}

fn announce(opener: &mut DatagramOpener, frames: &[Vec<u8>]) -> Result<(), ChannelError> {
    frames.iter().try_for_each(|frame| opener.announced(frame))
}

fn items(opener: &mut DatagramOpener) -> Vec<DatagramItem> {
    core::iter::from_fn(|| opener.next_item()).collect()
}

fn item(sequence: u32, data: &'static [u8], verified: bool) -> DatagramItem {
    DatagramItem::Data {
        sequence: number(sequence),
        data: data.into(),
        signer: verified.then(|| ORIGIN.key.id()),
    }
}

fn word(sequence: u32) -> DatagramItem {
    DatagramItem::Verified {
        sequence: number(sequence),
        signer: ORIGIN.key.id(),
    }
}

#[test]
fn a_token_of_a_relay_that_is_far_ahead_moves_nothing() {
    let mut sender = Sender::new(&ORIGIN);
    let sent = sender.send(b"data");
    let mut opener = opener(Delivery::Pending);
    let reach = (ReplayWindow::DEFAULT + MAX_UNSIGNED) as u32;
    for far in [VarInt::MAX, number(reach)] {
        let mut token = sent.0;
        token.sequence = far;
        let scope = Scope {
            channel: ChannelId::DATAGRAMS,
            ..scope()
        };
        let tag = scope.tag(token.algorithm, far, token.timestamp, b"far");
        token.tag = tag.unwrap();
        let ahead = ChannelError::Ahead { sequence: far };
        assert_eq!(take(&mut opener, &(token, "far".into())), Err(ahead));
        assert_eq!(ahead.code(), Code::LIMIT);
    }
    assert_eq!(take(&mut opener, &sent), Ok(()), "it is not too late");
    assert_eq!(items(&mut opener), [item(0, b"data", false)]);
    // As far behind what is signed, it may be.
    assert_eq!(announce(&mut opener, &sender.sign()), Ok(()));
    assert_eq!(items(&mut opener), [word(0)]);
    for _ in 1..reach {
        sender.send(b"lost");
    }
    let next = sender.send(b"next");
    assert_eq!(take(&mut opener, &next), Ok(()));
}

#[test]
fn after_a_few_bad_signatures_none_is_looked_at() {
    let mut opener = opener(Delivery::Pending);
    let mut sender = Sender::new(&ORIGIN);
    let mut bad = 0;
    let error = loop {
        sender.send(b"data");
        let mut signed = sender.sign();
        let last = signed.last_mut().unwrap();
        *last.last_mut().unwrap() ^= 0x10;
        match announce(&mut opener, &signed) {
            Err(ChannelError::BadSignature { .. }) => bad += 1,
            other => break other,
        }
        assert!(bad < 10, "each costs a receiver a tenth of a millisecond");
    };
    assert_eq!((bad, error), (4, Ok(())), "skipped");
    assert_eq!(items(&mut opener), [DatagramItem::SignaturesEnded]);
    sender.send(b"data");
    assert_eq!(announce(&mut opener, &sender.sign()), Ok(()));
    opener.signatures_ended();
    assert_eq!(items(&mut opener), [], "it is said once");
}

#[test]
fn what_is_lost_spoils_nothing() {
    let mut sender = Sender::new(&ORIGIN);
    let sent = [b"0", b"1", b"2", b"3"].map(|data| sender.send(data));
    let signed = sender.sign();
    // 1 is lost, 3 overtakes 2.
    let mut at_once = opener(Delivery::Pending);
    let mut held_back = opener(Delivery::Verified);
    for opener in [&mut at_once, &mut held_back] {
        for at in [0, 3, 2] {
            assert_eq!(take(opener, &sent[at]), Ok(()));
        }
    }
    let pending = [
        item(0, b"0", false),
        item(3, b"3", false),
        item(2, b"2", false),
    ];
    assert_eq!(items(&mut at_once), pending);
    assert_eq!(items(&mut held_back), []);
    for opener in [&mut at_once, &mut held_back] {
        assert_eq!(announce(opener, &signed), Ok(()));
    }
    assert_eq!(items(&mut at_once), [word(0), word(2), word(3)]);
    let verified = [
        item(0, b"0", true),
        item(2, b"2", true),
        item(3, b"3", true),
    ];
    assert_eq!(items(&mut held_back), verified);
    // It was not lost after all: the signature is there already.
    for opener in [&mut at_once, &mut held_back] {
        assert_eq!(take(opener, &sent[1]), Ok(()));
        assert_eq!(items(opener), [item(1, b"1", true)]);
    }
}

#[test]
fn each_datagram_names_who_signed_it() {
    let both = [&*ORIGIN, &*OTHER];
    for signer in both {
        let mut sender = Sender::new(signer);
        let sent = [b"0", b"1"].map(|data| sender.send(data));
        let signed = sender.sign();
        let (session, origins) = (scope().session, both.map(|it| it.key.id()));
        let delivery = Delivery::Verified;
        let mut opener = DatagramOpener::new(session, Flow::ToClient, origins, delivery);
        both.iter()
            .for_each(|it| opener.announced(&announcement(it)).unwrap());
        // One comes before its signature, one behind it.
        take(&mut opener, &sent[0]).unwrap();
        announce(&mut opener, &signed).unwrap();
        take(&mut opener, &sent[1]).unwrap();
        let named: Vec<_> = items(&mut opener)
            .into_iter()
            .map(|item| match item {
                DatagramItem::Data { signer, .. } => signer,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(named, [Some(signer.key.id()); 2]);
    }
}

#[test]
fn what_is_changed_repeated_or_late_is_not_taken() {
    let mut sender = Sender::new(&ORIGIN);
    let (token, data) = sender.send(b"data");
    let mut opener = opener(Delivery::Pending).with_window(ReplayWindow::new(64));
    let sequence = number(0);
    let changed = take(&mut opener, &(token, "dada".into()));
    assert_eq!(changed, Err(ChannelError::BadTag { sequence }));
    assert_eq!(
        take(&mut opener, &(token, data.clone())),
        Ok(()),
        "it was not noted"
    );
    let again = take(&mut opener, &(token, data.clone()));
    assert_eq!(again, Err(ChannelError::Replayed { sequence }));
    for _ in 0..100 {
        let sent = sender.send(b"more");
        take(&mut opener, &sent).unwrap();
    }
    let late = take(&mut opener, &(token, data.clone()));
    assert_eq!(late, Err(ChannelError::Late { sequence }));
    let (algorithm, unknown) = (TokenAlgorithm(1), number(500));
    let token = Token {
        sequence: unknown,
        algorithm,
        ..token
    };
    let sequence = unknown;
    let refused = ChannelError::UnknownAlgorithm {
        sequence,
        algorithm,
    };
    assert_eq!(take(&mut opener, &(token, data.clone())), Err(refused));
    let window = TimeWindow(Some(Duration::from_secs(1)));
    let mut timed = self::opener(Delivery::Pending).with_time_window(window);
    let stale = timed.datagram(UnixMicros(NOW.0 + 2_000_000), &token, data);
    assert_eq!(stale, Err(ChannelError::Stale { sequence }));
}

#[test]
fn a_datagram_with_a_new_token_does_not_pass_for_the_origins() {
    let forged = |sequence| {
        let scope = Scope {
            flow: Flow::ToClient,
            channel: ChannelId::DATAGRAMS,
            ..scope()
        };
        let algorithm = TokenAlgorithm::SHA256;
        let tag = scope.tag(algorithm, number(sequence), NOW, b"forged");
        let token = Token {
            algorithm,
            sequence: number(sequence),
            timestamp: NOW,
            tag: tag.unwrap(),
        };
        (token, Bytes::from("forged"))
    };
    for delivery in [Delivery::Pending, Delivery::Verified] {
        let mut sender = Sender::new(&ORIGIN);
        let _replaced = [sender.send(b"0"), sender.send(b"1")];
        let signed = sender.sign();
        let mut opener = opener(delivery);
        assert_eq!(take(&mut opener, &forged(0)), Ok(()), "nobody can know yet");
        let before = items(&mut opener);
        assert!(
            !before
                .iter()
                .any(|it| !matches!(it, DatagramItem::Data { signer: None, .. }))
        );
        announce(&mut opener, &signed).unwrap();
        let sequence = number(0);
        assert_eq!(items(&mut opener), [DatagramItem::Forged { sequence }]);
        let sequence = number(1);
        let known = take(&mut opener, &forged(1));
        assert_eq!(known, Err(ChannelError::BadTag { sequence }));
        assert_eq!(opener.counters().forged, 2);
    }
}

#[test]
fn each_field_of_a_list_and_its_signature_counts() {
    let change = |change_run: fn(&mut Vec<(VarInt, [u8; 32])>),
                  change_signature: fn(&mut FalconSignature<'_>)| {
        let mut sender = Sender::new(&ORIGIN);
        let sent = [b"0", b"1", b"2"].map(|data| sender.send(data));
        let [run, signature] = sender.sign();
        let Ok(Some((Frame::TokenRun(run), _))) = Frame::decode(&run) else {
            panic!("no list")
        };
        let mut tokens: Vec<_> = run.tokens().map(|(at, tag)| (at, *tag)).collect();
        change_run(&mut tokens);
        let mut run = Vec::new();
        for (at, tag) in &tokens {
            TokenRun::put(*at, tag, &mut run);
        }
        let Ok(Some((Frame::FalconSignature(mut signed), _))) = Frame::decode(&signature) else {
            panic!("no signature")
        };
        change_signature(&mut signed);
        let mut opener = opener(Delivery::Verified);
        sent.iter()
            .for_each(|sent| take(&mut opener, sent).unwrap());
        let frames = [
            Frame::TokenRun(TokenRun::new(&run).unwrap()),
            Frame::FalconSignature(signed),
        ];
        let frames = frames.map(|frame| {
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            bytes
        });
        let end = announce(&mut opener, &frames);
        assert_eq!(items(&mut opener).len(), if end.is_ok() { 3 } else { 0 });
        end
    };
    assert_eq!(change(|_| (), |_| ()), Ok(()));
    let (sequence, last) = (number(0), number(2));
    let bad = Err(ChannelError::BadSignature { sequence, last });
    assert_eq!(change(|run| run[1].1[0] ^= 1, |_| ()), bad);
    assert_eq!(
        change(
            |run| {
                run.remove(1);
            },
            |_| ()
        ),
        bad
    );
    assert_eq!(change(|_| (), |it| it.signature = &[0x3a; 1280]), bad);
    assert_eq!(change(|_| (), |it| it.is_final = true), bad);
    assert_eq!(change(|_| (), |it| it.algorithm.0 = 2), bad);
    let unsent = Err(ChannelError::UnsentRun { sequence, last });
    assert_eq!(
        change(
            |run| {
                run.pop();
            },
            |_| ()
        ),
        unsent
    );
    assert_eq!(
        change(
            |run| {
                run.remove(0);
            },
            |_| ()
        ),
        unsent
    );
    let request = number(1);
    let wrong = Err(ChannelError::WrongRequest { sequence, request });
    assert_eq!(change(|_| (), |it| it.request = number(1)), wrong);
    let signer = OTHER.key.id();
    let untrusted = Err(ChannelError::UntrustedOrigin { sequence, signer });
    assert_eq!(change(|_| (), |it| it.signer = OTHER.key.id()), untrusted);
}

#[test]
fn signatures_of_other_places_are_worth_nothing() {
    let mut sender = Sender::new(&ORIGIN);
    let sent = sender.send(b"data");
    let [run, signature] = sender.sign();
    let (sequence, last) = (number(0), number(0));
    let bad = Err(ChannelError::BadSignature { sequence, last });
    // In another session.
    let session = SessionHash::new(&[1; 32], &[9; 32], "files");
    let origin = [ORIGIN.key.id()];
    let mut elsewhere = DatagramOpener::new(session, Flow::ToClient, origin, Delivery::Pending)
        .with_key(ORIGIN.key.clone());
    assert_eq!(
        take(&mut elsewhere, &sent),
        Err(ChannelError::BadTag { sequence })
    );
    assert_eq!(
        announce(&mut elsewhere, &[run.clone(), signature.clone()]),
        bad
    );
    // Made for a stream.
    let mut sender = Sender::new(&ORIGIN);
    sender.send(b"data");
    let statement = sender.sealer.close().unwrap();
    let domain = stoq_core::falcon::Domain::TOKEN_RUN;
    let for_stream = ORIGIN.sign(&Statement {
        domain,
        ..statement
    });
    let mut frames = Vec::new();
    sender.sealer.signed(&for_stream, &mut frames).unwrap();
    let (_, len) = Frame::decode(&frames).unwrap().unwrap();
    let mut opener = opener(Delivery::Pending);
    let end = announce(
        &mut opener,
        &[frames[..len].to_vec(), frames[len..].to_vec()],
    );
    assert_eq!(end, bad);
    // Without its list, or behind one that was taken already.
    let frame = FrameType::FALCON_SIGNATURE;
    let unexpected = Err(ChannelError::Unexpected { sequence, frame });
    assert_eq!(opener.announced(&signature), unexpected);
    assert_eq!(announce(&mut opener, &[run, signature.clone()]), Ok(()));
    assert_eq!(opener.announced(&signature), unexpected);
}

#[test]
fn keys_are_announced_and_checked() {
    let session = scope().session;
    let origins = [ORIGIN.key.id()];
    let mut opener = DatagramOpener::new(session, Flow::ToClient, origins, Delivery::Pending);
    let (sequence, signer) = (number(0), OTHER.key.id());
    let untrusted = Err(ChannelError::UntrustedOrigin { sequence, signer });
    assert_eq!(opener.announced(&announcement(&OTHER)), untrusted);
    let mut sender = Sender::new(&ORIGIN);
    sender.send(b"data");
    let signed = sender.sign();
    let signer = ORIGIN.key.id();
    let unknown = Err(ChannelError::NoKey { sequence, signer });
    assert_eq!(announce(&mut opener, &signed), unknown);
    opener.announced(&announcement(&ORIGIN)).unwrap();
    assert_eq!(announce(&mut opener, &signed), Ok(()));
    assert!(opener.announced(&signed[0][..10]).is_err(), "it is cut");
    assert!(opener.announced(&[0x40, 0]).is_err(), "it cannot be read");
    let mut nobody = DatagramOpener::new(session, Flow::ToClient, [], Delivery::Verified);
    assert_eq!(announce(&mut nobody, &signed), Ok(()), "not looked at");
    let sent = sender.send(b"more");
    take(&mut nobody, &sent).unwrap();
    assert_eq!(items(&mut nobody), [item(1, b"more", false)]);
}

#[test]
fn what_waits_is_bounded_in_number_and_bytes() {
    let mut sender = Sender::new(&ORIGIN);
    let mut narrow = opener(Delivery::Verified);
    for _ in 0..MAX_UNSIGNED + 10 {
        let sent = sender.send(b"small");
        take(&mut narrow, &sent).unwrap();
    }
    assert_eq!(narrow.counters().expired, 10);
    static LARGE: [u8; 60_000] = [7; 60_000];
    let fit = MAX_HELD_BYTES / LARGE.len();
    let mut wide = opener(Delivery::Verified);
    let mut sender = Sender::new(&ORIGIN);
    for _ in 0..fit + 3 {
        let sent = sender.send(&LARGE);
        take(&mut wide, &sent).unwrap();
    }
    assert_eq!(wide.counters().expired, 3);
    announce(&mut wide, &sender.sign()).unwrap();
    assert_eq!(items(&mut wide).len(), fit);
}

#[test]
fn a_list_is_due_when_it_is_full_or_old() {
    let mut sender = Sender::new(&ORIGIN);
    let old = UnixMicros(NOW.0 + RUN_TIME.as_micros() as u64);
    assert!(!sender.sealer.due(old), "there is none");
    sender.send(b"first");
    assert!(!sender.sealer.due(UnixMicros(old.0 - 1)));
    assert!(sender.sealer.due(old));
    for _ in 1..TokenRun::MAX_TOKENS {
        assert!(!sender.sealer.due(NOW));
        sender.send(b"more");
    }
    assert!(sender.sealer.due(NOW));
    sender.send(b"without a signature");
    assert_eq!(sender.sealer.skipped(), 1);
    let statement = sender.sealer.close().unwrap();
    assert_eq!(statement.last, number(TokenRun::MAX_TOKENS as u32 - 1));
    // The next list begins while this one is being signed, and waits for it.
    sender.send(b"next");
    assert_eq!((sender.sealer.tokens(), sender.sealer.close()), (1, None));
    let mut out = Vec::new();
    let signature = ORIGIN.sign(&statement);
    sender.sealer.signed(&signature, &mut out).unwrap();
    let again = sender.sealer.signed(&signature, &mut out);
    assert_eq!(again, Err(SealError::NotClosed));
    assert_eq!(sender.sealer.close().unwrap().first, number(401));
}
