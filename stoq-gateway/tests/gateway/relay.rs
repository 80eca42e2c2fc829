//! What passes through, both ways.

use bytes::Bytes;
use stoq_core::close::Code;
use stoq_core::frame::Stats;
use stoq_core::hash::SessionHash;
use stoq_core::tier::Tier;
use stoq_gateway::Gateway;
use stoq_native::relay::LARGEST_DATAGRAM;
use stoq_native::{Payload, ReadError, WriteError};

use crate::page::{Asking, Page, http3, read_to_end};
use crate::target::{Target, echo};
use crate::{at_rest, config, meet, noise, session, until, within};

#[tokio::test]
async fn bytes_pass_unchanged_both_ways() {
    within(async {
        let (gateway, _target, page, session) = session().await;
        let serving = tokio::spawn(echo(session));
        for len in [0, 1, 1000, 1024, 70_000, 3_000_000] {
            let data = noise(len);
            let (mut send, mut receive) = page.open_bi().await;
            let sending = async {
                send.write_all(&data).await.unwrap();
                send.quic_stream_mut().finish().unwrap();
            };
            let (back, ()) = tokio::join!(read_to_end(&mut receive), sending);
            assert!(back.unwrap() == data, "{len} bytes came back different");
        }
        let numbers = gateway.metrics();
        assert_eq!(numbers.bytes_to_target, 3_072_025);
        assert_eq!(numbers.bytes_to_browser, 3_072_025);
        page.close(Code::NO_ERROR, "");
        serving.await.unwrap();
        until(&gateway, at_rest).await;
    })
    .await;
}

#[tokio::test]
async fn the_target_opens_streams_too() {
    within(async {
        let (_gateway, _target, page, session) = session().await;
        let (mut send, mut receive) = session.open_bi().await.unwrap();
        send.write_all(b"question").await.unwrap();
        send.finish().unwrap();
        let (mut page_send, mut page_receive, payload) = page.accept_bi().await;
        assert_eq!(payload, Payload::Raw);
        assert_eq!(read_to_end(&mut page_receive).await.unwrap(), b"question");
        page_send.write_all(b"answer").await.unwrap();
        page_send.quic_stream_mut().finish().unwrap();
        assert_eq!(receive.read_to_end(100).await.unwrap(), b"answer");

        let mut send = session.open_uni().await.unwrap();
        send.write_all(b"news").await.unwrap();
        send.finish().unwrap();
        let (mut page_receive, _) = page.accept_uni().await;
        assert_eq!(read_to_end(&mut page_receive).await.unwrap(), b"news");

        let mut page_send = page.open_uni().await;
        page_send.write_all(b"report").await.unwrap();
        page_send.quic_stream_mut().finish().unwrap();
        let mut receive = session.accept_uni().await.unwrap();
        assert_eq!(receive.read_to_end(100).await.unwrap(), b"report");
    })
    .await;
}

#[tokio::test]
async fn framed_streams_stay_framed() {
    within(async {
        let (_gateway, _target, page, session) = session().await;
        let (mut page_send, _page_receive) = page.open_bi_with(&[0x02]).await;
        page_send.write_all(b"frames").await.unwrap();
        page_send.quic_stream_mut().finish().unwrap();
        let (_send, mut receive) = session.accept_any_bi().await.unwrap();
        assert_eq!(receive.payload(), Payload::Framed);
        assert_eq!(receive.read_to_end(100).await.unwrap(), b"frames");

        let _send = session.open_uni_with(Payload::Framed).await.unwrap();
        let (_receive, payload) = page.accept_uni().await;
        assert_eq!(payload, Payload::Framed);
    })
    .await;
}

#[tokio::test]
async fn half_a_stream_can_end_while_the_other_goes_on() {
    within(async {
        let (_gateway, _target, page, session) = session().await;
        let (mut page_send, mut page_receive) = page.open_bi().await;
        page_send.write_all(b"all I have").await.unwrap();
        page_send.quic_stream_mut().finish().unwrap();
        let (mut send, mut receive) = session.accept_bi().await.unwrap();
        assert_eq!(receive.read_to_end(100).await.unwrap(), b"all I have");
        for part in [b"first ".as_slice(), b"second"] {
            send.write_all(part).await.unwrap();
            let mut read = vec![0; part.len()];
            page_receive.read_exact(&mut read).await.unwrap();
            assert_eq!(read, part);
        }
        send.finish().unwrap();
        assert_eq!(read_to_end(&mut page_receive).await.unwrap(), b"");
    })
    .await;
}

