//! A relay that gives streams other names, kinds or receivers.

use stoq_native::{ChannelError, Code, Payload, ReadError};

use super::verified;
use crate::harness::{until, within};
use crate::verified::relay::{Frames, Path};
use crate::verified::{ORIGIN, signing, trusting};

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
