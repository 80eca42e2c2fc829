//! The conformance bodies between native peers: on connections of their own, and multiplexed on one.

use std::time::Duration;

use stoq_core::close::Code;
use stoq_tests::native::Direct;
use stoq_tests::services::Services;

/// Longer than any body takes on a busy machine; one that hangs has failed.
const PATIENCE: Duration = Duration::from_secs(60);

async fn check(name: &str, run: impl Future<Output = Result<(), String>>) {
    match tokio::time::timeout(PATIENCE, run).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => panic!("{name}: {failure}"),
        Err(_) => panic!("{name}: no result in {PATIENCE:?}"),
    }
}

#[tokio::test]
async fn sessions_on_connections_of_their_own() {
    let services = Services::start();
    let direct = Direct::new(&services);
    for name in stoq_conformance::NAMES {
        check(name, stoq_conformance::run(name, &direct)).await;
    }
    assert!(
        services.closed.contains(Code::new(31), "enough"),
        "the service sees how we closed"
    );
}

#[tokio::test]
async fn sessions_multiplexed_on_one_connection() {
    let services = Services::start();
    let multiplexed = Direct::new(&services).multiplexed().await;
    for name in stoq_conformance::NAMES {
        check(name, stoq_conformance::run(name, &multiplexed)).await;
    }
    assert!(
        services.closed.contains(Code::new(31), "enough"),
        "the service sees how we closed"
    );
}
