//! What holds for access tokens and lists of revoked nonces, as functions that property tests and fuzz targets call with bytes
//! of their own.

use stoq_core::access::{
    AccessError, AccessToken, HolderKey, Nonce, Revocations, SignedAccessToken, TokenHash, Verifier,
};
use stoq_core::falcon::{PUBLIC_KEY_LEN, SIGNATURE_LEN, Signature, VerifyingKey};
use stoq_core::time::UnixMicros;

/// Any bytes are answered without a panic, and what decodes encodes to the same bytes. Nothing is admitted that nobody signed.
pub(crate) fn access_token_bytes(input: &[u8]) {
    // The second has a signature, which random bytes are seldom long enough for.
    for bytes in [input, &[input, &SIGNATURE].concat()] {
        match SignedAccessToken::decode(bytes) {
            Ok(signed) => {
                assert_eq!(signed.encode(), bytes);
                assert_eq!(signed.hash(), TokenHash::of(bytes));
                access_token(signed.claim());
            }
            Err(fault) => assert!(!fault.to_string().is_empty()),
        }
    }
    if let Ok(text) = str::from_utf8(input) {
        for text in [text, &["stoqt1", text].concat()] {
            match text.parse::<SignedAccessToken>() {
                Ok(signed) => assert_eq!(signed.to_text(), text),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
        for text in [text, &["stoqh1", text].concat()] {
            if let Ok(key) = text.parse::<HolderKey>() {
                assert_eq!(key.to_string(), text);
                assert_eq!(HolderKey::from_bytes(key.as_bytes()), Ok(key));
            }
        }
    }
}

/// A token that may be sent comes back from its bytes and from its text, and from no part of them.
pub(crate) fn access_token(value: &AccessToken) {
    let signed =
        SignedAccessToken::new(value.clone(), Signature::new(SIGNATURE)).expect("it is in form");
    let bytes = signed.encode();
    assert!(bytes.len() <= AccessToken::MAX_LEN);
    assert_eq!(signed.claim(), value);
    assert_eq!(
        value.to_be_signed().expect("it is in form"),
        bytes[..bytes.len() - SIGNATURE_LEN]
    );
    let step = 1 + bytes.len() / 64;
    for end in (0..bytes.len()).step_by(step) {
        assert!(
            SignedAccessToken::decode(&bytes[..end]).is_err(),
            "{end} bytes"
        );
    }
    assert!(SignedAccessToken::decode(&[&bytes[..], &[0]].concat()).is_err());
    let text = signed.to_text();
    assert_eq!(text.parse().as_ref(), Ok(&signed));
    for wrong in [
        &text[1..],
        &text[..text.len() - 1],
        &(text.clone() + "A"),
        &(text.clone() + "="),
    ] {
        assert!(wrong.parse::<SignedAccessToken>().is_err());
    }

    // Nobody has signed it for this key; and what it claims decides how far it gets.
    let key = VerifyingKey::from_bytes(&KEY).expect("zeros are a key");
    let verify = |audience, issuers: &[VerifyingKey]| {
        let verifier = Verifier::new(audience, issuers.iter().cloned());
        verifier.verify(&bytes, &value.service, None, UnixMicros(value.not_before.0))
    };
    let (got, audience) = (value.audience, key.id());
    if got != audience {
        assert_eq!(verify(audience, &[]), Err(AccessError::Audience { got }));
    }
    let issuer = value.issuer;
    assert_eq!(verify(got, &[]), Err(AccessError::Issuer { got: issuer }));
    let expected = if issuer == key.id() {
        AccessError::Forged
    } else {
        AccessError::Issuer { got: issuer }
    };
    assert_eq!(verify(got, &[key]), Err(expected));
}

/// Any text is answered; a list that is read comes back from the nonces that it has, and has no others.
pub(crate) fn revocations_text(input: &str) {
    match Revocations::parse(input) {
        Ok(list) => {
            assert!(list.len() <= input.len() / (2 * Nonce::LEN));
            let mut lines: Vec<_> = list.iter().map(|nonce| format!("{nonce}\n")).collect();
            lines.reverse();
            let lines: String = lines.concat();
            assert_eq!(Revocations::parse(&lines).as_ref(), Ok(&list));
            for nonce in list.iter() {
                assert!(list.contains(nonce) && input.contains(&nonce.to_string()));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    // A list that is good stays so with a comment, a nonce that is not in it comes to be, and the wrong line is named.
    let stranger = Nonce::new([0xf0; Nonce::LEN]);
    if let Ok(mut list) = Revocations::parse(input)
        && list.len() < Revocations::MAX_NONCES
    {
        let longer = format!("{input}\n{stranger} # more");
        list.insert(stranger).expect("there is room");
        assert_eq!(Revocations::parse(&longer), Ok(list));
    }
}

/// A key, as decoding goes; nobody has the secret half.
const KEY: [u8; PUBLIC_KEY_LEN] = {
    let mut key = [0; PUBLIC_KEY_LEN];
    key[0] = 0x0a;
    key
};
const SIGNATURE: [u8; SIGNATURE_LEN] = {
    let mut signature = [0; SIGNATURE_LEN];
    signature[0] = 0x3a;
    signature
};
