//! A server whose certificates change while it runs: who is connected does not notice, who comes sees the new one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pem::Pem;
use stoq_native::{
    Authority, ClientConfig, Code, ConnectError, Domain, Endpoint, FalconKey, FalconSigner as _,
    FalconTrust, Grant, Identity, IdentityError, IdentityRejected, IdentitySource, PqPolicy,
    RotateError, Rotation, RotationConfig, RotationError, ServerConfig, SignedGrant, Trust,
    UnixMicros, grant_to_pem,
};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::harness::{Peers, echo, pattern, within};
use crate::transfer::{Both, LENGTH};

/// A server with an identity that is rotated, and files that it is made of.
struct World {
    server: Endpoint,
    rotation: Rotation,
    _accepting: JoinSet<()>,
}

impl World {
    fn new(source: IdentitySource, config: RotationConfig) -> Self {
        let loaded = source.load().unwrap();
        let server = ServerConfig::new(loaded.identity().clone());
        let server = Endpoint::server("[::1]:0".parse().unwrap(), server).unwrap();
        let rotation = server.rotate(loaded, config).unwrap();
        let mut accepting = JoinSet::new();
        let accept = server.clone();
        accepting.spawn(async move {
            let mut sessions = JoinSet::new();
            while let Some(request) = accept.accept().await {
                sessions.spawn(async move { echo(request.accept().await.unwrap()).await });
            }
        });
        Self {
            server,
            rotation,
            _accepting: accepting,
        }
    }

    fn url(&self) -> String {
        format!("stoq://{}/test", self.server.local_addr().unwrap())
    }

    /// Whether a client that believes in this comes in.
    async fn lets_in(&self, policy: impl Into<PqPolicy>) -> bool {
        let client = Endpoint::client(ClientConfig::new(policy)).unwrap();
        match client.connect(&self.url()).await {
            Ok(session) => session.ping().await.is_ok(),
            Err(ConnectError::Identity(_)) => false,
            Err(error) => panic!("{error}"),
        }
    }

    async fn shows(&self, identity: &Identity) -> bool {
        let hashes = vec![identity.certificate_hash()];
        self.lets_in(Trust::CertificateHashes(hashes)).await
    }
}

/// A chain and a key in files.
struct Files {
    directory: TempDir,
}

impl Files {
    fn new(identity: &Identity) -> Self {
        let files = Self {
            directory: TempDir::new().unwrap(),
        };
        files.put(identity);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn source(&self) -> IdentitySource {
        IdentitySource::pem_files(self.path("chain.pem"), self.path("key.pem"))
    }

    fn put(&self, identity: &Identity) {
        self.put_chain(identity);
        replace(&self.path("key.pem"), &key(identity));
    }

    fn put_chain(&self, identity: &Identity) {
        replace(&self.path("chain.pem"), &chain(identity));
    }
}

fn chain(identity: &Identity) -> String {
    let certificates = identity.certificate_chain();
    let certificates = certificates.map(|der| Pem::new("CERTIFICATE", der));
    pem::encode_many(&certificates.collect::<Vec<_>>())
}

fn key(identity: &Identity) -> String {
    pem::encode(&Pem::new("PRIVATE KEY", identity.private_key().unwrap()))
}

/// As those do who give out certificates: nobody reads half of it.
fn replace(path: &Path, content: &str) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}

/// Looks at files as often as a test likes.
fn often() -> RotationConfig {
    let mut config = RotationConfig::default();
    config.look_every = Duration::from_millis(20);
    config
}

fn localhost() -> Identity {
    Identity::self_signed(["localhost"]).unwrap()
}

