//! `stoq inspect`: what a server offers to anybody.

use std::net::UdpSocket;
use std::sync::Arc;

use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use stoq_native::{ALPN, Identity};
use tempfile::TempDir;

use crate::identities::{grant, keygen};
use crate::process::{Ended, Process, Server};

fn inspect(words: &[&str], directory: &TempDir) -> Ended {
    Process::start(&[&["inspect"], words].concat(), directory.path()).end()
}

/// What stands behind each label, in the order in which they are printed, indented ones under those before them.
struct Printed(Vec<(String, String)>);

impl Printed {
    fn new(ended: &Ended) -> Self {
        let mut above = String::new();
        let lines = ended.stdout.lines().map(|line| {
            let (label, text) = line.trim_start().split_once("  ").unwrap();
            let label = match line.starts_with(' ') {
                true => format!("{above}/{label}"),
                false => {
                    above = label.into();
                    label.into()
                }
            };
            (label, text.trim_start().to_owned())
        });
        Self(lines.collect())
    }

    fn at(&self, label: &str) -> &str {
        let found = self.0.iter().find(|(found, _)| found == label);
        let (_, text) = found.unwrap_or_else(|| panic!("no {label}: {:#?}", self.0));
        text
    }

    fn has(&self, label: &str) -> bool {
        self.0.iter().any(|(found, _)| found == label)
    }
}

/// The report on a server that has proved what it shows.
fn report(words: &[&str], directory: &TempDir) -> Printed {
    let ended = inspect(words, directory);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    Printed::new(&ended)
}

#[test]
fn a_falcon_server_shows_both_of_its_certificates() {
    let directory = TempDir::new().unwrap();
    let id = keygen("server", &directory);
    let server = Server::start(&directory, &["--falcon-key", "server.pem"]);
    let printed = report(&[&server.address], &directory);
    assert_eq!(printed.at("address"), server.address);
    assert_eq!(printed.at("FALCON identity"), id);
    let signature = printed.at("FALCON identity/signature");
    assert_eq!(signature, "Ed25519 good, FALCON-1024 good");
    let (falcon, _) = server.falcon.as_ref().unwrap();
    assert_eq!(printed.at("FALCON identity/certificate hash"), falcon);
    assert_eq!(printed.at("FALCON identity/grant"), "none");
    assert_eq!(printed.at("certificate"), "classical, self-signed");
    assert_eq!(printed.at("certificate/certificate hash"), server.hash);
    for certificate in ["FALCON identity", "certificate"] {
        let agreed = printed.at(&format!("{certificate}/key exchange"));
        assert_eq!(agreed, "X25519MLKEM768");
        assert!(
            printed
                .at(&format!("{certificate}/cipher suite"))
                .starts_with("TLS_")
        );
        let valid = printed.at(&format!("{certificate}/valid"));
        assert!(valid.ends_with('Z') && valid.contains("Z to "), "{valid}");
    }
    assert!(printed.at("post-quantum").ends_with("is supported"));
    assert_eq!(printed.at("clients"), "are not asked who they are");
    assert_eq!(printed.at("early data"), "is not taken");
    assert_eq!(printed.at("parameter 0xfe00"), "STOQ version 1");
    assert_eq!(
        printed.at("parameter 0xfe00/capabilities"),
        "framed streams"
    );
    assert_eq!(
        printed.at("parameter 0xfe00/identity"),
        "claims the one above"
    );
    assert_eq!(printed.at("parameter 0xfe00/packet tokens"), "SHA-256");
    assert_eq!(printed.at("parameter 0xfe00/shards"), "none");
}

#[test]
fn a_classical_server_shows_the_one_certificate_that_it_has() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(&directory, &[]);
    let (_, port) = server.address.rsplit_once(':').unwrap();
    // A name, two of whose addresses may be tried.
    let printed = report(&[&format!("localhost:{port}")], &directory);
    assert_eq!(printed.at("address"), server.address);
    assert_eq!(printed.at("FALCON identity"), "none");
    assert!(
        printed
            .at("FALCON identity/handshake")
            .starts_with("ended: ")
    );
    assert!(!printed.has("FALCON identity/signature"));
    assert_eq!(printed.at("certificate/certificate hash"), server.hash);
    assert_eq!(printed.at("parameter 0xfe00/identity"), "claims none");
}

#[test]
fn an_ipv6_address_stands_in_brackets() {
    let directory = TempDir::new().unwrap();
    let server = Server::start_at("[::1]:0", &directory, &[]);
    assert!(server.address.starts_with("[::1]:"), "{}", server.address);
    let printed = report(&[&server.address], &directory);
    assert_eq!(printed.at("address"), server.address);
    let ended = inspect(&["::1:4433"], &directory);
    assert_eq!(ended.code, Some(64));
    assert!(ended.stderr.contains("brackets"), "{}", ended.stderr);
}

