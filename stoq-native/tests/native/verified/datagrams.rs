//! Verified datagrams, between two ends and past a relay that does what it can.

mod waiting;

use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::future::poll_fn;

use bytes::{Bytes, BytesMut};
use stoq_core::channel::ChannelId;
use stoq_core::datagram::Content;
use stoq_core::frame::{Frame, Token, TokenAlgorithm};
use stoq_core::stream::Direction;
use stoq_core::token::{Flow, Scope};
use stoq_core::varint::VarInt;
use stoq_native::{
    DatagramItem, DatagramsInUse, Delivery, Payload, RecvStream, RefusedChannels,
    SendDatagramError, SendStream, Session,
};

use super::relay::Path;
use super::{ORIGIN, OTHER, signing, trusting};
use crate::harness::{Peers, within};

fn peers() -> Peers {
    Peers::with(|server, client| {
        server.framed_streams = true;
        client.framed_streams = true;
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_that_are_not_taken_do_not_keep_the_thread() {
    const SENT: u64 = 400;
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        // The tag is right for nothing.
        let token = Token {
            algorithm: TokenAlgorithm::BLAKE3,
            sequence: 0u8.into(),
            timestamp: Default::default(),
            tag: [7; 32],
        };
        let mut content = BytesMut::new();
        Frame::Token(token).encode(&mut content);
        content.extend_from_slice(&[0, 1]);
        let content = content.freeze();
        for sent in 1..=SENT {
            client.send_content(content.clone()).unwrap();
            while server.stats().received_datagrams < sent {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        let mut polls = 0;
        while server.stats().refused.bad_tokens < SENT {
            let polled = poll_fn(|cx| {
                let polled = pin!(server.recv_verified_datagram()).poll(cx);
                Poll::Ready(polled.is_pending())
            });
            assert!(polled.await, "nothing was taken");
            polls += 1;
            tokio::task::yield_now().await;
        }
        assert!(polls > 1, "others have their turn");
        peers.close().await;
    })
    .await;
}

/// What comes until every one of so many datagrams is vouched for or forged, in the order of their sequences.
async fn settled(session: &Session, count: usize) -> Vec<(u64, Option<Bytes>)> {
    settled_of(session, Vec::new(), count).await
}

/// The same, of which these have come, unsigned.
async fn settled_of(
    session: &Session,
    mut data: Vec<(VarInt, Bytes)>,
    count: usize,
) -> Vec<(u64, Option<Bytes>)> {
    let mut settled = Vec::new();
    while settled.len() < count {
        match session.recv_verified_datagram().await.unwrap() {
            DatagramItem::Data {
                sequence,
                data: content,
                signer,
            } => match signer {
                Some(signer) => {
                    assert_eq!(signer, ORIGIN.id());
                    settled.push((sequence.into_inner(), Some(content)));
                }
                None => data.push((sequence, content)),
            },
            DatagramItem::Verified { sequence, signer } => {
                assert_eq!(signer, ORIGIN.id());
                let at = data.iter().position(|it| it.0 == sequence).unwrap();
                settled.push((sequence.into_inner(), Some(data.remove(at).1)));
            }
            DatagramItem::SignaturesEnded => panic!("they can come"),
            DatagramItem::Forged { sequence } => settled.push((sequence.into_inner(), None)),
        }
    }
    settled.sort();
    settled
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_are_verified_both_ways() {
    within(async {
        let peers = peers();
        for delivery in [Delivery::Pending, Delivery::Verified] {
            let (client, server) = peers.session().await;
            let mut config = signing(&ORIGIN).from_origins([ORIGIN.id()]);
            config.delivery = delivery;
            for session in [&client, &server] {
                assert_eq!(session.verify_datagrams(&config), Ok(()));
                assert_eq!(session.verify_datagrams(&config), Err(DatagramsInUse));
                for message in 0..10u8 {
                    session.send_verified_datagram(&[message; 100]).unwrap();
                }
            }
            let (here, there) = tokio::join!(settled(&client, 10), settled(&server, 10));
            let expected: Vec<_> = (0..10u8)
                .map(|message| (message.into(), Some(Bytes::from(vec![message; 100]))))
                .collect();
            assert_eq!((&here, &there), (&expected, &expected));
            assert_eq!(client.stats().refused, RefusedChannels::default());
        }
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_signer_datagrams_are_pending() {
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        client.send_verified_datagram(b"data").unwrap();
        let item = DatagramItem::Data {
            sequence: 0u8.into(),
            data: "data".into(),
            signer: None,
        };
        assert_eq!(server.recv_verified_datagram().await, Ok(item));
        let limit = client.max_verified_datagram_size();
        client.send_verified_datagram(&vec![1; limit]).unwrap();
        let got = limit + 1;
        assert_eq!(
            client.send_verified_datagram(&vec![1; got]),
            Err(SendDatagramError::TooLarge { limit, got }.into())
        );
        let Ok(DatagramItem::Data { data, .. }) = server.recv_verified_datagram().await else {
            panic!("the largest arrives")
        };
        assert_eq!(data.len(), limit);
        // What comes without a token is for who asks for that.
        client.send_datagram("raw".into()).unwrap();
        assert_eq!(server.recv_datagram().await, Ok("raw".into()));
        peers.close().await;
    })
    .await;
}

/// Passes the announcements on as they come.
async fn carry(mut from: RecvStream, mut to: SendStream) {
    while let Ok(Some(chunk)) = from.read_chunk(usize::MAX).await {
        if to.write_chunk(chunk).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_is_found_out() {
    within(async {
        let path = Path::new().await;
        let mut config = trusting(&ORIGIN);
        config.delivery = Delivery::Pending;
        path.client.verify_datagrams(&config).unwrap();
        path.origin.verify_datagrams(&signing(&ORIGIN)).unwrap();
        for message in 0..5u8 {
            path.origin.send_verified_datagram(&[message; 50]).unwrap();
        }
        // Nothing is forwarded until all is known, so that the order is the relay's.
        let mut contents = Vec::new();
        for _ in 0..5 {
            contents.push(path.to_origin.recv_content().await.unwrap());
        }
        let Ok(Content::Sealed(token, _)) = Content::decode(contents[2].clone()) else {
            panic!("it has a token")
        };
        let mut changed = contents[1].to_vec();
        *changed.last_mut().unwrap() ^= 1;
        let forged = sealed(&path, &token, "forged");
        // 0 goes through twice, 1 is changed, 2 is made anew, 3 is dropped, 4 goes through.
        for content in [
            &contents[0],
            &contents[0],
            &changed.into(),
            &forged,
            &contents[4],
        ] {
            path.to_client.send_content(content.clone()).unwrap();
        }
        // All of them are there before any signature is: one that contradicts its signature is forged, one that comes after it is bad.
        let mut data = Vec::new();
        while data.len() < 3 {
            match path.client.recv_verified_datagram().await.unwrap() {
                DatagramItem::Data {
                    sequence,
                    data: content,
                    signer: None,
                } => data.push((sequence, content)),
                item => panic!("{item:?} before any signature"),
            }
        }
        let announced = path.to_origin.accept_any_uni().await.unwrap();
        assert_eq!(announced.payload(), Payload::Announce);
        let to = path
            .to_client
            .open_uni_with(Payload::Announce)
            .await
            .unwrap();
        let carrying = tokio::spawn(carry(announced, to));
        let settled = settled_of(&path.client, data, 3).await;
        let message = |message: u8| Some(Bytes::from(vec![message; 50]));
        assert_eq!(settled, [(0, message(0)), (2, None), (4, message(4))]);
        let refused = path.client.stats().refused;
        assert_eq!((refused.replayed_tokens, refused.bad_tokens), (1, 1));
        assert_eq!(refused.forged_datagrams, 1);
        carrying.abort();
        path.close().await;
    })
    .await;
}

/// A datagram in place of another, with a token that is right for it.
fn sealed(path: &Path, token: &Token, data: &'static str) -> Bytes {
    let scope = Scope {
        session: path.client.hash(),
        flow: Flow::ToClient,
        kind: Direction::Bidirectional,
        channel: ChannelId::DATAGRAMS,
    };
    let (at, time) = (token.sequence, token.timestamp);
    let tag = scope.tag(token.algorithm, at, time, data.as_bytes());
    let tag = tag.unwrap();
    let mut content = BytesMut::new();
    Content::Sealed(Token { tag, ..*token }, data.into()).encode(&mut content);
    content.freeze()
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_others_than_the_origins_are_refused() {
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        client.verify_datagrams(&trusting(&ORIGIN)).unwrap();
        server.verify_datagrams(&signing(&OTHER)).unwrap();
        server.send_verified_datagram(b"not the origin's").unwrap();
        let receive = client.recv_verified_datagram();
        tokio::select! {
            item = receive => panic!("{item:?}"),
            // The key, and the signature.
            () = crate::harness::until(|| client.stats().refused.untrusted_origins == 2) => {}
        }
        peers.close().await;
    })
    .await;
}
