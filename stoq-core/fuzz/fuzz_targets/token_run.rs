//! Calls the property of the same name.

#![no_main]

#[allow(dead_code, reason = "each target calls one property of several")]
#[path = "../../tests/properties/codec.rs"]
mod codec;

libfuzzer_sys::fuzz_target!(|input: &[u8]| codec::token_run_bytes(input));
