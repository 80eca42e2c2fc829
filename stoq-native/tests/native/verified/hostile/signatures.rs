//! A relay that drops signatures, makes its own, or takes those of another session.

use stoq_native::{ChannelError, Code};

use super::{carried, verified};
use crate::harness::within;
use crate::verified::relay::{Frames, Path};
use crate::verified::{ORIGIN, OTHER, signing, trusting};

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_signature_is_found_out() {
    within(async {
        let (read, end) = carried(|it| {
            let first = it.signatures()[0];
            it.frames.remove(first);
        })
        .await;
        let error = end.unwrap_err();
        assert!(matches!(error, ChannelError::Unsigned { .. }), "{error}");
        assert_eq!((error.sequence().into_inner(), read.len()), (0, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_the_relay_signs_itself_is_of_no_origin() {
    within(async {
        let path = Path::new().await;
        let mut forged = path
            .to_client
            .open_verified_uni(&signing(&OTHER))
            .await
            .unwrap();
        let _ = forged.write("mine".into()).await;
        let _ = forged.finish().await;
        let config = trusting(&ORIGIN);
        let mut receive = path.client.accept_verified_uni(&config).await.unwrap();
        let (read, end) = verified(&mut receive).await;
        let (error, signer) = (end.unwrap_err(), OTHER.id());
        let sequence = error.sequence();
        assert_eq!(error, ChannelError::UntrustedOrigin { sequence, signer });
        assert_eq!(read, b"");
        assert_eq!(path.client.stats().refused.untrusted_origins, 1);
        let told = forged.stopped().await.unwrap();
        assert!(told.is_none_or(|told| told == Code::UNTRUSTED_ORIGIN));
        path.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sessions_cannot_be_spliced() {
    within(async {
        let (here, there) = (Path::new().await, Path::new().await);
        let send = |path: &Path| {
            let origin = path.origin.clone();
            async move {
                let mut send = origin.open_verified_uni(&signing(&ORIGIN)).await.unwrap();
                send.write("the same file".into()).await.unwrap();
                send.finish().await.unwrap();
            }
        };
        tokio::join!(send(&here), send(&there));
        let mut elsewhere = there.to_origin.accept_any_uni().await.unwrap();
        let elsewhere = Frames::read(&mut elsewhere, true, there.client.hash()).await;
        let _relayed = here.carry_uni(|it| *it = elsewhere).await;
        let config = trusting(&ORIGIN);
        let mut receive = here.client.accept_verified_uni(&config).await.unwrap();
        let (read, end) = verified(&mut receive).await;
        assert!(matches!(end, Err(ChannelError::BadTag { .. })), "{end:?}");
        assert_eq!(read, b"");
        here.close().await;
        there.close().await;
    })
    .await;
}
