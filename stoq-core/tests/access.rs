//! Access tokens that a real key has signed: what they are good for, and every way in which they are not.

use p256::ecdsa::Signature;
use stoq_core::access::{
    Access, AccessError, AccessToken, HolderKey, HolderProof, Nonce, Revocations,
    SignedAccessToken, VerificationBudget, Verifier,
};
use stoq_core::close::Code;
use stoq_core::falcon::{SIGNATURE_LEN, VerifyingKey};
use stoq_core::hash::SessionHash;
use stoq_core::identity::FalconId;
use stoq_core::service::ServiceName;
use stoq_core::time::UnixMicros;

const SIGNED: &str = include_str!("vectors/access-tokens-signed.txt");
const FROM: u64 = 1_790_000_000_000_000;
const NOW: UnixMicros = UnixMicros(FROM + 1_000_000);

#[test]
fn a_token_holds_for_its_verifier_service_permissions_and_time() {
    let bearer = token("bearer");
    assert_eq!(bearer.to_text(), text("bearer"));
    for now in [FROM, FROM + 300_000_000] {
        for permission in [None, Some("read"), Some("write")] {
            let access = judge("bearer", "files", permission, UnixMicros(now)).unwrap();
            assert_eq!(access.subject(), "alice");
            assert_eq!(access.permissions(), ["read", "write"]);
            assert!(access.permits("read") && !access.permits("rea") && !access.permits(""));
            assert!(!access.needs_proof());
            assert_eq!(access.token(), bearer.claim());
        }
    }
    let refused = |service: &str, permission, now| {
        judge("bearer", service, permission, UnixMicros(now)).unwrap_err()
    };
    let got = name("files");
    assert_eq!(refused("file", None, FROM), AccessError::Service { got });
    let wanted = "delete".into();
    let delete = refused("files", Some("delete"), FROM);
    assert_eq!(delete, AccessError::Permission { wanted });
    assert_eq!(refused("files", None, FROM - 1), AccessError::NotYetValid);
    let late = refused("files", None, FROM + 300_000_001);
    assert_eq!(late, AccessError::Expired);
}

#[test]
fn a_token_for_another_verifier_or_by_a_stranger_is_refused() {
    let bytes = token("bearer").encode();
    let verify = |verifier: &Verifier| verifier.verify(&bytes, &name("files"), None, NOW);
    let elsewhere = Verifier::new(issuer().id(), [issuer()]);
    let got = audience();
    assert_eq!(verify(&elsewhere), Err(AccessError::Audience { got }));
    let got = issuer().id();
    for issuers in [vec![], vec![stranger()]] {
        let other = Verifier::new(audience(), issuers);
        assert_eq!(verify(&other), Err(AccessError::Issuer { got }));
    }
    // One that names the stranger as its issuer, whom the verifier trusts.
    let mut renamed = bytes.clone();
    renamed[2..34].copy_from_slice(stranger().id().as_bytes());
    let trusting = Verifier::new(audience(), [issuer(), stranger()]);
    let forged = trusting.verify(&renamed, &name("files"), None, NOW);
    assert_eq!(forged, Err(AccessError::Forged));
}

#[test]
fn a_bearer_token_lives_five_minutes_at_most() {
    let life = AccessToken::MAX_BEARER_LIFE + core::time::Duration::from_micros(1);
    let refused = judge("long bearer", "files", None, NOW).unwrap_err();
    assert_eq!(refused, AccessError::BearerTooLong { life });
    // With a holder it may live longer.
    let late = UnixMicros(FROM + 86_400_000_000);
    assert!(judge("held", "files", None, late).unwrap().needs_proof());
}

#[test]
fn a_revoked_nonce_is_refused_and_found_later() {
    let mut verifier = verifier();
    let access = judge("held", "files", None, NOW).unwrap();
    assert_eq!(verifier.recheck(&access), Ok(()));
    let nonce = Nonce::new(core::array::from_fn(|at| at as u8));
    let list = Revocations::parse("000102030405060708090a0b0c0d0e0f # lost").unwrap();
    verifier.set_revocations(list.clone());
    assert_eq!(verifier.revocations(), &list);
    let refused = Err(AccessError::Revoked { nonce });
    let again = verifier.verify(&token("held").encode(), &name("files"), None, NOW);
    assert_eq!(again.map(|_| ()), refused);
    assert_eq!(verifier.recheck(&access), refused);
    let nobody = Verifier::new(audience(), []);
    let got = issuer().id();
    assert_eq!(nobody.recheck(&access), Err(AccessError::Issuer { got }));
}

