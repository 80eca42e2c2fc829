//! Certificates of a running server that are replaced.

use std::path::Path;

use stoq_native::Identity;
use tempfile::TempDir;

use crate::process::Server;

fn put(identity: &Identity, directory: &Path) {
    let certificates = identity.certificate_chain();
    let chain: String = certificates
        .map(|der| pem::encode(&pem::Pem::new("CERTIFICATE", der)))
        .collect();
    let key = identity.private_key().unwrap();
    let key = pem::encode(&pem::Pem::new("PRIVATE KEY", key));
    for (name, content) in [("chain.pem", chain), ("key.pem", key)] {
        std::fs::write(directory.join(name), content).unwrap();
    }
}

fn hash(line: &str) -> String {
    let mut words = line
        .split(' ')
        .skip_while(|word| *word != "certificate-hash");
    words.nth(1).unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_change_are_taken_while_sessions_go_on() {
    let directory = TempDir::new().unwrap();
    let identity = || Identity::self_signed(["localhost"]).unwrap();
    put(&identity(), directory.path());
    let words = ["--cert", "chain.pem", "--key", "key.pem"];
    let mut server = Server::start(&directory, &words);
    let (_endpoint, session) = server.connect("echo").await;

    std::fs::write(directory.path().join("chain.pem"), "-----BEGIN CERT").unwrap();
    server.process.wait_for("the certificates stay as they are");
    assert!(server.done(&["list", "URL"]).starts_with("0 files"));

    let new = identity();
    put(&new, directory.path());
    let old = server.hash.clone();
    let line = server.process.wait_for("certificates: certificate-hash");
    server.hash = hash(&line);
    assert_ne!(server.hash, old);
    assert!(server.done(&["list", "URL"]).starts_with("0 files"));
    session.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_here_is_renewed_in_time() {
    let directory = TempDir::new().unwrap();
    let mut server = Server::start(&directory, &["--renew-after", "1s"]);
    let mut hashes = vec![server.hash.clone()];
    for _ in 0..2 {
        let line = server.process.wait_for("certificates: certificate-hash");
        assert!(!hashes.contains(&hash(&line)));
        hashes.push(hash(&line));
    }
}
