//! What NewReno and Cubic have in common, and leave to each other.

use std::time::Instant;

/// The window of a path and what moves it, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Largest datagram that the path takes.
    mtu: u64,
    window: u64,
    /// Below this the window doubles with every round trip. Boundless until something is lost.
    threshold: u64,
    /// When the window was last reduced. What was sent until then says nothing new when it arrives or is lost.
    recovery: Option<Instant>,
}

impl State {
    /// A path of which nothing is known but its datagrams' size.
    pub(super) fn new(mtu: u16) -> Self {
        Self {
            mtu: mtu.into(),
            window: initial(mtu),
            threshold: u64::MAX,
            recovery: None,
        }
    }

    pub(crate) fn window(&self) -> u64 {
        self.window
    }

    pub(crate) fn threshold(&self) -> u64 {
        self.threshold
    }

    pub(super) fn mtu(&self) -> u64 {
        self.mtu
    }

    /// Two datagrams ([RFC 9002, section 7.2]).
    ///
    /// [RFC 9002, section 7.2]: https://www.rfc-editor.org/rfc/rfc9002#section-7.2
    pub(super) fn minimum(&self) -> u64 {
        2 * self.mtu
    }

    pub(super) fn in_recovery(&self, sent: Instant) -> bool {
        self.recovery.is_some_and(|recovery| sent <= recovery)
    }

    pub(crate) fn in_slow_start(&self) -> bool {
        self.window < self.threshold
    }

    pub(super) fn grow(&mut self, bytes: u64) {
        self.set(self.window.saturating_add(bytes));
    }

    pub(super) fn set(&mut self, window: u64) {
        self.window = window.clamp(self.minimum(), MAX_WINDOW);
    }

    /// The path carries more than it can: `to` is what remains of the window, and where it is to be found carefully from.
    pub(super) fn reduce(&mut self, now: Instant, to: u64) {
        self.recovery = Some(now);
        self.threshold = to.max(self.minimum());
        self.set(self.threshold);
    }

    /// Nothing has arrived for so long that the path may be another one: begins anew, up to the threshold ([RFC 9002,
    /// section 7.6.2]).
    ///
    /// [RFC 9002, section 7.6.2]: https://www.rfc-editor.org/rfc/rfc9002#section-7.6.2
    pub(super) fn collapse(&mut self) {
        self.recovery = None;
        self.window = self.minimum();
    }

    /// The path carries datagrams of this size now. As long as it has not shown that it carries too much, it may take ten of them,
    /// and no more than 14,720 bytes unless that were less than four. [RFC 9002, section 7.2] has two there, and ten at the
    /// beginning only: but a probe for the next size takes one, and a close must still go beside what is on its way. Ten of the
    /// largest would be 655 KB into a path of which nothing is known.
    ///
    /// [RFC 9002, section 7.2]: https://www.rfc-editor.org/rfc/rfc9002#section-7.2
    pub(super) fn set_mtu(&mut self, mtu: u16) {
        self.mtu = mtu.into();
        let fresh = self.recovery.is_none() && self.threshold == u64::MAX;
        let least = if fresh {
            (10 * self.mtu).min(14_720.max(4 * self.mtu))
        } else {
            0
        };
        self.set(self.window.max(least));
    }

    /// Goes on with a window that another algorithm found, and looks for more with care.
    pub(super) fn carry(&mut self, window: u64) {
        self.set(window);
        self.threshold = self.window;
    }
}

/// What a path is given at first: ten datagrams, and no more than 14,720 bytes unless that were less than two ([RFC 9002,
/// section 7.2]).
///
/// [RFC 9002, section 7.2]: https://www.rfc-editor.org/rfc/rfc9002#section-7.2
pub(super) fn initial(mtu: u16) -> u64 {
    let mtu = u64::from(mtu);
    (10 * mtu).min(14_720.max(2 * mtu))
}

/// 1 TiB: 100 Gbit/s over a path of a minute and a half. It is there so that no sum overflows.
pub(super) const MAX_WINDOW: u64 = 1 << 40;
