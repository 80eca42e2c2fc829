//! What the examples show works: each has a test that runs it as it stands.

#[path = "../../examples/echo.rs"]
mod echo;
#[path = "../../examples/file-transfer.rs"]
mod file_transfer;
#[path = "../../examples/live-adaptation.rs"]
mod live_adaptation;
#[path = "../../examples/mutual-falcon.rs"]
mod mutual_falcon;
#[path = "../../examples/pool.rs"]
mod pool;
