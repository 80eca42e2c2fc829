//! Access tokens: who gets in, by SETTINGS and by HEADERS, and each reason why not.

#[cfg(target_os = "linux")]
mod clock;
mod relayed;

use std::slice::from_ref;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use stoq_native::{
    AccessRules, AccessToken, ClientConfig, ClosedBy, Code, ConnectError, Domain, Endpoint,
    FalconId, FalconKey, FalconSigner as _, HolderKey, HolderKeyPair, HolderKeys, HolderProof,
    HolderSigner, Identity, Nonce, OpenError, Request, Revocations, ServerConfig, Session,
    SignError, SignedAccessToken, Target, Trust, UnixMicros, Verifier, fresh_nonce,
};

use crate::harness::{echo, service, waits, within};

/// A server whose service `files` wants tokens that permit `read`, by one issuer; `open` wants none.
struct World {
    server: Endpoint,
    trust: Trust,
    audience: FalconId,
    issuer: FalconKey,
    served: tokio::task::JoinHandle<()>,
}

fn world() -> World {
    let key = Arc::new(FalconKey::generate());
    let audience = key.verifying_key().id();
    let issuer = FalconKey::generate();
    let identity = Identity::falcon(key, ["localhost"]).unwrap();
    let trust = Trust::CertificateHashes(vec![identity.certificate_hash()]);
    let mut config = ServerConfig::new(identity);
    config.access = Some(rules(audience, &issuer));
    let server = Endpoint::server("[::1]:0".parse().unwrap(), config).unwrap();
    let accepting = server.clone();
    let served = tokio::spawn(async move {
        while let Some(request) = accepting.accept().await {
            tokio::spawn(async move {
                // Who is let in without a proof is not here yet.
                let asked = request.access().map(|access| access.subject().to_owned());
                if let Ok(session) = request.accept().await {
                    assert_eq!(
                        session.access().map(|access| access.subject().to_owned()),
                        asked
                    );
                    echo(session).await;
                }
            });
        }
    });
    World {
        server,
        trust,
        audience,
        issuer,
        served,
    }
}

fn rules(audience: FalconId, issuer: &FalconKey) -> AccessRules {
    let verifier = Verifier::new(audience, [issuer.verifying_key().clone()]);
    AccessRules::new(verifier).require(service("files"), Some("read"))
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_micros() as u64
}

const SECOND: u64 = 1_000_000;

impl World {
    /// A good bearer token for `files`, and what `change` makes of it.
    fn token(&self, change: impl FnOnce(&mut AccessToken)) -> AccessToken {
        let mut token = AccessToken {
            issuer: self.issuer.id(),
            audience: self.audience,
            nonce: fresh_nonce(),
            not_before: UnixMicros(now() - 60 * SECOND),
            expiry: UnixMicros(now() + 120 * SECOND),
            holder: None,
            subject: "alice".into(),
            service: service("files"),
            permissions: vec!["read".into()],
        };
        change(&mut token);
        token
    }

    fn signed(&self, change: impl FnOnce(&mut AccessToken)) -> Bytes {
        sign(self.token(change), &self.issuer)
    }

    fn client(&self, tokens: &[Bytes], holders: HolderKeys) -> Endpoint {
        let mut config = ClientConfig::new(self.trust.clone());
        config.access_tokens = tokens.to_vec();
        config.holders = holders;
        Endpoint::client(config).unwrap()
    }

    /// Session 0 of a connection of its own: the tokens go in SETTINGS.
    async fn by_settings(&self, tokens: &[Bytes], holders: HolderKeys) -> Result<Session, Code> {
        let client = self.client(tokens, holders);
        let url = format!("stoq://{}/files", self.server.local_addr().unwrap());
        let session = client.connect(&url).await;
        session.map_err(|error| match error {
            ConnectError::Refused { code, .. } => code,
            other => panic!("{other}"),
        })
    }

    /// A session that is multiplexed: they go in HEADERS.
    async fn by_headers(&self, tokens: &[Bytes], holders: HolderKeys) -> Result<Session, Code> {
        let client = self.client(&[], HolderKeys::new());
        let url = format!("stoq://{}/", self.server.local_addr().unwrap());
        let target: Target = url.parse().unwrap();
        let connection = client.connect_to(&target).await.unwrap();
        let mut request = Request::new(service("files"));
        request.access_tokens = tokens.to_vec();
        request.holders = holders;
        let session = connection.open_session(request).await;
        session.map_err(|error| match error {
            OpenError::Refused { code, .. } => code,
            other => panic!("{other}"),
        })
    }

