//! Certificates that take the place of others, while sessions go on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use stoq_gateway::config::{Certificate, Signer};
use stoq_gateway::{Gateway, RenewError};
use stoq_native::{Identity, IdentityError};

use crate::page::{Asking, Page, Refusal};
use crate::record::{Device, published, with_identity};
use crate::target::Target;
use crate::{config, meet, within};

#[tokio::test]
async fn sessions_go_on_while_the_certificate_is_replaced() {
    within(async {
        let target = Target::start().await;
        let (config, id) = with_identity(&target);
        let gateway = Gateway::bind(config).await.unwrap();
        let old = gateway.certificate_hash();
        let first = published(&gateway, id);
        let (page, session) = meet(&gateway, &target).await;
        let (mut send, mut receive) = page.open_bi().await;
        send.write_all(b"before ").await.unwrap();
        let (mut back, mut there) = session.accept_bi().await.unwrap();

        let new = gateway.renew_certificate().await.unwrap();
        assert_ne!(new, old);
        assert_eq!(gateway.certificate_hash(), new);
        assert_eq!(gateway.certificate_hashes(), [new, old]);
        let second = published(&gateway, id);
        assert_eq!(second.certificate_hashes, [new, old]);
        assert!(second.serial > first.serial);

        // The stream that was open, and a new one of the same session.
        send.write_all(b"after").await.unwrap();
        send.quic_stream_mut().finish().unwrap();
        assert_eq!(there.read_to_end(100).await.unwrap(), b"before after");
        back.write_all(b"answer").await.unwrap();
        back.finish().unwrap();
        let answer = crate::page::read_to_end(&mut receive).await.unwrap();
        assert_eq!(answer, b"answer");
        page.round_trip(&session).await;

        let asking = |certificate| {
            let mut asking = Asking::path("/stoq/v1/echo");
            asking.certificate = Some(certificate);
            asking
        };
        // The old one is listed, because it has not ended; but no new connection sees it.
        let refused = Page::ask(&gateway, asking(old)).await.err();
        assert_eq!(refused, Some(Refusal::Carrier));
        let (other, other_session) =
            tokio::join!(Page::ask(&gateway, asking(new)), target.accept());
        other.unwrap().round_trip(&other_session).await;
        page.round_trip(&session).await;

        assert_eq!(gateway.metrics().certificates_renewed, 1);
        assert_eq!(gateway.metrics().records_signed, 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_certificate_of_ones_own_is_replaced_every_day() {
    let target = Target::start().await;
    let gateway = Gateway::bind(config(&target, &["echo"])).await.unwrap();
    let first = gateway.certificate_hash();
    tokio::time::sleep(Duration::from_secs(23 * 3600)).await;
    assert_eq!(gateway.certificate_hashes(), [first]);
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    let second = gateway.certificate_hash();
    assert_ne!(second, first);
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    let third = gateway.certificate_hash();
    assert_eq!(gateway.certificate_hashes(), [third, second, first]);
    assert_eq!(gateway.metrics().certificates_renewed, 2);
}

/// A certificate with its key in two files.
struct Files {
    folder: tempfile::TempDir,
    hash: [u8; 32],
}

impl Files {
    fn new(to: i64) -> Self {
        let files = Self {
            folder: tempfile::tempdir().unwrap(),
            hash: [0; 32],
        };
        files.replaced(0, to)
    }

    /// Writes another certificate, valid between these seconds from now.
    fn replaced(mut self, from: i64, to: i64) -> Self {
        let (chain, key) = pem(from, to);
        std::fs::write(self.chain(), chain).unwrap();
        std::fs::write(self.key(), key).unwrap();
        let identity = Identity::from_pem_files(self.chain(), self.key()).unwrap();
        self.hash = identity.certificate_hash();
        self
    }

    fn chain(&self) -> PathBuf {
        self.folder.path().join("chain.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    fn certificate(&self) -> Certificate {
        Certificate::Pem {
            chain: self.chain(),
            key: self.key(),
        }
    }
}

/// A certificate that is valid between these seconds from now, and its key.
pub(crate) fn pem(from: i64, to: i64) -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let now = time::OffsetDateTime::now_utc();
    params.not_before = now + time::Duration::seconds(from) - time::Duration::HOUR;
    params.not_after = now + time::Duration::seconds(to);
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

pub(crate) const DAY: i64 = 24 * 3600;

/// Longer than files are left alone.
const SOON: Duration = Duration::from_secs(90);

#[tokio::test(start_paused = true)]
async fn files_that_change_are_read_again() {
    let target = Target::start().await;
    let (mut config, id) = with_identity(&target);
    config.http = None;
    let files = Files::new(10 * DAY);
    config.certificate = files.certificate();
    let gateway = Gateway::bind(config).await.unwrap();
    let first = files.hash;
    assert_eq!(gateway.certificate_hashes(), [first]);
    tokio::time::sleep(SOON).await;
    assert_eq!(gateway.metrics().certificates_renewed, 0);

    let files = files.replaced(0, 11 * DAY);
    tokio::time::sleep(SOON).await;
    assert_eq!(gateway.certificate_hashes(), [files.hash, first]);
    let record = published(&gateway, id);
    assert_eq!(record.certificate_hashes, [files.hash, first]);
    assert_eq!(gateway.metrics().certificates_renewed, 1);

    // Nothing changes: the record is new, the certificate is not.
    let renewed = gateway.renew_certificate().await.unwrap();
    assert_eq!(renewed, files.hash);
    assert_eq!(gateway.metrics().certificates_renewed, 1);
    assert!(published(&gateway, id).serial > record.serial);
}

#[tokio::test(start_paused = true)]
async fn files_of_no_use_leave_the_certificate_as_it_is() {
    let target = Target::start().await;
    let files = Files::new(10 * DAY);
    let first = files.hash;
    let mut config = config(&target, &["echo"]);
    config.certificate = files.certificate();
    let gateway = Gateway::bind(config).await.unwrap();
    let write = |path: &Path, text: &str| std::fs::write(path, text).unwrap();

    write(&files.chain(), "no certificate");
    tokio::time::sleep(SOON).await;
    assert_eq!(gateway.certificate_hashes(), [first]);
    let refused = gateway.renew_certificate().await;
    assert!(
        matches!(
            &refused,
            Err(RenewError::Certificate(IdentityError::NoCertificate { path })) if *path == files.chain()
        ),
        "{refused:?}"
    );

    // Half of the pair has been replaced: a moment later the other half comes.
    let (chain, key) = pem(0, 12 * DAY);
    write(&files.chain(), &chain);
    tokio::time::sleep(SOON).await;
    let refused = gateway.renew_certificate().await;
    assert!(
        matches!(
            refused,
            Err(RenewError::Certificate(IdentityError::Mismatch { .. }))
        ),
        "{refused:?}"
    );
    assert_eq!(gateway.certificate_hashes(), [first]);
    write(&files.key(), &key);
    tokio::time::sleep(SOON).await;
    let second = gateway.certificate_hash();
    assert_ne!(second, first);

    std::fs::remove_file(files.chain()).unwrap();
    tokio::time::sleep(SOON).await;
    assert_eq!(gateway.certificate_hash(), second);

    let files = files.replaced(-20 * DAY, -DAY);
    tokio::time::sleep(SOON).await;
    assert_eq!(gateway.certificate_hash(), second);
    let refused = gateway.renew_certificate().await;
    assert!(matches!(refused, Err(RenewError::Ended)), "{refused:?}");

    let files = files.replaced(DAY, 12 * DAY);
    tokio::time::sleep(SOON).await;
    assert_eq!(gateway.certificate_hash(), second);
    let refused = gateway.renew_certificate().await;
    assert!(matches!(refused, Err(RenewError::NotYet)), "{refused:?}");

    let files = files.replaced(0, 12 * DAY);
    tokio::time::sleep(SOON).await;
    assert_eq!(gateway.certificate_hashes(), [files.hash, second, first]);
    assert_eq!(gateway.metrics().certificates_renewed, 2);
}

#[tokio::test(start_paused = true)]
async fn a_new_certificate_waits_for_its_record_while_the_old_one_holds() {
    let target = Target::start().await;
    let (mut config, _) = with_identity(&target);
    config.http = None;
    let device = Device::new();
    config.identity = Some(Signer::new(device.clone()));
    let files = Files::new(10 * DAY);
    let first = files.hash;
    config.certificate = files.certificate();
    let gateway = Gateway::bind(config).await.unwrap();

    device.fail(true);
    let files = files.replaced(0, 11 * DAY);
    tokio::time::sleep(SOON).await;
    assert_eq!(gateway.certificate_hashes(), [first]);
    assert!(gateway.metrics().records_failed > 0);
    device.fail(false);
    tokio::time::sleep(SOON).await;
    assert_eq!(gateway.certificate_hashes(), [files.hash, first]);
    let record = published(&gateway, device.id());
    assert_eq!(record.certificate_hashes, [files.hash, first]);
}

#[tokio::test(start_paused = true)]
async fn a_new_certificate_does_not_wait_for_its_record_when_the_old_one_ends() {
    let target = Target::start().await;
    let (mut config, _) = with_identity(&target);
    config.http = None;
    let device = Device::new();
    config.identity = Some(Signer::new(device.clone()));
    let files = Files::new(30);
    let first = files.hash;
    config.certificate = files.certificate();
    let gateway = Gateway::bind(config).await.unwrap();

    device.fail(true);
    let files = files.replaced(0, 11 * DAY);
    tokio::time::sleep(SOON).await;
    assert_eq!(gateway.certificate_hash(), files.hash);
    let record = published(&gateway, device.id());
    assert_eq!(record.certificate_hashes, [first]);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_too_long_for_browsers_is_listed_all_the_same() {
    let target = Target::start().await;
    let (mut config, id) = with_identity(&target);
    config.http = None;
    let files = Files::new(90 * DAY);
    config.certificate = files.certificate();
    let gateway = Gateway::bind(config).await.unwrap();
    assert_eq!(published(&gateway, id).certificate_hashes, [files.hash]);
}
