//! The channels that a session has had.

use std::cell::RefCell;

use stoq_core::Code;
use stoq_core::channel::ChannelId;

use crate::error::Error;
use crate::js::Counter;

/// The names of all verified streams of a session, whoever opened them: one that comes again would let a relay repeat what was
/// signed for the first.
pub(crate) struct Channels {
    /// In order.
    known: RefCell<Vec<ChannelId>>,
    pub(crate) refused: Counter,
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            known: RefCell::new(vec![ChannelId::DATAGRAMS]),
            refused: Counter::default(),
        }
    }
}

impl Channels {
    /// Takes a name into use.
    ///
    /// # Errors
    /// `channel-reused`; `limit-exceeded` if there have been so many that no more can be remembered.
    pub(crate) fn claim(&self, channel: ChannelId) -> Result<(), Error> {
        let mut known = self.known.borrow_mut();
        let refused = |code, message| {
            self.refused.add();
            Err(Error::new(code, message))
        };
        let Err(place) = known.binary_search(&channel) else {
            let message = format!("the channel {channel} has been used in this session");
            return refused(Code::CHANNEL_REUSED, message);
        };
        if known.len() >= MAX_CHANNELS {
            let message = format!("the session has had {MAX_CHANNELS} verified streams");
            return refused(Code::LIMIT, message);
        }
        known.insert(place, channel);
        Ok(())
    }
}

/// Verified streams of one session, over all its time: their names take 1 MiB.
const MAX_CHANNELS: usize = 65_536;