    /// Both ways in.
    async fn refused(&self, tokens: &[Bytes], holders: HolderKeys, code: Code) {
        let before = self.refusals(code);
        let settings = self.by_settings(tokens, holders.clone()).await;
        assert_eq!(settings.map(drop), Err(code), "by SETTINGS");
        let headers = self.by_headers(tokens, holders).await;
        assert_eq!(headers.map(drop), Err(code), "by HEADERS");
        assert_eq!(self.refusals(code), before + 2);
    }

    async fn admitted(&self, tokens: &[Bytes], holders: HolderKeys) {
        let settings = self.by_settings(tokens, holders.clone()).await.unwrap();
        works(&settings).await;
        let headers = self.by_headers(tokens, holders).await.unwrap();
        works(&headers).await;
    }

    fn refusals(&self, code: Code) -> u64 {
        let counts = self.server.access_refusals().get();
        counts
            .filter(|(known, _)| *known == code)
            .map(|(_, count)| count)
            .sum()
    }

    async fn close(self) {
        self.server.close(Code::NO_ERROR, "");
        self.served.await.unwrap();
        self.server.wait_idle().await;
    }
}

fn sign(token: AccessToken, issuer: &FalconKey) -> Bytes {
    // Not by `issue_access_token`, which refuses what some tests need.
    let bytes = token.to_be_signed().unwrap();
    let signature = issuer.sign(Domain::ACCESS_TOKEN, &[&bytes]).unwrap();
    SignedAccessToken::new(token, signature)
        .unwrap()
        .encode()
        .into()
}

/// Streams and datagrams go there and back.
async fn works(session: &Session) {
    let (mut send, mut receive) = session.open_bi().await.unwrap();
    send.write_all(b"hello").await.unwrap();
    send.finish().unwrap();
    assert_eq!(receive.read_to_end(64).await.unwrap(), b"hello");
}

