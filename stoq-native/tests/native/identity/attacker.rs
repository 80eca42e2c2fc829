//! Somebody on the network who has a quantum computer: it holds the classical private keys of the victim and of the
//! victim's certificate authority, and FALCON keys of its own. It sits at the victim's address.
//!
//! What it does not have is the victim's FALCON key, because that does not fall to its computer.

use std::sync::Arc;

use stoq_native::{
    Authority, ClientConfig, ClientPolicy, ClientTrust, ConnectError, Endpoint, FalconKey,
    FalconSigner as _, FalconTrust, GrantError, Identity, IdentityRejected, Pins, PqPolicy,
    Security, ServerConfig, Target, Trust,
};

use super::certificates::{Ca, Holder, Time, classical, grant};
use super::rogue::{Always, Key, Signs, StockServer, server_tls};
use super::table::{KNOWN as VICTIM, STRANGER};
use crate::harness::within;

/// Whom the victim's clients trust, and what of it the attacker has.
struct World {
    /// The attacker has its private key.
    ca: Ca,
    /// It does not have this one.
    authority: FalconKey,
    /// The victim's Ed25519 key, and a FALCON key of its own.
    attacker: Holder,
}

/// What a client of each policy says of the attacker.
struct Said {
    pins: ConnectError,
    authority: ConnectError,
    prefer: Result<Security, ConnectError>,
}

impl World {
    fn new() -> Self {
        let ed25519 = VICTIM.ed25519.serialize_pem();
        let attacker = Holder {
            falcon: STRANGER.falcon.clone(),
            ed25519: rcgen::KeyPair::from_pem(&ed25519).unwrap(),
        };
        Self {
            ca: Ca::new(),
            authority: FalconKey::generate(),
            attacker,
        }
    }

    fn roots(&self) -> Trust {
        Trust::Roots(vec![self.ca.root()])
    }

    fn authority(&self) -> Authority {
        Authority::new(self.authority.verifying_key().clone())
    }

    /// Three clients, and what comes of it when they connect to this address, which should be the victim's.
    async fn try_all(&self, address: std::net::SocketAddr, authority: Authority) -> Said {
        let pins = Pins::new()
            .pin(&address.to_string(), VICTIM.id())
            .and_then(|pins| pins.pin("elsewhere.example:4433", self.attacker.id()))
            .and_then(|pins| pins.pin(&format!("[::1]:{}", address.port() ^ 1), self.attacker.id()))
            .unwrap();
        let authority = PqPolicy::Require(FalconTrust::Authority(authority));
        Said {
            pins: connect(pins.into(), address).await.unwrap_err(),
            authority: connect(authority, address).await.unwrap_err(),
            prefer: connect(PqPolicy::Prefer(self.roots()), address).await,
        }
    }

    /// What comes of an attacker that shows this identity, with STOQ's own library.
    async fn attack(&self, identity: Identity, authority: Authority) -> Said {
        let server = serve(ServerConfig::new(identity));
        self.try_all(server.local_addr().unwrap(), authority).await
    }
}

fn serve(config: ServerConfig) -> Endpoint {
    Endpoint::server("[::1]:0".parse().unwrap(), config).unwrap()
}

async fn connect(
    policy: PqPolicy,
    address: std::net::SocketAddr,
) -> Result<Security, ConnectError> {
    let client = Endpoint::client(ClientConfig::new(policy)).unwrap();
    let target: Target = format!("stoq://{address}/").parse().unwrap();
    let connection = client.connect_to(&target).await?;
    Ok(connection.security())
}

#[track_caller]
fn assert_rejected(error: &ConnectError, expected: impl FnOnce(&IdentityRejected) -> bool) {
    assert!(
        matches!(error, ConnectError::Identity(rejected) if expected(rejected)),
        "{error:?}"
    );
}

/// That this identity is somebody else than who is pinned there.
fn is_not_pinned(rejected: &IdentityRejected) -> bool {
    matches!(rejected, IdentityRejected::NotPinned { got, .. } if *got == STRANGER.id())
}

