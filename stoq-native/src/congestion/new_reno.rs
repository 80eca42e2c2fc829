//! NewReno, by [RFC 9002, appendix B].
//!
//! [RFC 9002, appendix B]: https://www.rfc-editor.org/rfc/rfc9002#appendix-B

use std::time::Instant;

use super::state::State;

/// What NewReno remembers beside the [`State`].
#[derive(Clone, Debug, Default)]
pub(super) struct NewReno {
    /// Bytes that arrived since the window last grew.
    arrived: u64,
}

impl NewReno {
    /// Bytes have arrived, and the path takes no more than it did: one datagram more for each window that arrives.
    pub(super) fn avoid(&mut self, state: &mut State, bytes: u64) {
        self.arrived = self.arrived.saturating_add(bytes);
        if self.arrived >= state.window() {
            self.arrived -= state.window();
            state.grow(state.mtu());
        }
    }

    /// Half of it.
    pub(super) fn reduce(&mut self, state: &mut State, now: Instant) {
        self.arrived = 0;
        state.reduce(now, state.window() / 2);
    }
}