#[test]
fn a_flipped_bit_anywhere_spoils_a_token() {
    let bytes = token("held").encode();
    let verifier = Verifier::new(audience(), [issuer()]);
    let signature = (bytes.len() - SIGNATURE_LEN) * 8;
    for bit in (0..signature).chain((signature..bytes.len() * 8).step_by(97)) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let refused = verifier.verify(&flipped, &name("files"), None, NOW);
        let refused = refused.unwrap_err();
        let named = match bit / 8 {
            2..34 => matches!(refused, AccessError::Issuer { .. }),
            34..66 => matches!(refused, AccessError::Audience { .. }),
            _ => matches!(
                refused,
                AccessError::Forged | AccessError::Malformed(_) | AccessError::Service { .. }
            ),
        };
        assert!(named, "bit {bit}: {refused}");
    }
}

#[test]
fn of_several_tokens_the_first_good_one_counts_or_the_one_that_came_furthest() {
    let verifier = verifier();
    let admit =
        |tokens: &[&[u8]], permission| verifier.admit(tokens, &name("files"), permission, NOW);
    let (bearer, held, long) = (
        token("bearer").encode(),
        token("held").encode(),
        token("long bearer").encode(),
    );
    let mut elsewhere = bearer.clone();
    elsewhere[34] ^= 1;
    let mut forged = bearer.clone();
    *forged.last_mut().unwrap() ^= 1;
    forged[1000] ^= 1;
    let first = |tokens: &[&[u8]]| admit(tokens, Some("read")).map(|access| access.hash());
    assert_eq!(
        first(&[b"", &elsewhere, &held, &bearer]),
        Ok(token("held").hash())
    );
    assert_eq!(first(&[&long, &bearer, &held]), Ok(token("bearer").hash()));
    assert_eq!(first(&[]), Err(AccessError::Required));
    assert!(matches!(first(&[b""]), Err(AccessError::Malformed(_))));
    assert!(matches!(
        first(&[&elsewhere, b""]),
        Err(AccessError::Audience { .. })
    ));
    assert_eq!(first(&[&forged, &elsewhere]), Err(AccessError::Forged));
    assert!(matches!(
        first(&[&forged, &long]),
        Err(AccessError::BearerTooLong { .. })
    ));
    let delete = admit(&[&held, &long], Some("delete"));
    assert!(matches!(delete, Err(AccessError::Permission { .. })));
}

#[test]
fn a_token_for_another_service_costs_no_verification_and_who_has_none_left_is_refused() {
    let verifier = verifier();
    let mut verifications = 0;
    let mut admit = |tokens: &[&[u8]], service, most| {
        verifications = 0;
        let access = verifier.admit_within(tokens, &name(service), None, NOW, || {
            verifications += 1;
            verifications <= most
        });
        (access.map(|access| access.hash()), verifications)
    };
    let good = token("bearer");
    let (bytes, hash) = (good.encode(), good.hash());
    let got = name("files");
    assert_eq!(
        admit(&[bytes.as_slice(); 4], "echo", 4),
        (Err(AccessError::Service { got }), 0)
    );
    let mut forged = bytes.clone();
    forged[1000] ^= 1;
    assert_eq!(admit(&[&forged, &bytes], "files", 2), (Ok(hash), 2));
    let (refused, _) = admit(&[&forged, &bytes], "files", 1);
    assert_eq!(refused, Err(AccessError::Forged), "it came further");
    assert_eq!(
        admit(&[&bytes], "files", 0),
        (Err(AccessError::Unverified), 1)
    );
    assert_eq!(AccessError::Unverified.code(), Code::LIMIT);
}

#[test]
fn a_connection_has_so_many_verifications_at_once_and_so_many_a_second() {
    let spend = |budget: &mut VerificationBudget, at| {
        let at = stoq_core::time::Timestamp::from_micros(at);
        (0..10_000).take_while(|_| budget.spend(at)).count()
    };
    let mut budget = VerificationBudget::new();
    assert_eq!(spend(&mut budget, 0), 1024);
    assert_eq!(spend(&mut budget, 1_000_000), 256);
}

#[test]
fn the_holder_alone_can_prove_it_and_only_in_this_session() {
    let access = judge("held", "files", None, NOW).unwrap();
    assert_eq!(access.hash().to_string(), text("held hash"));
    assert_eq!(access.token().holder, Some(text("holder").parse().unwrap()));
    let session = SessionHash::new(&[1; 32], &[2; 32], "files");
    let proof = proof("proof");
    assert_eq!(access.check_proof(&session, &proof), Ok(()));
    // ECDSA: with the other s it is as good.
    let signature = Signature::from_slice(proof.as_bytes()).unwrap();
    let (r, s) = signature.split_scalars();
    let twin = Signature::from_scalars(r, -*s).unwrap();
    let twin = HolderProof::new(twin.to_bytes().into());
    assert_ne!(twin, proof);
    assert_eq!(access.check_proof(&session, &twin), Ok(()));

    let wrong = Err(AccessError::HolderWrong);
    assert_eq!(
        access.check_proof(&session, &self::proof("other proof")),
        wrong
    );
    for other in [
        SessionHash::new(&[1; 32], &[3; 32], "files"),
        SessionHash::new(&[1; 32], &[2; 32], "file"),
    ] {
        assert_eq!(access.check_proof(&other, &proof), wrong);
    }
    for byte in 0..HolderProof::LEN {
        let mut bytes = *proof.as_bytes();
        bytes[byte] ^= 1;
        assert_eq!(
            access.check_proof(&session, &HolderProof::new(bytes)),
            wrong
        );
    }
    for filler in [0, 0xff] {
        let proof = HolderProof::new([filler; HolderProof::LEN]);
        assert_eq!(access.check_proof(&session, &proof), wrong);
    }
    // A bearer token asks for none.
    let bearer = judge("bearer", "files", None, NOW).unwrap();
    assert_eq!(
        bearer.check_proof(&session, &HolderProof::new([0; 64])),
        Ok(())
    );
}

