//! Keys between rustls and quinn, and the integrity of Retry packets ([RFC 9001, section 5.8]).
//!
//! [RFC 9001, section 5.8]: https://www.rfc-editor.org/rfc/rfc9001#section-5.8

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use quinn::ConnectionId;
use quinn::crypto::{HeaderKey, KeyPair, Keys, PacketKey, UnsupportedVersion};
use rustls::crypto::CryptoProvider;
use rustls::quic::{DirectionalKeys, PacketKeySet, Suite, Version};
use rustls::{CipherSuite, Side};

/// Packet keys of both directions.
pub(super) type PacketKeys = KeyPair<Box<dyn PacketKey>>;
/// The keys of one direction.
pub(super) type OneWay = (Box<dyn HeaderKey>, Box<dyn PacketKey>);

/// The suite that protects Initial packets; QUIC knows no other.
pub(super) fn initial_suite(provider: &CryptoProvider) -> Suite {
    provider
        .cipher_suites
        .iter()
        .filter(|suite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256)
        .find_map(|suite| suite.tls13()?.quic_suite())
        .expect("aws-lc-rs has the suite of QUIC's first packets")
}

/// QUIC versions that differ in nothing but their constants.
pub(super) fn version(version: u32) -> Result<Version, UnsupportedVersion> {
    match version {
        0x0000_0001 => Ok(Version::V1),
        _ => Err(UnsupportedVersion),
    }
}

pub(super) fn initial(suite: &Suite, version: Version, id: &ConnectionId, side: Side) -> Keys {
    both(suite.keys(id, side, version))
}

pub(super) fn both(keys: rustls::quic::Keys) -> Keys {
    let (local_header, local_packet) = one_way(keys.local);
    let (remote_header, remote_packet) = one_way(keys.remote);
    Keys {
        header: KeyPair {
            local: local_header,
            remote: remote_header,
        },
        packet: KeyPair {
            local: local_packet,
            remote: remote_packet,
        },
    }
}

pub(super) fn one_way(keys: DirectionalKeys) -> OneWay {
    (Box::new(keys.header), Box::new(keys.packet))
}

pub(super) fn packets(keys: PacketKeySet) -> PacketKeys {
    KeyPair {
        local: Box::new(keys.local),
        remote: Box::new(keys.remote),
    }
}

/// The tag that ends a Retry packet, over the packet without it. It shows that the packet answers an Initial packet that
/// had this destination; it is no secret.
pub(super) fn retry_tag(original_destination: &ConnectionId, packet: &[u8]) -> [u8; TAG_LEN] {
    let length =
        u8::try_from(original_destination.len()).expect("connection IDs have up to 20 bytes");
    let pseudo_packet = [&[length], &original_destination[..], packet].concat();
    let key = UnboundKey::new(&AES_128_GCM, &RETRY_KEY).expect("the key has 16 bytes");
    let tag = LessSafeKey::new(key)
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(RETRY_NONCE),
            Aad::from(pseudo_packet),
            &mut [],
        )
        .expect("there is nothing to seal");
    tag.as_ref().try_into().expect("a tag has 16 bytes")
}

/// Whether a Retry packet, `header` and then `payload`, ends with the tag that it must have.
pub(super) fn is_valid_retry(
    original_destination: &ConnectionId,
    header: &[u8],
    payload: &[u8],
) -> bool {
    let Some((token, tag)) = payload.split_last_chunk::<TAG_LEN>() else {
        return false;
    };
    retry_tag(original_destination, &[header, token].concat()) == *tag
}

const TAG_LEN: usize = 16;
const RETRY_KEY: [u8; 16] = [
    0xbe, 0x0c, 0x69, 0x0b, 0x9f, 0x66, 0x57, 0x5a, 0x1d, 0x76, 0x6b, 0x54, 0xe3, 0x68, 0xc8, 0x4e,
];
const RETRY_NONCE: [u8; 12] = [
    0x46, 0x15, 0x99, 0xd3, 0x5d, 0x63, 0x2b, 0xf2, 0x23, 0x98, 0x25, 0xbb,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9001, appendix A.4.
    #[test]
    fn the_retry_packet_of_the_rfc() {
        let original = ConnectionId::new(&[0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08]);
        let packet = [
            0xff, 0x00, 0x00, 0x00, 0x01, 0x00, 0x08, 0xf0, 0x67, 0xa5, 0x50, 0x2a, 0x42, 0x62,
            0xb5, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x04, 0xa2, 0x65, 0xba, 0x2e, 0xff, 0x4d, 0x82,
            0x90, 0x58, 0xfb, 0x3f, 0x0f, 0x24, 0x96, 0xba,
        ];
        let (header, payload) = packet.split_at(15);
        assert!(is_valid_retry(&original, header, payload));
        for at in 0..packet.len() {
            let mut altered = packet;
            altered[at] ^= 1;
            let (header, payload) = altered.split_at(15);
            assert!(!is_valid_retry(&original, header, payload), "byte {at}");
        }
        assert!(!is_valid_retry(&original, header, &payload[..15]));
        let other = ConnectionId::new(&[1; 8]);
        assert!(!is_valid_retry(&other, header, payload));
    }
}
