//! Batches of datagrams that are larger than the system takes at once.

use std::io;
use std::net::{IpAddr, SocketAddr};

use quinn::udp::{EcnCodepoint, Transmit};

use super::config::LARGEST_PAYLOAD;

/// Whether the system takes all of it at once.
pub(super) fn fits(transmit: &Transmit<'_>) -> bool {
    transmit.contents.len() <= LARGEST_PAYLOAD.into()
}

/// Sends a batch in pieces that the system takes. `Ok(None)`: all of it was sent; `Ok(Some(rest))`: the beginning was sent, then
/// the system had no more room.
///
/// # Errors
/// What `send` says of the first piece; what it says of later ones but `WouldBlock`. An error other than `WouldBlock` leaves it
/// open what was sent.
pub(super) fn send(
    transmit: &Transmit<'_>,
    mut send: impl FnMut(&Transmit<'_>) -> io::Result<()>,
) -> io::Result<Option<Rest>> {
    let segment = transmit.segment_size.unwrap_or(transmit.contents.len());
    let together = (usize::from(LARGEST_PAYLOAD) / segment.max(1)).max(1);
    let piece = together * segment.max(1);
    let mut left = transmit.contents;
    while !left.is_empty() {
        let (now, later) = left.split_at(piece.min(left.len()));
        let sent = send(&Transmit {
            contents: now,
            // One that is alone is no batch.
            segment_size: (now.len() > segment).then_some(segment),
            ..transmit.clone()
        });
        match sent {
            Ok(()) => left = later,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let untouched = left.len() == transmit.contents.len();
                return if untouched {
                    Err(error)
                } else {
                    Ok(Some(Rest::of(transmit, left)))
                };
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// What has not been sent of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rest {
    destination: SocketAddr,
    ecn: Option<EcnCodepoint>,
    src_ip: Option<IpAddr>,
    segment_size: Option<usize>,
    contents: Vec<u8>,
}

impl Rest {
    pub(super) fn of(transmit: &Transmit<'_>, left: &[u8]) -> Self {
        Self {
            destination: transmit.destination,
            ecn: transmit.ecn,
            src_ip: transmit.src_ip,
            segment_size: transmit.segment_size,
            contents: left.to_vec(),
        }
    }

    pub(super) fn transmit(&self) -> Transmit<'_> {
        Transmit {
            destination: self.destination,
            ecn: self.ecn,
            contents: &self.contents,
            segment_size: self.segment_size,
            src_ip: self.src_ip,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn batch(contents: &[u8], segment_size: Option<usize>) -> Transmit<'_> {
        Transmit {
            destination: (Ipv4Addr::LOCALHOST, 1).into(),
            ecn: Some(EcnCodepoint::Ect0),
            contents,
            segment_size,
            src_ip: Some(Ipv4Addr::LOCALHOST.into()),
        }
    }

    fn datagrams(transmit: &Transmit<'_>) -> Vec<Vec<u8>> {
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len());
        transmit
            .contents
            .chunks(segment)
            .map(<[u8]>::to_vec)
            .collect()
    }

    #[test]
    fn pieces_hold_as_many_datagrams_as_fit() {
        let contents = vec![7; 9 * 16_000 + 5];
        let mut pieces = Vec::new();
        let rest = send(&batch(&contents, Some(16_000)), |piece| {
            pieces.push((piece.contents.len(), piece.segment_size));
            Ok(())
        });
        assert_eq!(rest.unwrap(), None);
        let (full, last) = ((64_000, Some(16_000)), (16_005, Some(16_000)));
        assert_eq!(pieces, [full, full, last]);
    }

    #[test]
    fn the_largest_datagrams_go_one_by_one() {
        let contents = vec![7; 3 * 65_507];
        let mut pieces = Vec::new();
        let rest = send(&batch(&contents, Some(65_507)), |piece| {
            pieces.push((piece.contents.len(), piece.segment_size));
            Ok(())
        });
        assert_eq!(rest.unwrap(), None);
        assert_eq!(pieces, [(65_507, None); 3]);
    }

    #[test]
    fn what_fails_otherwise_than_for_want_of_room_is_told() {
        let contents = vec![7; 200_000];
        let error = send(&batch(&contents, Some(10_000)), |_| {
            Err(io::ErrorKind::PermissionDenied.into())
        });
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    proptest! {
        /// However often the system has no room, every datagram is sent once, whole, in order, and as it was given.
        #[test]
        fn nothing_is_lost_and_nothing_sent_twice(
            segment in 1usize..=65_507,
            count in 1usize..=10,
            last in 1usize..=65_507,
            room in proptest::collection::vec(any::<bool>(), 40),
        ) {
            let length = (count - 1) * segment + last.min(segment);
            let contents: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let transmit = batch(&contents, (count > 1).then_some(segment));
            let mut room = room.into_iter();
            let mut sent = Vec::new();
            let mut attempt = |transmit: &Transmit<'_>| {
                send(transmit, |piece| {
                    if room.next() == Some(false) {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                    assert!(piece.contents.len() <= 65_507);
                    assert_eq!(piece.ecn, transmit.ecn);
                    assert_eq!(piece.src_ip, transmit.src_ip);
                    assert_eq!(piece.destination, transmit.destination);
                    sent.extend(datagrams(piece));
                    Ok(())
                })
            };
            let mut rest: Option<Rest> = None;
            loop {
                let left = rest.as_ref().map_or_else(|| transmit.clone(), Rest::transmit);
                match attempt(&left) {
                    Ok(None) => break,
                    Ok(Some(next)) => rest = Some(next),
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                }
            }
            prop_assert_eq!(sent, datagrams(&transmit));
        }
    }
}