#[tokio::test]
async fn resets_and_stops_keep_their_codes() {
    within(async {
        let (_gateway, _target, page, session) = session().await;
        for code in [0, 1, 29, 30, 0x5354_0014, u32::MAX].map(Code::new) {
            let (mut page_send, mut page_receive) = page.open_bi().await;
            page_send.write_all(b"x").await.unwrap();
            let (mut send, mut receive) = session.accept_bi().await.unwrap();
            receive.read(&mut [0]).await.unwrap();
            page_send.quic_stream_mut().reset(http3(code)).unwrap();
            assert_eq!(receive.read(&mut [0]).await, Err(ReadError::Reset(code)));
            send.write_all(b"x").await.unwrap();
            page_receive.read(&mut [0]).await.unwrap();
            send.reset(code);
            assert_eq!(read_to_end(&mut page_receive).await, Err(code));

            let (mut page_send, mut page_receive) = page.open_bi().await;
            page_send.write_all(b"x").await.unwrap();
            let (mut send, mut receive) = session.accept_bi().await.unwrap();
            receive.stop(code);
            let stopped = page_send.quic_stream().stopped().await.unwrap();
            assert_eq!(stopped, Some(http3(code)));
            send.write_all(b"x").await.unwrap();
            page_receive.quic_stream_mut().stop(http3(code)).unwrap();
            assert_eq!(send.stopped().await.unwrap(), Some(code));
            assert_eq!(send.write_all(b"x").await, Err(WriteError::Stopped(code)));
        }
    })
    .await;
}

#[tokio::test]
async fn a_code_outside_the_space_becomes_the_named_one() {
    within(async {
        let (_gateway, _target, page, session) = session().await;
        let (mut page_send, _page_receive) = page.open_bi().await;
        page_send.write_all(b"x").await.unwrap();
        let (_send, mut receive) = session.accept_bi().await.unwrap();
        receive.read(&mut [0]).await.unwrap();
        // H3_REQUEST_CANCELLED: what a browser that knows nothing of WebTransport's codes would send.
        page_send
            .reset(wtransport::VarInt::from_u32(0x10c))
            .unwrap();
        assert_eq!(
            receive.read(&mut [0]).await,
            Err(ReadError::Reset(Code::UNMAPPED))
        );
    })
    .await;
}

#[tokio::test]
async fn datagrams_pass_and_too_large_ones_are_counted() {
    within(async {
        let (gateway, _target, page, session) = session().await;
        // What both hops carry, come what may; each knows it of the other.
        assert_eq!(page.max_datagram_size, LARGEST_DATAGRAM);
        let largest = LARGEST_DATAGRAM as usize;
        assert_eq!(session.max_datagram_size(), largest);
        page.send_datagram(&noise(largest));
        assert_eq!(session.recv_datagram().await.unwrap(), noise(largest));
        session.send_datagram(Bytes::from_static(b"down")).unwrap();
        assert_eq!(page.recv_datagram().await, b"down".as_slice());
        session.send_datagram(Bytes::new()).unwrap();
        assert_eq!(page.recv_datagram().await, b"".as_slice());

        // Whose it is cannot be read.
        page.connection.send_datagram([0x31]).unwrap();
        until(&gateway, |numbers| numbers.datagrams_dropped == 1).await;
        assert_eq!(gateway.metrics().datagrams_relayed, 3);
        // What it holds is none of the gateway's business.
        page.connection.send_datagram([0x21]).unwrap();
        page.send_datagram(b"next");
        assert_eq!(session.recv_datagram().await.unwrap(), b"next".as_slice());
        assert_eq!(session.stats().dropped_datagrams, 1);
    })
    .await;
}

#[tokio::test]
async fn datagrams_too_large_for_the_target_are_dropped() {
    within(async {
        let (gateway, _target, page, session) = session().await;
        // Over the same MTU a datagram of the browser has two bytes more than one of a multiplexed session, so this ends when
        // both hops have found out theirs.
        while gateway.metrics().datagrams_dropped == 0 {
            let largest = page.connection.max_datagram_size().unwrap() - 1;
            page.send_datagram(&noise(largest));
            page.round_trip(&session).await;
        }
    })
    .await;
}

#[tokio::test]
async fn datagrams_too_large_for_the_page_are_dropped() {
    within(async {
        let target = Target::start().await;
        let gateway = Gateway::bind(config(&target, &["echo"])).await.unwrap();
        let mut asking = Asking::path("/stoq/v1/echo");
        asking.max_datagram_size = 100;
        let (page, session) = tokio::join!(Page::ask(&gateway, asking), target.accept());
        let page = page.unwrap();
        session.send_datagram(noise(101).into()).unwrap();
        session.send_datagram(noise(100).into()).unwrap();
        assert_eq!(page.recv_datagram().await, noise(100));
        assert_eq!(gateway.metrics().datagrams_dropped, 1);
    })
    .await;
}

