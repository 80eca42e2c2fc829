//! The endpoint record: what it says, who signs it, and what a gateway without one answers.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stoq_core::endpoint_record::{EndpointRecord, SignedEndpointRecord};
use stoq_core::time::UnixMicros;
use stoq_gateway::config::{Http, Signer};
use stoq_gateway::{BindError, Config, ConfigError, Gateway, RecordError, RenewError};
use stoq_native::{
    Domain, FalconId, FalconKey, FalconKeyError, FalconSigner, KeyFileFault, SignError, Signature,
    VerifyingKey,
};

use crate::target::Target;
use crate::{config, http, until, within};

/// Settings with an identity and a page, and that identity.
pub(crate) fn with_identity(target: &Target) -> (Config, FalconId) {
    let signer = Signer::new(Arc::new(FalconKey::generate()));
    let id = signer.id();
    let mut config = config(target, &["echo"]);
    config.identity = Some(signer);
    config.http = Some(Http {
        listen: "127.0.0.1:0".parse().unwrap(),
        root: None,
    });
    (config, id)
}

/// What the gateway publishes now, verified.
pub(crate) fn published(gateway: &Gateway, id: FalconId) -> EndpointRecord {
    let record = gateway.endpoint_record().unwrap();
    let record = SignedEndpointRecord::decode(&record).unwrap();
    record.verify(&[id]).unwrap().clone()
}

fn now() -> UnixMicros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixMicros(u64::try_from(since.as_micros()).unwrap())
}

