//! Makes the endpoint records that the npm package's tests use:
//! `cargo run --release -p stoq-native --example endpoint-records > stoq-wasm/test/endpoint-records.json`
//!
//! Two records of one gateway, the second published later. The key is new each time and forgotten.

use std::time::Duration;

use stoq_core::endpoint_record::{EndpointRecord, SignedEndpointRecord};
use stoq_core::time::UnixMicros;
use stoq_native::{Domain, FalconKey, FalconSigner as _};

fn main() {
    let key = FalconKey::generate();
    // Beyond 2^53, where numbers of JavaScript are two apart: it must not pass through one.
    let (older, newer) = (1_789_999_999_999_999, (1 << 53) + 1);
    let record = |serial, certificate_hashes: &[[u8; 32]]| {
        let hashes: Vec<_> = certificate_hashes.iter().map(|hash| hex(hash)).collect();
        let bytes = hex(&signed(&key, serial, certificate_hashes.to_vec()));
        format!(
            r#"{{ "serial": "{serial}", "certificateHashes": {hashes:?}, "bytes": "{bytes}" }}"#
        )
    };
    println!("{{");
    println!(r#"  "about": "made by stoq-native/examples/endpoint-records.rs","#);
    println!(r#"  "authority": "{AUTHORITY}","#);
    println!(r#"  "falconId": "{}","#, key.id());
    println!(r#"  "anotherId": "{}","#, FalconKey::generate().id());
    println!(r#"  "notBefore": {},"#, NOT_BEFORE.as_millis());
    println!(r#"  "expiry": {},"#, EXPIRY.as_millis());
    println!(r#"  "older": {},"#, record(older, &[[0xcd; 32]]));
    let counting = core::array::from_fn(|at| at as u8);
    println!(r#"  "newer": {}"#, record(newer, &[counting, [0xab; 32]]));
    println!("}}");
}

fn signed(key: &FalconKey, serial: u64, certificate_hashes: Vec<[u8; 32]>) -> Vec<u8> {
    let record = EndpointRecord {
        authority: AUTHORITY.into(),
        serial,
        not_before: micros(NOT_BEFORE),
        expiry: micros(EXPIRY),
        certificate_hashes,
    };
    let bytes = record
        .to_be_signed(key.verifying_key())
        .expect("the authority is canonical, the hashes are few");
    let signature = key
        .sign(Domain::ENDPOINT_RECORD, &[&bytes])
        .expect("a new key signs");
    SignedEndpointRecord::new(record, key.verifying_key().clone(), signature)
        .expect("it was encoded before")
        .encode()
}

fn micros(since_the_epoch: Duration) -> UnixMicros {
    UnixMicros(since_the_epoch.as_micros() as u64)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const AUTHORITY: &str = "gateway.example:4433";
/// 21 September 2026, and 13 days more.
const NOT_BEFORE: Duration = Duration::from_secs(1_790_000_000);
const EXPIRY: Duration = Duration::from_secs(1_791_123_200);
