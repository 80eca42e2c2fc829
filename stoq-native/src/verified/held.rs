//! What the verified streams of one session hold back together.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use stoq_core::channel::MAX_SESSION_BYTES;
use tokio::sync::{Mutex, Notify, OwnedMutexGuard};

/// Bytes that wait for their signature. What a stream that holds nothing reads at once, some packets, may come on top of
/// [`MAX_SESSION_BYTES`].
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: AtomicUsize,
    /// Who may go on although the session holds enough: one stream, so that its signature can come and make room.
    elder: Arc<Mutex<()>>,
    /// There is room again.
    freed: Notify,
}

impl Held {
    /// Notes that a stream holds so much, and no longer so much.
    pub(super) fn change(&self, before: usize, now: usize) {
        if let Some(more) = now.checked_sub(before) {
            self.bytes.fetch_add(more, Ordering::Relaxed);
            return;
        }
        let less = before - now;
        let all = self.bytes.fetch_sub(less, Ordering::Relaxed);
        if all >= MAX_SESSION_BYTES && all - less < MAX_SESSION_BYTES {
            self.freed.notify_waiters();
        }
    }

    /// Waits until a stream that holds something may read on: there is room, or it is the one that may go on without. A stream
    /// that holds nothing does not ask: it could be silent for ever, and would keep the others from going on.
    pub(super) async fn room(&self) -> Option<OwnedMutexGuard<()>> {
        if self.has_room() {
            return None;
        }
        let mut elder = pin!(self.elder.clone().lock_owned());
        loop {
            // First to be known, then to look: whoever makes room afterwards wakes this task.
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            if self.has_room() {
                return None;
            }
            tokio::select! {
                elder = &mut elder => return (!self.has_room()).then_some(elder),
                () = freed => {}
            }
        }
    }

    fn has_room(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) < MAX_SESSION_BYTES
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;
    use std::time::Duration;

    use stoq_core::channel::ChannelError;
    use tokio::time::timeout;

    use super::*;
    use crate::falcon::FalconKey;
    use crate::{
        ChannelConfig, ClientConfig, Endpoint, Identity, ServerConfig, Trust, VerifiedReadError,
    };

    async fn waits(future: impl Future) -> bool {
        let mut future = pin!(future);
        poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
    }

    #[tokio::test]
    async fn beyond_its_room_a_session_reads_one_stream_at_a_time() {
        let held = Held::default();
        held.change(0, MAX_SESSION_BYTES - 1);
        assert!(held.room().await.is_none(), "there is room for all");
        held.change(0, 1);
        let elder = held.room().await;
        assert!(elder.is_some(), "one goes on all the same");
        let mut waiting = pin!(held.room());
        assert!(waits(waiting.as_mut()).await, "the others wait for it");
        // Its signature has come.
        held.change(MAX_SESSION_BYTES, 0);
        drop(elder);
        assert!(waiting.await.is_none(), "and then there is room for them");
    }

    #[tokio::test]
    async fn room_that_others_make_is_room() {
        let held = Held::default();
        held.change(0, MAX_SESSION_BYTES);
        let _elder = held.room().await;
        let mut waiting = [pin!(held.room()), pin!(held.room())];
        for waiting in &mut waiting {
            assert!(waits(waiting.as_mut()).await, "the session holds enough");
        }
        held.change(1, 0);
        for waiting in waiting {
            let came = timeout(Duration::from_secs(60), waiting).await;
            let room = came.expect("room is told to those who wait");
            assert!(room.is_none(), "also while the elder goes on");
        }
    }

    /// A stream on which nothing comes, in a session that holds all that it may, keeps no other from its time-out.
    #[tokio::test]
    async fn a_silent_stream_holds_up_no_other() {
        let test = async {
            let identity = Identity::self_signed(["localhost"]).unwrap();
            let trust = Trust::CertificateHashes(vec![identity.certificate_hash()]);
            let mut server = ServerConfig::new(identity);
            server.framed_streams = true;
            let server = Endpoint::server("[::1]:0".parse().unwrap(), server).unwrap();
            let mut client = ClientConfig::new(trust);
            client.framed_streams = true;
            let client = Endpoint::client(client).unwrap();
            let url = format!("stoq://{}/held", server.local_addr().unwrap());
            let accept = async { server.accept().await.unwrap().accept().await.unwrap() };
            let (there, here) = tokio::join!(client.connect(&url), accept);
            let there = there.unwrap();

            let unsigned = ChannelConfig::default();
            let _silent = there.open_verified_uni(&unsigned).await.unwrap();
            let mut signed_by_nobody = there.open_verified_uni(&unsigned).await.unwrap();
            let mut trusting = ChannelConfig::default().from_origins([FalconKey::generate().id()]);
            let mut silent = here.accept_verified_uni(&trusting).await.unwrap();
            trusting.signature_timeout = Duration::from_millis(100);
            let mut waiting = here.accept_verified_uni(&trusting).await.unwrap();
            let held = here.channels().held.clone();
            held.change(0, MAX_SESSION_BYTES);

            let mut silent = pin!(silent.next());
            assert!(waits(silent.as_mut()).await, "nothing comes");
            signed_by_nobody.write("data".into()).await.unwrap();
            let given_up = waiting.next().await.unwrap_err();
            let late = matches!(
                given_up,
                VerifiedReadError::Channel(ChannelError::RunTooLong { .. })
            );
            assert!(late, "{given_up}");
            let left = held.bytes.load(Ordering::Relaxed);
            assert_eq!(left, MAX_SESSION_BYTES, "what was given up is not held");
        };
        timeout(Duration::from_secs(60), test).await.unwrap();
    }
}
