//! Makes the signed access tokens of stoq-core's vectors:
//! `cargo run --release -p stoq-native --example access-tokens > stoq-core/tests/vectors/access-tokens-signed.txt`
//!
//! PQClean signs the tokens, aws-lc the proofs. The keys are new each time and forgotten.

use stoq_core::access::{AccessToken, Nonce, SignedAccessToken, proof_message};
use stoq_core::falcon::Domain;
use stoq_core::hash::SessionHash;
use stoq_core::identity::FalconId;
use stoq_core::time::UnixMicros;
use stoq_native::{FalconKey, FalconSigner as _, HolderKey, HolderKeyPair, HolderSigner as _};

fn main() {
    let (issuer, holder, other) = (
        FalconKey::generate(),
        HolderKeyPair::generate(),
        HolderKeyPair::generate(),
    );
    let audience = FalconKey::generate().id();
    let bearer = token(&issuer, audience, 300_000_000, None);
    let long = token(&issuer, audience, 300_000_001, None);
    let held = token(&issuer, audience, 86_400_000_000, Some(holder.public()));
    let session = SessionHash::new(&[1; 32], &[2; 32], "files");
    let proof = |pair: &HolderKeyPair, token: &SignedAccessToken| {
        let message = proof_message(&token.hash(), &session);
        hex(pair.sign(&message).expect("a new key signs").as_bytes())
    };
    println!(
        "# Access tokens that a real key has signed, and proofs of their holder: made by stoq-native/examples/access-tokens.rs"
    );
    println!("#");
    println!(
        "# Each holds from 21 September 2026, 13:33:20 UTC; for alice, service files, permissions read and write, nonce 00 01 … 0f."
    );
    println!(
        "# The proofs are for the session of client random 01*32, target random 02*32, service files."
    );
    println!();
    println!("issuer: {}", hex(issuer.verifying_key().as_bytes()));
    println!("audience: {audience}");
    println!("holder: {}", holder.public());
    println!("# Five minutes, without a holder");
    println!("bearer: {}", bearer.to_text());
    println!("# A microsecond more");
    println!("long bearer: {}", long.to_text());
    println!("# A day, with the holder");
    println!("held: {}", held.to_text());
    println!("held hash: {}", held.hash());
    println!("# By the holder, and by another key");
    println!("proof: {}", proof(&holder, &held));
    println!("other proof: {}", proof(&other, &held));
}

fn token(
    issuer: &FalconKey,
    audience: FalconId,
    life: u64,
    holder: Option<HolderKey>,
) -> SignedAccessToken {
    let token = AccessToken {
        issuer: issuer.id(),
        audience,
        nonce: Nonce::new(core::array::from_fn(|at| at as u8)),
        not_before: NOT_BEFORE,
        expiry: UnixMicros(NOT_BEFORE.0 + life),
        holder,
        subject: "alice".into(),
        service: "files".parse().expect("a name"),
        permissions: vec!["read".into(), "write".into()],
    };
    // Not by `issue_access_token`, which would refuse one of them.
    let signed = token.to_be_signed().expect("it is in form");
    let signature = issuer
        .sign(Domain::ACCESS_TOKEN, &[&signed])
        .expect("a new key signs");
    SignedAccessToken::new(token, signature).expect("it was encoded before")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const NOT_BEFORE: UnixMicros = UnixMicros(1_790_000_000_000_000);
