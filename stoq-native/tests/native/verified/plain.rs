//! Verified streams between two ends.

use bytes::Bytes;
use stoq_native::{
    ChannelConfig, ChannelError, Code, CutShort, Delivery, FalconSigner, HashFunction, Item,
    Priority, ReadError, RefusedChannels, SignError, VerifiedReadError, VerifiedWriteError,
    WriteError,
};

use super::{ORIGIN, OTHER, signed_by_none, signing, trusting};
use crate::harness::{Peers, pattern, within};

pub(super) fn peers() -> Peers {
    Peers::with(|server, client| {
        server.framed_streams = true;
        client.framed_streams = true;
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn megabytes_go_both_ways_and_both_are_verified() {
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        let data = Bytes::from(pattern(20 << 20));
        for hash in [HashFunction::Blake3, HashFunction::Sha256] {
            let mut here = signing(&ORIGIN).from_origins([OTHER.id()]);
            here.hash = hash;
            let there = signing(&OTHER).from_origins([ORIGIN.id()]);
            let echo = async {
                let (mut send, mut receive) = server.accept_verified_bi(&there).await.unwrap();
                while let Some(item) = receive.next().await.unwrap() {
                    if let Item::Data { data, verified, .. } = item {
                        assert!(verified);
                        send.write(data).await.unwrap();
                    }
                }
                assert_eq!(receive.signer(), Some(ORIGIN.id()));
                send.finish().await.unwrap();
            };
            let (mut send, mut receive) = client.open_verified_bi(&here).await.unwrap();
            let ask = async {
                for piece in data.chunks(100_000) {
                    send.write(data.slice_ref(piece)).await.unwrap();
                }
                send.finish().await.unwrap();
            };
            let ((), (), read) = tokio::join!(echo, ask, receive.read_to_end(data.len()));
            assert!(read.unwrap() == data);
            assert_eq!(receive.signer(), Some(OTHER.id()));
        }
        assert_eq!(client.stats().refused, RefusedChannels::default());
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_a_multiplexed_session_are_verified() {
    within(async {
        let peers = peers();
        let connection = peers.connection().await;
        let (client, server) = peers.multiplexed(&connection).await;
        let mut sending = tokio::task::JoinSet::new();
        for stream in 0..20u8 {
            let server = server.clone();
            sending.spawn(async move {
                let mut send = server.open_verified_uni(&signing(&ORIGIN)).await.unwrap();
                send.write(vec![stream; 50_000].into()).await.unwrap();
                send.finish().await.unwrap();
                send
            });
        }
        let mut seen = Vec::new();
        for _ in 0..20 {
            let mut receive = client
                .accept_verified_uni(&trusting(&ORIGIN))
                .await
                .unwrap();
            let read = receive.read_to_end(50_000).await.unwrap();
            assert_eq!(read, vec![read[0]; 50_000]);
            seen.push(read[0]);
        }
        seen.sort();
        assert_eq!(seen, Vec::from_iter(0..20));
        sending.join_all().await;
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_data_comes_at_once_and_the_word_for_it_by_itself() {
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        let mut config = trusting(&ORIGIN);
        config.delivery = Delivery::Pending;
        config.keys = vec![ORIGIN.verifying_key().clone()];
        let mut send = client.open_verified_uni(&signing(&ORIGIN)).await.unwrap();
        // Nothing more is written: the run is signed because it grows old.
        send.write("data".into()).await.unwrap();
        let mut receive = server.accept_verified_uni(&config).await.unwrap();
        let (data, sequence) = (Bytes::from("data"), 0u8.into());
        let verified = false;
        assert_eq!(
            receive.next().await,
            Ok(Some(Item::Data {
                sequence,
                data,
                verified
            })),
        );
        let word = |through: u8, is_final| Item::Verified {
            through: through.into(),
            signer: ORIGIN.id(),
            is_final,
            answers: 0u8.into(),
            answers_all: true,
        };
        assert_eq!(receive.next().await, Ok(Some(word(0, false))));
        send.finish().await.unwrap();
        assert_eq!(receive.next().await, Ok(Some(word(1, true))));
        assert_eq!(receive.next().await, Ok(None));
        assert_eq!(receive.next().await, Ok(None), "the end stays the end");
        assert_eq!(send.stopped().await, Ok(None));
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_signs_without_waiting_for_time() {
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        let mut config = signing(&ORIGIN);
        let (urgency, incremental) = (1, true);
        config.priority = Some(Priority {
            urgency,
            incremental,
        });
        let mut send = client.open_verified_uni(&config).await.unwrap();
        let mut receive = server
            .accept_verified_uni(&trusting(&ORIGIN))
            .await
            .unwrap();
        let priority = receive.next().await.unwrap();
        assert_eq!(priority, config.priority.map(Item::Priority));
        assert_eq!(receive.next().await, Ok(Some(Item::Key(ORIGIN.id()))));
        for message in 0..3u8 {
            send.write(vec![message].into()).await.unwrap();
            send.flush().await.unwrap();
            let sequence = message.into();
            let data = Bytes::from(vec![message]);
            let verified = true;
            assert_eq!(
                receive.next().await,
                Ok(Some(Item::Data {
                    sequence,
                    data,
                    verified
                }))
            );
            let word = receive.next().await.unwrap().unwrap();
            assert!(matches!(word, Item::Verified { through, .. } if through == sequence));
        }
        send.flush().await.unwrap();
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_signer_there_is_no_more_than_integrity() {
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        let unsigned = ChannelConfig::default();
        let mut send = client.open_verified_uni(&unsigned).await.unwrap();
        send.write("data".into()).await.unwrap();
        send.finish().await.unwrap();
        let mut receive = server.accept_verified_uni(&unsigned).await.unwrap();
        let item = receive.next().await.unwrap().unwrap();
        assert!(
            matches!(
                item,
                Item::Data {
                    verified: false,
                    ..
                }
            ),
            "{item:?}"
        );
        assert_eq!(receive.next().await, Ok(None));
        assert_eq!(receive.signer(), None);

        // Who names origins does not take it.
        let mut send = client.open_verified_uni(&unsigned).await.unwrap();
        send.write("data".into()).await.unwrap();
        send.finish().await.unwrap();
        let mut receive = server
            .accept_verified_uni(&trusting(&ORIGIN))
            .await
            .unwrap();
        let end = receive.next().await;
        let sequence = 0u8.into();
        let truncated = VerifiedReadError::Channel(ChannelError::Truncated { sequence });
        assert_eq!(end, Err(truncated.clone()));
        assert_eq!(receive.next().await, Err(truncated), "the same again");
        assert_eq!(server.stats().refused.truncated, 1);
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_stream_is_reset() {
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        let mut send = client.open_verified_uni(&signing(&ORIGIN)).await.unwrap();
        send.write("data".into()).await.unwrap();
        let mut receive = server
            .accept_verified_uni(&trusting(&ORIGIN))
            .await
            .unwrap();
        drop(send);
        let end = loop {
            match receive.next().await {
                Ok(Some(_)) => {}
                end => break end,
            }
        };
        let reset = VerifiedReadError::Read(ReadError::Reset(Code::CANCELLED));
        assert_eq!(end, Err(reset));

        let mut send = client.open_verified_uni(&signing(&ORIGIN)).await.unwrap();
        drop(
            server
                .accept_verified_uni(&trusting(&ORIGIN))
                .await
                .unwrap(),
        );
        assert_eq!(send.stopped().await, Ok(Some(Code::CANCELLED)));
        let stopped = VerifiedWriteError::Write(WriteError::Stopped(Code::CANCELLED));
        let error = loop {
            if let Err(error) = send.write("data".into()).await {
                break error;
            }
        };
        assert_eq!(error, stopped);
        assert_eq!(send.finish().await, Err(stopped));

        let mut send = client.open_verified_uni(&signing(&ORIGIN)).await.unwrap();
        send.reset(Code::new(7)).await;
        let closed = VerifiedWriteError::Write(WriteError::ClosedStream);
        assert_eq!(send.write("data".into()).await, Err(closed));
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_are_given_up_leave_whole_frames() {
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        let mut send = client.open_verified_uni(&signing(&ORIGIN)).await.unwrap();
        let data = Bytes::from(pattern(4 << 20));
        // Each is given up as soon as it has to wait.
        let mut gone = 0;
        let mut receive = server
            .accept_verified_uni(&trusting(&ORIGIN))
            .await
            .unwrap();
        let write = async {
            for _ in 0..40 {
                let write = send.write(data.clone());
                let waits = tokio::time::timeout(std::time::Duration::ZERO, write).await;
                gone += usize::from(waits.is_err());
            }
            send.finish().await.unwrap();
        };
        let read = async {
            let mut last = None;
            while let Some(item) = receive.next().await.unwrap() {
                last = Some(item);
            }
            last
        };
        let ((), last) = tokio::join!(write, read);
        assert!(gone > 0, "some had to wait");
        let is_final = matches!(last, Some(Item::Verified { is_final: true, .. }));
        assert!(is_final, "{last:?}");
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_ends_before_the_question_does_is_told_to_who_asks() {
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        for partial in [false, true] {
            let mut config = trusting(&ORIGIN);
            config.partial_answers = partial;
            let answer = async {
                let (mut send, _receive) =
                    server.accept_verified_bi(&signing(&ORIGIN)).await.unwrap();
                send.write("no".into()).await.unwrap();
                send.finish().await.unwrap();
                send.stopped().await.unwrap();
            };
            let ask = async {
                let (mut send, mut receive) = client.open_verified_bi(&config).await.unwrap();
                send.write("may".into()).await.unwrap();
                assert_eq!(receive.read_to_end(2).await.unwrap(), b"no");
                let finished = send.finish().await;
                let cut = CutShort {
                    answered: 0,
                    sent: 1,
                };
                match partial {
                    true => assert_eq!(finished, Ok(())),
                    false => assert_eq!(finished, Err(VerifiedWriteError::CutShort(cut))),
                }
            };
            tokio::join!(answer, ask);
        }
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_reported_while_much_is_sent() {
    const FRAMES: u32 = 4000;
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        let mut config = trusting(&ORIGIN);
        config.delivery = Delivery::Pending;
        let answer = async {
            let (mut send, mut receive) =
                server.accept_verified_bi(&signing(&ORIGIN)).await.unwrap();
            let mut frames = 0;
            while let Some(item) = receive.next().await.unwrap() {
                frames += u32::from(matches!(item, Item::Data { .. }));
                if frames % 100 == 1 {
                    // The run is signed when it is a quarter of a second old.
                    send.write(frames.to_be_bytes().to_vec().into())
                        .await
                        .unwrap();
                }
            }
            assert_eq!(frames, FRAMES);
            send.finish().await.unwrap();
        };
        let (mut send, mut receive) = client.open_verified_bi(&config).await.unwrap();
        let ask = async {
            for _ in 0..FRAMES {
                send.write("some".into()).await.unwrap();
            }
            send.finish().await.unwrap();
        };
        let read = async {
            let mut answers = 0;
            while let Some(item) = receive.next().await.unwrap() {
                if let Item::Verified {
                    answers: frames, ..
                } = item
                {
                    answers = frames.into_inner();
                }
            }
            assert_eq!(answers, u64::from(FRAMES));
        };
        tokio::join!(answer, ask, read);
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_that_fails_is_told_to_the_writer() {
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        let config = signed_by_none();
        let mut send = client.open_verified_uni(&config).await.unwrap();
        send.write("data".into()).await.unwrap();
        let failed = VerifiedWriteError::Sign(SignError::Device("no key".into()));
        assert_eq!(send.flush().await, Err(failed.clone()));
        assert_eq!(send.finish().await, Err(failed.clone()));
        let mut send = client.open_verified_uni(&config).await.unwrap();
        assert_eq!(send.finish().await, Err(failed));
        drop(server);
        peers.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_an_id_holds_up_no_other() {
    within(async {
        let peers = peers();
        let (client, server) = peers.session().await;
        let framed = stoq_native::Payload::Framed;
        let _silent = client.open_uni_with(framed).await.unwrap();
        let mut gone = client.open_uni_with(framed).await.unwrap();
        gone.write_all(&[1; 15]).await.unwrap();
        gone.finish().unwrap();
        let mut send = client.open_verified_uni(&signing(&ORIGIN)).await.unwrap();
        send.write("data".into()).await.unwrap();
        send.finish().await.unwrap();
        let mut receive = server
            .accept_verified_uni(&trusting(&ORIGIN))
            .await
            .unwrap();
        assert_eq!(receive.read_to_end(4).await.unwrap(), b"data");
        peers.close().await;
    })
    .await;
}
