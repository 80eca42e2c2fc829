//! Real browsers against a real gateway: the conformance bodies, the README's client, and the demo's page.
//!
//! `cargo xtask test` builds what these need (the packed npm package, the conformance bodies as WebAssembly)
//! into one folder and names it in `STOQ_SITE`, and the commands in `STOQ_BIN`.

use std::path::{Path, PathBuf};
use std::process::Command;

use stoq_core::close::Code;
use stoq_gateway::Gateway;
use stoq_native::FalconId;
use stoq_tests::gateway::gateway_for;
use stoq_tests::services::Services;

#[allow(
    dead_code,
    reason = "made for stoq-native's tests, which narrow it too"
)]
#[path = "../stoq-native/tests/native/road.rs"]
mod road;

use road::Road;

/// Runs a script of `tests/browser` to its end; its output goes to the test's log.
fn node(script: &str, arguments: &[&str]) {
    run(Command::new("node")
        .arg(script_path(script))
        .args(arguments));
}

/// Runs a file of tests for Node's own runner, in one browser.
fn node_tests(script: &str, browser: &str) {
    run(Command::new("node")
        .args(["--test", "--test-reporter=spec"])
        .arg(script_path(script))
        .env("BROWSER", browser)
        .env("STOQ_SITE", prepared("STOQ_SITE"))
        .env("STOQ_BIN", prepared("STOQ_BIN"))
        .env("STOQ_HOSTILE", env!("CARGO_BIN_EXE_hostile-relay")));
}

fn script_path(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("browser")
        .join(script)
}

fn run(command: &mut Command) {
    let status = command
        .status()
        .expect("node 20 or newer must be installed; `cargo xtask test` checks");
    assert!(status.success(), "{command:?}: {status}");
}

/// What `cargo xtask test` prepared.
fn prepared(variable: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(path) => path.into(),
        None => panic!("{variable} is not set: run the browser tests with `cargo xtask test`"),
    }
}

async fn with_gateway(
    run: impl FnOnce(String, String, [u8; 32], FalconId) + Send + 'static,
) -> Services {
    let services = Services::start();
    let gateway = Gateway::bind(gateway_for(&services, Some(prepared("STOQ_SITE")))).await;
    let gateway = gateway.expect("loopback has free ports");
    let page = format!(
        "http://{}",
        gateway.http_addr().expect("http is configured")
    );
    let hash = gateway.certificate_hash();
    let id = gateway.falcon_id().expect("an identity is configured");
    let url = gateway.url().to_owned();
    tokio::task::spawn_blocking(move || run(page, url, hash, id))
        .await
        .expect("the scripts passed");
    gateway.shutdown(std::time::Duration::ZERO).await;
    services
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn conformance(browser: &'static str) {
    let services = with_gateway(move |page, gateway, hash, _| {
        let page = format!("{page}/conformance.html");
        node("conformance.mjs", &[browser, &page, &gateway, &hex(&hash)]);
    })
    .await;
    assert!(
        services.closed.contains(Code::new(31), "enough"),
        "the service sees how the page closed"
    );
}

#[tokio::test]
async fn conformance_in_chromium() {
    conformance("chromium").await;
}

#[tokio::test]
async fn conformance_in_firefox() {
    conformance("firefox").await;
}

/// Loses one datagram in ten between the browser and the gateway, in both directions.
async fn messages_at_ten_percent_loss(browser: &'static str) {
    let runtime = tokio::runtime::Handle::current();
    with_gateway(move |page, gateway, hash, _| {
        let gateway = gateway.strip_prefix("https://127.0.0.1:");
        let port = gateway.expect("it listens there").parse::<u16>();
        let port = port.expect("a port ends its address");
        let road = runtime.block_on(Road::to(([127, 0, 0, 1], port).into()));
        road.lose(100);
        let page = format!("{page}/conformance.html");
        let gateway = format!("https://{}", road.address);
        node("lossy.mjs", &[browser, &page, &gateway, &hex(&hash)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_at_ten_percent_loss_in_chromium() {
    messages_at_ten_percent_loss("chromium").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_at_ten_percent_loss_in_firefox() {
    messages_at_ten_percent_loss("firefox").await;
}

#[test]
fn falcon_vectors_in_node() {
    let site = prepared("STOQ_SITE");
    let site = site.to_str().expect("the target folder's path is text");
    node("falcon-vectors.mjs", &[site]);
}

#[tokio::test]
async fn the_client_of_the_readme_runs() {
    with_gateway(|page, gateway, _, id| {
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
        let readme = readme.to_str().expect("the checkout's path is text");
        node(
            "readme.mjs",
            &[
                "chromium",
                &format!("{page}/conformance.html"),
                readme,
                &gateway,
                &id.to_string(),
            ],
        );
    })
    .await;
}

#[test]
fn the_demo_in_chromium() {
    node_tests("demo.test.mjs", "chromium");
}

#[test]
fn the_demo_in_firefox() {
    node_tests("demo.test.mjs", "firefox");
}

#[test]
fn identity_in_chromium() {
    node_tests("identity.test.mjs", "chromium");
}

#[test]
fn identity_in_firefox() {
    node_tests("identity.test.mjs", "firefox");
}

#[test]
fn verified_in_chromium() {
    node_tests("verified.test.mjs", "chromium");
}

#[test]
fn verified_in_firefox() {
    node_tests("verified.test.mjs", "firefox");
}

#[test]
fn access_in_chromium() {
    node_tests("access.test.mjs", "chromium");
}

#[test]
fn access_in_firefox() {
    node_tests("access.test.mjs", "firefox");
}

#[test]
fn faults_in_chromium() {
    node_tests("faults.test.mjs", "chromium");
}

#[test]
fn faults_in_firefox() {
    node_tests("faults.test.mjs", "firefox");
}
