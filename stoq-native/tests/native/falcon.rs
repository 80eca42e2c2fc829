//! FALCON-1024 keys: they and their signatures interchange with an implementation that is not ours and not PQClean's, and a
//! key's file is refused with whatever is wrong with it.

use std::fs;

use fn_dsa_kgen::{KeyPairGenerator as _, KeyPairGeneratorStandard};
use fn_dsa_sign::{
    CryptoRng, DOMAIN_NONE, FN_DSA_LOGN_1024, HASH_ID_ORIGINAL_FALCON, RngCore, RngError,
    SigningKey as _, SigningKeyStandard,
};
use pem::Pem;
use pqcrypto_falcon::falconpadded1024 as pqclean;
use pqcrypto_traits::sign::{DetachedSignature as _, PublicKey as _, SecretKey as _};
use stoq_core::falcon::{PUBLIC_KEY_LEN, SIGNATURE_LEN};
use stoq_core::hash::Sha256;
use stoq_native::{
    Domain, FalconKey, FalconKeyError, FalconSigner as _, KeyFileFault, Signature, VerifyingKey,
};
use tempfile::TempDir;

/// How many keys go each way.
const KEYS: usize = 100;
const MESSAGE: &[u8] = b"one message";

#[test]
fn keys_and_signatures_of_pqclean_are_good_elsewhere() {
    let mut message = Domain::GRANT.label().as_bytes().to_vec();
    message.extend_from_slice(MESSAGE);
    for _ in 0..KEYS {
        let (public, secret) = pqclean::keypair();
        let verifying = VerifyingKey::try_from(public.as_bytes()).unwrap();
        // Its signature is good here.
        let signature = pqclean::detached_sign(&message, &secret);
        let signature = Signature::try_from(signature.as_bytes()).unwrap();
        assert_eq!(
            verifying.verify(Domain::GRANT, &[MESSAGE], &signature),
            Ok(())
        );

        // Its secret key is one there, with the same public half, and signs there what is good here and with PQClean.
        let mut signing = SigningKeyStandard::decode(secret.as_bytes()).unwrap();
        let mut same = [0; PUBLIC_KEY_LEN];
        signing.to_verifying_key(&mut same);
        assert_eq!(same[..], *public.as_bytes());
        let signature = sign_elsewhere(&mut signing, &message);
        assert_eq!(
            verifying.verify(Domain::GRANT, &[MESSAGE], &signature),
            Ok(())
        );
        let signature = pqclean::DetachedSignature::from_bytes(signature.as_bytes()).unwrap();
        assert!(pqclean::verify_detached_signature(&signature, &message, &public).is_ok());
    }
}

#[test]
fn keys_that_were_made_elsewhere_load_and_sign_here() {
    let mut generator = KeyPairGeneratorStandard::default();
    for _ in 0..KEYS {
        let (mut secret, mut public) = ([0; SECRET_LEN], [0; PUBLIC_KEY_LEN]);
        generator.keygen(FN_DSA_LOGN_1024, &mut System, &mut secret, &mut public);
        let key = FalconKey::from_pem(&to_pem(LABEL, &body(1, &public, &secret))).unwrap();
        assert_eq!(key.verifying_key().as_bytes(), &public);
        let signature = key.sign(Domain::GRANT, &[MESSAGE]).unwrap();

        // Elsewhere the signature of the whole message is verified without any of our code.
        let message = [Domain::GRANT.label().as_bytes(), MESSAGE].concat();
        assert!(verifies_elsewhere(&public, &message, &signature));
        assert!(!verifies_elsewhere(&public, MESSAGE, &signature));
        let mut signing = SigningKeyStandard::decode(&secret).unwrap();
        let signature = sign_elsewhere(&mut signing, &message);
        let verified = key
            .verifying_key()
            .verify(Domain::GRANT, &[MESSAGE], &signature);
        assert_eq!(verified, Ok(()));
    }
}

#[test]
fn each_kind_of_damage_has_its_name() {
    let [(public, secret), (other, _)] =
        [parts(&FalconKey::generate()), parts(&FalconKey::generate())];
    let good = body(1, &public, &secret);
    let fault = |text: &str| FalconKey::from_pem(text).map(drop).unwrap_err();
    assert!(FalconKey::from_pem(&to_pem(LABEL, &good)).is_ok());
    for text in [
        "",
        "a key",
        "-----BEGIN STOQ FALCON-1024 PRIVATE KEY-----\n",
    ] {
        assert!(matches!(fault(text), KeyFileFault::Pem(_)), "{text}");
    }
    for got in ["PRIVATE KEY", "STOQ FALCON GRANT"] {
        let got = got.to_owned();
        assert_eq!(fault(&to_pem(&got, &good)), KeyFileFault::Label { got });
    }
    let longer = [&good[..], &[0]].concat();
    for bytes in [&[][..], &good[..1], &good[1..], &longer] {
        let got = bytes.len();
        assert_eq!(fault(&to_pem(LABEL, bytes)), KeyFileFault::Length { got });
    }
    let mut flipped = good.clone();
    flipped[2000] ^= 1;
    assert_eq!(fault(&to_pem(LABEL, &flipped)), KeyFileFault::Checksum);
    for got in [0, 2, 255] {
        let unknown = to_pem(LABEL, &body(got, &public, &secret));
        assert_eq!(fault(&unknown), KeyFileFault::Algorithm { got });
    }
    let no_key = [0xff; PUBLIC_KEY_LEN];
    let no_key = to_pem(LABEL, &body(1, &no_key, &secret));
    assert_eq!(fault(&no_key), KeyFileFault::PublicKey);
    let zeros = [0; SECRET_LEN];
    let mut one_bit = secret;
    one_bit[1000] ^= 1;
    for (public, secret) in [(&other, &secret), (&public, &zeros), (&public, &one_bit)] {
        let mismatch = to_pem(LABEL, &body(1, public, secret));
        assert_eq!(fault(&mismatch), KeyFileFault::Mismatch);
    }
}