#[tokio::test]
async fn the_victim_itself_is_believed_under_each_policy() {
    within(async {
        let world = World::new();
        let word = grant(&world.authority, VICTIM.id(), "::1", 1, Time::Now);
        let certificate = VICTIM.certificate(Time::Now, Some(&world.ca), Some(&word));
        let identity = classical(Time::Now, Some(&world.ca));
        let identity = identity.with_falcon(VICTIM.identity_with(&certificate));
        let server = serve(ServerConfig::new(identity));
        let address = server.local_addr().unwrap();
        let pins = Pins::new().pin(&address.to_string(), VICTIM.id()).unwrap();
        for policy in [
            pins.into(),
            PqPolicy::Require(FalconTrust::Authority(world.authority())),
            PqPolicy::Prefer(world.roots()),
        ] {
            let security = connect(policy, address).await.unwrap();
            assert_eq!(security.peer, Some(VICTIM.id()));
        }
        let off = connect(PqPolicy::Off(world.roots()), address)
            .await
            .unwrap();
        assert_eq!(off.peer, None);
    })
    .await;
}

/// `Prefer` believes whom the classical authorities believe, so whoever has an authority's key passes: with a FALCON key of
/// its own in the certificate, or without. The FalconId that such a connection shows is the attacker's. It helps who
/// compares it with one that is known; as a policy, `Prefer` does not.
#[tokio::test]
async fn a_falcon_key_of_its_own_passes_prefer_and_no_more() {
    within(async {
        let world = World::new();
        let identity = world.attacker.identity(Time::Now, Some(&world.ca));
        // This key is pinned too, at other hosts and ports.
        let said = world.attack(identity, world.authority()).await;
        assert_rejected(&said.pins, is_not_pinned);
        assert_rejected(&said.authority, |why| *why == IdentityRejected::NoGrant);
        assert_eq!(said.prefer.unwrap().peer, Some(world.attacker.id()));

        let identity = classical(Time::Now, Some(&world.ca));
        let said = world.attack(identity, world.authority()).await;
        for error in [&said.pins, &said.authority] {
            assert!(
                matches!(error, ConnectError::NotPostQuantum { .. }),
                "{error:?}"
            );
        }
        assert_eq!(said.prefer.unwrap().peer, None);
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_pinned_elsewhere_is_good_there_only() {
    within(async {
        let world = World::new();
        let identity = world.attacker.identity(Time::Now, Some(&world.ca));
        let server = serve(ServerConfig::new(identity));
        let address = server.local_addr().unwrap();
        let here = Pins::new()
            .pin(&address.to_string(), world.attacker.id())
            .unwrap();
        assert!(connect(here.into(), address).await.is_ok());
        // The same address under another name is another authority.
        let elsewhere = Pins::new()
            .pin(
                &format!("localhost:{}", address.port()),
                world.attacker.id(),
            )
            .unwrap();
        let error = connect(elsewhere.clone().into(), address)
            .await
            .unwrap_err();
        assert_rejected(&error, |why| {
            matches!(why, IdentityRejected::NothingPinned { .. })
        });
        let both = elsewhere.pin(&address.to_string(), VICTIM.id()).unwrap();
        let error = connect(both.into(), address).await.unwrap_err();
        assert_rejected(&error, is_not_pinned);
    })
    .await;
}

#[tokio::test]
async fn grants_that_do_not_cover_it_are_named() {
    within(async {
        let world = World::new();
        let attacker = world.attacker.id();
        let by =
            |authority: &FalconKey, subject, name, time| grant(authority, subject, name, 7, time);
        let trusted = &world.authority;
        // It was one of the authority's own once, under another name, or until yesterday, or until the word was taken back.
        let other_name = by(trusted, attacker, "other.example", Time::Now);
        let old = by(trusted, attacker, "::1", Time::Past);
        let revoked = by(trusted, attacker, "::1", Time::Now);
        // What anybody can copy from the victim's certificate.
        let copied = by(trusted, VICTIM.id(), "::1", Time::Now);
        // By an authority of its own.
        let own = by(&world.attacker.falcon, attacker, "::1", Time::Now);
        let wanted = "::1".to_owned();
        let got = VICTIM.id();
        for (grant, revoking, expected) in [
            (
                other_name,
                None,
                IdentityRejected::Grant(GrantError::Name { wanted }),
            ),
            (old, None, IdentityRejected::Grant(GrantError::Expired)),
            (revoked, Some(7), IdentityRejected::Revoked { serial: 7 }),
            (
                copied,
                None,
                IdentityRejected::Grant(GrantError::Subject { got }),
            ),
            (
                own,
                None,
                IdentityRejected::Grant(GrantError::Authority { got: attacker }),
            ),
        ] {
            let certificate = world
                .attacker
                .certificate(Time::Now, Some(&world.ca), Some(&grant));
            let identity = world.attacker.identity_with(&certificate);
            let authority = match revoking {
                Some(serial) => world.authority().without(serial),
                None => world.authority(),
            };
            let said = world.attack(identity, authority).await;
            assert_rejected(&said.pins, is_not_pinned);
            assert_rejected(&said.authority, |why| *why == expected);
            assert_eq!(said.prefer.unwrap().peer, Some(attacker));
        }
    })
    .await;
}

#[tokio::test]
async fn a_grant_in_the_authoritys_name_that_it_did_not_sign_is_refused() {
    within(async {
        let world = World::new();
        let (id, attacker) = (world.authority.id(), &world.attacker.falcon);
        // All as it should be, but for the key that signs.
        let mut forged = grant(attacker, attacker.id(), "::1", 1, Time::Now)
            .claim()
            .clone();
        forged.authority = id;
        let bytes = forged.to_be_signed().unwrap();
        let signature = attacker
            .sign(stoq_native::Domain::GRANT, &[&bytes])
            .unwrap();
        let forged = stoq_native::SignedGrant::new(forged, signature).unwrap();
        let certificate = world
            .attacker
            .certificate(Time::Now, Some(&world.ca), Some(&forged));
        let identity = world.attacker.identity_with(&certificate);
        let said = world.attack(identity, world.authority()).await;
        assert_rejected(&said.authority, |why| {
            matches!(why, IdentityRejected::Grant(GrantError::Signature(_)))
        });
    })
    .await;
}

/// It has all of the victim's certificate, and signs with what it has of the keys. Even `Prefer` sees that: FALCON can be
/// left out, not set aside.
#[tokio::test]
async fn the_victims_own_certificate_needs_the_victims_falcon_key() {
    within(async {
        let world = World::new();
        let word = grant(&world.authority, VICTIM.id(), "::1", 1, Time::Now);
        let certificate = VICTIM.certificate(Time::Now, Some(&world.ca), Some(&word));
        for (signs, expected) in [
            (Signs::Classically, IdentityRejected::FalconKeyUnused),
            // Its own FALCON key in the place of the victim's.
            (Signs::Composite, IdentityRejected::FalconSignature),
        ] {
            let key = Key::new(&world.attacker, signs);
            let shows = Always::new(vec![certificate.clone()], key);
            let server = StockServer::new(server_tls(Arc::new(shows)));
            let said = world.try_all(server.address(), world.authority()).await;
            for error in [&said.pins, &said.authority, &said.prefer.unwrap_err()] {
                assert_rejected(error, |why| *why == expected);
            }
        }
    })
    .await;
}

/// The same attacker, as a client of a server that trusts an authority.
#[tokio::test]
async fn as_a_client_it_is_refused_as_well() {
    within(async {
        let world = World::new();
        let attacker = world.attacker.id();
        let mut config = ServerConfig::new(classical(Time::Now, Some(&world.ca)));
        let trusted = ClientTrust::Authority(world.authority().without(7));
        config.clients = ClientPolicy::Require(trusted);
        let server = serve(config);
        let address = server.local_addr().unwrap();
        let shows = |grant: Option<&_>| {
            let certificate = world
                .attacker
                .certificate(Time::Now, Some(&world.ca), grant);
            world.attacker.identity_with(&certificate)
        };
        let of = |id, serial, time| grant(&world.authority, id, "any", serial, time);
        for (grant, expected) in [
            (None, Some("the certificate has no grant by an authority")),
            (
                Some(of(attacker, 1, Time::Past)),
                Some("the grant has expired"),
            ),
            (
                Some(of(attacker, 7, Time::Now)),
                Some("the grant with serial 7 is revoked"),
            ),
            (
                Some(of(VICTIM.id(), 1, Time::Now)),
                Some("not for the key shown"),
            ),
            // Without a fault it gets in, so it is the grant that counts.
            (Some(of(attacker, 1, Time::Now)), None),
        ] {
            let mut config = ClientConfig::new(PqPolicy::Prefer(world.roots()));
            config.identity = Some(shows(grant.as_ref()));
            let client = Endpoint::client(config).unwrap();
            let target: Target = format!("stoq://{address}/").parse().unwrap();
            match (client.connect_to(&target).await, expected) {
                (Ok(_), None) => {}
                (Err(ConnectError::IdentityRefused { reason }), Some(expected)) => {
                    assert!(reason.contains(expected), "{reason}");
                }
                (result, expected) => panic!("{result:?}, not {expected:?}"),
            }
        }
    })
    .await;
}
