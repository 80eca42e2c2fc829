//! What both ends know of a connection: [`Security`].

use stoq_native::{
    Capabilities, Cipher, ClientConfig, ClientPolicy, ClientTrust, Endpoint, FalconId, Identity,
    KeyExchange, Pins, PqPolicy, Security, ServerConfig, Session, Trust,
};

use super::certificates::{Time, classical};
use super::table::{KNOWN, STRANGER};
use crate::harness::within;

const AES_128: u16 = 0x1301;
const AES_256: u16 = 0x1302;

struct Ends {
    client: Endpoint,
    server: Endpoint,
}

impl Ends {
    /// A server with both certificates.
    fn new(
        policy: impl FnOnce(&str, &Identity) -> PqPolicy,
        identity: Option<Identity>,
        clients: ClientPolicy,
    ) -> Self {
        let falcon = KNOWN.identity(Time::Now, None);
        Self::with(
            classical(Time::Now, None).with_falcon(falcon),
            policy,
            identity,
            clients,
        )
    }

    fn with(
        shown: Identity,
        policy: impl FnOnce(&str, &Identity) -> PqPolicy,
        identity: Option<Identity>,
        clients: ClientPolicy,
    ) -> Self {
        let mut config = ServerConfig::new(shown.clone());
        config.clients = clients;
        config.framed_streams = true;
        let server = Endpoint::server("[::1]:0".parse().unwrap(), config).unwrap();
        let authority = server.local_addr().unwrap().to_string();
        let mut config = ClientConfig::new(policy(&authority, &shown));
        config.identity = identity;
        let client = Endpoint::client(config).unwrap();
        Self { client, server }
    }

    async fn session(&self) -> (Session, Session) {
        let url = format!("stoq://{}/test", self.server.local_addr().unwrap());
        let accept = async { self.server.accept().await.unwrap().accept().await.unwrap() };
        let (client, server) = tokio::join!(self.client.connect(&url), accept);
        (client.unwrap(), server)
    }

    /// What client and server know.
    async fn security(&self) -> [Security; 2] {
        let (client, server) = self.session().await;
        [&client, &server].map(|session| session.connection().security())
    }
}

fn pins(authority: &str, _: &Identity) -> PqPolicy {
    Pins::new().pin(authority, KNOWN.id()).unwrap().into()
}

fn hashes(_: &str, identity: &Identity) -> PqPolicy {
    PqPolicy::Prefer(Trust::CertificateHashes(identity.certificate_hashes()))
}

fn only(id: FalconId) -> ClientTrust {
    ClientTrust::Ids([id].into())
}

#[tokio::test]
async fn a_server_chooses_the_cipher_under_require_too() {
    within(async {
        let identity = KNOWN.identity(Time::Now, None);
        let mut config = ServerConfig::new(identity);
        config.cipher = Cipher::Aes128Gcm;
        let server = Endpoint::server("[::1]:0".parse().unwrap(), config).unwrap();
        let authority = server.local_addr().unwrap().to_string();
        let pins = Pins::new().pin(&authority, KNOWN.id()).unwrap();
        let client = Endpoint::client(ClientConfig::new(pins)).unwrap();
        let ends = Ends { client, server };
        for security in ends.security().await {
            assert_eq!(security.cipher_suite, AES_128);
        }
        // It stays the server's choice when the server changes.
        let identity = KNOWN.identity(Time::Now, None);
        ends.server.set_identity(identity).unwrap();
        for security in ends.security().await {
            assert_eq!(security.cipher_suite, AES_128);
        }
    })
    .await;
}

#[tokio::test]
async fn require_is_hybrid_with_aes_256_and_the_servers_identity() {
    within(async {
        let ends = Ends::new(pins, None, ClientPolicy::Off);
        let [client, server] = ends.security().await;
        for end in [client, server] {
            assert_eq!(end.key_exchange, KeyExchange::X25519MlKem768);
            assert!(end.key_exchange.is_post_quantum());
            assert_eq!(end.cipher_suite, AES_256);
            assert!(!end.resumed && !end.early_data);
        }
        assert_eq!(client.peer, Some(KNOWN.id()));
        assert!(client.is_falcon_verified());
        // The client was not asked.
        assert_eq!(server.peer, None);
    })
    .await;
}

