//! Numbers of sessions on one carrier connection.

use core::fmt;

use crate::varint::VarInt;

/// Which session of a connection. Session 0 is the connection's own; the client numbers the others from 1, rising.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(VarInt);

impl SessionId {
    /// The connection's own session.
    pub const ZERO: Self = Self(VarInt::from_u32(0));

    /// Session `value`, or `None` if it is 2^62 or more.
    pub const fn new(value: u64) -> Option<Self> {
        match VarInt::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The number.
    pub const fn value(self) -> u64 {
        self.0.into_inner()
    }
}

impl From<VarInt> for SessionId {
    fn from(value: VarInt) -> Self {
        Self(value)
    }
}

impl From<SessionId> for VarInt {
    fn from(id: SessionId) -> Self {
        id.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
