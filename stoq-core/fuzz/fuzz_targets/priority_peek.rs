//! Calls the property of the same name.

#![no_main]

#[path = "../../tests/properties/peek.rs"]
mod peek;

libfuzzer_sys::fuzz_target!(|input: &[u8]| peek::priority_peek_bytes(input));
