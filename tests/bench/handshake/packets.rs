//! The QUIC packets of a datagram, by what is not encrypted of them (RFC 9000, section 17.2).

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    Initial,
    ZeroRtt,
    Handshake,
    Retry,
    /// Only who is done with the handshake has the keys to send one.
    OneRtt,
}

/// The packets in a datagram, in order. What cannot be read ends the list.
pub(crate) fn packets(datagram: &[u8]) -> Vec<Packet> {
    let mut packets = Vec::new();
    let mut rest = datagram;
    while let Some((packet, after)) = split(rest) {
        packets.push(packet);
        rest = after;
    }
    packets
}

fn split(bytes: &[u8]) -> Option<(Packet, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first & LONG_HEADER == 0 {
        // It has no length, so it is the last.
        return Some((Packet::OneRtt, &[]));
    }
    let rest = rest.get(VERSION_LEN..)?;
    let rest = skip_connection_id(skip_connection_id(rest)?)?;
    let (packet, rest) = match (first >> 4) & 3 {
        0 => {
            let (token, rest) = varint(rest)?;
            (Packet::Initial, rest.get(token..)?)
        }
        1 => (Packet::ZeroRtt, rest),
        2 => (Packet::Handshake, rest),
        _ => return Some((Packet::Retry, &[])),
    };
    let (length, rest) = varint(rest)?;
    Some((packet, rest.get(length..)?))
}

fn skip_connection_id(bytes: &[u8]) -> Option<&[u8]> {
    let (&length, rest) = bytes.split_first()?;
    rest.get(usize::from(length)..)
}

/// Longer forms than needed are usual here: the length is written before it is known.
fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, _) = bytes.split_first()?;
    let (number, rest) = bytes.split_at_checked(1 << (first >> 6))?;
    let number = number[1..]
        .iter()
        .fold(usize::from(first & 0x3f), |number, &byte| {
            (number << 8) | usize::from(byte)
        });
    Some((number, rest))
}

const LONG_HEADER: u8 = 0x80;
const VERSION_LEN: usize = 4;
