//! Whatever a relay does to what it carries, the receiver knows, and where.

use bytes::Bytes;
use stoq_core::frame::Frame;
use stoq_core::stream::Direction;
use stoq_core::token::Flow;
use stoq_native::{
    ChannelError, Code, Delivery, Item, Payload, ReadError, RefusedChannels, VerifiedReadError,
    VerifiedRecvStream,
};

use super::relay::{Frames, Path};
use super::{ORIGIN, OTHER, signing, trusting};
use crate::harness::{until, within};

/// Six messages of the origin in runs of two, or less where the machine is slow; what the relay makes of them; and what the
/// client is told.
async fn carried(tamper: impl FnOnce(&mut Frames)) -> (Vec<u8>, Result<(), ChannelError>) {
    let path = Path::new().await;
    let send = async {
        let mut send = path
            .origin
            .open_verified_uni(&signing(&ORIGIN))
            .await
            .unwrap();
        for message in 0..6 {
            send.write(Bytes::from(vec![message; 1000])).await.unwrap();
            if message % 2 == 1 {
                send.flush().await.unwrap();
            }
        }
        send.finish().await.unwrap();
    };
    let receive = async {
        let config = trusting(&ORIGIN);
        let mut receive = path.client.accept_verified_uni(&config).await.unwrap();
        verified(&mut receive).await
    };
    let ((), relayed, found) = tokio::join!(send, path.carry_uni(tamper), receive);
    let expected = found.1.as_ref().map_err(ChannelError::code).err();
    if let Some(code) = expected {
        let told = relayed.stopped().await.unwrap();
        assert!(told.is_none_or(|told| told == code), "{told:?}");
        let stats = path.client.stats().refused;
        assert_ne!(stats, RefusedChannels::default(), "it is counted");
    }
    drop(relayed);
    path.close().await;
    found
}

/// What is verified, and how it ends.
async fn verified(receive: &mut VerifiedRecvStream) -> (Vec<u8>, Result<(), ChannelError>) {
    let mut read = Vec::new();
    loop {
        match receive.next().await {
            Ok(Some(Item::Data { data, verified, .. })) => {
                assert!(verified);
                read.extend_from_slice(&data);
            }
            Ok(Some(_)) => {}
            Ok(None) => return (read, Ok(())),
            Err(VerifiedReadError::Channel(error)) => return (read, Err(error)),
            Err(VerifiedReadError::Read(error)) => panic!("{error}"),
        }
    }
}

fn messages(count: u8) -> Vec<u8> {
    (0..count).flat_map(|message| [message; 1000]).collect()
}

