//! Calls the property of the same name.

#![no_main]

#[allow(dead_code, reason = "each target calls one property of several")]
#[path = "../../tests/properties/datagrams.rs"]
mod datagrams;

libfuzzer_sys::fuzz_target!(|input: &[u8]| datagrams::datagrams_bytes(input));
