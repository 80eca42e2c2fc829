//! Turns over real sockets.

use core::future::poll_fn;
use core::task::Waker;
use std::io::IoSliceMut;
use std::net::Ipv4Addr;
use std::sync::Mutex;

use proptest::prelude::*;
use quinn::AsyncUdpSocket as _;
use quinn::udp::RecvMeta;

use super::super::{QuinnSocket, SocketConfig, bind};
use super::*;
use crate::transport::IpVersions;

fn socket() -> QuinnSocket {
    let any = (Ipv4Addr::LOCALHOST, 0).into();
    let bound = bind(any, IpVersions::V4Only, &SocketConfig::default());
    QuinnSocket::new(bound.unwrap(), 1452, None).unwrap()
}

/// Datagrams as the system gave them: one list for each that it gave as one.
async fn receive(socket: &QuinnSocket, datagrams: usize) -> Vec<Vec<Vec<u8>>> {
    let mut buffer = vec![0; 4 * 65_536];
    let (mut came, mut count) = (Vec::new(), 0);
    while count < datagrams {
        let mut bufs: Vec<_> = buffer.chunks_mut(65_536).map(IoSliceMut::new).collect();
        let mut metas = [RecvMeta::default(); 4];
        let received = poll_fn(|cx| socket.poll_recv(cx, &mut bufs, &mut metas)).await;
        for (buf, meta) in bufs.iter().zip(&metas[..received.unwrap()]) {
            let datagrams = buf[..meta.len].chunks(meta.stride.max(1));
            came.push(datagrams.map(<[u8]>::to_vec).collect::<Vec<_>>());
            count += came.last().map_or(0, Vec::len);
        }
    }
    came
}

/// Whether nothing is there that could be received.
fn is_empty(socket: &QuinnSocket) -> bool {
    let mut buffer = [0; 2048];
    socket.wire().io.try_recv(&mut buffer).is_err()
}

fn batch<'a>(to: SocketAddr, contents: &'a [u8], segment: usize) -> Transmit<'a> {
    Transmit {
        destination: to,
        ecn: None,
        contents,
        segment_size: (contents.len() > segment).then_some(segment),
        src_ip: None,
    }
}

/// A driver that sends this in one turn, which it has at once.
fn in_one_turn(send: impl FnOnce()) {
    let mut send = Some(send);
    let mut driver = Turns::of(poll_fn(|_| {
        send.take().unwrap()();
        Poll::Ready(())
    }));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(
        Pin::new(&mut driver).poll(&mut cx).is_pending(),
        "others first"
    );
    assert!(Pin::new(&mut driver).poll(&mut cx).is_ready());
}

async fn writable(socket: &QuinnSocket) {
    poll_fn(|cx| socket.wire().io.poll_send_ready(cx))
        .await
        .unwrap();
}

#[tokio::test]
async fn full_batches_of_a_turn_go_out_as_one() {
    let (sender, receiver) = (socket(), socket());
    let to = receiver.local_addr().unwrap();
    writable(&sender).await;
    let mut contents = vec![0; 35 * 1452 + 700];
    aws_lc_rs::rand::fill(&mut contents).unwrap();
    in_one_turn(|| {
        for batch in contents.chunks(10 * 1452) {
            sender.try_send(&self::batch(to, batch, 1452)).unwrap();
        }
    });
    let came = receive(&receiver, 36).await;
    assert_eq!(came.len(), 1, "they were sent one by one");
    assert!(came.concat().concat() == contents);
}

/// A driver that stops at its own bound is asked for more once, if there is room for as much again.
#[tokio::test]
async fn a_turn_takes_what_a_driver_gives_twice() {
    let (sender, receiver) = (socket(), socket());
    let to = receiver.local_addr().unwrap();
    writable(&sender).await;
    let contents = vec![7; 10 * 1452];
    for (batches, asked, came_at_once) in [(1, 1, 10), (2, 2, 40)] {
        let mut polls = 0;
        let mut driver = Turns::of(poll_fn(|_| {
            polls += 1;
            for _ in 0..batches {
                sender.try_send(&batch(to, &contents, 1452)).unwrap();
            }
            Poll::Pending
        }));
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..2 {
            assert!(Pin::new(&mut driver).poll(&mut cx).is_pending());
        }
        assert_eq!(polls, asked);
        let came = receive(&receiver, came_at_once).await;
        assert_eq!(came.len(), 1);
        assert_eq!(came[0].len(), came_at_once);
    }
}

#[tokio::test]
async fn a_driver_has_its_turn_after_who_was_ready_before() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let note = |name: &'static str| {
        let log = log.clone();
        move || log.lock().unwrap().push(name)
    };
    let driver = Turns::of(Box::pin({
        let note = note("driver");
        async move { note() }
    }));
    let driver = tokio::spawn(driver);
    let tasks = ["first", "second"].map(|name| {
        let note = note(name);
        tokio::spawn(async move { note() })
    });
    driver.await.unwrap();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*log.lock().unwrap(), ["first", "second", "driver"]);
}

#[tokio::test]
async fn what_finds_no_room_at_the_end_of_a_turn_is_sent_when_there_is_room() {
    let (sender, receiver) = (socket(), socket());
    let to = receiver.local_addr().unwrap();
    let contents = vec![7; 10 * 1452];
    // tokio has not been told yet that the socket is writable, and so says that it is not.
    in_one_turn(|| sender.try_send(&batch(to, &contents, 1452)).unwrap());
    assert!(sender.wire().is_blocked());
    let error = sender.try_send(&batch(to, &contents, 1452)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    let came = tokio::select! {
        came = receive(&receiver, 10) => came,
        _ = receive(&sender, 1) => unreachable!("nothing is sent there"),
    };
    assert_eq!(came.concat().concat(), contents);
    assert!(!sender.wire().is_blocked());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a turn sends, to whom and in which sizes: every datagram arrives once, whole, and in order.
    #[test]
    fn nothing_is_lost_mixed_or_sent_twice(
        batches in proptest::collection::vec((0usize..2, 1usize..=12, 1usize..=1452, 0usize..3), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (sender, receivers) = (socket(), [socket(), socket()]);
            writable(&sender).await;
            let mut expected = [vec![], vec![]];
            let batches: Vec<_> = batches
                .iter()
                .enumerate()
                .map(|(number, &(to, count, last, size))| {
                    let segment = [1452, 1452, 1200][size];
                    let contents = vec![number as u8; (count - 1) * segment + last.min(segment)];
                    expected[to].extend(contents.chunks(segment).map(<[u8]>::to_vec));
                    (to, contents, segment)
                })
                .collect();
            in_one_turn(|| {
                for (to, contents, segment) in &batches {
                    let to = receivers[*to].local_addr().unwrap();
                    sender.try_send(&batch(to, contents, *segment)).unwrap();
                }
            });
            for (receiver, expected) in receivers.iter().zip(expected) {
                let came = receive(receiver, expected.len()).await;
                prop_assert_eq!(came.concat(), expected);
prop_assert!(is_empty(receiver), "more came than was sent");
            }
            Ok(())
        })?;
    }
}