#[tokio::test]
async fn a_transfer_goes_on_and_who_comes_sees_the_new_certificate() {
    within(async {
        let (old, new) = (localhost(), localhost());
        let files = Files::new(&old);
        let loaded = files.source().load().unwrap();
        let peers = Peers::with(|server, client| {
            server.identity = loaded.identity().clone();
            let hashes = vec![old.certificate_hash()];
            client.policy = Trust::CertificateHashes(hashes).into();
        });
        let mut rotation = peers.server.rotate(loaded, often()).unwrap();
        let (client, server) = peers.session().await;
        let content = pattern(LENGTH);
        let both = Both::new(&content);
        let rotating = async {
            both.have(1).await;
            files.put(&new);
            // Perhaps the chain was seen before its key was there.
            while rotation.changed().await.unwrap().is_err() {}
            assert_eq!(
                rotation.identity().certificate_hash(),
                new.certificate_hash()
            );
            let error = peers.client.connect(&peers.url("test")).await.unwrap_err();
            let ConnectError::Identity(IdentityRejected::Hash { .. }) = error else {
                panic!("{error}")
            };
            let hashes = vec![new.certificate_hash()];
            let policy = Trust::CertificateHashes(hashes);
            let client = Endpoint::client(ClientConfig::new(policy)).unwrap();
            let url = peers.url("test");
            let accept = async { peers.server.accept().await.unwrap().accept().await.unwrap() };
            let (session, _accepted) = tokio::join!(client.connect(&url), accept);
            session.unwrap().ping().await.unwrap();
            both.may_end();
        };
        tokio::join!(both.run(&client, &server), rotating);
        assert_eq!(rotation.stats().rotated, 1);
        client.ping().await.unwrap();
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_of_no_use_changes_nothing_and_is_named() {
    within(async {
        let (old, new) = (localhost(), localhost());
        let files = Files::new(&old);
        let mut world = World::new(files.source(), often());
        let error = |error: Option<Result<Identity, Arc<RotationError>>>| match error {
            Some(Err(error)) => error,
            other => panic!("{other:?}"),
        };
        let chain_path = files.path("chain.pem");

        // The chain of another key.
        files.put_chain(&new);
        let why = error(world.rotation.changed().await);
        let RotationError::Identity(IdentityError::Mismatch { .. }) = *why else {
            panic!("{why}");
        };
        // Half of it, and nothing.
        for half in [&chain(&new)[..300], ""] {
            replace(&chain_path, half);
            let why = error(world.rotation.changed().await);
            let RotationError::Identity(
                IdentityError::File { path, .. } | IdentityError::NoCertificate { path },
            ) = &*why
            else {
                panic!("{why}");
            };
            assert_eq!(*path, chain_path);
        }
        // No file at all.
        fs::remove_file(&chain_path).unwrap();
        let why = error(world.rotation.changed().await);
        assert!(why.to_string().contains("chain.pem"), "{why}");
        // One whose time is over, one whose time has not come.
        for (begins, ends, said) in [(1, 2, "has ended"), (8_000, 9_000, "does not hold yet")] {
            files.put(&holding(begins, ends));
            let why = loop {
                let why = error(world.rotation.changed().await);
                // The chain alone was seen before its key was there.
                if !matches!(
                    *why,
                    RotationError::Identity(IdentityError::Mismatch { .. })
                ) {
                    break why;
                }
            };
            assert!(why.to_string().contains(said), "{why}");
        }
        let stats = world.rotation.stats();
        assert_eq!(stats.rotated, 0);
        assert!(stats.refused >= 6, "{stats:?}");
        assert!(world.rotation.last_error().is_some());
        assert!(world.shows(&old).await);

        files.put(&new);
        while world.rotation.changed().await.unwrap().is_err() {}
        assert!(world.rotation.last_error().is_none());
        assert!(world.shows(&new).await);
        assert!(!world.shows(&old).await);
    })
    .await;
}

/// An identity whose certificate holds from one day after 1970 to another.
fn holding(begins: i64, ends: i64) -> Identity {
    let directory = TempDir::new().unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
    let day = |day: i64| time::OffsetDateTime::from_unix_timestamp(day * 86_400).unwrap();
    let today = time::OffsetDateTime::now_utc().unix_timestamp() / 86_400;
    assert!(ends < today || today + 1 < today + begins);
    let future = begins > 100;
    let at = |it| if future { day(today + it) } else { day(it) };
    (params.not_before, params.not_after) = (at(begins), at(ends));
    let certificate = params.self_signed(&key).unwrap();
    let paths = ["chain", "key"].map(|name| directory.path().join(name));
    fs::write(&paths[0], certificate.pem()).unwrap();
    fs::write(&paths[1], key.serialize_pem()).unwrap();
    Identity::from_pem_files(&paths[0], &paths[1]).unwrap()
}

#[tokio::test]
async fn what_says_the_same_is_no_rotation() {
    within(async {
        let (old, new) = (localhost(), localhost());
        let files = Files::new(&old);
        let mut world = World::new(files.source(), often());
        let chain = chain(&old);
        replace(&files.path("chain.pem"), &format!("a comment\n{chain}"));
        world.rotation.changed().await.unwrap().unwrap();
        let stats = world.rotation.stats();
        assert_eq!((stats.rotated, stats.unchanged), (0, 1));
        files.put(&new);
        while world.rotation.changed().await.unwrap().is_err() {}
        assert_eq!(world.rotation.stats().rotated, 1);
        assert!(world.shows(&new).await);
    })
    .await;
}

#[tokio::test]
async fn a_falcon_key_and_its_grant_are_watched() {
    within(async {
        let authority = FalconKey::generate();
        let directory = TempDir::new().unwrap();
        let [key_path, grant_path] = ["key.pem", "grant.pem"].map(|it| directory.path().join(it));
        let write = |key: &FalconKey, serial, not_after| {
            let _ = fs::remove_file(&key_path);
            key.write_pem_file(&key_path).unwrap();
            let grant = grant(&authority, key, serial, not_after);
            replace(&grant_path, &grant_to_pem(&grant));
        };
        let (first, second) = (FalconKey::generate(), FalconKey::generate());
        write(&first, 1, u64::MAX);
        let source = IdentitySource::falcon_file(&key_path, ["::1"]).with_grant_file(&grant_path);
        let mut world = World::new(source, often());
        let trust = Authority::new(authority.verifying_key().clone());
        let policy = PqPolicy::Require(FalconTrust::Authority(trust));
        let client = Endpoint::client(ClientConfig::new(policy)).unwrap();
        let session = client.connect(&world.url()).await.unwrap();
        let shown = |session: &stoq_native::Session| session.connection().security().peer;
        assert_eq!(shown(&session), Some(first.id()));

        // A grant that has ended is believed by nobody.
        write(&second, 2, 1);
        loop {
            let error = world.rotation.changed().await.unwrap().unwrap_err();
            if let RotationError::Identity(IdentityError::GrantUnusable { path, error }) = &*error
                && matches!(error, stoq_native::GrantError::Expired)
            {
                assert_eq!(*path, grant_path);
                break;
            }
        }
        write(&second, 3, u64::MAX);
        while world.rotation.changed().await.unwrap().is_err() {}
        session.ping().await.unwrap();
        let now = client.connect(&world.url()).await.unwrap();
        assert_eq!(shown(&now), Some(second.id()));
        assert_eq!(shown(&session), Some(first.id()));
        client.close(Code::NO_ERROR, "");
        client.wait_idle().await;
    })
    .await;
}

fn grant(authority: &FalconKey, key: &FalconKey, serial: u64, not_after: u64) -> SignedGrant {
    let grant = Grant {
        authority: authority.id(),
        subject: key.id(),
        serial,
        not_before: UnixMicros(0),
        not_after: UnixMicros(not_after),
        names: vec!["::1".into()],
    };
    let signed = grant.to_be_signed().unwrap();
    let signature = authority.sign(Domain::GRANT, &[&signed]).unwrap();
    SignedGrant::new(grant, signature).unwrap()
}

#[tokio::test]
async fn certificates_that_are_made_here_are_replaced_in_time() {
    within(async {
        let mut config = RotationConfig::default();
        config.renew_after = Duration::from_millis(300);
        let mut world = World::new(IdentitySource::self_signed(["localhost"]), config);
        let first = world.rotation.identity();
        let url = world.url();
        let policy = Trust::CertificateHashes(vec![first.certificate_hash()]);
        let client = Endpoint::client(ClientConfig::new(policy)).unwrap();
        let session = client.connect(&url).await;
        let mut seen = vec![first.certificate_hash()];
        for _ in 0..3 {
            let identity = world.rotation.changed().await.unwrap().unwrap();
            assert!(!seen.contains(&identity.certificate_hash()));
            seen.push(identity.certificate_hash());
        }
        // Unless it came after the first renewal.
        if let Ok(session) = session {
            session.ping().await.unwrap();
        }
        assert!(!world.shows(&first).await);
    })
    .await;
}

#[tokio::test]
async fn nobody_rotates_what_is_gone_or_never_was() {
    within(async {
        let peers = Peers::new();
        let loaded = || IdentitySource::self_signed(["localhost"]).load().unwrap();
        let config = RotationConfig::default();
        let error = peers.client.rotate(loaded(), config).unwrap_err();
        assert!(matches!(error, RotateError::WrongRole), "{error}");
        for change in [
            |config: &mut RotationConfig| config.renew_after = Duration::from_secs(13 * 86_400),
            |config: &mut RotationConfig| config.renew_after = Duration::ZERO,
            |config: &mut RotationConfig| config.look_every = Duration::ZERO,
        ] {
            let mut config = RotationConfig::default();
            change(&mut config);
            let error = peers.server.rotate(loaded(), config).unwrap_err();
            assert!(matches!(error, RotateError::Config(_)), "{error}");
        }
        let mut config = RotationConfig::default();
        config.renew_after = Duration::from_millis(10);
        let mut rotation = peers.server.rotate(loaded(), config).unwrap();
        drop(peers);
        while rotation.changed().await.is_some() {}
    })
    .await;
}
