//! A relay that changes, drops, repeats or reorders data, or cuts it short.

use stoq_core::stream::Direction;
use stoq_core::token::Flow;
use stoq_native::ChannelError;

use super::{carried, is_prefix, messages};
use crate::harness::within;
use crate::verified::relay::Frames;

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_relay_carries_everything() {
    within(async {
        let (read, end) = carried(|_| ()).await;
        assert_eq!((read == messages(6), end), (true, Ok(())));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_data_is_named() {
    within(async {
        let (read, end) = carried(|it| {
            let data = it.token(3) + 1;
            *it.frames[data].last_mut().unwrap() ^= 1;
        })
        .await;
        let error = end.unwrap_err();
        assert!(matches!(error, ChannelError::BadTag { .. }), "{error}");
        assert_eq!(error.sequence().into_inner(), 3);
        assert!(is_prefix(&read) && read.len() <= 3000);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_with_a_new_token_does_not_pass() {
    within(async {
        let (read, end) = carried(|it| {
            let channel = it.channel.unwrap();
            it.forge(
                0,
                (Direction::Unidirectional, Flow::ToClient),
                channel,
                b"another file",
            );
        })
        .await;
        let error = end.unwrap_err();
        assert!(
            matches!(error, ChannelError::BadSignature { .. }),
            "{error}"
        );
        assert_eq!((error.sequence().into_inner(), read.len()), (0, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_data_is_missing() {
    within(async {
        let (read, end) = carried(|it| {
            let at = it.token(2);
            it.frames.drain(at..at + 2);
        })
        .await;
        let error = end.unwrap_err();
        assert!(matches!(error, ChannelError::Missing { .. }), "{error}");
        assert_eq!(error.sequence().into_inner(), 2);
        assert!(is_prefix(&read));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_cut_short_is_truncated() {
    within(async {
        // Behind data; behind a signature, where all is well so far; and at the very beginning.
        let cuts: [fn(&Frames) -> usize; 3] =
            [|it| it.token(3) + 2, |it| it.signatures()[0] + 1, |_| 0];
        for cut in cuts {
            let (read, end) = carried(|it| it.frames.truncate(cut(it))).await;
            let error = end.unwrap_err();
            assert!(matches!(error, ChannelError::Truncated { .. }), "{error}");
            assert!(is_prefix(&read));
            assert_eq!(read.len() as u64, error.sequence().into_inner() * 1000);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_data_is_replayed() {
    within(async {
        let (read, end) = carried(|it| {
            let at = it.token(4);
            let again = it.frames[at..at + 2].to_vec();
            it.frames.splice(at..at, again);
        })
        .await;
        let error = end.unwrap_err();
        assert!(matches!(error, ChannelError::Replayed { .. }), "{error}");
        assert_eq!(error.sequence().into_inner(), 4);
        assert!(is_prefix(&read));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reordered_data_is_found_out() {
    within(async {
        let (read, end) = carried(|it| {
            let (first, second) = (it.token(0), it.token(1));
            it.frames.swap(first, second);
            it.frames.swap(first + 1, second + 1);
        })
        .await;
        let error = end.unwrap_err();
        assert!(matches!(error, ChannelError::Missing { .. }), "{error}");
        assert_eq!((error.sequence().into_inner(), read.len()), (0, 0));
    })
    .await;
}
