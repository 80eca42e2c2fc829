//! The channels that a session has had, and what came on them and was not taken.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use js_sys::Object;
use stoq_core::Code;
use stoq_core::channel::{ChannelId, MAX_CHANNELS};

use crate::error::Error;
use crate::verified::Held;
use crate::{js, word};

/// The names of all verified streams of a session, whoever opened them: one that comes again would let a relay repeat what was
/// signed for the first.
pub(crate) struct Channels {
    /// In order.
    known: RefCell<Vec<ChannelId>>,
    /// How many of them are streams of the page, and of the peer.
    streams: [Cell<usize>; 2],
    refused: RefCell<Vec<(Code, u32)>>,
    pub(crate) held: Held,
}

/// Who opens a stream.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Page,
    Peer,
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            known: RefCell::new(vec![ChannelId::DATAGRAMS]),
            streams: Default::default(),
            refused: RefCell::default(),
            held: Held::default(),
        }
    }
}

impl Channels {
    /// Takes a name into use.
    ///
    /// # Errors
    /// `channel-reused`; `limit-exceeded` if this end has opened [`MAX_CHANNELS`].
    pub(crate) fn claim(&self, channel: ChannelId, opener: End) -> Result<(), Error> {
        let mut known = self.known.borrow_mut();
        let Err(place) = known.binary_search(&channel) else {
            let message = format!("the channel {channel} has been used in this session");
            return Err(Error::new(Code::CHANNEL_REUSED, message));
        };
        let streams = &self.streams[opener as usize];
        if streams.get() == MAX_CHANNELS {
            let message = format!("the session has had {MAX_CHANNELS} verified streams");
            return Err(Error::new(Code::LIMIT, message));
        }
        streams.set(streams.get() + 1);
        known.insert(place, channel);
        Ok(())
    }

    /// Counts what was not taken.
    pub(crate) fn refused(&self, code: Code) {
        let mut refused = self.refused.borrow_mut();
        match refused.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => refused.push((code, 1)),
        }
    }

    /// How often what was refused, by the word for the code.
    pub(crate) fn refusals(&self) -> Object {
        let refused = self.refused.borrow();
        let counts = refused.iter();
        let counts: Vec<_> = counts
            .map(|&(code, count)| (word(code), count.into()))
            .collect();
        js::object(&counts)
    }
}
