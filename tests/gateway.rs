//! The conformance bodies through the gateway, from a client that speaks WebTransport without a browser.

use std::time::Duration;

use stoq_core::close::Code;
use stoq_gateway::Gateway;
use stoq_tests::gateway::gateway_for;
use stoq_tests::services::Services;
use stoq_tests::webtransport::WebTransport;

/// Longer than any body takes on a busy machine; one that hangs has failed.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn conformance() {
    let services = Services::start();
    let gateway = Gateway::bind(gateway_for(&services, None))
        .await
        .expect("a port is free");
    let client = WebTransport::new(gateway.url(), gateway.certificate_hash());
    for name in stoq_conformance::NAMES {
        match tokio::time::timeout(PATIENCE, stoq_conformance::run(name, &client)).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => panic!("{name}: {failure}"),
            Err(_) => panic!("{name}: no result in {PATIENCE:?}"),
        }
    }
    assert!(
        services.closed.contains(Code::new(31), "enough"),
        "the service sees how we closed"
    );
    gateway.shutdown(Duration::ZERO).await;
}
