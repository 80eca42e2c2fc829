//! Peers that break the rules: which code stops their stream, and what the application is told.

use stoq_core::frame::{Frame, FrameType};
use stoq_core::reader::Fault;
use stoq_core::session_id::SessionId;
use stoq_core::stream::{Direction, Payload, StreamHeader};
use stoq_core::varint::VarInt;
use stoq_native::{AnnounceError, AnnouncementsError, Code, DecodeError, SeedEvent, Session};

use super::{peers, seed, told};
use crate::harness::{Peers, until, waits, within};
use crate::hostile::{Bare, encode};

/// An announcing stream of a bare client, and the server's end of its session.
async fn hostile(peers: &Peers) -> (Bare, quinn::SendStream, Session) {
    let (bare, session) = Bare::session(peers).await;
    let (mut announce, _) = bare.open(Direction::Unidirectional, header()).await;
    announce
        .write_all(&encode(&Frame::Seed(seed(1, 1))))
        .await
        .unwrap();
    told(&session, SeedEvent::Announced(seed(1, 1))).await;
    (bare, announce, session)
}

const fn header() -> StreamHeader {
    StreamHeader::Data {
        session: SessionId::ZERO,
        payload: Payload::Announce,
    }
}

/// With which code the server stops a stream, and what its application is told.
async fn stops(bytes: &[u8], code: Code) -> AnnounceError {
    let peers = peers();
    let (_bare, mut announce, session) = hostile(&peers).await;
    let told = async {
        loop {
            if let Err(error) = session.next_seed_event().await {
                return error;
            }
        }
    };
    let (error, ()) = tokio::join!(told, async {
        // The stop may come before all is written.
        let _ = announce.write_all(bytes).await;
        let stopped = announce.stopped().await.unwrap().unwrap();
        assert_eq!(Code::from_quic(stopped.into_inner()), code);
    });
    let AnnouncementsError::Violated(error) = error else {
        panic!("the peer broke a rule")
    };
    assert_eq!(error.code(), code);
    // The session is unharmed, and what was announced still stands.
    assert_eq!(session.close_reason(), None);
    assert_eq!(session.seed(&[1; 32]), Some(seed(1, 1)));
    let again = session.next_seed_event().await;
    assert_eq!(again, Err(AnnouncementsError::Violated(error)));
    peers.close().await;
    error
}

fn fault(error: AnnounceError) -> Fault {
    match error {
        AnnounceError::Frame(DecodeError::Malformed { fault, .. }) => fault,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn fields_out_of_their_range_stop_the_stream() {
    within(async {
        let mut bytes = encode(&Frame::Seed(seed(2, 1)));
        *bytes.last_mut().unwrap() = 101;
        let reliability = fault(stops(&bytes, Code::FRAME).await);
        let field = "reliability";
        assert_eq!(reliability, Fault::OutOfRange { field, got: 101 });

        let mut bytes = encode(&Frame::Seed(seed(2, 0)));
        *bytes.last_mut().unwrap() = 4;
        let priority = fault(stops(&bytes, Code::FRAME).await);
        let field = "priority";
        assert_eq!(priority, Fault::OutOfRange { field, got: 4 });
    })
    .await;
}

#[tokio::test]
async fn a_frame_over_its_limit_stops_the_stream() {
    within(async {
        let mut bytes = Vec::new();
        VarInt::from(FrameType::SEED).encode(&mut bytes);
        VarInt::from_u32(1 << 29).encode(&mut bytes);
        stops(&bytes, Code::FRAME_TOO_LARGE).await;
    })
    .await;
}

#[tokio::test]
async fn floods_stop_the_stream() {
    within(async {
        let seeds = encode(&Frame::Seed(seed(2, 0))).repeat(1000);
        let flood = stops(&seeds, Code::CONTROL_FLOOD).await;
        assert!(matches!(flood, AnnounceError::Seeds(_)), "{flood}");
        let unknown = [0x3f, 0x00].repeat(10_000);
        let flood = stops(&unknown, Code::CONTROL_FLOOD).await;
        assert!(matches!(flood, AnnounceError::Flood { .. }), "{flood}");
    })
    .await;
}

#[tokio::test]
async fn a_stream_may_end_between_frames_only() {
    within(async {
        let peers = peers();
        let (bare, mut announce, session) = hostile(&peers).await;
        announce.finish().unwrap();
        drop(announce);
        assert!(waits(session.next_seed_event()).await, "for what expires");
        bare.quinn.close(0u32.into(), b"");
        let ended = session.next_seed_event().await.unwrap_err();
        assert!(matches!(ended, AnnouncementsError::SessionClosed(_)));

        let (_bare, mut announce, session) = hostile(&peers).await;
        let cut = &encode(&Frame::Seed(seed(2, 9)))[..100];
        announce.write_all(cut).await.unwrap();
        announce.finish().unwrap();
        let error = AnnouncementsError::Violated(AnnounceError::Cut { got: 100 });
        assert_eq!(session.next_seed_event().await, Err(error));

        let (_bare, mut announce, session) = hostile(&peers).await;
        announce.reset(77u32.into()).unwrap();
        let error = AnnouncementsError::Reset(Code::new(77));
        assert_eq!(session.next_seed_event().await, Err(error));
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_second_stream_is_stopped_and_counted() {
    within(async {
        let peers = peers();
        let (bare, mut announce, session) = hostile(&peers).await;
        for number in 1..=3 {
            let (second, _) = bare.open(Direction::Unidirectional, header()).await;
            let code = second.stopped().await.unwrap().unwrap();
            assert_eq!(Code::from_quic(code.into_inner()), Code::PROTOCOL);
            let connection = session.connection();
            until(|| connection.stats().refused_announcements == number).await;
        }
        // The first goes on.
        announce
            .write_all(&encode(&Frame::Seed(seed(2, 1))))
            .await
            .unwrap();
        told(&session, SeedEvent::Announced(seed(2, 1))).await;
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_endless_stream_that_nobody_reads_waits_with_the_peer() {
    within(async {
        let window = 16 * 1024;
        let peers = Peers::with(|server, _| {
            server.framed_streams = true;
            server.transport.limits.stream_window = window;
        });
        let (bare, session) = Bare::session(&peers).await;
        let (mut announce, _) = bare.open(Direction::Unidirectional, header()).await;
        let frames = encode(&Frame::Seed(seed(1, 10))).repeat(1000);
        let mut sent = 0;
        while !waits(announce.write(&frames[sent..sent + 1])).await {
            sent += 1;
        }
        assert!(sent <= window as usize, "{sent} of {window}");
        // The session goes on beside it.
        let raw = StreamHeader::Data {
            session: SessionId::ZERO,
            payload: Payload::Raw,
        };
        let (mut send, _) = bare.open(Direction::Unidirectional, raw).await;
        send.write_all(b"beside").await.unwrap();
        send.finish().unwrap();
        let mut receive = session.accept_uni().await.unwrap();
        assert_eq!(receive.read_to_end(6).await.unwrap(), b"beside");
        assert_eq!(session.stats().seeds.received, 0);
        peers.close().await;
    })
    .await;
}
