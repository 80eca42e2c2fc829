//! How much stack FALCON-1024 takes. What runs out of it ends the process, and so the test.

#![cfg(not(target_family = "wasm"))]

use std::thread;

use stoq_core::falcon::{Domain, PUBLIC_KEY_LEN, SIGNATURE_LEN, Signature, VerifyingKey};

#[test]
fn a_key_is_checked_on_the_stack_that_its_documentation_names() {
    let limit = if cfg!(debug_assertions) { 64 } else { 20 };
    let id = on(limit, || {
        VerifyingKey::from_bytes(&key()).map(|key| key.id())
    });
    assert_eq!(id, VerifyingKey::from_bytes(&key()).map(|key| key.id()));
}

#[test]
fn a_signature_is_verified_on_the_stack_that_its_documentation_names() {
    let limit = if cfg!(debug_assertions) { 43 } else { 12 };
    // The key is checked elsewhere: that takes more.
    let key = Box::new(VerifyingKey::from_bytes(&key()).unwrap());
    let verified = on(limit, move || {
        let (message, signature) = RECORD.split_at(RECORD.len() - SIGNATURE_LEN);
        let signature = Signature::try_from(signature)?;
        key.verify(Domain::ENDPOINT_RECORD, &[message], &signature)
    });
    assert_eq!(verified, Ok(()));
}

/// Runs on a thread with a stack of so many KiB.
fn on<T: Send + 'static>(kib: usize, run: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = thread::Builder::new().stack_size((kib + THREAD) * 1024);
    let thread = thread.spawn(run).expect("the system has a thread left");
    thread.join().expect("a panic there is one here")
}

fn key() -> [u8; PUBLIC_KEY_LEN] {
    *RECORD[2..].first_chunk().expect("it begins with a key")
}

const RECORD: &[u8] = include_bytes!("vectors/endpoint-record.bin");
/// KiB that a thread takes of its stack before it runs anything of ours, and the signature and the key that a test copies.
const THREAD: usize = 12;