#[tokio::test]
async fn the_record_proves_which_certificate_the_gateway_has() {
    within(async {
        let target = Target::start().await;
        let (config, id) = with_identity(&target);
        let before = now();
        let gateway = Gateway::bind(config).await.unwrap();
        let after = now();
        assert_eq!(gateway.falcon_id(), Some(id));

        let (header, body) = http(&gateway, "/stoq.json").await;
        assert!(header.starts_with("HTTP/1.1 200"), "{header}");
        let facts: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(facts["falconId"], id.to_string());
        assert_eq!(facts["endpointRecord"], "/.well-known/stoq/endpoint");

        let (header, body) = http(&gateway, "/.well-known/stoq/endpoint").await;
        assert!(header.starts_with("HTTP/1.1 200"), "{header}");
        for expected in [
            "content-type: application/octet-stream",
            "cache-control: no-cache",
            "access-control-allow-origin: *",
        ] {
            assert!(header.lines().any(|line| line == expected), "{header}");
        }
        assert_eq!(gateway.endpoint_record(), Some(body.clone()));
        let signed = SignedEndpointRecord::decode(&body).unwrap();
        let record = signed.verify(&[id]).unwrap();
        let authority = gateway.local_addr().to_string();
        assert_eq!(record.check(after, &authority, None), Ok(()));
        assert_eq!(record.certificate_hashes, [gateway.certificate_hash()]);
        assert_eq!(record.certificate_hashes, gateway.certificate_hashes());

        // Signed between the two moments: from an hour before until a day after.
        assert!((before.0..=after.0).contains(&record.serial));
        assert_eq!(record.serial - record.not_before.0, 3600 * 1_000_000);
        assert_eq!(record.expiry.0 - record.serial, 24 * 3600 * 1_000_000);

        let other = FalconKey::generate().id();
        assert!(signed.verify(&[other]).is_err());
        let numbers = gateway.metrics();
        assert_eq!((numbers.records_signed, numbers.records_failed), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn the_record_names_the_authority_in_its_canonical_form() {
    let target = Target::start().await;
    for (written, expected) in [
        ("Gateway.Example.org", "gateway.example.org:443"),
        ("gateway.example.org:4433", "gateway.example.org:4433"),
    ] {
        let (mut config, id) = with_identity(&target);
        config.authority = Some(written.into());
        let gateway = Gateway::bind(config).await.unwrap();
        assert_eq!(published(&gateway, id).authority, expected);
    }
}

#[tokio::test]
async fn without_an_identity_there_is_no_record() {
    within(async {
        let target = Target::start().await;
        let (mut config, _) = with_identity(&target);
        config.identity = None;
        let gateway = Gateway::bind(config).await.unwrap();
        let (header, _) = http(&gateway, EndpointRecord::PATH).await;
        assert!(header.starts_with("HTTP/1.1 404"), "{header}");
        let (_, body) = http(&gateway, "/stoq.json").await;
        let facts: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let mut fields: Vec<_> = facts.as_object().unwrap().keys().collect();
        fields.sort();
        assert_eq!(fields, ["certificateHashes", "services", "url"]);
        assert_eq!(gateway.falcon_id(), None);
        assert_eq!(gateway.endpoint_record(), None);
        assert_eq!(gateway.metrics().records_signed, 0);
    })
    .await;
}

/// A device that can be out of order.
#[derive(Debug)]
pub(crate) struct Device {
    key: FalconKey,
    fails: AtomicBool,
}

impl Device {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            key: FalconKey::generate(),
            fails: AtomicBool::new(false),
        })
    }

    pub(crate) fn id(&self) -> FalconId {
        self.key.id()
    }

    /// From now on.
    pub(crate) fn fail(&self, fails: bool) {
        self.fails.store(fails, SeqCst);
    }
}

impl FalconSigner for Device {
    fn verifying_key(&self) -> &VerifyingKey {
        self.key.verifying_key()
    }

    fn sign(&self, domain: Domain, parts: &[&[u8]]) -> Result<Signature, SignError> {
        match self.fails.load(SeqCst) {
            true => Err(SignError::Device("the card was drawn".into())),
            false => self.key.sign(domain, parts),
        }
    }
}

#[tokio::test]
async fn a_signer_that_fails_leaves_the_last_record_until_it_expires() {
    within(async {
        let target = Target::start().await;
        let device = Device::new();
        let (mut config, _) = with_identity(&target);
        config.identity = Some(Signer::new(device.clone()));
        config.timing.record_life = Duration::from_secs(1);
        let gateway = Gateway::bind(config).await.unwrap();
        // Signed again long before the second is over, as often as it takes.
        until(&gateway, |now| now.records_signed >= 3).await;

        device.fail(true);
        let last = published(&gateway, device.id());
        let certificate = gateway.certificate_hash();
        let refused = gateway.renew_certificate().await;
        assert!(
            matches!(
                refused,
                Err(RenewError::Record(RecordError::Sign(SignError::Device(_))))
            ),
            "{refused:?}"
        );
        // A certificate that no record lists is not served.
        assert_eq!(gateway.certificate_hash(), certificate);
        assert_eq!(gateway.certificate_hashes(), [certificate]);

        until(&gateway, |now| now.records_failed >= 3).await;
        while gateway.endpoint_record().is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(now() > last.expiry);
        let (header, body) = http(&gateway, EndpointRecord::PATH).await;
        assert!(header.starts_with("HTTP/1.1 503"), "{header}");
        assert_eq!(body, b"");

        device.fail(false);
        let renewed = gateway.renew_certificate().await.unwrap();
        let record = published(&gateway, device.id());
        assert_eq!(record.certificate_hashes, [renewed, certificate]);
        assert!(record.serial > last.serial);
    })
    .await;
}

#[tokio::test]
async fn a_gateway_that_cannot_sign_does_not_start() {
    let target = Target::start().await;
    let device = Device::new();
    device.fail(true);
    let (mut config, _) = with_identity(&target);
    config.identity = Some(Signer::new(device));
    let error = Gateway::bind(config).await.unwrap_err();
    assert!(matches!(error, BindError::Record(_)), "{error}");
    assert!(error.to_string().contains("the card was drawn"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_record_is_signed_again_before_half_of_its_life_is_over() {
    let target = Target::start().await;
    let (mut config, id) = with_identity(&target);
    config.http = None;
    config.timing.certificate_renewal = Duration::from_secs(12 * 24 * 3600);
    let gateway = Gateway::bind(config).await.unwrap();
    let first = published(&gateway, id);
    tokio::time::sleep(Duration::from_secs(11 * 3600)).await;
    let second = published(&gateway, id);
    assert!(second.serial > first.serial);
    assert_eq!(second.certificate_hashes, first.certificate_hashes);
    tokio::time::sleep(Duration::from_secs(3 * 24 * 3600)).await;
    let signed = gateway.metrics().records_signed;
    assert!((9..=11).contains(&signed), "{signed} in 83 hours");
}

#[test]
fn the_key_stands_in_a_file_beside_the_settings() {
    let folder = tempfile::tempdir().unwrap();
    let key = FalconKey::generate();
    key.write_pem_file(folder.path().join("gateway.falcon.pem"))
        .unwrap();
    let config = settings_with_key(folder.path(), "gateway.falcon.pem").unwrap();
    assert_eq!(config.identity.map(|signer| signer.id()), Some(key.id()));
}

#[test]
fn a_bad_key_file_is_named_with_the_setting_and_the_matter() {
    let folder = tempfile::tempdir().unwrap();
    let pem = FalconKey::generate().to_pem();
    let middle = pem.len() / 2;
    let other = if &pem[middle..=middle] == "A" {
        "B"
    } else {
        "A"
    };
    let altered = [&pem[..middle], other, &pem[middle + 1..]].concat();
    let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (name, text, expected) in [
        ("altered.pem", altered.as_str(), KeyFileFault::Checksum),
        (
            "certificate.pem",
            certificate,
            KeyFileFault::Label {
                got: "CERTIFICATE".into(),
            },
        ),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        let error = settings_with_key(folder.path(), name).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("identity.falcon_key: "), "{text}");
        assert!(text.contains(&file.display().to_string()), "{text}");
        assert!(text.ends_with(&expected.to_string()), "{text}");
        let ConfigError::FalconKey {
            error: FalconKeyError::Key { path, fault },
            ..
        } = error
        else {
            panic!("{text}")
        };
        assert_eq!((path, fault), (file, expected));
    }
    let missing = settings_with_key(folder.path(), "none.pem").unwrap_err();
    assert!(
        matches!(
            &missing,
            ConfigError::FalconKey { error: FalconKeyError::File { path, .. }, .. }
                if *path == folder.path().join("none.pem")
        ),
        "{missing}"
    );
}

fn settings_with_key(folder: &Path, key: &str) -> Result<Config, ConfigError> {
    let settings = format!(
        "listen = \"127.0.0.1:0\"\ncertificate = {{ names = [\"localhost\"] }}\n\
         [identity]\nfalcon_key = \"{key}\"\n"
    );
    Config::from_toml(&settings, folder)
}
