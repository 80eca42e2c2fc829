//! What stoq-native reads in the certificate of a peer: the whole, and each of STOQ's extensions within one that is sound.

#![no_main]

#[allow(
    dead_code,
    unreachable_pub,
    reason = "the target calls one function of several"
)]
#[path = "../../../stoq-native/src/certificate.rs"]
mod certificate;

use certificate::{CertificateFault, Leaf};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = Leaf::parse(input);
    for oid in [FALCON_KEY, GRANT] {
        let parsed = Leaf::parse(&with_extension(oid, input));
        if oid == FALCON_KEY && input.len() != 18 + 1793 {
            let got = input.len();
            assert_eq!(
                parsed.err(),
                Some(CertificateFault::FalconKeyLength { got })
            );
            continue;
        }
        // There is one encoding: whatever else is read gives nothing.
        if let Ok(leaf) = parsed {
            let written = match oid {
                FALCON_KEY => {
                    certificate::falcon_key_extension(&leaf.falcon.expect("it was there"))
                }
                _ => certificate::grant_extension(&leaf.grant.expect("it was there")),
            };
            assert_eq!(written, input);
        }
    }
});

/// A certificate that says nothing but this.
fn with_extension(oid: &[u8], content: &[u8]) -> Vec<u8> {
    let algorithm = tlv(0x30, &[OID_ED25519]);
    let time = tlv(0x17, &[b"250101000000Z"]);
    let key = tlv(0x30, &[&algorithm, &tlv(0x03, &[&[0; 33]])]);
    let extension = tlv(0x30, &[oid, &tlv(0x04, &[content])]);
    let extensions = tlv(0xa3, &[&tlv(0x30, &[&extension])]);
    let signed = tlv(
        0x30,
        &[
            &[0xa0, 3, 2, 1, 2], // version 3
            &[2, 1, 1],          // serial number
            &algorithm,
            &tlv(0x30, &[]), // issuer
            &tlv(0x30, &[&time, &time]),
            &tlv(0x30, &[]), // subject
            &key,
            &extensions,
        ],
    );
    tlv(0x30, &[&signed, &algorithm, &tlv(0x03, &[&[0; 65]])])
}

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = match u8::try_from(content.len()) {
        Ok(short @ ..0x80) => vec![short],
        Ok(byte) => vec![0x81, byte],
        Err(_) => {
            let [high, low] = u16::try_from(content.len())
                .expect("inputs are short")
                .to_be_bytes();
            vec![0x82, high, low]
        }
    };
    [vec![tag], length, content].concat()
}

const OID_ED25519: &[u8] = &[0x06, 3, 0x2b, 0x65, 0x70];
const FALCON_KEY: &[u8] = &[0x06, 3, 0x55, 0x1d, 0x48];
/// 2.25.7382940155127846011.
const GRANT: &[u8] = &[
    0x06, 10, 0x69, 0xe6, 0xba, 0xde, 0x9e, 0xc6, 0x82, 0xf3, 0xa8, 0x7b,
];