#[test]
fn a_holder_key_has_one_encoding_and_stands_on_the_curve() {
    let key: HolderKey = text("holder").parse().unwrap();
    assert_eq!(key.to_string(), text("holder"));
    let point = p256::ecdsa::VerifyingKey::from_sec1_bytes(key.as_bytes()).unwrap();
    let uncompressed = point.to_sec1_point(false);
    assert_eq!(
        HolderKey::from_uncompressed(uncompressed.as_bytes()),
        Ok(key)
    );
    let mut off = uncompressed.as_bytes().to_vec();
    off[64] ^= 2;
    assert!(HolderKey::from_uncompressed(&off).is_err());
    assert!(HolderKey::from_uncompressed(key.as_bytes()).is_err());
    // Who has checked the point gets the same key without the arithmetic; the form is looked at all the same.
    assert_eq!(HolderKey::from_trusted(uncompressed.as_bytes()), Ok(key));
    assert!(HolderKey::from_trusted(&off).is_ok());
    assert!(HolderKey::from_trusted(key.as_bytes()).is_err());
    for first in [0, 1, 4, 5, 6] {
        let mut bytes = *key.as_bytes();
        bytes[0] = first;
        assert!(HolderKey::from_bytes(&bytes).is_err());
    }
}

#[test]
fn each_refusal_has_its_code() {
    let code = |error: AccessError| error.code();
    let id = audience();
    let codes = [
        (code(AccessError::Required), Code::TOKEN_REQUIRED),
        (
            code(AccessError::Audience { got: id }),
            Code::TOKEN_AUDIENCE,
        ),
        (code(AccessError::Issuer { got: id }), Code::TOKEN_ISSUER),
        (code(AccessError::Forged), Code::TOKEN_FORGED),
        (code(AccessError::Expired), Code::TOKEN_EXPIRED),
        (code(AccessError::NotYetValid), Code::TOKEN_NOT_YET_VALID),
        (code(AccessError::HolderMissing), Code::HOLDER_MISSING),
        (code(AccessError::HolderWrong), Code::HOLDER_WRONG),
    ];
    for (got, expected) in codes {
        assert_eq!(got, expected);
    }
    let nonce = Nonce::new([0; 16]);
    assert_eq!(code(AccessError::Revoked { nonce }), Code::TOKEN_REVOKED);
    let wanted = String::new();
    assert_eq!(code(AccessError::Permission { wanted }), Code::PERMISSION);
    let got = name("a");
    assert_eq!(code(AccessError::Service { got }), Code::TOKEN_SERVICE);
    let malformed = SignedAccessToken::decode(&[]).map_err(AccessError::Malformed);
    assert_eq!(code(malformed.unwrap_err()), Code::TOKEN_MALFORMED);
}

fn judge(
    which: &str,
    service: &str,
    permission: Option<&str>,
    now: UnixMicros,
) -> Result<Access, AccessError> {
    verifier().verify(&token(which).encode(), &name(service), permission, now)
}

fn verifier() -> Verifier {
    Verifier::new(audience(), [stranger(), issuer()])
}

fn issuer() -> VerifyingKey {
    VerifyingKey::try_from(&hex(text("issuer"))[..]).expect("a key stands there")
}

/// A key that has signed nothing: the issuer's, with another coefficient at its end.
fn stranger() -> VerifyingKey {
    let mut bytes = *issuer().as_bytes();
    bytes[1792] ^= 1;
    VerifyingKey::from_bytes(&bytes).expect("the last coefficient is small")
}

fn audience() -> FalconId {
    text("audience").parse().expect("an identity")
}

fn token(which: &str) -> SignedAccessToken {
    text(which).parse().expect("a token")
}

fn proof(which: &str) -> HolderProof {
    HolderProof::new(hex(text(which)).try_into().expect("64 bytes"))
}

fn name(service: &str) -> ServiceName {
    ServiceName::new(service).expect("a name")
}

/// What stands behind this word in the file.
fn text(which: &str) -> &'static str {
    let line = SIGNED
        .lines()
        .find_map(|line| line.strip_prefix(which)?.strip_prefix(": "));
    line.expect("it stands there")
}

fn hex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits");
    (0..text.len()).step_by(2).map(byte).collect()
}
