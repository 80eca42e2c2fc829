//! Streams whose header comes late, or never: peers that speak bare QUIC open them by opening a later one.

use std::time::Duration;

use quinn::VarInt;
use stoq_core::session_id::SessionId;
use stoq_core::stream::{Direction, Payload, StreamHeader};
use stoq_native::{Code, Session};
use tokio::task::JoinSet;

use crate::harness::{Peers, until, waits, within};
use crate::hostile::Bare;

const HEADER: StreamHeader = StreamHeader::Data {
    session: SessionId::ZERO,
    payload: Payload::Raw,
};

/// A stream that the server knows of by a later one at most.
async fn silent(bare: &Bare) -> quinn::SendStream {
    bare.quinn.open_bi().await.unwrap().0
}

/// A stream that says `which` behind its header. Resolves when the server has all of it.
async fn whole(bare: &Bare, which: u8) {
    let (mut send, _) = bare.open(Direction::Bidirectional, HEADER).await;
    send.write_all(&[which]).await.unwrap();
    send.finish().unwrap();
    assert_eq!(send.stopped().await, Ok(None));
}

/// What the next stream says.
async fn next(session: &Session) -> Vec<u8> {
    let (_, mut receive) = session.accept_bi().await.unwrap();
    receive.read_to_end(10).await.unwrap()
}

/// Time goes by for all that waits in this process. QUIC takes it for the length of the way, and would let a connection that is
/// closed wait three times as long for packets: so these tests do not wait for its end.
async fn let_pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    tokio::time::resume();
}

/// Longer than a stream that is in the way may be without its header.
const LONG: Duration = Duration::from_secs(6);

#[tokio::test]
async fn a_header_that_is_late_is_no_fault() {
    within(async {
        let peers = Peers::new();
        let (bare, session) = Bare::session(&peers).await;
        // The first packet of the stream is lost, as far as the server can see.
        let mut late = silent(&bare).await;
        whole(&bare, 2).await;
        assert_eq!(next(&session).await, [2]);
        let_pass(LONG).await;
        late.write_all(&[1, 1]).await.unwrap();
        late.finish().unwrap();
        tokio::select! {
            said = next(&session) => assert_eq!(said, [1]),
            stopped = late.stopped() => {
                assert_eq!(stopped, Ok(None));
                assert_eq!(next(&session).await, [1]);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn half_a_header_is_kept_until_the_rest_comes() {
    within(async {
        let peers = Peers::new();
        let (bare, session) = Bare::session(&peers).await;
        // A type that means nothing; its second byte alone is one that no such stream may have.
        let (mut send, mut receive) = bare.quinn.open_bi().await.unwrap();
        send.write_all(&[0x41]).await.unwrap();
        whole(&bare, 2).await;
        assert_eq!(next(&session).await, [2]);
        let_pass(LONG).await;
        send.write_all(&[0x00]).await.unwrap();
        // What means nothing is answered by nothing.
        assert_eq!(receive.read_to_end(10).await, Ok(Vec::new()));
    })
    .await;
}

#[tokio::test]
async fn streams_without_a_header_give_way_when_there_is_room_for_no_more() {
    within(async {
        let peers = Peers::new();
        let (bare, session) = Bare::session(&peers).await;
        let mut silents = Vec::new();
        for _ in 0..64 {
            silents.push(silent(&bare).await);
        }
        whole(&bare, 65).await;
        let mut behind = Box::pin(next(&session));
        assert!(waits(behind.as_mut()).await);
        let_pass(LONG).await;
        assert_eq!(behind.await, [65]);
        let late = VarInt::from_u32(Code::TIMEOUT.value());
        let mut stopped = JoinSet::new();
        for silent in &silents {
            stopped.spawn(silent.stopped());
        }
        let first = stopped.join_next().await.unwrap().unwrap();
        assert_eq!(first, Ok(Some(late)));
    })
    .await;
}

#[tokio::test]
async fn streams_that_never_say_their_header_leave_no_task_behind() {
    within(async {
        let peers = Peers::new();
        let tasks = || {
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
        };
        let before = tasks();
        let (bare, session) = Bare::session(&peers).await;
        let mut silents = Vec::new();
        for _ in 0..10 {
            silents.push(silent(&bare).await);
        }
        whole(&bare, 11).await;
        assert_eq!(next(&session).await, [11]);
        assert!(tasks() >= before + silents.len());
        session.close(Code::NO_ERROR, "");
        drop((session, silents, bare));
        peers.server.wait_idle().await;
        until(|| tasks() == before).await;
        peers.close().await;
    })
    .await;
}
