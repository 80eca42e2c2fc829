//! A relay that passes answers off as those to other questions.

use stoq_core::frame::Frame;
use stoq_core::stream::Direction;
use stoq_core::token::Flow;
use stoq_native::{ChannelError, Code, Delivery, Payload};

use super::verified;
use crate::harness::within;
use crate::verified::relay::{Frames, Path};
use crate::verified::{ORIGIN, signing, trusting};

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
