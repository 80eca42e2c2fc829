use alloc::vec::Vec;

use bytes::BufMut;

use super::{Hop, at_most};
use crate::identity::FalconId;
use crate::reader::{Fault, Reader};

/// The relays that a request has still to pass, in order. The target itself is not named here: each relay knows by name
/// only whom it may forward to.
///
/// ```text
/// count [1], at most 16 · each: FalconId [32]
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route(pub Vec<FalconId>);

impl Route {
    /// As many as a chain of relays can have.
    pub const MAX_COUNT: usize = Hop::MAX_HOPS as usize;

    /// Reads it from the front.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let count = usize::from(reader.u8()?);
        at_most("length of a route", Self::MAX_COUNT, count)?;
        let relays = (0..count).map(|_| Ok(FalconId::new(*reader.array()?)));
        relays.collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn check(&self) -> Result<(), Fault> {
        at_most("length of a route", Self::MAX_COUNT, self.0.len())
    }

    pub(crate) fn len(&self) -> usize {
        1 + self.0.len() * 32
    }

    pub(crate) fn write(&self, out: &mut impl BufMut) {
        // The cast cannot lose bits in what was checked.
        out.put_u8(self.0.len() as u8);
        for relay in &self.0 {
            out.put_slice(relay.as_bytes());
        }
    }
}
