//! Calls the property of the same name.

#![no_main]

#[allow(dead_code, reason = "each target calls one property of several")]
#[path = "../../tests/properties/access.rs"]
mod access;

libfuzzer_sys::fuzz_target!(|input: &[u8]| access::revocations_text(&String::from_utf8_lossy(input)));
