//! A wall clock that jumps: it decides who gets in, and nothing of who is in.

use super::*;
use crate::faults::clock::{alone, set_ahead};

#[test]
fn a_clock_that_jumps_decides_who_gets_in() {
    let name = "access::clock::a_clock_that_jumps_decides_who_gets_in";
    alone(name, async {
        let world = world();
        let key = Arc::new(HolderKeyPair::generate());
        let (now, none) = (now(), HolderKeys::new);
        let bearer = world.signed(|token| {
            token.not_before = UnixMicros(now - SECOND);
            token.expiry = UnixMicros(now + 299 * SECOND);
        });
        let held = world.signed(|token| {
            token.holder = Some(key.public());
            token.not_before = UnixMicros(now - SECOND);
            token.expiry = UnixMicros(now + DAY);
        });
        let (bearer, held) = (from_ref(&bearer), from_ref(&held));
        world.admitted(bearer, none()).await;

        // By less than it lives.
        set_ahead(150);
        world.admitted(bearer, none()).await;
        world.admitted(held, holders(&[&key])).await;
        // By more.
        set_ahead(400);
        world.refused(bearer, none(), Code::TOKEN_EXPIRED).await;
        world.admitted(held, holders(&[&key])).await;
        set_ahead(25 * 60 * 60);
        let keys = holders(&[&key]);
        world.refused(held, keys, Code::TOKEN_EXPIRED).await;
        // What is issued by the new date is good by it.
        let newer = world.signed(|_| ());
        world.admitted(from_ref(&newer), none()).await;

        // Behind the time from which they hold.
        set_ahead(-3600);
        let early = Code::TOKEN_NOT_YET_VALID;
        world.refused(bearer, none(), early).await;
        world.refused(held, holders(&[&key]), early).await;
        // Nothing is remembered of it.
        set_ahead(0);
        world.admitted(bearer, none()).await;
        world.admitted(held, holders(&[&key])).await;
        let newer = from_ref(&newer);
        world.refused(newer, none(), early).await;
        world.close().await;
    });
}

/// "That a token expires ends no session", and as little do rules that change then; but what is revoked is.
#[test]
fn sessions_outlive_their_tokens_when_the_clock_jumps() {
    let name = "access::clock::sessions_outlive_their_tokens_when_the_clock_jumps";
    alone(name, async {
        let world = world();
        let key = Arc::new(HolderKeyPair::generate());
        let nonce = Nonce::new([1; 16]);
        let bearer = world.signed(|token| token.nonce = nonce);
        let held = world.signed(|token| {
            token.nonce = nonce;
            token.holder = Some(key.public());
        });
        let none = HolderKeys::new;
        let tokens = from_ref(&bearer);
        let sessions = [
            world.by_settings(tokens, none()).await.unwrap(),
            world.by_headers(tokens, none()).await.unwrap(),
            world
                .by_settings(from_ref(&held), holders(&[&key]))
                .await
                .unwrap(),
        ];
        for seconds in [400, -3600] {
            set_ahead(seconds);
            for session in &sessions {
                works(session).await;
            }
            // Other rules, by which all who are in are judged again.
            let again = rules(world.audience, &world.issuer);
            world.server.set_access(Some(again)).unwrap();
            for session in &sessions {
                works(session).await;
            }
        }
        set_ahead(400);
        world.refused(tokens, none(), Code::TOKEN_EXPIRED).await;
        let mut revoking = rules(world.audience, &world.issuer);
        revoking.set_revocations(Revocations::parse(&nonce.to_string()).unwrap());
        world.server.set_access(Some(revoking)).unwrap();
        for session in &sessions {
            assert_eq!(session.closed().await.code, Code::TOKEN_REVOKED);
        }
        set_ahead(0);
        world.close().await;
    });
}

const DAY: u64 = 24 * 60 * 60 * SECOND;
