//! The properties of what is signed, and of names and keys, on random values, random bytes, and bytes with a slip in them.

use proptest::{array, collection::vec, option, prelude::*, string::string_regex};
use stoq_core::{
    FalconId, VarInt,
    endpoint_record::{EndpointRecord, SignedEndpointRecord},
    falcon::{PUBLIC_KEY_LEN, SIGNATURE_LEN, Signature, VerifyingKey},
    grant::{Grant, SignedGrant},
    time::UnixMicros,
    transport_parameter::{Capabilities, TransportParameter},
};

use super::{codec, varint};

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn grants(value in grant(), slip in slip(), bytes in vec(any::<u8>(), 0..200)) {
        codec::grant(&value);
        codec::grant_bytes(&bytes);
        let signed = SignedGrant::new(value, Signature::new([7; SIGNATURE_LEN])).unwrap();
        slip.make(signed.encode(), codec::grant_bytes);
    }

    #[test]
    fn endpoint_records(value in endpoint_record(), slip in slip(), bytes in vec(any::<u8>(), 0..200)) {
        codec::endpoint_record(&value);
        codec::endpoint_record_bytes(&bytes);
        let mut key = [0; PUBLIC_KEY_LEN];
        key[0] = 0x0a;
        let key = VerifyingKey::from_bytes(&key).unwrap();
        let signed = SignedEndpointRecord::new(value, key, Signature::new([7; SIGNATURE_LEN]));
        let encoded = signed.unwrap().encode();
        // The fields behind the key, where slips are not hidden by it; then anywhere.
        let fields = encoded[2 + PUBLIC_KEY_LEN..encoded.len() - SIGNATURE_LEN].to_vec();
        slip.make(fields, codec::endpoint_record_bytes);
        slip.make(encoded, codec::endpoint_record_bytes);
    }

    #[test]
    fn transport_parameters(
        value in transport_parameter(), slip in slip(), other in varint(), bytes in vec(any::<u8>(), 0..80),
    ) {
        codec::transport_parameter(&value);
        codec::transport_parameter_bytes(&bytes);
        let mut list = Vec::new();
        other.encode(&mut list);
        VarInt::from(bytes.len() as u8).encode(&mut list);
        list.extend(bytes);
        codec::transport_parameter_bytes(&list);
        value.encode(&mut list);
        slip.make(list, codec::transport_parameter_bytes);
    }

    #[test]
    fn falcon_ids(id: [u8; 32], text in "(stoq1)?[a-z2-7]{50,53}", other: String) {
        codec::falcon_id(FalconId::new(id));
        codec::falcon_id_text(&text);
        codec::falcon_id_text(&other);
    }

    #[test]
    fn falcon_keys_and_signatures(bytes in vec(any::<u8>(), 0..2000), small in vec(0u8..16, PUBLIC_KEY_LEN)) {
        codec::falcon_bytes(&bytes);
        // With few bits set, coefficients are small, and decode.
        codec::falcon_bytes(&small);
        codec::falcon_bytes(&small[..SIGNATURE_LEN]);
    }
}

/// One byte of an encoding altered, removed or put in, or its end cut off.
#[derive(Clone, Debug)]
struct Slip {
    at: prop::sample::Index,
    flip: u8,
    insert: u8,
}

fn slip() -> impl Strategy<Value = Slip> {
    (any::<prop::sample::Index>(), 1u8.., any::<u8>()).prop_map(|(at, flip, insert)| Slip {
        at,
        flip,
        insert,
    })
}

impl Slip {
    fn make(&self, mut bytes: Vec<u8>, check: impl Fn(&[u8])) {
        let at = self.at.index(bytes.len());
        bytes[at] ^= self.flip;
        check(&bytes);
        bytes[at] ^= self.flip;
        check(&bytes[..at]);
        bytes.insert(at, self.insert);
        check(&bytes);
        bytes.drain(at..(at + 2).min(bytes.len()));
        check(&bytes);
    }
}

fn grant() -> impl Strategy<Value = Grant> {
    let ids = (any::<[u8; 32]>(), any::<[u8; 32]>());
    let names = prop::collection::btree_set(name(), 0..=Grant::MAX_NAMES);
    (ids, any::<(u64, u64, u64)>(), names).prop_map(|(ids, numbers, names)| Grant {
        authority: FalconId::new(ids.0),
        subject: FalconId::new(ids.1),
        serial: numbers.0,
        not_before: UnixMicros(numbers.1),
        not_after: UnixMicros(numbers.2),
        names: names.into_iter().collect(),
    })
}

fn endpoint_record() -> impl Strategy<Value = EndpointRecord> {
    let hashes = vec(any::<[u8; 32]>(), 1..=EndpointRecord::MAX_HASHES);
    (name(), any::<(u64, u64, u64)>(), hashes).prop_map(|(authority, numbers, hashes)| {
        EndpointRecord {
            authority,
            serial: numbers.0,
            not_before: UnixMicros(numbers.1),
            expiry: UnixMicros(numbers.2),
            certificate_hashes: hashes,
        }
    })
}

fn transport_parameter() -> impl Strategy<Value = TransportParameter> {
    let numbers = array::uniform3(varint());
    let identity = option::of(any::<[u8; 32]>());
    (numbers, identity, any::<u8>()).prop_map(|(numbers, identity, token_algorithm)| {
        let [version, capabilities, max_shard] = numbers;
        TransportParameter {
            version,
            capabilities: Capabilities(capabilities),
            identity: identity.map(FalconId::new),
            token_algorithm,
            max_shard,
        }
    })
}

/// Short and long ones; so that sixteen fit a grant, few are as long as DNS allows.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        9 => string_regex("[a-z0-9.:_-]{1,100}").expect("a valid expression"),
        1 => string_regex("[a-z0-9.:_-]{101,253}").expect("a valid expression"),
    ]
}
