use alloc::vec::Vec;
use core::net::Ipv6Addr;

use bytes::BufMut;

use super::{
    at_most,
    headers::{pairs_len, put_pairs, read_pairs},
};
use crate::{
    identity::FalconId,
    reader::{Fault, Reader},
    time::UnixMicros,
};

/// The relays that something has passed, in order. Only the last, the neighbour, is authenticated; the others are claims.
///
/// ```text
/// hop count [1] · max hops [1], at least the count, at most 16 · each relay
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop<'a> {
    /// A relay refuses a chain that has so many.
    pub max_hops: u8,
    /// The chain, at most [`max_hops`](Self::max_hops).
    pub relays: Vec<Relay<'a>>,
}

/// One relay of a [`Hop`].
///
/// ```text
/// FalconId [32] · address [16] · port [2] · timestamp [8]
/// metadata: count varint [1], at most 8, then key and value of each: length varint [1..2], UTF-8 [0..255]
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay<'a> {
    /// Who it says it is.
    pub id: FalconId,
    /// Where it says it is reached; an IPv4 address stands in its mapped form, `::ffff:a.b.c.d`.
    pub address: Ipv6Addr,
    /// The UDP port there.
    pub port: u16,
    /// When it says it passed this on.
    pub timestamp: UnixMicros,
    /// What else it says: keys and values.
    pub metadata: Vec<(&'a str, &'a str)>,
}

impl<'a> Hop<'a> {
    /// 6 KiB, so that SETTINGS and HEADERS, in which it may stand, have room for it and for everything else: 16 relays with
    /// about 320 bytes of metadata each.
    pub const MAX_LEN: usize = 6 * 1024;

    /// The longest chain that can be asked for. The public internet's longest paths have about twice as many routers, and
    /// each relay here adds a connection of its own.
    pub const MAX_HOPS: u8 = 16;

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let count = reader.u8()?;
        let max_hops = reader.u8()?;
        at_most(
            "hop count",
            max_hops.min(Self::MAX_HOPS).into(),
            count.into(),
        )?;
        let relays = (0..count)
            .map(|_| Relay::read(reader))
            .collect::<Result<_, _>>()?;
        Ok(Self { max_hops, relays })
    }

    pub(crate) fn check(&self) -> Result<(), Fault> {
        if self.max_hops > Self::MAX_HOPS {
            return Err(Fault::OutOfRange {
                field: "max hops",
                got: self.max_hops.into(),
            });
        }
        at_most("hop count", self.max_hops.into(), self.relays.len())?;
        at_most("HOP", Self::MAX_LEN, self.payload_len())?;
        self.relays.iter().try_for_each(Relay::check)
    }

    pub(super) fn payload_len(&self) -> usize {
        2 + self.relays.iter().map(Relay::len).sum::<usize>()
    }

    pub(crate) fn write(&self, out: &mut impl BufMut) {
        // The cast cannot lose bits in a frame that was checked.
        out.put_u8(self.relays.len() as u8);
        out.put_u8(self.max_hops);
        for relay in &self.relays {
            relay.write(out);
        }
    }
}

impl<'a> Relay<'a> {
    /// The most pairs of metadata, a bound on what is reserved for them.
    pub const MAX_METADATA: usize = 8;

    /// The longest key or value of metadata, in bytes: room for a DNS name.
    pub const MAX_TEXT: usize = 255;

    fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        Ok(Self {
            id: FalconId::new(*reader.array()?),
            address: Ipv6Addr::from(*reader.array::<16>()?),
            port: reader.u16()?,
            timestamp: UnixMicros(reader.u64()?),
            metadata: read_pairs(
                reader,
                "number of metadata",
                Self::MAX_METADATA,
                Self::MAX_TEXT,
            )?,
        })
    }

    fn check(&self) -> Result<(), Fault> {
        at_most(
            "number of metadata",
            Self::MAX_METADATA,
            self.metadata.len(),
        )?;
        let mut texts = self.metadata.iter().flat_map(|(key, value)| [key, value]);
        texts.try_for_each(|text| at_most("metadata", Self::MAX_TEXT, text.len()))
    }

    fn len(&self) -> usize {
        32 + 16 + 2 + 8 + pairs_len(&self.metadata)
    }

    fn write(&self, out: &mut impl BufMut) {
        out.put_slice(self.id.as_bytes());
        out.put_slice(&self.address.octets());
        out.put_u16(self.port);
        out.put_u64(self.timestamp.0);
        put_pairs(&self.metadata, out);
    }
}