#[tokio::test]
async fn both_ends_share_the_session_hash() {
    within(async {
        let (_gateway, _target, page, session) = session().await;
        assert_eq!(page.hash, *session.hash().as_bytes());
        let expected = SessionHash::new(&[7; 32], &session.random(), "echo");
        assert_eq!(session.hash(), expected);
    })
    .await;
}

#[tokio::test]
async fn unknown_streams_are_read_and_ignored() {
    within(async {
        let (_gateway, _target, page, session) = session().await;
        let mut grease = page.open_uni_with(&[0x21]).await;
        let (mut strange, mut answer) = page.open_bi_with(&[0x40, 0x7f]).await;
        for send in [&mut grease, &mut strange] {
            send.write_all(&noise(3_000_000)).await.unwrap();
            send.finish().await.unwrap();
        }
        assert_eq!(read_to_end(&mut answer).await.unwrap(), b"");
        page.round_trip(&session).await;
    })
    .await;
}

#[tokio::test]
async fn streams_that_break_the_rules_are_refused_alone() {
    within(async {
        let (_gateway, _target, page, session) = session().await;
        for (header, code) in [
            (&[0x00][..], Code::FRAME),
            (&[0x40, 0x01], Code::FRAME),
            (&[0x40, 0x41, 0x05, 0x01], Code::UNKNOWN_SESSION),
        ] {
            let (send, mut receive) = page.open_bi_with(header).await;
            assert_eq!(read_to_end(&mut receive).await, Err(code), "{header:x?}");
            let stopped = send.quic_stream().stopped().await.unwrap();
            assert_eq!(stopped, Some(http3(code)), "{header:x?}");
        }
        page.round_trip(&session).await;
    })
    .await;
}

#[tokio::test]
async fn streams_that_end_before_their_header_get_no_whole_answer() {
    within(async {
        let (_gateway, _target, page, session) = session().await;
        // Nothing at all, and half a type.
        for begun in [&[][..], &[0x40]] {
            let (mut send, mut receive) = page.open_bi_with(begun).await;
            // By then the gateway reads it: a reset that comes sooner takes WebTransport's own header with it.
            page.round_trip(&session).await;
            let code = Code::new(42);
            send.quic_stream_mut().reset(http3(code)).unwrap();
            assert_eq!(read_to_end(&mut receive).await, Err(code), "{begun:x?}");

            let (mut send, mut receive) = page.open_bi_with(begun).await;
            send.quic_stream_mut().finish().unwrap();
            let answer = read_to_end(&mut receive).await;
            assert_eq!(answer, Err(Code::FRAME), "{begun:x?}");
        }
        page.round_trip(&session).await;
    })
    .await;
}

#[tokio::test]
async fn a_page_is_told_about_its_path() {
    within(async {
        let target = Target::start().await;
        let mut config = config(&target, &["echo"]);
        config.timing.stats = std::time::Duration::from_millis(10);
        let gateway = Gateway::bind(config).await.unwrap();
        let (mut page, session) = meet(&gateway, &target).await;
        page.round_trip(&session).await;
        let path = page.path.wait_for(Option::is_some).await.unwrap().unwrap();
        assert!(
            !path.rtt.is_zero() && !path.rtt_variation.is_zero() && path.congestion_window > 0,
            "{path:?}"
        );
        assert_eq!(path.tier, 0, "a few bytes say nothing of it: {path:?}");

        // With something to carry, there is a rate.
        let (mut send, _receive) = session.open_bi().await.unwrap();
        let load = tokio::spawn(async move { while send.write(&[7; 65_536]).await.is_ok() {} });
        let (_send, mut receive, _) = page.accept_bi().await;
        let reading = async {
            let stream = receive.quic_stream_mut();
            while stream.read_chunk(usize::MAX, true).await.is_ok() {}
        };
        let told = async {
            let (rate, window) = (1_000_000, path.congestion_window);
            let busy = |path: &Option<Stats>| {
                path.is_some_and(|path| path.send_rate > rate && path.congestion_window > window)
            };
            page.path.wait_for(busy).await.unwrap().unwrap()
        };
        let busy = tokio::select! {
            busy = told => busy,
            () = reading => panic!("the session has ended"),
        };
        assert_ne!(busy.rtt_variation, path.rtt_variation);
        assert!(busy.tier == 0 || Tier::from_number(busy.tier).is_some());
        load.abort();
    })
    .await;
}
