//! Access tokens: who gets in, by SETTINGS and by HEADERS, and each reason why not.

mod admission;
#[cfg(target_os = "linux")]
mod clock;
mod holder;
mod relayed;
mod rules;

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
