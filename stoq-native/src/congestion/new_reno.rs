//! NewReno, by [RFC 9002, appendix B].
//!
//! [RFC 9002, appendix B]: https://www.rfc-editor.org/rfc/rfc9002#appendix-B

use std::time::Instant;

use super::state::State;

/// What NewReno remembers beside the [`State`].
#[derive(Clone, Debug, Default)]
pub(super) struct NewReno {
    /// Growth that is less than a byte, in parts of the window.
    rest: u64,
}

impl NewReno {
    /// Bytes have arrived, and the path takes no more than it did: a datagram more for each window that arrives, and of it as much
    /// at once as arrived of the window. Who waits for the whole window has grown half a datagram less when the next loss comes;
    /// where that is soon, it is a tenth of the rate.
    pub(super) fn avoid(&mut self, state: &mut State, bytes: u64) {
        let parts = state.mtu().saturating_mul(bytes);
        self.rest = self.rest.saturating_add(parts);
        let grown = self.rest / state.window();
        self.rest %= state.window();
        state.grow(grown);
    }

    /// Half of it.
    pub(super) fn reduce(&mut self, state: &mut State, now: Instant) {
        self.rest = 0;
        state.reduce(now, state.window() / 2);
    }
}
