//! The examples run, and find what they say.

#[path = "../../examples/live-adaptation.rs"]
mod live_adaptation;

#[test]
fn live_adaptation() {
    live_adaptation::main().unwrap();
}