fn holders(keys: &[&Arc<HolderKeyPair>]) -> HolderKeys {
    keys.iter()
        .map(|key| (*key).clone() as Arc<dyn HolderSigner>)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_token_lets_in() {
    within(async {
        let world = world();
        let none = HolderKeys::new;
        let good = world.signed(|_| ());
        world.admitted(from_ref(&good), none()).await;
        // Behind others, of which one cannot be read, one is for somebody else, and one has expired.
        let elsewhere = world.signed(|token| token.audience = FalconId::new([1; 32]));
        let expired = world.signed(|token| token.expiry = UnixMicros(now() - SECOND));
        let unreadable = Bytes::from_static(b"?");
        world
            .admitted(&[unreadable, elsewhere, expired, good], none())
            .await;
        assert_eq!(world.server.access_refusals().total(), 0);
        world.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_to_refuse_has_its_code() {
    within(async {
        let world = world();
        let none = HolderKeys::new;
        world.refused(&[], none(), Code::TOKEN_REQUIRED).await;
        let junk = Bytes::from_static(&[1; 1500]);
        world.refused(&[junk], none(), Code::TOKEN_MALFORMED).await;
        let stranger = FalconKey::generate();
        let by_stranger = sign(world.token(|token| token.issuer = stranger.id()), &stranger);
        world
            .refused(&[by_stranger], none(), Code::TOKEN_ISSUER)
            .await;
        let forged = sign(world.token(|_| ()), &stranger);
        world.refused(&[forged], none(), Code::TOKEN_FORGED).await;
        type Change = fn(&mut AccessToken);
        let changes: [(Change, Code); 7] = [
            (
                |token| token.expiry = UnixMicros(now() - SECOND),
                Code::TOKEN_EXPIRED,
            ),
            (
                |token| token.not_before = UnixMicros(now() + 60 * SECOND),
                Code::TOKEN_NOT_YET_VALID,
            ),
            (
                |token| token.audience = FalconId::new([1; 32]),
                Code::TOKEN_AUDIENCE,
            ),
            (|token| token.service = service("echo"), Code::TOKEN_SERVICE),
            (
                |token| token.permissions = vec!["write".into()],
                Code::PERMISSION,
            ),
            (
                |token| token.expiry = UnixMicros(now() + 241 * SECOND),
                Code::TOKEN_MALFORMED,
            ),
            (
                |token| token.nonce = Nonce::new([7; 16]),
                Code::TOKEN_REVOKED,
            ),
        ];
        let mut revoking = rules(world.audience, &world.issuer);
        revoking.set_revocations(Revocations::parse(&"07".repeat(16)).unwrap());
        world.server.set_access(Some(revoking)).unwrap();
        for (change, code) in changes {
            world.refused(&[world.signed(change)], none(), code).await;
        }
        // A bit of what is permitted.
        let mut tampered = world.signed(|_| ()).to_vec();
        let at = tampered.len() - 1280 - 1;
        tampered[at] ^= 1;
        world
            .refused(&[tampered.into()], none(), Code::TOKEN_FORGED)
            .await;
        world.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_key_off_the_curve_is_found_behind_the_signature() {
    within(async {
        let world = world();
        let token = world.token(|token| token.holder = Some(HolderKeyPair::generate().public()));
        let mut bytes = token.to_be_signed().unwrap();
        // x = 1 belongs to no point.
        let key = bytes.len() - tail(&token) - HolderKey::LEN;
        bytes[key] = 2;
        bytes[key + 1..key + HolderKey::LEN].fill(0);
        bytes[key + HolderKey::LEN - 1] = 1;
        for (signer, code) in [
            (&FalconKey::generate(), Code::TOKEN_FORGED),
            (&world.issuer, Code::TOKEN_MALFORMED),
        ] {
            let signature = signer.sign(Domain::ACCESS_TOKEN, &[&bytes]).unwrap();
            let token = [&bytes[..], signature.as_bytes()].concat();
            world
                .refused(&[token.into()], HolderKeys::new(), code)
                .await;
        }
        world.close().await;
    })
    .await;
}

/// Bytes of what stands behind the holder's key.
fn tail(token: &AccessToken) -> usize {
    let words = token.permissions.iter().map(|word| 1 + word.len());
    2 + token.subject.len() + token.service.as_str().len() + 1 + words.sum::<usize>()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_presents_too_many_forged_tokens_is_not_looked_at_for_a_while() {
    within(async {
        let world = world();
        let forged = sign(world.token(|_| ()), &FalconKey::generate());
        let client = world.client(&[], HolderKeys::new());
        let url = format!("stoq://{}/", world.server.local_addr().unwrap());
        let connection = client.connect_to(&url.parse().unwrap()).await.unwrap();
        let mut request = Request::new(service("files"));
        request.access_tokens = vec![forged; 4];
        let mut codes = Vec::new();
        // A slow machine earns some back meanwhile: fewer than it spends.
        while codes.last() != Some(&Code::LIMIT) && codes.len() < 4096 {
            let refused = connection.open_session(request.clone()).await;
            codes.push(refused.unwrap_err().code());
        }
        assert_eq!(codes.last(), Some(&Code::LIMIT));
        let verified = codes.iter().filter(|code| **code == Code::TOKEN_FORGED);
        assert!(verified.count() >= 1024 / 4);
        assert!(world.refusals(Code::LIMIT) > 0);
        // The connection stays, and others are let in.
        request.access_tokens.clear();
        request.service = service("open");
        works(&connection.open_session(request).await.unwrap()).await;
        let good = world.signed(|_| ());
        world.admitted(&[good], HolderKeys::new()).await;
        world.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_gets_in_with_the_key_and_only_with_it() {
    within(async {
        let world = world();
        let key = Arc::new(HolderKeyPair::generate());
        let held = world.signed(|token| {
            token.holder = Some(key.public());
            token.expiry = UnixMicros(now() + 86_400 * SECOND);
        });
        world.admitted(from_ref(&held), holders(&[&key])).await;
        // A signer that says that it has the key, and signs with another.
        #[derive(Debug)]
        struct Impostor(HolderKey, HolderKeyPair);
        impl HolderSigner for Impostor {
            fn holder_key(&self) -> HolderKey {
                self.0
            }
            fn sign(&self, message: &[u8]) -> Result<HolderProof, SignError> {
                self.1.sign(message)
            }
        }
        let impostor: Arc<dyn HolderSigner> =
            Arc::new(Impostor(key.public(), HolderKeyPair::generate()));
        let keys: HolderKeys = [impostor].into_iter().collect();
        world.refused(&[held], keys, Code::HOLDER_WRONG).await;
        world.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_proves_nothing_gets_nothing_and_is_told_after_a_while() {
    within(async {
        let world = world();
        let key = HolderKeyPair::generate();
        let held = world.signed(|token| token.holder = Some(key.public()));
        let begun = std::time::Instant::now();
        // It does not know that a proof is wanted, and thinks that it is in.
        let session = world.by_settings(&[held], HolderKeys::new()).await.unwrap();
        let (mut send, mut receive) = session.open_bi().await.unwrap();
        send.write_all(b"hello").await.unwrap();
        send.finish().unwrap();
        assert!(receive.read_to_end(64).await.is_err());
        let closed = session.closed().await;
        assert_eq!(
            (closed.code, closed.by),
            (Code::HOLDER_MISSING, ClosedBy::Peer)
        );
        assert!(begun.elapsed() >= Duration::from_secs(5));
        assert_eq!(world.refusals(Code::HOLDER_MISSING), 1);
        world.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_closes_instead_of_proving_leaves_nobody_waiting() {
    within(async {
        let world = world();
        world.served.abort();
        let key = HolderKeyPair::generate();
        let held = world.signed(|token| token.holder = Some(key.public()));
        let serve = async {
            let request = world.server.accept().await.unwrap();
            request.accept().await
        };
        let close = async {
            // It does not know that a proof is wanted.
            let session = world.by_headers(&[held], HolderKeys::new()).await.unwrap();
            session.close(Code::CANCELLED, "no longer");
            // The connection stays: that of the session alone is told.
            session
        };
        let (accepted, session) = tokio::join!(serve, close);
        let closed = accepted.unwrap_err();
        assert_eq!((closed.code, closed.by), (Code::CANCELLED, ClosedBy::Peer));
        assert_eq!(closed.reason, "no longer");
        assert!(session.connection().is_open());
        assert_eq!(world.server.access_refusals().total(), 0);
        world.server.close(Code::NO_ERROR, "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_that_fails_says_so_at_once() {
    within(async {
        let world = world();
        let key = HolderKeyPair::generate();
        let held = world.signed(|token| token.holder = Some(key.public()));
        #[derive(Debug)]
        struct Broken(HolderKey);
        impl HolderSigner for Broken {
            fn holder_key(&self) -> HolderKey {
                self.0
            }
            fn sign(&self, _: &[u8]) -> Result<HolderProof, SignError> {
                Err(SignError::Device("unplugged".into()))
            }
        }
        let broken: Arc<dyn HolderSigner> = Arc::new(Broken(key.public()));
        let keys: HolderKeys = [broken].into_iter().collect();
        let url = format!("stoq://{}/", world.server.local_addr().unwrap());
        let client = world.client(from_ref(&held), keys.clone());
        let error = client.connect(&format!("{url}files")).await.unwrap_err();
        assert_eq!(error.code(), Code::INTERNAL);
        assert!(error.to_string().contains("unplugged"), "{error}");
        let connection = client.connect_to(&url.parse().unwrap()).await.unwrap();
        let mut request = Request::new(service("files"));
        request.access_tokens = vec![held];
        request.holders = keys;
        let error = connection.open_session(request).await.unwrap_err();
        assert!(
            matches!(error, OpenError::NotProven(SignError::Device(_))),
            "{error}"
        );
        assert!(connection.is_open());
        world.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_a_rule_wants_nothing_and_confirms_what_is_proven() {
    within(async {
        let world = world();
        let key = Arc::new(HolderKeyPair::generate());
        let held = world.signed(|token| token.holder = Some(key.public()));
        let client = world.client(&[held], holders(&[&key]));
        let url = format!("stoq://{}/open", world.server.local_addr().unwrap());
        let session = client.connect(&url).await.unwrap();
        works(&session).await;
        assert_eq!(session.access(), None);
        world.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_ends_its_sessions_and_no_others() {
    within(async {
        let world = world();
        let (lost, kept) = (Nonce::new([1; 16]), Nonce::new([2; 16]));
        let none = HolderKeys::new;
        let with = |nonce| world.signed(|token| token.nonce = nonce);
        let by_settings = world.by_settings(&[with(lost)], none()).await.unwrap();
        let by_headers = world.by_headers(&[with(lost)], none()).await.unwrap();
        let other = world.by_settings(&[with(kept)], none()).await.unwrap();
        let client = world.client(&[], none());
        let url = format!("stoq://{}/open", world.server.local_addr().unwrap());
        let open = client.connect(&url).await.unwrap();

        let mut rules = rules(world.audience, &world.issuer);
        rules.set_revocations(Revocations::parse(&lost.to_string()).unwrap());
        world.server.set_access(Some(rules)).unwrap();
        for session in [&by_settings, &by_headers] {
            let closed = session.closed().await;
            assert_eq!(
                (closed.code, closed.by),
                (Code::TOKEN_REVOKED, ClosedBy::Peer)
            );
            assert!(closed.reason.contains(&lost.to_string()), "{closed}");
        }
        for session in [&other, &open] {
            works(session).await;
        }
        assert!(by_headers.connection().is_open());
        assert_eq!(world.refusals(Code::TOKEN_REVOKED), 2);
        let again = world.by_settings(&[with(lost)], none()).await;
        assert_eq!(again.map(drop), Err(Code::TOKEN_REVOKED));

        // An issuer who is trusted no longer.
        let nobody = Verifier::new(world.audience, []);
        world
            .server
            .set_access(Some(AccessRules::new(nobody)))
            .unwrap();
        assert_eq!(other.closed().await.code, Code::TOKEN_ISSUER);
        works(&open).await;
        // Without rules nobody is asked.
        world.server.set_access(None).unwrap();
        let session = world.by_settings(&[], none()).await.unwrap();
        works(&session).await;
        assert!(client.set_access(None).is_err());
        world.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_while_the_request_waits_is_refused() {
    within(async {
        let world = world();
        world.served.abort();
        let token = world.signed(|token| token.nonce = Nonce::new([1; 16]));
        let client = world.client(&[token], HolderKeys::new());
        let url = format!("stoq://{}/files", world.server.local_addr().unwrap());
        let serve = async {
            let request = world.server.accept().await.unwrap();
            assert!(request.access().unwrap().permits("read"));
            let mut rules = rules(world.audience, &world.issuer);
            rules.set_revocations(Revocations::parse(&"01".repeat(16)).unwrap());
            world.server.set_access(Some(rules)).unwrap();
            request.accept().await
        };
        let (connected, accepted) = tokio::join!(client.connect(&url), serve);
        assert_eq!(connected.unwrap_err().code(), Code::TOKEN_REVOKED);
        assert_eq!(accepted.unwrap_err().code, Code::TOKEN_REVOKED);
        world.server.close(Code::NO_ERROR, "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_is_judged_by_the_rules_that_hold_when_it_is_taken() {
    within(async {
        let world = world();
        world.served.abort();
        let reader = world.signed(|_| ());
        // What the rules come to while the request waits, for whom, and what becomes of it.
        let wants = |permission| {
            let verifier = Verifier::new(world.audience, [world.issuer.verifying_key().clone()]);
            let rules = AccessRules::new(verifier);
            Some(rules.require(service("files"), permission))
        };
        let before = || Some(rules(world.audience, &world.issuer));
        for (first, then, tokens, expected) in [
            (
                before(),
                wants(Some("write")),
                vec![reader.clone()],
                Err(Code::PERMISSION),
            ),
            (None, wants(Some("read")), vec![], Err(Code::TOKEN_REQUIRED)),
            (None, wants(None), vec![reader.clone()], Ok(true)),
            (before(), wants(None), vec![reader.clone()], Ok(true)),
            (before(), None, vec![reader.clone()], Ok(false)),
        ] {
            world.server.set_access(first).unwrap();
            let serve = async {
                let request = world.server.accept().await.unwrap();
                world.server.set_access(then).unwrap();
                request.accept().await
            };
            let (asked, accepted) =
                tokio::join!(world.by_headers(&tokens, HolderKeys::new()), serve);
            let access = accepted.as_ref().map(|session| session.access().is_some());
            assert_eq!(access.map_err(|closed| closed.code), expected);
            assert_eq!(asked.map(drop), expected.map(drop));
        }
        world.server.close(Code::NO_ERROR, "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_refused_never_reaches_the_application() {
    within(async {
        let world = world();
        world.served.abort();
        let client = world.client(&[], HolderKeys::new());
        let url = format!("stoq://{}/files", world.server.local_addr().unwrap());
        assert!(client.connect(&url).await.is_err());
        assert!(waits(world.server.accept()).await);
        world.server.close(Code::NO_ERROR, "");
    })
    .await;
}

#[tokio::test]
async fn tokens_that_cannot_be_presented_are_named() {
    let trust = Trust::CertificateHashes(vec![[0; 32]]);
    for tokens in [
        vec![Bytes::new(); 5],
        vec![Bytes::from(vec![0; 4097])],
        vec![Bytes::from(vec![0; 4000]); 2],
    ] {
        let mut config = ClientConfig::new(trust.clone());
        config.access_tokens = tokens;
        let error = Endpoint::client(config).unwrap_err();
        assert!(
            error.to_string().starts_with("access_tokens is "),
            "{error}"
        );
    }
}
