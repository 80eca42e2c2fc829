//! FALCON-1024 keys and signatures that PQClean has made: what is good is accepted, and nothing else.
//!
//! All 1000 vectors are checked by the crate `stoq-conformance`, so that Node and browsers check them too; here is one of each
//! kind, which the package on crates.io has as well.

#[path = "falcon/vectors.rs"]
mod vectors;

use stoq_core::falcon::{
    BadSignature, Domain, MAX_SIGNED_LEN, PUBLIC_KEY_LEN, SIGNATURE_LEN, Signature, VerifyingKey,
};

const FEW: &[u8] = include_bytes!("vectors/falcon-few.bin");

#[test]
fn one_vector_of_each_kind_is_answered_as_it_should_be() {
    let counts = vectors::check(FEW).unwrap();
    let one_of_each = vectors::KINDS.map(|kind| (kind, 1)).into();
    assert_eq!(counts, one_of_each);
}

#[test]
fn the_check_of_vectors_notices() {
    // The last vector's kind is two bytes before its label, key and so on: everything behind it has a known length.
    let last = |file: &[u8]| {
        let message = MAX_SIGNED_LEN + 1 - Domain::COMPOSITE.label().len();
        file.len() - SIGNATURE_LEN - 2 - message - 2 - 6
    };
    let mut said_to_be_good = FEW.to_vec();
    assert_eq!(FEW[last(FEW)], 11);
    said_to_be_good[last(FEW)] = 0;
    let error = vectors::check(&said_to_be_good).unwrap_err();
    assert_eq!(error, "vector 11, good: answered wrongly");

    // A bad vector that is bad for another reason than the one it names.
    let mut said_to_be_altered = FEW.to_vec();
    said_to_be_altered[last(FEW)] = 8;
    let error = vectors::check(&said_to_be_altered).unwrap_err();
    assert_eq!(error, "vector 11, altered signature: refused when mended");

    assert!(vectors::check(&FEW[..FEW.len() - 1]).is_err());
    assert!(vectors::check(&[FEW, &[0]].concat()).is_err());
    assert!(vectors::check(&FEW[1..]).is_err());
}

#[test]
fn every_flipped_bit_of_a_signature_is_refused() {
    let Signed {
        key,
        message,
        signature,
    } = signed();
    let key = VerifyingKey::from_bytes(&key).unwrap();
    let verify = |bytes| {
        let signature = Signature::new(bytes);
        key.verify(Domain::ENDPOINT_RECORD, &[message], &signature)
    };
    assert_eq!(verify(signature), Ok(()));
    for bit in 0..SIGNATURE_LEN * 8 {
        let mut flipped = signature;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(verify(flipped), Err(BadSignature), "bit {bit}");
    }
}

#[test]
fn every_flipped_bit_of_a_key_is_another_key_or_none() {
    let Signed {
        key,
        message,
        signature,
    } = signed();
    let signature = Signature::new(signature);
    let id = VerifyingKey::from_bytes(&key).unwrap().id();
    let mut none = 0;
    for bit in 0..PUBLIC_KEY_LEN * 8 {
        let mut flipped = key;
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Ok(flipped) = VerifyingKey::from_bytes(&flipped) else {
            none += 1;
            continue;
        };
        assert_ne!(flipped.id(), id, "bit {bit}");
        let verified = flipped.verify(Domain::ENDPOINT_RECORD, &[message], &signature);
        assert_eq!(verified, Err(BadSignature), "bit {bit}");
    }
    // The eight bits of the header, and those that take a coefficient above 12288.
    assert!((8..PUBLIC_KEY_LEN * 8 / 4).contains(&none), "{none}");
}

#[test]
fn where_a_message_is_parted_does_not_matter() {
    let Signed {
        key,
        message,
        signature,
    } = signed();
    let key = VerifyingKey::from_bytes(&key).unwrap();
    let signature = Signature::new(signature);
    let verify = |parts: &[&[u8]]| key.verify(Domain::ENDPOINT_RECORD, parts, &signature);
    let bytes: Vec<_> = message.chunks(1).collect();
    assert_eq!(verify(&bytes), Ok(()));
    assert_eq!(verify(&[&[], message, &[]]), Ok(()));
    assert_eq!(verify(&[message, &[0]]), Err(BadSignature));
    assert_eq!(verify(&[&message[1..]]), Err(BadSignature));
    assert_eq!(verify(&[]), Err(BadSignature));
    // However much there is to cover, it is an answer.
    assert_eq!(verify(&[&[0; MAX_SIGNED_LEN][..]; 4]), Err(BadSignature));
}

struct Signed {
    key: [u8; PUBLIC_KEY_LEN],
    message: &'static [u8],
    signature: [u8; SIGNATURE_LEN],
}

/// What an endpoint record's key has signed.
fn signed() -> Signed {
    let record = include_bytes!("vectors/endpoint-record.bin");
    let (message, signature) = record.split_last_chunk().expect("it ends in a signature");
    let key = message[2..].first_chunk().expect("it begins with a key");
    Signed {
        key: *key,
        message,
        signature: *signature,
    }
}