#[tokio::test]
async fn peers_say_what_they_are() {
    within(async {
        let own = STRANGER.identity(Time::Now, None);
        let ends = Ends::new(pins, Some(own), ClientPolicy::Off);
        let [client, server] = ends.security().await;
        let theirs = client.capabilities.unwrap();
        assert_eq!(theirs.identity, Some(KNOWN.id()));
        assert!(theirs.capabilities.contains(Capabilities::FRAMED));
        // A claim, and no more: nobody asked the client to prove it.
        let theirs = server.capabilities.unwrap();
        assert_eq!(theirs.identity, Some(STRANGER.id()));
        assert!(!theirs.capabilities.contains(Capabilities::FRAMED));
        assert_eq!(server.peer, None);
    })
    .await;
}

#[tokio::test]
async fn a_classical_connection_has_no_peer() {
    within(async {
        let shown = classical(Time::Now, None);
        let ends = Ends::with(shown, hashes, None, ClientPolicy::Off);
        for end in ends.security().await {
            assert_eq!(end.peer, None);
            assert!(!end.is_falcon_verified() && !end.resumed);
            // Secret from a quantum computer all the same.
            assert_eq!(end.key_exchange, KeyExchange::X25519MlKem768);
            assert!(
                end.capabilities
                    .is_some_and(|theirs| theirs.identity.is_none())
            );
        }
    })
    .await;
}

#[tokio::test]
async fn mutual_means_that_both_are_known() {
    within(async {
        for clients in [
            ClientPolicy::Prefer(only(STRANGER.id())),
            ClientPolicy::Require(only(STRANGER.id())),
        ] {
            let own = STRANGER.identity(Time::Now, None);
            let ends = Ends::new(pins, Some(own), clients);
            let [client, server] = ends.security().await;
            assert_eq!(client.peer, Some(KNOWN.id()));
            assert_eq!(server.peer, Some(STRANGER.id()));
            assert_eq!([client.cipher_suite, server.cipher_suite], [AES_256; 2]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_requires_is_strict_whatever_the_client_asks() {
    within(async {
        let own = STRANGER.identity(Time::Now, None);
        let clients = ClientPolicy::Require(only(STRANGER.id()));
        let ends = Ends::new(hashes, Some(own), clients);
        for end in ends.security().await {
            assert_eq!(end.key_exchange, KeyExchange::X25519MlKem768);
            assert_eq!(end.cipher_suite, AES_256);
        }
    })
    .await;
}

#[tokio::test]
async fn a_resumed_connection_keeps_both_identities() {
    within(async {
        let own = STRANGER.identity(Time::Now, None);
        let clients = ClientPolicy::Require(only(STRANGER.id()));
        let ends = Ends::new(pins, Some(own), clients);
        let full = ends.security().await;
        let resumed = ends.security().await;
        assert!(full.iter().all(|end| !end.resumed));
        assert!(resumed.iter().all(|end| end.resumed && !end.early_data));
        // In all else they are alike: nothing is weaker in a resumed connection.
        let but_resumed = full.map(|mut end| {
            end.resumed = true;
            end
        });
        assert_eq!(but_resumed, resumed);
        assert_eq!(resumed[0].peer, Some(KNOWN.id()));
        assert_eq!(resumed[1].peer, Some(STRANGER.id()));
    })
    .await;
}

#[tokio::test]
async fn a_client_that_does_not_want_to_resumes_nothing() {
    within(async {
        let mut ends = Ends::new(pins, None, ClientPolicy::Off);
        let authority = ends.server.local_addr().unwrap().to_string();
        let mut config = ClientConfig::new(Pins::new().pin(&authority, KNOWN.id()).unwrap());
        config.resume = false;
        ends.client = Endpoint::client(config).unwrap();
        for _ in 0..2 {
            assert!(ends.security().await.iter().all(|end| !end.resumed));
        }
    })
    .await;
}

#[tokio::test]
async fn off_is_shown_the_classical_certificate() {
    within(async {
        let off = |_: &str, identity: &Identity| {
            PqPolicy::Off(Trust::CertificateHashes(vec![identity.certificate_hash()]))
        };
        let ends = Ends::new(off, None, ClientPolicy::Off);
        let [client, _] = ends.security().await;
        assert_eq!(client.peer, None);
        // Although the server says who it is: what counts is what was proved.
        assert!(
            client
                .capabilities
                .is_some_and(|theirs| theirs.identity == Some(KNOWN.id()))
        );
    })
    .await;
}
