//! What goes wrong outside: nothing hangs, and what fails says what to do.
//!
//! | fault | where |
//! |---|---|
//! | a peer vanishes | `gone.rs` |
//! | a pool's peer starts again | `pool.rs` |
//! | the address changes during a transfer | `migration.rs` |
//! | the certificate is rotated during a transfer | `rotation.rs` |
//! | half of the packets are lost for five seconds | here |
//! | no file descriptor is left | here |
//! | the clock jumps | `faults/clock.rs`, and for access tokens `access/clock.rs` |

#[cfg(target_os = "linux")]
pub(crate) mod clock;

use std::time::Duration;

use crate::harness::{Peers, pattern, within};
use crate::road::Road;
use crate::transfer::{Both, LENGTH};

#[tokio::test]
async fn a_transfer_outlives_five_seconds_in_which_half_is_lost() {
    within(async {
        let peers = Peers::new();
        let road = Road::to(peers.address()).await;
        let url = format!("stoq://{}/test", road.address);
        let accept = async { peers.server.accept().await.unwrap().accept().await.unwrap() };
        let (client, server) = tokio::join!(peers.client.connect(&url), accept);
        let client = client.unwrap();
        let content = pattern(LENGTH);
        let both = Both::new(&content);
        let losing = async {
            both.have(1).await;
            let lost = || client.connection().stats().lost_packets;
            let before = lost();
            road.lose(500);
            // The fault itself, which is as long as it is.
            tokio::time::sleep(Duration::from_secs(5)).await;
            road.lose(0);
            assert!(lost() > before, "nothing was lost");
            both.may_end();
        };
        tokio::join!(both.run(&client, &server), losing);
        assert_eq!(peers.client.stats().connections_opened, 1);
        peers.close().await;
    })
    .await;
}

/// Runs the test of this name once more, alone and in a process that a shell has prepared with these words.
#[cfg(unix)]
fn again(name: &str, prepare: &str) {
    let output = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!(
            "{prepare}; export {MARK}=1; exec \"$0\" --exact --nocapture {name}"
        ))
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

/// Whether this is the process that was prepared.
#[cfg(unix)]
fn is_prepared() -> bool {
    std::env::var_os(MARK).is_some()
}

#[cfg(unix)]
const MARK: &str = "STOQ_TEST_PREPARED";

#[cfg(unix)]
#[test]
fn with_no_file_left_what_runs_goes_on_and_what_is_new_says_why() {
    use stoq_native::{BindError, ClientConfig, Endpoint, Identity, ServerConfig};

    if !is_prepared() {
        let name = "faults::with_no_file_left_what_runs_goes_on_and_what_is_new_says_why";
        return again(name, "ulimit -n 48");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(within(async {
        let peers = Peers::new();
        let (client, server) = peers.session().await;
        let mut held = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            held.push(file);
        }
        let says_why = |error: BindError| {
            let said = error.to_string();
            assert!(said.contains("ulimit -n"), "{said}");
            let BindError::FileLimit { limit, .. } = error else {
                panic!("{error}");
            };
            if cfg!(target_os = "linux") {
                assert_eq!(limit, Some(48));
                assert!(said.contains("may have 48;"), "{said}");
            }
        };
        let new_client = || Endpoint::client(ClientConfig::new(peers.policy.clone()));
        says_why(new_client().unwrap_err());
        let identity = Identity::self_signed(["localhost"]).unwrap();
        let address = "[::1]:0".parse().unwrap();
        says_why(Endpoint::server(address, ServerConfig::new(identity)).unwrap_err());
        let before = peers.client.local_addr().unwrap();
        says_why(peers.client.rebind().unwrap_err());
        assert_eq!(peers.client.local_addr().unwrap(), before);

        // Connections need no file.
        client.ping().await.unwrap();
        server.ping().await.unwrap();
        let (another, _accepted) = peers.session().await;
        another.ping().await.unwrap();

        drop(held);
        new_client().unwrap();
        peers.client.rebind().unwrap();
        client.ping().await.unwrap();
        peers.close().await;
    }));
}
