//! What keeps the state machine going: bytes for our control stream, and the time.

use std::time::Duration;

use bytes::Bytes;
use stoq_core::session::Input;

use super::Control;

impl Control {
    /// Sends what there is to send, and ticks, until the last has been said and acknowledged, or `connection` cannot carry
    /// it any more.
    pub(crate) async fn run(&self, connection: &wtransport::Connection) {
        tokio::select! {
            () = self.write(connection) => {}
            () = self.tick() => {}
        }
    }

    async fn write(&self, connection: &wtransport::Connection) {
        let Ok(opening) = connection.open_uni().await else {
            return;
        };
        let Ok(mut stream) = opening.await else {
            return;
        };
        let stream = stream.quic_stream_mut();
        // Before all data streams: what it says, they depend on.
        if stream.set_priority(i32::MAX).is_err() {
            return;
        }
        loop {
            let outgoing = self.outgoing.notified();
            let (mut bytes, last) = {
                let mut inner = self.lock();
                (std::mem::take(&mut inner.to_send), inner.last)
            };
            if bytes.is_empty() {
                if last {
                    break;
                }
                // A stop means that the browser does not listen any more: the session cannot go on.
                tokio::select! {
                    () = outgoing => continue,
                    _ = stream.stopped() => return,
                }
            }
            let len: usize = bytes.iter().map(Bytes::len).sum();
            if stream.write_all_chunks(&mut bytes).await.is_err() {
                return;
            }
            self.lock().to_send_len -= len;
            self.drained.notify_one();
        }
        if stream.finish().is_ok() {
            // Resolves when all has been acknowledged, or cannot be any more: over either way.
            let _ = stream.stopped().await;
        }
    }

    async fn tick(&self) {
        loop {
            let retimed = self.retimed.notified();
            let due = self.lock().machine.next_due();
            match due {
                None => retimed.await,
                Some(due) => {
                    let due = self.started + Duration::from_micros(due.as_micros());
                    tokio::select! {
                        () = retimed => {}
                        () = tokio::time::sleep_until(due.into()) => {
                            self.input(Input::Tick);
                        }
                    }
                }
            }
        }
    }
}
