//! Announcements that end: who receives verified datagrams is told, and so is who sends them.

use core::time::Duration;

use bytes::Bytes;
use stoq_core::frame::FrameType;
use stoq_core::varint::VarInt;
use stoq_native::{
    Code, DatagramItem, Delivery, Payload, RecvStream, SendStream, Session, SignError,
    VerifiedDatagramError,
};

use super::relay::Path;
use super::{ORIGIN, signed_by_none, signing, trusting};
use crate::harness::{Peers, within};

/// A path whose client wants the origin's datagrams at once, and trusts it.
async fn path() -> Path {
    let path = Path::new().await;
    let mut config = trusting(&ORIGIN);
    config.delivery = Delivery::Pending;
    path.client.verify_datagrams(&config).unwrap();
    path.origin.verify_datagrams(&signing(&ORIGIN)).unwrap();
    path
}

/// The origin sends this, and the relay passes it on.
async fn pass(path: &Path, data: &'static [u8]) {
    path.origin.send_verified_datagram(data).unwrap();
    let content = path.to_origin.recv_content().await.unwrap();
    path.to_client.send_content(content).unwrap();
}

async fn next(session: &Session) -> DatagramItem {
    session.recv_verified_datagram().await.unwrap()
}

fn pending(sequence: u8, data: &'static [u8]) -> DatagramItem {
    DatagramItem::Data {
        sequence: sequence.into(),
        data: data.into(),
        signer: None,
    }
}

/// The origin's announcing stream at the relay, and the one that it has opened to the client. The key and the first list have
/// passed.
async fn announcing(path: &Path) -> (RecvStream, SendStream) {
    pass(path, b"signed").await;
    assert_eq!(next(&path.client).await, pending(0, b"signed"));
    let mut from = path.to_origin.accept_any_uni().await.unwrap();
    let mut to = path
        .to_client
        .open_uni_with(Payload::Announce)
        .await
        .unwrap();
    let verified = DatagramItem::Verified {
        sequence: 0u8.into(),
        signer: ORIGIN.id(),
    };
    let carried = async {
        loop {
            let chunk: Bytes = from.read_chunk(usize::MAX).await.unwrap().unwrap();
            to.write_chunk(chunk).await.unwrap();
        }
    };
    tokio::select! {
        item = next(&path.client) => assert_eq!(item, verified),
        () = carried => {}
    }
    (from, to)
}

/// What the client is told when a relay does this to the announcements.
async fn ends(end: impl AsyncFnOnce(&mut SendStream)) {
    within(async {
        let path = path().await;
        let (_from, mut to) = announcing(&path).await;
        end(&mut to).await;
        assert_eq!(next(&path.client).await, DatagramItem::SignaturesEnded);
        // Said once, and what comes is whole as far as its hash says.
        pass(&path, b"more").await;
        assert_eq!(next(&path.client).await, pending(1, b"more"));
        assert_eq!(path.client.close_reason(), None);
        path.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_learns_that_announcements_were_reset() {
    ends(async |to| to.reset(Code::new(77))).await;
    // As at the end of a session, which does not come.
    ends(async |to| to.reset(Code::SESSION_CLOSED)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_learns_that_announcements_were_finished() {
    ends(async |to| to.finish().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_learns_that_announcements_broke_a_rule() {
    ends(async |to| {
        let mut bytes = Vec::new();
        VarInt::from(FrameType::SEED).encode(&mut bytes);
        VarInt::from_u32(1 << 29).encode(&mut bytes);
        to.write_all(&bytes).await.unwrap();
    })
    .await;
}

/// Sends until it fails.
async fn refusal(session: &Session) -> VerifiedDatagramError {
    loop {
        if let Err(error) = session.send_verified_datagram(b"data") {
            assert_eq!(session.send_verified_datagram(b"again"), Err(error.clone()));
            return error;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_learns_that_announcements_were_stopped() {
    within(async {
        let path = path().await;
        let (mut from, _to) = announcing(&path).await;
        from.stop(Code::new(88));
        let error = refusal(&path.origin).await;
        assert_eq!(error, VerifiedDatagramError::Stopped(Code::new(88)));
        assert_eq!(error.code(), Code::new(88));
        // Only what asks for proofs fails.
        assert_eq!(path.origin.send_datagram("plain".into()), Ok(()));
        assert_eq!(path.origin.close_reason(), None);
        path.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_learn_that_one_takes_no_announcements() {
    within(async {
        let peers = Peers::with(|server, _| server.framed_streams = true);
        let (client, server) = peers.session().await;
        client.verify_datagrams(&trusting(&ORIGIN)).unwrap();
        server.verify_datagrams(&signing(&ORIGIN)).unwrap();
        assert_eq!(next(&client).await, DatagramItem::SignaturesEnded);
        let error = refusal(&server).await;
        assert_eq!(error, VerifiedDatagramError::Stopped(Code::UNSUPPORTED));
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_learns_that_its_key_does_not_sign() {
    within(async {
        let peers = Peers::new();
        let (client, _server) = peers.session().await;
        client.verify_datagrams(&signed_by_none()).unwrap();
        let error = refusal(&client).await;
        let no_key = SignError::Device("no key".into());
        assert_eq!(error, VerifiedDatagramError::Sign(no_key));
        assert_eq!(error.code(), Code::INTERNAL);
        peers.close().await;
    })
    .await;
}
