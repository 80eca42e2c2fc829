//! The properties of what is signed, and of names and keys, on random values, random bytes, and bytes with a slip in them.

use proptest::{array, collection::vec, option, prelude::*, string::string_regex};
use stoq_core::{
    FalconId, VarInt,
    access::{AccessToken, HolderKey, Nonce, SignedAccessToken},
    endpoint_record::{EndpointRecord, SignedEndpointRecord},
    falcon::{PUBLIC_KEY_LEN, SIGNATURE_LEN, Signature, VerifyingKey},
    grant::{Grant, SignedGrant},
    time::UnixMicros,
    transport_parameter::{Capabilities, TransportParameter},
};

use super::{access, codec, varint};

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
    fn access_tokens(value in access_token(), slip in slip(), bytes in vec(any::<u8>(), 0..200), text in "[A-Za-z0-9_-]{0,60}") {
        access::access_token(&value);
        access::access_token_bytes(&bytes);
        access::access_token_bytes(text.as_bytes());
        let signed = SignedAccessToken::new(value, Signature::new([7; SIGNATURE_LEN])).unwrap();
        slip.make(signed.to_text().into_bytes(), access::access_token_bytes);
        // The fields, where slips are not hidden by the signature; then anywhere.
        let encoded = signed.encode();
        slip.make(encoded[..encoded.len() - SIGNATURE_LEN].to_vec(), access::access_token_bytes);
        slip.make(encoded, access::access_token_bytes);
    }

    #[test]
    fn revocations(lines in "(([0-9a-f]{32})?[ \t]{0,2}(#[a-z ]{0,9})?\r?\n){0,20}", other in "([0-9a-fA-F# \n]{0,70}){0,3}", slip in slip()) {
        access::revocations_text(&lines);
        access::revocations_text(&other);
        if !lines.is_empty() {
            slip.make(lines.into_bytes(), |bytes| access::revocations_text(&String::from_utf8_lossy(bytes)));
        }
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

fn access_token() -> impl Strategy<Value = AccessToken> {
    let fixed = (
        any::<[u8; 32]>(),
        any::<[u8; 32]>(),
        any::<[u8; 16]>(),
        any::<(u64, u64)>(),
    );
    let permissions = prop::collection::btree_set(
        "[a-z0-9][a-z0-9.:_-]{0,31}",
        1..=AccessToken::MAX_PERMISSIONS,
    );
    let texts = (
        "[ -~\u{e4}\u{20ac}]{1,42}",
        "[a-z0-9][a-z0-9._-]{0,62}",
        permissions,
    );
    (fixed, any::<Option<bool>>(), texts).prop_map(|(fixed, holder, texts)| {
        let (issuer, audience, nonce, (not_before, expiry)) = fixed;
        let (subject, service, permissions) = texts;
        AccessToken {
            issuer: FalconId::new(issuer),
            audience: FalconId::new(audience),
            nonce: Nonce::new(nonce),
            not_before: UnixMicros(not_before),
            expiry: UnixMicros(expiry),
            holder: holder.map(|odd| {
                let mut point = BASE_POINT;
                point[0] = 2 | u8::from(odd);
                HolderKey::from_bytes(&point).expect("it is a point of the curve")
            }),
            subject,
            service: service.parse().expect("a name"),
            permissions: permissions.into_iter().collect(),
        }
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

/// x of P-256's base point, behind a byte for the sign of y.
const BASE_POINT: [u8; HolderKey::LEN] = [
    3, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40,
    0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2,
    0x96,
];
