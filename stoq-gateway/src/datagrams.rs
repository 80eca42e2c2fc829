//! Datagrams of one session, each way.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use stoq_core::datagram::Datagram;
use stoq_core::session_id::SessionId;
use stoq_core::varint::VarInt;
use stoq_native::Session;
use stoq_native::relay::LARGEST_DATAGRAM;
use wtransport::Connection;

use crate::metrics::{Metrics, count};
use crate::tasks::Spawner;

/// Both ends between which datagrams go.
#[derive(Clone, Debug)]
pub(crate) struct Datagrams {
    metrics: Arc<Metrics>,
    browser: Connection,
    target: Session,
    /// What stands in front of each datagram to the browser: the session in HTTP/3's count.
    prefix: Bytes,
}

impl Datagrams {
    pub(crate) fn new(metrics: &Arc<Metrics>, browser: &Connection, target: &Session) -> Self {
        // RFC 9297, section 2.1: a quarter of the id of the stream that the session was asked for on.
        let quarter = browser.session_id().into_u64() / 4;
        let mut prefix = BytesMut::with_capacity(VarInt::MAX_LEN);
        VarInt::try_from(quarter)
            .expect("stream ids are below 2^62")
            .encode(&mut prefix);
        Self {
            metrics: metrics.clone(),
            browser: browser.clone(),
            target: target.clone(),
            prefix: prefix.freeze(),
        }
    }

    /// Largest datagram that the path carries both ways, in bytes of the application, whatever becomes of either hop.
    pub(crate) fn max_size(&self) -> u32 {
        let quic = self
            .browser
            .quic_connection()
            .max_datagram_size()
            .unwrap_or(0);
        let max = quic
            .saturating_sub(self.prefix.len() + Datagram::header_len(SessionId::ZERO))
            .min(self.target.max_datagram_size());
        u32::try_from(max).map_or(LARGEST_DATAGRAM, |max| max.min(LARGEST_DATAGRAM))
    }

    /// Starts to relay. The browser takes datagrams of at most `largest` bytes.
    pub(crate) fn relay(self, largest: usize, spawner: &Spawner) {
        spawner.spawn(self.clone().carry_to_target());
        spawner.spawn(self.carry_to_browser(largest));
    }

    async fn carry_to_target(self) {
        while let Ok(datagram) = self.browser.receive_datagram().await {
            let sent = match Datagram::decode(datagram.payload()) {
                Ok(Datagram {
                    session: SessionId::ZERO,
                    content,
                }) => self.target.send_content(content).is_ok(),
                _ => false,
            };
            self.count(sent);
        }
    }

    async fn carry_to_browser(self, largest: usize) {
        let quic = self.browser.quic_connection();
        let largest = largest + Datagram::header_len(SessionId::ZERO);
        while let Ok(content) = self.target.recv_content().await {
            if content.len() > largest {
                self.count(false);
                continue;
            }
            let mut datagram = BytesMut::with_capacity(self.prefix.len() + content.len());
            datagram.put_slice(&self.prefix);
            datagram.put_slice(&content);
            // Without room QUIC pushes out the oldest that waits: that one is counted as dropped, this one goes.
            if quic.datagram_send_buffer_space() < datagram.len() {
                count(&self.metrics.datagrams_dropped);
            }
            self.count(quic.send_datagram(datagram.freeze()).is_ok());
        }
    }

    fn count(&self, sent: bool) {
        count(if sent {
            &self.metrics.datagrams_relayed
        } else {
            &self.metrics.datagrams_dropped
        });
    }
}
