//! Access tokens: for the gateway, and through it for the target.

use std::collections::BTreeMap;
use std::slice::from_ref;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use stoq_core::access::TokenHash;
use stoq_core::close::Code;
use stoq_gateway::config::{Access, Signer, Wants};
use stoq_gateway::{Config, Gateway};
use stoq_native::{
    AccessRules, AccessToken, FalconId, FalconKey, FalconSigner as _, HolderKeyPair, Nonce,
    UnixMicros, Verifier, fresh_nonce, issue_access_token,
};

use crate::page::{Asking, Page, Refusal, read_to_end};
use crate::target::{Target, echo};
use crate::{at_rest, config, until, within};

const SECOND: u64 = 1_000_000;

/// A gateway whose route `echo` wants a token that permits `use`, in front of a target.
struct World {
    gateway: Gateway,
    audience: FalconId,
    issuer: FalconKey,
    folder: tempfile::TempDir,
}

async fn world(target: &Target) -> World {
    let issuer = FalconKey::generate();
    let key = Arc::new(FalconKey::generate());
    let audience = key.verifying_key().id();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("revoked"), "# nobody\n").unwrap();
    let mut config = config(target, &["echo"]);
    config.identity = Some(Signer::new(key));
    config.access = Some(Access {
        issuers: vec![issuer.verifying_key().clone()],
        revoked: Some(folder.path().join("revoked")),
    });
    config.routes[0].wants = Wants::Permission("use".into());
    let gateway = Gateway::bind(config).await.unwrap();
    World {
        gateway,
        audience,
        issuer,
        folder,
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_micros() as u64
}

pub(crate) fn token(
    issuer: &FalconKey,
    audience: FalconId,
    change: impl FnOnce(&mut AccessToken),
) -> Bytes {
    let mut token = AccessToken {
        issuer: issuer.id(),
        audience,
        nonce: fresh_nonce(),
        not_before: UnixMicros(now() - 60 * SECOND),
        expiry: UnixMicros(now() + 60 * SECOND),
        holder: None,
        subject: "page".into(),
        service: "echo".parse().unwrap(),
        permissions: vec!["use".into()],
    };
    change(&mut token);
    issue_access_token(token, issuer).unwrap().encode().into()
}

impl World {
    fn token(&self, change: impl FnOnce(&mut AccessToken)) -> Bytes {
        token(&self.issuer, self.audience, change)
    }

    async fn ask(
        &self,
        access_tokens: &[Bytes],
        proofs: &[(&Bytes, &Arc<HolderKeyPair>)],
    ) -> Result<Page, Code> {
        let mut asking = Asking::path("/stoq/v1/echo");
        asking.access_tokens = access_tokens.to_vec();
        let proofs = proofs.iter();
        asking.proofs = proofs
            .map(|(token, key)| (TokenHash::of(token), (*key).clone()))
            .collect();
        Page::ask(&self.gateway, asking)
            .await
            .map_err(|refusal| match refusal {
                Refusal::InBand(code, _) => code,
                Refusal::Carrier => panic!("refused below STOQ"),
            })
    }

    async fn refused(&self, access_tokens: &[Bytes], code: Code) {
        assert_eq!(self.ask(access_tokens, &[]).await.map(drop), Err(code));
    }

    fn refusals(&self) -> BTreeMap<&'static str, u64> {
        self.gateway.metrics().refused.access
    }
}

pub(crate) async fn works(page: &Page) {
    let (mut send, mut receive) = page.open_bi().await;
    send.write_all(b"hello").await.unwrap();
    send.quic_stream_mut().finish().unwrap();
    assert_eq!(read_to_end(&mut receive).await.unwrap(), b"hello");
}

