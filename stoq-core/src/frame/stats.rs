use core::time::Duration;

use bytes::BufMut;

use crate::{
    reader::{Fault, Reader},
    varint::VarInt,
};

/// What the sender measures on the path to the receiver: a gateway tells the browser what browsers do not expose.
///
/// ```text
/// rtt in µs varint [1..8] · its variation in µs varint [1..8] · lost packets varint [1..8]
/// congestion window varint [1..8] · send rate varint [1..8] · tier [1]
/// ```
///
/// A number of 2^62 or more is sent as 2^62 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Smoothed round-trip time. Whole microseconds are sent, rounded down.
    pub rtt: Duration,
    /// Its mean deviation, likewise.
    pub rtt_variation: Duration,
    /// Packets lost since the connection began.
    pub lost_packets: u64,
    /// Bytes that may be in flight.
    pub congestion_window: u64,
    /// Bytes a second that are sent and arrive.
    pub send_rate: u64,
    /// The [class](crate::tier::Tier::number) of the path, rising with its rate; 0 if it is not known. A newer peer may know
    /// more classes.
    pub tier: u8,
}

impl Stats {
    /// All fields at their longest.
    pub const MAX_LEN: usize = 5 * VarInt::MAX_LEN + 1;

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            rtt: Duration::from_micros(reader.varint()?.into_inner()),
            rtt_variation: Duration::from_micros(reader.varint()?.into_inner()),
            lost_packets: reader.varint()?.into_inner(),
            congestion_window: reader.varint()?.into_inner(),
            send_rate: reader.varint()?.into_inner(),
            tier: reader.u8()?,
        })
    }

    pub(super) const fn check(&self) -> Result<(), Fault> {
        Ok(())
    }

    pub(super) fn payload_len(&self) -> usize {
        self.numbers()
            .map(VarInt::encoded_len)
            .iter()
            .sum::<usize>()
            + 1
    }

    pub(super) fn write(&self, out: &mut impl BufMut) {
        for number in self.numbers() {
            number.encode(out);
        }
        out.put_u8(self.tier);
    }

    fn numbers(&self) -> [VarInt; 5] {
        [
            self.rtt.as_micros(),
            self.rtt_variation.as_micros(),
            self.lost_packets.into(),
            self.congestion_window.into(),
            self.send_rate.into(),
        ]
        .map(VarInt::saturating)
    }
}
