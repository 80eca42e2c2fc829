//! Announcements pass unread, both ways, and so do their ends.

use std::net::Ipv6Addr;

use stoq_core::announce::Announcements;
use stoq_core::close::Code;
use stoq_core::frame::{Frame, Seed, SeedNode, SeedPriority};
use stoq_core::identity::FalconId;
use stoq_core::seeds::{Limits, SeedEvent};
use stoq_core::time::Timestamp;
use stoq_native::{AnnouncementsError, Payload, SendSeedError};

use crate::page::http3;
use crate::{at_rest, session, until, within};

fn seed(content: u8, reliability: u8) -> Seed {
    let node = SeedNode {
        id: FalconId::new([content; 32]),
        address: Ipv6Addr::LOCALHOST,
        port: 4433,
        reliability,
    };
    Seed {
        content: [content; 32],
        replication: 2,
        priority: SeedPriority::Critical,
        nodes: vec![node; 1],
    }
}

fn frame(seed: &Seed) -> Vec<u8> {
    let mut bytes = Vec::new();
    Frame::Seed(seed.clone()).encode(&mut bytes);
    bytes
}

/// What a stream of this kind begins with.
const ANNOUNCE: &[u8] = &[0x04];

#[tokio::test]
async fn seeds_pass_both_ways() {
    within(async {
        let (gateway, _target, page, session) = session().await;
        let mut send = page.open_uni_with(ANNOUNCE).await;
        for content in 1..=3 {
            send.write_all(&frame(&seed(content, 100))).await.unwrap();
            let told = session.next_seed_event().await;
            assert_eq!(told, Ok(SeedEvent::Announced(seed(content, 100))));
        }

        session.send_seed(&seed(4, 50)).await.unwrap();
        session.send_seed(&seed(4, 60)).await.unwrap();
        let (mut receive, payload) = page.accept_uni().await;
        assert_eq!(payload, Payload::Announce);
        let mut announced = Announcements::new(Limits::default());
        while announced.seeds().counters().received < 2 {
            let stream = receive.quic_stream_mut();
            let chunk = stream.read_chunk(usize::MAX, true).await.unwrap().unwrap();
            let now = Timestamp::default();
            announced.feed(now, &chunk.bytes).unwrap();
        }
        assert_eq!(announced.seeds().get(&[4; 32]), Some(&seed(4, 60)));

        page.close(Code::NO_ERROR, "");
        let error = session.next_seed_event().await.unwrap_err();
        assert!(
            matches!(error, AnnouncementsError::SessionClosed(_)),
            "{error}"
        );
        until(&gateway, at_rest).await;
    })
    .await;
}

#[tokio::test]
async fn what_a_target_finds_wrong_reaches_the_page() {
    within(async {
        let (_gateway, _target, page, session) = session().await;
        let mut send = page.open_uni_with(ANNOUNCE).await;
        send.write_all(&frame(&seed(1, 100))).await.unwrap();
        session.next_seed_event().await.unwrap();

        // One is enough.
        let second = page.open_uni_with(ANNOUNCE).await;
        let stopped = second.quic_stream().stopped().await.unwrap();
        assert_eq!(stopped, Some(http3(Code::PROTOCOL)));

        let mut wrong = frame(&seed(2, 100));
        *wrong.last_mut().unwrap() = 101;
        send.write_all(&wrong).await.unwrap();
        let error = session.next_seed_event().await.unwrap_err();
        assert_eq!(error.code(), Code::FRAME);
        let stopped = send.quic_stream().stopped().await.unwrap();
        assert_eq!(stopped, Some(http3(Code::FRAME)));
    })
    .await;
}

#[tokio::test]
async fn a_page_that_wants_none_stops_the_target() {
    within(async {
        let (_gateway, _target, page, session) = session().await;
        session.send_seed(&seed(1, 1)).await.unwrap();
        let (mut receive, _) = page.accept_uni().await;
        receive
            .quic_stream_mut()
            .stop(http3(Code::UNSUPPORTED))
            .unwrap();
        let error = loop {
            match session.send_seed(&seed(1, 1)).await {
                Ok(()) => tokio::task::yield_now().await,
                Err(error) => break error,
            }
        };
        assert_eq!(error, SendSeedError::Stopped(Code::UNSUPPORTED));
    })
    .await;
}

#[tokio::test]
async fn the_end_of_announcements_passes_too() {
    within(async {
        let (_gateway, _target, page, session) = session().await;
        let mut send = page.open_uni_with(ANNOUNCE).await;
        send.write_all(&frame(&seed(1, 1))).await.unwrap();
        session.next_seed_event().await.unwrap();
        send.quic_stream_mut().reset(http3(Code::new(9))).unwrap();
        let error = session.next_seed_event().await.unwrap_err();
        assert_eq!(error, AnnouncementsError::Reset(Code::new(9)));
    })
    .await;
}

#[tokio::test]
async fn announcements_that_nobody_reads_hold_up_nothing_else() {
    within(async {
        let (_gateway, _target, page, session) = session().await;
        let mut send = page.open_uni_with(ANNOUNCE).await;
        let frames = frame(&seed(1, 1)).repeat(1000);
        let mut sent = 0;
        // Until all windows on the way are full.
        while tokio::time::timeout(
            std::time::Duration::from_millis(200),
            send.write_all(&frames),
        )
        .await
        .is_ok()
        {
            sent += frames.len();
            assert!(sent < 64 << 20, "there is no end to it");
        }
        page.round_trip(&session).await;
        let mut page_send = page.open_uni().await;
        page_send.write_all(b"beside").await.unwrap();
        page_send.quic_stream_mut().finish().unwrap();
        let mut receive = session.accept_uni().await.unwrap();
        assert_eq!(receive.read_to_end(6).await.unwrap(), b"beside");
    })
    .await;
}
