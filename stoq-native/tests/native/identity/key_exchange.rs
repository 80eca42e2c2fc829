//! A connection whose key exchange is no secret from a quantum computer, when the policy becomes stricter.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use stoq_native::{
    ClientConfig, Code, ConnectError, Endpoint, IdentityRejected, KeyExchange, Pins, Trust,
};

use super::certificates::{Holder, Time, hash};
use super::rogue::{Always, Key, Signs, StockServer, server_tls_over};
use crate::harness::within;

#[tokio::test]
async fn a_stricter_policy_also_asks_for_the_key_exchange() {
    within(async {
        let holder = Holder::new();
        let certificate = holder.certificate(Time::Now, None, None);
        let hash = hash(&certificate);
        let shows = Always::new(vec![certificate], Key::new(&holder, Signs::Composite));
        let mut provider: CryptoProvider = aws_lc_rs::default_provider();
        provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
        let tls = server_tls_over(Arc::new(provider), Arc::new(shows));
        let server = StockServer::new(tls);

        let trust = Trust::CertificateHashes(vec![hash]);
        let client = Endpoint::client(ClientConfig::new(trust)).unwrap();
        let url = format!("stoq://{}/test", server.address());
        let session = client.connect(&url).await.unwrap();
        let security = session.connection().security();
        assert_eq!(security.key_exchange, KeyExchange::X25519);
        assert_eq!(security.peer, Some(holder.id()));

        let authority = server.address().to_string();
        let pins = Pins::new().pin(&authority, holder.id()).unwrap();
        client.set_policy(pins).unwrap();
        let closed = session.closed().await;
        assert_eq!(closed.code, Code::REVOKED);
        assert_eq!(closed.reason, IdentityRejected::KeyExchange.to_string());
        // A new one does not come about either.
        let error = client.connect(&url).await.unwrap_err();
        assert!(
            matches!(error, ConnectError::NotPostQuantum { .. }),
            "{error}"
        );
    })
    .await;
}