#[test]
fn a_byte_altered_anywhere_is_refused() {
    let key = FalconKey::generate();
    let (public, secret) = parts(&key);
    let good = body(1, &public, &secret);
    for at in 0..good.len() {
        let mut altered = good.clone();
        altered[at] ^= 1 << (at % 8);
        let fault = FalconKey::from_pem(&to_pem(LABEL, &altered)).map(drop);
        assert_eq!(fault.unwrap_err(), KeyFileFault::Checksum, "byte {at}");
    }
    // In the text, where lines end says nothing of the key; all else does.
    let text = key.to_pem();
    for at in 0..text.len() {
        let mut altered = text.as_bytes().to_vec();
        altered[at] ^= 1;
        let altered = String::from_utf8(altered).unwrap();
        match FalconKey::from_pem(&altered) {
            Err(_) => {}
            Ok(same) => {
                assert_eq!(text.as_bytes()[at], b'\n', "byte {at}");
                assert_eq!(parts(&same), (public, secret));
            }
        }
    }
}

#[test]
fn a_key_comes_back_from_a_file_of_its_own() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("key.pem");
    let key = FalconKey::generate();
    key.write_pem_file(&path).unwrap();
    let back = FalconKey::from_pem_file(&path).unwrap();
    assert_eq!(parts(&back), parts(&key));
    assert_eq!(fs::read_to_string(&path).unwrap(), *key.to_pem());

    // No file is written over.
    let error = FalconKey::generate().write_pem_file(&path).unwrap_err();
    assert!(matches!(&error, FalconKeyError::File { path: named, .. } if *named == path));
    assert_eq!(fs::read_to_string(&path).unwrap(), *key.to_pem());
    let absent = directory.path().join("absent");
    assert!(
        FalconKey::from_pem_file(&absent)
            .unwrap_err()
            .to_string()
            .contains("absent")
    );

    fs::write(&path, key.to_pem().replace("FALCON", "FELCON")).unwrap();
    let error = FalconKey::from_pem_file(&path).unwrap_err();
    assert!(matches!(
        error,
        FalconKeyError::Key { path: named, fault: KeyFileFault::Label { .. } } if named == path
    ));
}

#[cfg(unix)]
#[test]
fn a_key_file_is_for_its_owner_alone() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("key.pem");
    let key = FalconKey::generate();
    key.write_pem_file(&path).unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A link to nothing is not followed either: somebody else may have put it there.
    let link = directory.path().join("link.pem");
    symlink(directory.path().join("elsewhere.pem"), &link).unwrap();
    assert!(key.write_pem_file(&link).is_err());
    assert!(!directory.path().join("elsewhere.pem").exists());
}

/// The public and the secret half, as the key's file has them.
fn parts(key: &FalconKey) -> ([u8; PUBLIC_KEY_LEN], [u8; SECRET_LEN]) {
    let body = pem::parse(&*key.to_pem()).unwrap().into_contents();
    let (&[1], rest) = body.split_first_chunk().unwrap() else {
        panic!("it is for another algorithm");
    };
    let (public, rest) = rest.split_first_chunk().unwrap();
    (*public, *rest.first_chunk().unwrap())
}

/// What stands in a key's file, with a checksum that is right.
fn body(algorithm: u8, public: &[u8], secret: &[u8]) -> Vec<u8> {
    let mut body = [&[algorithm][..], public, secret].concat();
    let mut hash = Sha256::new();
    hash.update(&body);
    body.extend_from_slice(&hash.finish());
    body
}

fn to_pem(label: &str, body: &[u8]) -> String {
    pem::encode(&Pem::new(label, body))
}

fn sign_elsewhere(key: &mut SigningKeyStandard, message: &[u8]) -> Signature {
    let mut signature = [0; SIGNATURE_LEN];
    let (context, hash) = (&DOMAIN_NONE, &HASH_ID_ORIGINAL_FALCON);
    key.sign(&mut System, context, hash, message, &mut signature);
    Signature::new(signature)
}

fn verifies_elsewhere(public: &[u8], message: &[u8], signature: &Signature) -> bool {
    let public = pqclean::PublicKey::from_bytes(public).unwrap();
    let signature = pqclean::DetachedSignature::from_bytes(signature.as_bytes()).unwrap();
    pqclean::verify_detached_signature(&signature, message, &public).is_ok()
}

/// The randomness of the operating system, for a crate that brings none.
struct System;

impl CryptoRng for System {}

impl RngCore for System {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the system has randomness");
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), RngError> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

const LABEL: &str = "STOQ FALCON-1024 PRIVATE KEY";
const SECRET_LEN: usize = pqclean::secret_key_bytes();
