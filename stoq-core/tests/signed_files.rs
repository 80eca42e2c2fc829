//! A grant and an endpoint record that a real key has signed: what they are good for, and every way in which they are not.

use stoq_core::FalconId;
use stoq_core::endpoint_record::{EndpointRecordError, SignedEndpointRecord};
use stoq_core::falcon::{BadSignature, PUBLIC_KEY_LEN, SIGNATURE_LEN, VerifyingKey};
use stoq_core::grant::{GrantError, SignedGrant};
use stoq_core::time::UnixMicros;

const GRANT: &[u8] = include_bytes!("vectors/grant.bin");
const RECORD: &[u8] = include_bytes!("vectors/endpoint-record.bin");
const NOT_BEFORE: u64 = 1_700_000_000_000_000;
const NOT_AFTER: u64 = NOT_BEFORE + 24 * 60 * 60 * 1_000_000;

#[test]
fn a_grant_holds_for_its_subject_names_and_time() {
    let signed = SignedGrant::decode(GRANT).unwrap();
    assert_eq!(signed.encode(), GRANT);
    let grant = signed.verify(&key()).unwrap();
    assert_eq!(grant.authority, key().id());
    assert_eq!(grant.serial, 7);
    let check = |now, name| grant.check(UnixMicros(now), &grant.subject, name);
    for now in [NOT_BEFORE, NOT_AFTER] {
        assert_eq!(check(now, Some("gateway.example")), Ok(()));
        assert_eq!(check(now, Some("127.0.0.1")), Ok(()));
        assert_eq!(check(now, None), Ok(()));
    }
    assert_eq!(check(NOT_BEFORE - 1, None), Err(GrantError::NotYetValid));
    assert_eq!(check(NOT_AFTER + 1, None), Err(GrantError::Expired));
    for wanted in ["other.example", "", "gateway.example.", "GATEWAY.EXAMPLE"] {
        let refused = GrantError::Name {
            wanted: wanted.into(),
        };
        assert_eq!(check(NOT_BEFORE, Some(wanted)), Err(refused));
    }
    let got = grant.subject;
    assert_eq!(
        grant.check(UnixMicros(NOT_BEFORE), &key().id(), None),
        Err(GrantError::Subject { got })
    );
}

#[test]
fn a_grant_of_another_authority_is_refused() {
    let signed = SignedGrant::decode(GRANT).unwrap();
    let got = key().id();
    assert_eq!(
        signed.verify(&other_key()),
        Err(GrantError::Authority { got })
    );
    // One that names the other, and was signed by this one.
    let mut renamed = GRANT.to_vec();
    renamed[2..34].copy_from_slice(other_key().id().as_bytes());
    let renamed = SignedGrant::decode(&renamed).unwrap();
    let unsigned = Err(GrantError::Signature(BadSignature));
    assert_eq!(renamed.verify(&other_key()), unsigned);
}

#[test]
fn a_flipped_bit_anywhere_spoils_a_grant() {
    for bit in bits(GRANT) {
        let Ok(flipped) = SignedGrant::decode(&flip(GRANT, bit)) else {
            continue;
        };
        let refused = flipped.verify(&key()).unwrap_err();
        let named = match bit / 8 {
            2..34 => matches!(refused, GrantError::Authority { .. }),
            _ => refused == GrantError::Signature(BadSignature),
        };
        assert!(named, "bit {bit}: {refused}");
    }
}

#[test]
fn a_record_holds_for_its_gateway_and_time() {
    let signed = SignedEndpointRecord::decode(RECORD).unwrap();
    assert_eq!(signed.encode(), RECORD);
    let pins = [other_key().id(), key().id()];
    let record = signed.verify(&pins).unwrap();
    assert_eq!(record.certificate_hashes, [[1; 32], [2; 32]]);
    let gateway = "gateway.example:443";
    let check = |now, authority, last| record.check(UnixMicros(now), authority, last);
    for now in [NOT_BEFORE, NOT_AFTER] {
        assert_eq!(check(now, gateway, None), Ok(()));
        assert_eq!(check(now, gateway, Some(7)), Ok(()));
    }
    assert_eq!(
        check(NOT_BEFORE - 1, gateway, None),
        Err(EndpointRecordError::NotYetValid)
    );
    assert_eq!(
        check(NOT_AFTER + 1, gateway, None),
        Err(EndpointRecordError::Expired)
    );
    assert_eq!(
        check(NOT_BEFORE, gateway, Some(8)),
        Err(EndpointRecordError::Serial { got: 7, last: 8 })
    );
    for wanted in [
        "gateway.example:444",
        "gateway.example",
        "Gateway.example:443",
    ] {
        let refused = EndpointRecordError::Authority {
            got: gateway.into(),
            wanted: wanted.into(),
        };
        assert_eq!(check(NOT_BEFORE, wanted, None), Err(refused));
    }
}

#[test]
fn a_record_of_a_key_that_is_not_pinned_is_refused() {
    let signed = SignedEndpointRecord::decode(RECORD).unwrap();
    let got = key().id();
    for pins in [&[][..], &[other_key().id()], &[FalconId::new([0; 32])]] {
        let refused = Err(EndpointRecordError::NotPinned { got });
        assert_eq!(signed.verify(pins), refused);
    }
    // With the key that is pinned put in, it is that key's word no longer.
    let mut rekeyed = RECORD.to_vec();
    rekeyed[2..2 + PUBLIC_KEY_LEN].copy_from_slice(other_key().as_bytes());
    let rekeyed = SignedEndpointRecord::decode(&rekeyed).unwrap();
    let unsigned = Err(EndpointRecordError::Signature(BadSignature));
    assert_eq!(rekeyed.verify(&[other_key().id()]), unsigned);
}

#[test]
fn a_flipped_bit_anywhere_spoils_a_record() {
    for bit in bits(RECORD) {
        let Ok(flipped) = SignedEndpointRecord::decode(&flip(RECORD, bit)) else {
            continue;
        };
        let refused = flipped.verify(&[key().id()]).unwrap_err();
        let named = match bit / 8 {
            2..KEY_END => matches!(refused, EndpointRecordError::NotPinned { .. }),
            _ => refused == EndpointRecordError::Signature(BadSignature),
        };
        assert!(named, "bit {bit}: {refused}");
    }
}

#[test]
fn a_grant_is_no_record_and_a_record_no_grant() {
    assert!(SignedEndpointRecord::decode(GRANT).is_err());
    assert!(SignedGrant::decode(RECORD).is_err());
}

/// Each bit of what is signed, and one here and there of the signature: `falcon.rs` has them all.
fn bits(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let signature = (bytes.len() - SIGNATURE_LEN) * 8;
    (0..signature).chain((signature..bytes.len() * 8).step_by(97))
}

fn flip(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

/// The key that has signed both.
fn key() -> VerifyingKey {
    VerifyingKey::try_from(&RECORD[2..KEY_END]).expect("a key stands there")
}

/// A key that has signed neither: that one, with another coefficient at its end.
fn other_key() -> VerifyingKey {
    let mut bytes = *key().as_bytes();
    bytes[PUBLIC_KEY_LEN - 1] ^= 1;
    VerifyingKey::from_bytes(&bytes).expect("the last coefficient is small")
}

const KEY_END: usize = 2 + PUBLIC_KEY_LEN;