/// Echoes every session that the target is asked for; how many tokens came with each.
pub(crate) fn serve(target: &Target) -> tokio::sync::mpsc::UnboundedReceiver<usize> {
    let endpoint = target.endpoint.clone();
    let (tokens, came) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(request) = endpoint.accept().await {
            let _ = tokens.send(request.access_tokens().len());
            tokio::spawn(async move {
                if let Ok(session) = request.accept().await {
                    echo(session).await;
                }
            });
        }
    });
    came
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_to_refuse_has_its_code_and_its_counter() {
    within(async {
        let target = Target::start().await;
        let world = world(&target).await;
        let mut came = serve(&target);
        works(&world.ask(&[world.token(|_| ())], &[]).await.unwrap()).await;
        // It was for the gateway alone.
        assert_eq!(came.recv().await, Some(0));

        let stranger = FalconKey::generate();
        let mut tampered = world.token(|_| ()).to_vec();
        let at = tampered.len() - 1280 - 1;
        tampered[at] ^= 1;
        type Change = fn(&mut AccessToken);
        let changes: [(Change, Code); 6] = [
            (
                |token| token.expiry = UnixMicros(now() - SECOND),
                Code::TOKEN_EXPIRED,
            ),
            (
                |token| token.not_before = UnixMicros(now() + 30 * SECOND),
                Code::TOKEN_NOT_YET_VALID,
            ),
            (
                |token| token.audience = FalconId::new([1; 32]),
                Code::TOKEN_AUDIENCE,
            ),
            (
                |token| token.service = "files".parse().unwrap(),
                Code::TOKEN_SERVICE,
            ),
            (
                |token| token.permissions = vec!["read".into()],
                Code::PERMISSION,
            ),
            (
                |token| token.nonce = Nonce::new([7; 16]),
                Code::TOKEN_REVOKED,
            ),
        ];
        std::fs::write(world.folder.path().join("revoked"), "07".repeat(16)).unwrap();
        assert_eq!(world.gateway.reload_revocations().await.unwrap(), 1);
        for (change, code) in changes {
            world.refused(&[world.token(change)], code).await;
        }
        world.refused(&[], Code::TOKEN_REQUIRED).await;
        world
            .refused(&[Bytes::from_static(b"?")], Code::TOKEN_MALFORMED)
            .await;
        world.refused(&[tampered.into()], Code::TOKEN_FORGED).await;
        world
            .refused(
                &[token(&stranger, world.audience, |_| ())],
                Code::TOKEN_ISSUER,
            )
            .await;
        let expected = [
            "access-token-required",
            "access-token-malformed",
            "access-token-wrong-audience",
            "access-token-untrusted-issuer",
            "access-token-forged",
            "access-token-wrong-service",
            "access-token-not-yet-valid",
            "access-token-expired",
            "access-token-revoked",
            "permission-denied",
        ];
        assert_eq!(world.refusals(), expected.map(|name| (name, 1)).into());
        // The target has heard of none of them.
        assert!(came.try_recv().is_err());
        until(&world.gateway, at_rest).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_proves_it_to_the_gateway() {
    within(async {
        let target = Target::start().await;
        let world = world(&target).await;
        serve(&target);
        let key = Arc::new(HolderKeyPair::generate());
        let held = world.token(|token| {
            token.holder = Some(key.public());
            token.expiry = UnixMicros(now() + 3600 * SECOND);
        });
        let tokens = [held.clone()];
        works(&world.ask(&tokens, &[(&held, &key)]).await.unwrap()).await;
        let other = Arc::new(HolderKeyPair::generate());
        let wrong = world.ask(&tokens, &[(&held, &other)]).await;
        assert_eq!(wrong.map(drop), Err(Code::HOLDER_WRONG));
        // Who does not know that it has something to prove sees an open session that is closed.
        let page = world.ask(&tokens, &[]).await.unwrap();
        let (mut send, mut receive) = page.open_bi().await;
        send.write_all(b"hello").await.unwrap();
        assert_eq!(page.closed().await.0, Code::HOLDER_MISSING);
        assert!(read_to_end(&mut receive).await.is_err());
        let expected = [("holder-proof-missing", 1), ("holder-proof-wrong", 1)];
        assert_eq!(world.refusals(), expected.into());
        until(&world.gateway, at_rest).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_proofs_for_the_target_are_passed_on() {
    within(async {
        // The target wants its own, of another issuer.
        let issuer = FalconKey::generate();
        let audience = FalconKey::generate().id();
        let rules = |revoked: &str| {
            let mut verifier = Verifier::new(audience, [issuer.verifying_key().clone()]);
            verifier.set_revocations(stoq_native::Revocations::parse(revoked).unwrap());
            Some(AccessRules::new(verifier).require("echo".parse().unwrap(), Some("use")))
        };
        let target = Target::start_with(|config| config.access = rules("")).await;
        let world = world(&target).await;
        let mut came = serve(&target);
        let (near_key, far_key) = (
            Arc::new(HolderKeyPair::generate()),
            Arc::new(HolderKeyPair::generate()),
        );
        let near = world.token(|token| token.holder = Some(near_key.public()));
        let far = token(&issuer, audience, |token| {
            token.holder = Some(far_key.public());
            token.nonce = Nonce::new([9; 16]);
        });
        let tokens = [near.clone(), far.clone()];
        for order in [[0, 1], [1, 0]] {
            let proofs = [(&near, &near_key), (&far, &far_key)];
            let proofs = order.map(|at| proofs[at]);
            let page = world.ask(&tokens, &proofs).await.unwrap();
            works(&page).await;
            assert_eq!(came.recv().await, Some(1));
        }
        // The target says no for itself, and the gateway counts it so.
        let no_token = world.ask(from_ref(&near), &[(&near, &near_key)]).await;
        assert_eq!(no_token.map(drop), Err(Code::TOKEN_REQUIRED));
        let proofs = [(&near, &near_key), (&far, &near_key)];
        let wrong = world.ask(&tokens, &proofs).await;
        assert_eq!(wrong.map(drop), Err(Code::HOLDER_WRONG));
        assert_eq!(world.refusals(), BTreeMap::new());
        assert_eq!(world.gateway.metrics().refused.target, 1);

        // What the target revokes ends at the page.
        let proofs = [(&near, &near_key), (&far, &far_key)];
        let page = world.ask(&tokens, &proofs).await.unwrap();
        target.endpoint.set_access(rules(&"09".repeat(16))).unwrap();
        assert_eq!(page.closed().await.0, Code::TOKEN_REVOKED);
        until(&world.gateway, at_rest).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_ends_its_sessions_and_a_bad_list_none() {
    within(async {
        let target = Target::start().await;
        let world = world(&target).await;
        serve(&target);
        let lost = world.token(|token| token.nonce = Nonce::new([1; 16]));
        let kept = world.token(|token| token.nonce = Nonce::new([2; 16]));
        let (lost, kept) = (
            world.ask(&[lost], &[]).await.unwrap(),
            world.ask(&[kept], &[]).await.unwrap(),
        );
        let list = world.folder.path().join("revoked");
        std::fs::write(&list, "01\n").unwrap();
        let error = world.gateway.reload_revocations().await.unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
        works(&lost).await;
        std::fs::write(&list, "01".repeat(16)).unwrap();
        assert_eq!(world.gateway.reload_revocations().await.unwrap(), 1);
        assert_eq!(lost.closed().await.0, Code::TOKEN_REVOKED);
        works(&kept).await;
        drop((lost, kept));
        until(&world.gateway, at_rest).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_while_its_proof_is_awaited_ends_the_session() {
    within(async {
        let target = Target::start().await;
        let world = world(&target).await;
        serve(&target);
        let key = Arc::new(HolderKeyPair::generate());
        let held = world.token(|token| {
            token.holder = Some(key.public());
            token.nonce = Nonce::new([1; 16]);
        });
        // It does not know that it has something to prove.
        let page = world.ask(&[held], &[]).await.unwrap();
        std::fs::write(world.folder.path().join("revoked"), "01".repeat(16)).unwrap();
        assert_eq!(world.gateway.reload_revocations().await.unwrap(), 1);
        assert_eq!(page.closed().await.0, Code::TOKEN_REVOKED);
        assert_eq!(world.refusals(), [("access-token-revoked", 1)].into());
        until(&world.gateway, at_rest).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_wants_no_tokens_keeps_its_own_to_itself() {
    within(async {
        let target = Target::start().await;
        let mut came = serve(&target);
        let key = Arc::new(FalconKey::generate());
        let audience = key.verifying_key().id();
        let mut config = config(&target, &["echo"]);
        config.identity = Some(Signer::new(key));
        let gateway = Gateway::bind(config).await.unwrap();
        let issuer = FalconKey::generate();
        let mut asking = Asking::path("/stoq/v1/echo");
        asking.access_tokens = vec![
            token(&issuer, audience, |_| ()),
            token(&issuer, FalconId::new([1; 32]), |_| ()),
            Bytes::from_static(b"?"),
        ];
        let page = Page::ask(&gateway, asking).await.unwrap();
        works(&page).await;
        assert_eq!(
            came.recv().await,
            Some(2),
            "the other, and what cannot be read"
        );
        drop(page);
        until(&gateway, at_rest).await;
    })
    .await;
}

#[tokio::test]
async fn settings_of_tokens_that_cannot_work_are_named() {
    let target = Target::start().await;
    let folder = tempfile::tempdir().unwrap();
    let issuer = FalconKey::generate();
    let access = |issuers: Vec<_>| {
        Some(Access {
            issuers,
            revoked: None,
        })
    };
    let issuers = || access(vec![issuer.verifying_key().clone()]);
    let signer = || Some(Signer::new(Arc::new(FalconKey::generate())));
    type Change<'a> = Box<dyn Fn(&mut Config) + 'a>;
    let changes: [(Change<'_>, &str); 5] = [
        (
            Box::new(|config| config.routes[0].wants = Wants::AnyToken),
            "route[0].token = \"true\": needs [access]",
        ),
        (
            Box::new(|config| config.routes[0].wants = Wants::Permission("Use".into())),
            "route[0].permission = \"Use\": up to 32",
        ),
        (
            Box::new(|config| config.access = issuers()),
            "access = \"\": needs [identity]",
        ),
        (
            Box::new(|config| {
                config.access = access(vec![]);
                config.identity = signer();
            }),
            "access.issuers = \"\": needs at least one",
        ),
        (
            Box::new(|config| {
                config.access = issuers();
                config.access.as_mut().unwrap().revoked = Some(folder.path().join("absent"));
                config.identity = signer();
            }),
            "access.revoked: cannot read ",
        ),
    ];
    for (change, expected) in changes {
        let mut config = config(&target, &["echo"]);
        change(&mut config);
        let error = Gateway::bind(config).await.err().unwrap().to_string();
        assert!(error.starts_with(expected), "{error}");
    }

    // And of the file.
    let public = stoq_native::verifying_key_to_pem(issuer.verifying_key());
    std::fs::write(folder.path().join("issuer.pub"), public).unwrap();
    let file = |access: &str, route: &str| {
        let text = format!(
            "listen = \"[::]:0\"\ncertificate = {{ names = [\"a\"] }}\n{access}\n[[route]]\n\
             service = \"echo\"\nupstream = \"stoq://h:1\"\n{route}"
        );
        Config::from_toml(&text, folder.path())
    };
    let access = "access = { issuers = [\"issuer.pub\"], revoked = \"revoked\" }";
    for (route, wants) in [
        ("", Wants::Nothing),
        ("token = false", Wants::Nothing),
        ("token = true", Wants::AnyToken),
        ("permission = \"use\"", Wants::Permission("use".into())),
    ] {
        let config = file(access, route).unwrap();
        assert_eq!(config.routes[0].wants, wants);
        let access = config.access.unwrap();
        assert_eq!(access.issuers, [issuer.verifying_key().clone()]);
        assert_eq!(access.revoked, Some(folder.path().join("revoked")));
    }
    for (access, route, expected) in [
        (
            "access = { issuers = [\"absent\"] }",
            "",
            "access.issuers[0] = \"absent\": ",
        ),
        (
            access,
            "token = false\npermission = \"a\"",
            "route[0].permission = \"a\": ",
        ),
        ("access = { issuer = [] }", "", "unknown field"),
    ] {
        let error = file(access, route).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
