use bytes::Bytes;

use crate::identity::FalconId;
use crate::varint::VarInt;

/// What came of a session's datagrams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatagramItem {
    /// A datagram whose token is right for it.
    Data {
        /// Its number.
        sequence: VarInt,
        /// Its data.
        data: Bytes,
        /// Who signed it. `None` if no signature vouches for it yet: it is whole as far as its hash says, which any relay could
        /// have made anew.
        signer: Option<FalconId>,
    },
    /// A signature vouches for a datagram that was handed out as pending.
    Verified {
        /// Its number.
        sequence: VarInt,
        /// Who signed.
        signer: FalconId,
    },
    /// No more signatures can come: what waits for one stays as it is, and what comes is never more than pending. Handed out once.
    SignaturesEnded,
    /// A datagram was handed out as pending, or was held back, and is not the one that was signed.
    Forged {
        /// Its number.
        sequence: VarInt,
    },
}

/// How many datagrams were not taken, or not to the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenedDatagrams {
    /// Held back, and given up for newer ones before their signature came.
    pub expired: u64,
    /// Not those that were signed.
    pub forged: u64,
}
