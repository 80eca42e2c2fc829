//! Calls the property of the same name.

#![no_main]

#[allow(dead_code, reason = "each target calls one property of several")]
#[path = "../../tests/properties/channel.rs"]
mod channel;

libfuzzer_sys::fuzz_target!(|input: &[u8]| channel::channel_bytes(input));
