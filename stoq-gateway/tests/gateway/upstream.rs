//! The gateway and a service that know each other by their FALCON identities.

use std::collections::BTreeSet;
use std::sync::Arc;

use stoq_core::close::Code;
use stoq_gateway::Gateway;
use stoq_gateway::config::Signer;
use stoq_native::{
    ClientPolicy, ClientTrust, FalconId, FalconKey, FalconSigner as _, Identity, Pins,
};

use crate::page::{Page, Refusal};
use crate::target::Target;
use crate::{config, meet, within};

fn key() -> (Arc<FalconKey>, FalconId) {
    let key = Arc::new(FalconKey::generate());
    let id = key.verifying_key().id();
    (key, id)
}

#[tokio::test]
async fn gateway_and_service_prove_themselves_to_each_other() {
    within(async {
        let (gateway_key, gateway_id) = key();
        let (service_key, service_id) = key();
        let target = Target::start_with(|config| {
            config.identity = Identity::falcon(service_key, ["localhost"]).unwrap();
            let ids = BTreeSet::from([gateway_id]);
            config.clients = ClientPolicy::Require(ClientTrust::Ids(ids));
        })
        .await;
        let pinned = |id| Pins::new().pin(&target.address().to_string(), id).unwrap();
        let mut settings = config(&target, &["echo"]);
        settings.identity = Some(Signer::new(gateway_key));
        settings.routes[0].policy = pinned(service_id).into();

        let gateway = Gateway::bind(settings.clone()).await.unwrap();
        let (page, session) = meet(&gateway, &target).await;
        let security = session.connection().security();
        assert_eq!(security.peer, Some(gateway_id));
        assert!(security.key_exchange.is_post_quantum());
        drop(page);

        // Another identity at the same address, a gateway that has none, one that the service does not know.
        let mut wrong_pin = settings.clone();
        wrong_pin.routes[0].policy = pinned(gateway_id).into();
        let mut nobody = settings.clone();
        nobody.identity = None;
        let mut stranger = settings;
        stranger.identity = Some(Signer::new(key().0));
        for settings in [wrong_pin, nobody, stranger] {
            let gateway = Gateway::bind(settings).await.unwrap();
            let refused = Page::open(&gateway, "/stoq/v1/echo").await.err().unwrap();
            assert!(
                matches!(refused, Refusal::InBand(Code::UPSTREAM_UNREACHABLE, _)),
                "{refused:?}"
            );
        }
    })
    .await;
}
