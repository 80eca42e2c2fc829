//! What the protocol's extensions cost beside raw streams. All contenders run in one process, in turn, round after round;
//! every figure is a ratio within the run.

#[path = "../machine.rs"]
mod machine;
mod verified;

use std::error::Error;

/// What fails, fails the measurement.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    println!("{}", machine::machine());
    println!("{}", machine::versions(&["quinn", "blake3", "sha2"]));
    verified::run().await
}
