use alloc::vec::Vec;
use core::net::Ipv6Addr;

use bytes::BufMut;

use super::at_most;
use crate::{
    identity::FalconId,
    reader::{Fault, Reader},
};

/// Nodes that hold, or shall hold, content.
///
/// ```text
/// content id [32] · replication [1] · priority [1], 0 low … 3 critical · each node [51], at most 255
/// ```
///
/// Whether it makes sense is for who uses it: no copies may be wanted (any more), and there may be no node (yet). A node may
/// stand there with several addresses, but not twice with the same one: that would give one place two reliabilities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// Which content.
    pub content: [u8; 32],
    /// Copies that are wanted.
    pub replication: u8,
    /// How much they matter.
    pub priority: SeedPriority,
    /// The nodes.
    pub nodes: Vec<SeedNode>,
}

/// One node of a [`Seed`].
///
/// ```text
/// FalconId [32] · address [16] · port [2] · reliability [1], 0..100
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeedNode {
    /// Who.
    pub id: FalconId,
    /// Where, as the sender claims; an IPv4 address stands in its mapped form, `::ffff:a.b.c.d`. It can be any address, so who
    /// would not be sent to its own network by a stranger checks it before it connects.
    pub address: Ipv6Addr,
    /// The UDP port there; not 0, where nobody can be reached.
    pub port: u16,
    /// How often it was there when it was needed, in percent.
    pub reliability: u8,
}

/// How much the copies of a [`Seed`] matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SeedPriority {
    /// When there is nothing else to do.
    Low = 0,
    /// As usual.
    Normal = 1,
    /// Before the usual.
    High = 2,
    /// Before all else.
    Critical = 3,
}

impl Seed {
    /// The most nodes: `replication` can ask for no more copies.
    pub const MAX_NODES: usize = 255;

    /// All nodes.
    pub const MAX_LEN: usize = 34 + Self::MAX_NODES * SeedNode::LEN;

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let content = *reader.array()?;
        let replication = reader.u8()?;
        let priority = match reader.u8()? {
            0 => SeedPriority::Low,
            1 => SeedPriority::Normal,
            2 => SeedPriority::High,
            3 => SeedPriority::Critical,
            got => {
                return Err(Fault::OutOfRange {
                    field: "priority",
                    got: got.into(),
                });
            }
        };
        // The frame's limit bounds the number.
        let mut nodes = Vec::with_capacity(reader.left() / SeedNode::LEN);
        while reader.left() > 0 {
            nodes.push(SeedNode::read(reader)?);
        }
        Ok(Self {
            content,
            replication,
            priority,
            nodes,
        })
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        at_most("number of nodes", Self::MAX_NODES, self.nodes.len())?;
        self.nodes.iter().try_for_each(SeedNode::check)?;
        match self.doubled() {
            Some(at) => Err(Fault::Duplicate {
                field: "node",
                got: at as u64,
            }),
            None => Ok(()),
        }
    }

    /// The first node that stands where another stood before. Those before it are kept in order, because to compare all pairs of
    /// 255 nodes takes a peer's frame long enough to be felt; by their numbers, which are small to move.
    fn doubled(&self) -> Option<usize> {
        let mut ordered: Vec<usize> = Vec::with_capacity(self.nodes.len());
        for (at, node) in self.nodes.iter().enumerate() {
            let place = node.place();
            match ordered.binary_search_by(|&other| self.nodes[other].place().cmp(&place)) {
                Ok(_) => return Some(at),
                Err(here) => ordered.insert(here, at),
            }
        }
        None
    }

    pub(super) fn payload_len(&self) -> usize {
        34 + self.nodes.len() * SeedNode::LEN
    }

    pub(super) fn write(&self, out: &mut impl BufMut) {
        out.put_slice(&self.content);
        out.put_u8(self.replication);
        out.put_u8(self.priority as u8);
        for node in &self.nodes {
            node.write(out);
        }
    }
}

impl SeedNode {
    const LEN: usize = 32 + 16 + 2 + 1;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            id: FalconId::new(*reader.array()?),
            address: Ipv6Addr::from(*reader.array::<16>()?),
            port: reader.u16()?,
            reliability: reader.u8()?,
        })
    }

    const fn place(&self) -> (&[u8; 32], Ipv6Addr, u16) {
        (self.id.as_bytes(), self.address, self.port)
    }

    fn check(&self) -> Result<(), Fault> {
        if self.port == 0 {
            return Err(Fault::OutOfRange {
                field: "port",
                got: 0,
            });
        }
        if self.reliability > 100 {
            return Err(Fault::OutOfRange {
                field: "reliability",
                got: self.reliability.into(),
            });
        }
        Ok(())
    }

    fn write(&self, out: &mut impl BufMut) {
        out.put_slice(self.id.as_bytes());
        out.put_slice(&self.address.octets());
        out.put_u16(self.port);
        out.put_u8(self.reliability);
    }
}
