//! How urgent a stream is: what its opener says reaches the pumps of both of its directions.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use bytes::Bytes;
use stoq_core::peek::PriorityPeek;
use stoq_core::stream::Payload;

use super::Sink;

/// How urgent a stream is, once its opener has said so: known to the pumps of both of its directions.
#[derive(Debug, Default)]
pub struct Urgency(AtomicU8);

impl Urgency {
    /// For the direction in which the opener sends, which says it.
    pub fn said(&self, payload: Payload) -> Heed<'_> {
        match payload {
            Payload::Framed => Heed(Some(Attention::Says(PriorityPeek::default(), self))),
            _ => Heed(None),
        }
    }

    /// For the other direction.
    pub fn heard(&self, payload: Payload) -> Heed<'_> {
        match payload {
            Payload::Framed => Heed(Some(Attention::Hears(self))),
            _ => Heed(None),
        }
    }

    fn set(&self, urgency: u8) {
        self.0.store(urgency.saturating_add(1), Relaxed);
    }

    fn get(&self) -> Option<u8> {
        self.0.load(Relaxed).checked_sub(1)
    }
}

/// What one pump has to do with the stream's urgency.
#[derive(Debug)]
pub struct Heed<'a>(Option<Attention<'a>>);

#[derive(Debug)]
enum Attention<'a> {
    Says(PriorityPeek, &'a Urgency),
    Hears(&'a Urgency),
}

impl Heed<'_> {
    /// Before these bytes are passed on.
    pub(super) fn before(&mut self, chunks: &[Bytes], sink: &mut impl Sink) {
        let (urgency, done) = match &mut self.0 {
            None => return,
            Some(Attention::Hears(urgency)) => {
                let heard = urgency.get();
                (heard, heard.is_some())
            }
            Some(Attention::Says(peek, urgency)) => {
                let said = chunks.iter().find_map(|chunk| peek.see(chunk));
                let said = said.map(|priority| priority.urgency);
                said.into_iter().for_each(|said| urgency.set(said));
                (said, peek.is_done())
            }
        };
        if let Some(urgency) = urgency {
            sink.set_priority(urgency);
        }
        if done {
            self.0 = None;
        }
    }
}
