//! What the handles, the streams and the driver know of a session.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;

use bytes::Bytes;
use stoq_core::access::Access;
use stoq_core::close::Code;
use stoq_core::hash::SessionHash;
use stoq_core::hops::HopChain;
use stoq_core::seeds::SeedCounters;
use stoq_core::service::ServiceName;
use stoq_core::session::ForeignAuth;
use stoq_core::session_id::SessionId;
use stoq_core::shards::Counters as MessageCounters;
use stoq_core::token::Flow;
use tokio::sync::Semaphore;

use crate::announce::Announcing;
use crate::closed::{Closed, ClosedBy, Ending};
use crate::connection::Connection;
use crate::driver::Command;
use crate::lanes::Lanes;
use crate::queue::Queue;
use crate::stream::Arrived;
use crate::verified::{Refused, RefusedChannels};

use super::Messages;

/// One session.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) id: SessionId,
    pub(crate) service: ServiceName,
    pub(crate) hash: SessionHash,
    pub(crate) random: [u8; 32],
    /// Which way data goes that this end sends.
    pub(crate) flow: Flow,
    /// Largest datagram payload that the far end takes.
    pub(crate) max_datagram_size: u32,
    /// Streams that the peer lets us have open, of each kind; QUIC itself bounds those of session 0.
    pub(crate) allowances: Option<[Arc<Semaphore>; 2]>,
    /// Streams that the peer has open in a multiplexed session, of each kind.
    pub(crate) incoming: [AtomicUsize; 2],
    pub(crate) ending: Ending,
    /// Streams that the peer opened, of each kind.
    pub(crate) arrived: [Lanes<Arrived>; 2],
    /// Contents of datagrams.
    pub(crate) datagrams: Lanes<Bytes>,
    /// The relays that the request had passed, as the target saw them.
    pub(crate) hops: Option<HopChain>,
    pub(crate) messages: Messages,
    /// A server: what the client may do, on a service that wants tokens.
    pub(crate) access: Option<Access>,
    /// A relay: proofs of tokens to pass on. The machine bounds their number.
    pub(crate) auths: Queue<ForeignAuth>,
    pub(crate) announcing: Announcing,
    pub(crate) counters: Counters,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sent_datagrams: AtomicU64,
    pub(crate) received_datagrams: AtomicU64,
    pub(crate) dropped_datagrams: AtomicU64,
    pub(crate) opened_streams: AtomicU64,
    pub(crate) accepted_streams: AtomicU64,
    pub(crate) refused: Refused,
}

impl Shared {
    /// Ends the session for this side: all that waits for it wakes up. What had arrived by then can still be taken,
    /// unless it was this end that closed.
    pub(crate) fn end(&self, closed: Closed) {
        let leave = match closed.by {
            ClosedBy::Local => Lanes::clear,
            ClosedBy::Peer | ClosedBy::Path => Lanes::close,
        };
        self.ending.end(closed);
        self.arrived.iter().for_each(leave);
        self.datagrams.close();
        self.auths.close();
        self.announcing.sending.end();
    }

    pub(super) fn close(&self, connection: &Connection, code: Code, reason: &str) {
        if self.ending.get().is_some() {
            return;
        }
        self.end(Closed::local(code, reason));
        connection.command(Command::Close {
            id: self.id,
            code,
            reason: reason.into(),
        });
    }
}

/// What a session has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionStats {
    /// Datagrams handed to QUIC.
    pub sent_datagrams: u64,
    /// Datagrams that arrived, those that were dropped later included.
    pub received_datagrams: u64,
    /// Datagrams that arrived and had to give way, because they were not received in time.
    pub dropped_datagrams: u64,
    /// Streams opened by this end.
    pub opened_streams: u64,
    /// Streams of the peer that were accepted.
    pub accepted_streams: u64,
    /// What came on verified channels and was not taken.
    pub refused: RefusedChannels,
    /// Messages sent in shards, whether they arrived or not.
    pub sent_messages: u64,
    /// What became of the peer's messages, as far as somebody took them. Shards that cannot be read count as dropped
    /// datagrams.
    pub messages: MessageCounters,
    /// What was done with the peer's SEED frames, as far as they have been read.
    pub seeds: SeedCounters,
    /// Frames of the peer's announcements that mean nothing there.
    pub skipped_announcements: u64,
    /// Announced keys and signatures that had to give way, because nobody took them in time.
    pub dropped_signatures: u64,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