#[test]
fn a_mutual_server_says_that_it_wants_to_know_its_clients() {
    let directory = TempDir::new().unwrap();
    let id = keygen("server", &directory);
    let friend = keygen("friend", &directory);
    let mutual = ["--falcon-key", "server.pem", "--client", &friend];
    let server = Server::start(&directory, &mutual);
    let printed = report(&[&server.address], &directory);
    assert_eq!(printed.at("FALCON identity"), id);
    assert_eq!(printed.at("clients"), "must prove a FALCON identity");
    assert!(printed.at("early data").starts_with("not known"));
    assert_eq!(
        printed.at("FALCON identity/cipher suite"),
        "TLS_AES_256_GCM_SHA384"
    );
}

#[test]
fn a_grant_is_shown_and_believed_only_by_its_authority() {
    let directory = TempDir::new().unwrap();
    let id = keygen("server", &directory);
    let authority = keygen("authority", &directory);
    keygen("stranger", &directory);
    let names = [
        "--serial",
        "7",
        "--name",
        "127.0.0.1",
        "--name",
        "a.example",
    ];
    grant(&id, &names, "grant.pem", &directory);
    let falcon = ["--falcon-key", "server.pem", "--grant", "grant.pem"];
    let server = Server::start(&directory, &falcon);

    let printed = report(&[&server.address], &directory);
    assert_eq!(printed.at("FALCON identity/grant"), "serial 7");
    assert_eq!(printed.at("FALCON identity/by"), authority);
    assert_eq!(printed.at("FALCON identity/names"), "127.0.0.1, a.example");
    assert!(
        printed
            .at("FALCON identity/verified")
            .starts_with("not looked at")
    );
    let words = [&server.address, "--authority", "authority.pub"];
    let printed = report(&words, &directory);
    assert_eq!(
        printed.at("FALCON identity/verified"),
        "yes, and it names this host"
    );

    // All is printed, and the code is for scripts.
    let words = [&server.address, "--authority", "stranger.pub"];
    let ended = inspect(&words, &directory);
    assert_eq!(ended.code, Some(77), "{ended:?}");
    let printed = Printed::new(&ended);
    assert!(
        printed
            .at("FALCON identity/verified")
            .starts_with("NO: the grant is by")
    );
    assert!(
        ended.stderr.contains("is not vouched for"),
        "{}",
        ended.stderr
    );
}

#[test]
fn nobody_there_is_said_so() {
    let directory = TempDir::new().unwrap();
    // Bound, and silent; it is no port of QUIC.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let (code, complaint) = inspect(&[&address], &directory).complaint();
    assert_eq!(code, 69);
    assert!(complaint.contains(&address), "{complaint}");
    assert!(complaint.contains("check host and port"), "{complaint}");
    let (code, complaint) = inspect(&["no-such-host.invalid:1"], &directory).complaint();
    assert_eq!(code, 69);
    assert!(complaint.contains("check the host"), "{complaint}");
}

/// A server of stock quinn that shows the certificate of one identity and signs with the key of another, or the same.
fn stock(alpn: &[u8], shown: &Identity, key: &Identity) -> quinn::Endpoint {
    let chain = shown.certificate_chain();
    let chain = chain.map(|der| CertificateDer::from(der.to_vec()));
    let key = PrivateKeyDer::try_from(key.private_key().unwrap().to_vec()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = provider.key_provider.load_private_key(key).unwrap();
    let key = CertifiedKey::new(chain.collect(), key);
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    tls.alpn_protocols = vec![alpn.to_vec()];
    let tls = quinn::crypto::rustls::QuicServerConfig::try_from(tls).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    quinn::Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap()
}

/// Inspects it while it takes connections.
async fn inspect_stock(server: quinn::Endpoint) -> Ended {
    let address = server.local_addr().unwrap().to_string();
    let accepting = tokio::spawn(async move {
        while let Some(incoming) = server.accept().await {
            tokio::spawn(async move { Some(incoming.await.ok()?.closed().await) });
        }
    });
    let directory = TempDir::new().unwrap();
    let inspected = tokio::task::spawn_blocking(move || inspect(&[&address], &directory));
    let ended = inspected.await.unwrap();
    accepting.abort();
    ended
}

/// What a gateway's port for browsers looks like: HTTP/3, and no STOQ.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_for_browsers_is_said_to_be_one() {
    let identity = Identity::self_signed(["localhost"]).unwrap();
    let ended = inspect_stock(stock(b"h3", &identity, &identity)).await;
    let (code, complaint) = ended.complaint();
    assert_eq!(code, 69);
    assert!(
        complaint.contains("speaks QUIC, but not STOQ"),
        "{complaint}"
    );
    assert!(complaint.contains("it may be a gateway"), "{complaint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_cannot_prove_is_shown_and_said() {
    let [shown, held] = [(); 2].map(|()| Identity::self_signed(["localhost"]).unwrap());
    let ended = inspect_stock(stock(ALPN, &shown, &held)).await;
    assert_eq!(ended.code, Some(77), "{ended:?}");
    assert!(
        ended.stderr.contains("did not prove what it shows"),
        "{}",
        ended.stderr
    );
    let printed = Printed::new(&ended);
    assert_eq!(printed.at("certificate"), "classical, self-signed");
    let handshake = printed.at("certificate/handshake");
    assert!(handshake.contains("signature is not good"), "{handshake}");
    assert_eq!(printed.at("parameter 0xfe00"), "none");
}
