//! A small crowd, in the same two processes as the measurement `cargo xtask bench crowd`: nothing is lost, and tasks and connections
//! return to their number before.

use std::process::Command;

#[test]
fn a_crowd_comes_and_goes_and_leaves_nothing_behind() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench-crowd"))
        .args(["--connections", "200", "--seconds", "3", "--crowds", "2"])
        .output()
        .expect("the binary is built with the tests");
    let [printed, complained] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{printed}\n{complained}");
    assert_eq!(printed.matches("600 of 600 echoes came back").count(), 2);
    assert!(printed.contains("all came back"), "{printed}");
}
