//! A gateway in front of the conformance services.

use std::path::PathBuf;
use std::sync::Arc;

use stoq_conformance::services;
use stoq_core::service::ServiceName;
use stoq_gateway::config::{Certificate, Config, Http, Route, Signer};
use stoq_native::{FalconKey, Trust};

use crate::services::Services;

/// Settings for a gateway on loopback that offers every conformance service, and serves `site` if there is
/// one. The name of the service that nobody offers has a route too: the target is the one to refuse it.
pub fn gateway_for(services: &Services, site: Option<PathBuf>) -> Config {
    let routes = [
        services::ECHO,
        services::COUNT,
        services::RESET,
        services::STOP,
        services::WITNESS,
        services::OPENS,
        services::CLOSE,
        services::MAIL,
        services::SEEDS,
        services::SIGNED,
        services::REFUSE,
        services::UNKNOWN,
    ]
    .map(|name| {
        let service = ServiceName::new(name).expect("a constant of allowed characters");
        let target = format!("stoq://{}", services.authority());
        let trust = Trust::CertificateHashes(vec![services.certificate_hash]);
        Route::new(
            service,
            target.parse().expect("an address is a target"),
            trust,
        )
    });
    let names = vec!["localhost".into(), "127.0.0.1".into()];
    let loopback = "127.0.0.1:0".parse().expect("a constant address");
    let mut config = Config::new(loopback, Certificate::SelfSigned { names }, routes.into());
    config.identity = Some(Signer::new(Arc::new(FalconKey::generate())));
    config.http = site.map(|root| Http {
        listen: loopback,
        root: Some(root),
    });
    config
}