/// Whether this is what was sent, as far as it goes.
fn is_prefix(read: &[u8]) -> bool {
    messages(6).starts_with(read)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_relay_carries_everything() {
    within(async {
        let (read, end) = carried(|_| ()).await;
        assert_eq!((read == messages(6), end), (true, Ok(())));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_data_is_named() {
    within(async {
        let (read, end) = carried(|it| {
            let data = it.token(3) + 1;
            *it.frames[data].last_mut().unwrap() ^= 1;
        })
        .await;
        let error = end.unwrap_err();
        assert!(matches!(error, ChannelError::BadTag { .. }), "{error}");
        assert_eq!(error.sequence().into_inner(), 3);
        assert!(is_prefix(&read) && read.len() <= 3000);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_with_a_new_token_does_not_pass() {
    within(async {
        let (read, end) = carried(|it| {
            let channel = it.channel.unwrap();
            it.forge(
                0,
                (Direction::Unidirectional, Flow::ToClient),
                channel,
                b"another file",
            );
        })
        .await;
        let error = end.unwrap_err();
        assert!(
            matches!(error, ChannelError::BadSignature { .. }),
            "{error}"
        );
        assert_eq!((error.sequence().into_inner(), read.len()), (0, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_data_is_missing() {
    within(async {
        let (read, end) = carried(|it| {
            let at = it.token(2);
            it.frames.drain(at..at + 2);
        })
        .await;
        let error = end.unwrap_err();
        assert!(matches!(error, ChannelError::Missing { .. }), "{error}");
        assert_eq!(error.sequence().into_inner(), 2);
        assert!(is_prefix(&read));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_cut_short_is_truncated() {
    within(async {
        // Behind data; behind a signature, where all is well so far; and at the very beginning.
        let cuts: [fn(&Frames) -> usize; 3] =
            [|it| it.token(3) + 2, |it| it.signatures()[0] + 1, |_| 0];
        for cut in cuts {
            let (read, end) = carried(|it| it.frames.truncate(cut(it))).await;
            let error = end.unwrap_err();
            assert!(matches!(error, ChannelError::Truncated { .. }), "{error}");
            assert!(is_prefix(&read));
            assert_eq!(read.len() as u64, error.sequence().into_inner() * 1000);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_data_is_replayed() {
    within(async {
        let (read, end) = carried(|it| {
            let at = it.token(4);
            let again = it.frames[at..at + 2].to_vec();
            it.frames.splice(at..at, again);
        })
        .await;
        let error = end.unwrap_err();
        assert!(matches!(error, ChannelError::Replayed { .. }), "{error}");
        assert_eq!(error.sequence().into_inner(), 4);
        assert!(is_prefix(&read));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reordered_data_is_found_out() {
    within(async {
        let (read, end) = carried(|it| {
            let (first, second) = (it.token(0), it.token(1));
            it.frames.swap(first, second);
            it.frames.swap(first + 1, second + 1);
        })
        .await;
        let error = end.unwrap_err();
        assert!(matches!(error, ChannelError::Missing { .. }), "{error}");
        assert_eq!((error.sequence().into_inner(), read.len()), (0, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_signature_is_found_out() {
    within(async {
        let (read, end) = carried(|it| {
            let first = it.signatures()[0];
            it.frames.remove(first);
        })
        .await;
        let error = end.unwrap_err();
        assert!(matches!(error, ChannelError::Unsigned { .. }), "{error}");
        assert_eq!((error.sequence().into_inner(), read.len()), (0, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_the_relay_signs_itself_is_of_no_origin() {
    within(async {
        let path = Path::new().await;
        let mut forged = path
            .to_client
            .open_verified_uni(&signing(&OTHER))
            .await
            .unwrap();
        let _ = forged.write("mine".into()).await;
        let _ = forged.finish().await;
        let config = trusting(&ORIGIN);
        let mut receive = path.client.accept_verified_uni(&config).await.unwrap();
        let (read, end) = verified(&mut receive).await;
        let (error, signer) = (end.unwrap_err(), OTHER.id());
        let sequence = error.sequence();
        assert_eq!(error, ChannelError::UntrustedOrigin { sequence, signer });
        assert_eq!(read, b"");
        assert_eq!(path.client.stats().refused.untrusted_origins, 1);
        let told = forged.stopped().await.unwrap();
        assert!(told.is_none_or(|told| told == Code::UNTRUSTED_ORIGIN));
        path.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sessions_cannot_be_spliced() {
    within(async {
        let (here, there) = (Path::new().await, Path::new().await);
        let send = |path: &Path| {
            let origin = path.origin.clone();
            async move {
                let mut send = origin.open_verified_uni(&signing(&ORIGIN)).await.unwrap();
                send.write("the same file".into()).await.unwrap();
                send.finish().await.unwrap();
            }
        };
        tokio::join!(send(&here), send(&there));
        let mut elsewhere = there.to_origin.accept_any_uni().await.unwrap();
        let elsewhere = Frames::read(&mut elsewhere, true, there.client.hash()).await;
        let _relayed = here.carry_uni(|it| *it = elsewhere).await;
        let config = trusting(&ORIGIN);
        let mut receive = here.client.accept_verified_uni(&config).await.unwrap();
        let (read, end) = verified(&mut receive).await;
        assert!(matches!(end, Err(ChannelError::BadTag { .. })), "{end:?}");
        assert_eq!(read, b"");
        here.close().await;
        there.close().await;
    })
    .await;
}

/// The client asks, the relay makes what it likes of question and answer, and the client is told this.
async fn asked(
    change_question: impl FnOnce(&mut Frames),
    change_answer: impl FnOnce(&mut Frames),
) -> (Vec<u8>, Result<(), ChannelError>) {
    let path = Path::new().await;
    let session = path.client.hash();
    let client = async {
        let config = trusting(&ORIGIN);
        let (mut send, mut receive) = path.client.open_verified_bi(&config).await.unwrap();
        send.write("may I?".into()).await.unwrap();
        send.finish().await.unwrap();
        verified(&mut receive).await
    };
    let relay = async {
        let (mut answer, mut question) = path.to_client.accept_any_bi().await.unwrap();
        let mut frames = Frames::read(&mut question, true, session).await;
        change_question(&mut frames);
        let (mut ask, mut answered) = path.to_origin.open_bi_with(Payload::Framed).await.unwrap();
        frames.write(&mut ask).await;
        let mut frames = Frames::read(&mut answered, false, session).await;
        change_answer(&mut frames);
        frames.write(&mut answer).await;
        answer
    };
    let origin = async {
        let mut config = signing(&ORIGIN);
        config.delivery = Delivery::Pending;
        let (mut send, mut receive) = path.origin.accept_verified_bi(&config).await.unwrap();
        let question = receive.read_to_end(100).await.unwrap();
        let answer = [&b"you asked: "[..], &question].concat();
        send.write(answer.into()).await.unwrap();
        send.finish().await.unwrap();
    };
    let (found, answer, ()) = tokio::join!(client, relay, origin);
    drop(answer);
    path.close().await;
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_what_was_asked_is_taken() {
    within(async {
        let (read, end) = asked(|_| (), |_| ()).await;
        assert_eq!((&read[..], end), (&b"you asked: may I?"[..], Ok(())));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signed_answer_to_another_question_is_refused() {
    within(async {
        let (read, end) = asked(
            |it| {
                let channel = it.channel.unwrap();
                it.forge(
                    0,
                    (Direction::Bidirectional, Flow::ToTarget),
                    channel,
                    b"may the relay?",
                );
            },
            |it| assert_eq!(it.data(0), b"you asked: may the relay?"),
        )
        .await;
        assert!(
            matches!(end, Err(ChannelError::BadSignature { .. })),
            "{end:?}"
        );
        assert_eq!(
            (end.unwrap_err().sequence().into_inner(), read.len()),
            (0, 0)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signed_answer_to_a_question_that_the_relay_has_cut_is_refused() {
    within(async {
        // The channel's id and the end: the origin answers an empty question in good faith.
        let (read, end) = asked(
            |it| it.frames.clear(),
            |it| assert_eq!(it.data(0), b"you asked: "),
        )
        .await;
        assert!(
            matches!(end, Err(ChannelError::WrongRequest { .. })),
            "{end:?}"
        );
        assert_eq!(read, b"", "nothing of it is believed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_a_relay_keeps_to_itself_is_not_waited_for() {
    within(async {
        let path = Path::new().await;
        let relay = async {
            let mut from = path.to_origin.accept_any_uni().await.unwrap();
            let mut frames = Frames::read(&mut from, true, path.client.hash()).await;
            let first = frames.signatures()[0];
            frames.frames.truncate(first);
            let mut to = path.to_client.open_uni_with(Payload::Framed).await.unwrap();
            to.write_all(frames.channel.unwrap().as_bytes())
                .await
                .unwrap();
            for frame in &frames.frames {
                to.write_all(frame).await.unwrap();
            }
            // It stays open.
            to.stopped().await
        };
        let origin = async {
            let config = signing(&ORIGIN);
            let mut send = path.origin.open_verified_uni(&config).await.unwrap();
            send.write("data".into()).await.unwrap();
            send.finish().await.unwrap();
        };
        let client = async {
            let mut config = trusting(&ORIGIN);
            config.signature_timeout = std::time::Duration::from_millis(300);
            let mut receive = path.client.accept_verified_uni(&config).await.unwrap();
            verified(&mut receive).await
        };
        let (told, (), (read, end)) = tokio::join!(relay, origin, client);
        let sequence = 0u8.into();
        let late = Err(ChannelError::RunTooLong { sequence });
        assert_eq!((&read[..], end), (&b""[..], late));
        assert_eq!(told, Ok(Some(Code::LIMIT)));
        path.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_more_than_was_asked_is_refused() {
    within(async {
        let (read, end) = asked(
            |_| (),
            |it| {
                let at = it.signatures()[0];
                let Ok(Some((Frame::FalconSignature(mut signed), _))) =
                    Frame::decode(&it.frames[at])
                else {
                    unreachable!("it stands there")
                };
                signed.request = 2u8.into();
                let mut changed = Vec::new();
                Frame::FalconSignature(signed).encode(&mut changed);
                it.frames[at] = changed;
            },
        )
        .await;
        assert!(
            matches!(end, Err(ChannelError::WrongRequest { .. })),
            "{end:?}"
        );
        assert_eq!(read, b"");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_of_another_stream_is_refused() {
    within(async {
        let path = Path::new().await;
        let mut config = signing(&ORIGIN);
        config.delivery = Delivery::Pending;
        let mut clients = Vec::new();
        let mut relays = Vec::new();
        for question in ["one", "two"] {
            let trusting = trusting(&ORIGIN);
            let (mut send, receive) = path.client.open_verified_bi(&trusting).await.unwrap();
            send.write(question.into()).await.unwrap();
            send.finish().await.unwrap();
            clients.push(receive);
            let (answer, mut asked) = path.to_client.accept_any_bi().await.unwrap();
            let frames = Frames::read(&mut asked, true, path.client.hash()).await;
            let (mut ask, mut answered) =
                path.to_origin.open_bi_with(Payload::Framed).await.unwrap();
            frames.write(&mut ask).await;
            let (mut send, mut receive) = path.origin.accept_verified_bi(&config).await.unwrap();
            assert_eq!(receive.read_to_end(9).await.unwrap(), question.as_bytes());
            send.write("yes".into()).await.unwrap();
            send.finish().await.unwrap();
            let back = Frames::read(&mut answered, false, path.client.hash()).await;
            relays.push((answer, frames.channel.unwrap(), back));
        }
        // Each is given the other's answer: as it is, and with tokens for where it goes.
        let (_, here, _) = relays[1];
        let (other, _, mut frames) = relays.remove(0);
        let (mut answer, _, _) = relays.remove(0);
        let mut unchanged = other;
        let as_it_is = frames.clone();
        frames.forge(0, (Direction::Bidirectional, Flow::ToClient), here, b"yes");
        frames.write(&mut answer).await;
        let mut elsewhere = as_it_is;
        let at = elsewhere.token(0);
        elsewhere.frames[at][20] ^= 1;
        elsewhere.write(&mut unchanged).await;
        let (_, end) = verified(&mut clients[1]).await;
        assert!(
            matches!(end, Err(ChannelError::BadSignature { .. })),
            "{end:?}"
        );
        let (_, end) = verified(&mut clients[0]).await;
        assert!(matches!(end, Err(ChannelError::BadTag { .. })), "{end:?}");
        drop(clients);
        path.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_id_is_used_once() {
    within(async {
        let path = Path::new().await;
        let send = async {
            let mut send = path
                .origin
                .open_verified_uni(&signing(&ORIGIN))
                .await
                .unwrap();
            send.write("once".into()).await.unwrap();
            send.finish().await.unwrap();
        };
        let mut taken = None;
        let relay = path.carry_uni(|it| taken = Some(it.clone()));
        let ((), _first) = tokio::join!(send, relay);
        let mut again = path.to_client.open_uni_with(Payload::Framed).await.unwrap();
        taken.unwrap().write(&mut again).await;
        // No stream may have the id of datagrams.
        let mut zero = path.to_client.open_uni_with(Payload::Framed).await.unwrap();
        zero.write_all(&[0; 16]).await.unwrap();

        // Either of the two that say the same may come first; it is the only one.
        let config = trusting(&ORIGIN);
        let mut receive = path.client.accept_verified_uni(&config).await.unwrap();
        assert_eq!(receive.read_to_end(9).await.unwrap(), b"once");
        let refused = || path.client.stats().refused.reused_channels == 2;
        tokio::select! {
            accepted = path.client.accept_verified_uni(&config) => panic!("{accepted:?}"),
            () = until(refused) => {}
        }
        assert_eq!(zero.stopped().await, Ok(Some(Code::CHANNEL_REUSED)));
        path.close().await;
    })
    .await;
}

/// What the origin says on a stream of one kind, the relay gives the client on one of the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_of_the_kind_that_its_opener_chose() {
    within(async {
        let first = ChannelError::BadTag {
            sequence: 0u8.into(),
        };
        let (mine, theirs) = (signing(&ORIGIN), trusting(&ORIGIN));

        // A stream on which only the origin speaks, as one that could carry an answer.
        let path = Path::new().await;
        let mut send = path.origin.open_verified_uni(&mine).await.unwrap();
        send.write("yes".into()).await.unwrap();
        send.finish().await.unwrap();
        let mut from = path.to_origin.accept_any_uni().await.unwrap();
        let frames = Frames::read(&mut from, true, path.client.hash()).await;
        let framed = Payload::Framed;
        let (mut to, _) = path.to_client.open_bi_with(framed).await.unwrap();
        frames.write(&mut to).await;
        let (_, mut receive) = path.client.accept_verified_bi(&theirs).await.unwrap();
        assert_eq!(verified(&mut receive).await, (vec![], Err(first)));
        path.close().await;

        // What it asks on a stream of both, as one that awaits no answer.
        let path = Path::new().await;
        let (mut send, _) = path.origin.open_verified_bi(&mine).await.unwrap();
        send.write("yes?".into()).await.unwrap();
        send.finish().await.unwrap();
        let (_, mut from) = path.to_origin.accept_any_bi().await.unwrap();
        let frames = Frames::read(&mut from, true, path.client.hash()).await;
        let mut to = path.to_client.open_uni_with(framed).await.unwrap();
        frames.write(&mut to).await;
        let mut receive = path.client.accept_verified_uni(&theirs).await.unwrap();
        assert_eq!(verified(&mut receive).await, (vec![], Err(first)));
        path.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_given_back_to_who_opened_it_is_refused() {
    within(async {
        let path = Path::new().await;
        let (mut send, _receive) = path
            .client
            .open_verified_bi(&trusting(&ORIGIN))
            .await
            .unwrap();
        send.write("question".into()).await.unwrap();
        send.finish().await.unwrap();
        let (_answer, mut asked) = path.to_client.accept_any_bi().await.unwrap();
        let frames = Frames::read(&mut asked, true, path.client.hash()).await;
        let framed = Payload::Framed;
        let (mut back, mut answer) = path.to_client.open_bi_with(framed).await.unwrap();
        frames.write(&mut back).await;
        let config = trusting(&ORIGIN);
        let waiting = path.client.accept_verified_bi(&config);
        let refused = Err(ReadError::Reset(Code::CHANNEL_REUSED));
        tokio::select! {
            accepted = waiting => panic!("{accepted:?}"),
            read = answer.read_to_end(0) => assert_eq!(read, refused),
        }
        path.close().await;
    })
    .await;
}
