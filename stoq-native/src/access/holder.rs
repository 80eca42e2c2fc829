//! Keys of holders: P-256, in memory or in a file.

use core::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use pem::{EncodeConfig, LineEnding, Pem};
use stoq_core::access::{HolderKey, HolderProof};
use zeroize::Zeroizing;

use crate::falcon::{SignError, create_private, others_may_read};

/// Signs with a holder's key that it keeps to itself: a [`HolderKeyPair`], or a device that never gives its key away.
///
/// Called on the thread that drives the connection, so it should take milliseconds, not seconds.
pub trait HolderSigner: Send + Sync + fmt::Debug {
    /// The public key that belongs to it; always the same one.
    fn holder_key(&self) -> HolderKey;

    /// Signs `message` with ECDSA and SHA-256, as r and s of 32 bytes each.
    ///
    /// # Errors
    /// [`SignError`].
    fn sign(&self, message: &[u8]) -> Result<HolderProof, SignError>;
}

/// A holder's key pair in memory.
pub struct HolderKeyPair {
    pair: EcdsaKeyPair,
    public: HolderKey,
}

impl HolderKeyPair {
    /// A new key pair, from the randomness of the operating system.
    pub fn generate() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .expect("the system has random bytes, and the curve is known");
        Self::new(pair)
    }

    /// The public key.
    pub const fn public(&self) -> HolderKey {
        self.public
    }

    /// The key pair as PEM: PKCS #8, label `PRIVATE KEY`, as OpenSSL and WebCrypto have it.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let document = self.pair.to_pkcs8v1();
        let document = document.expect("a key that was made or read can be written");
        let pem = Pem::new(LABEL, document.as_ref());
        let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
        let text = Zeroizing::new(pem::encode_config(&pem, config));
        drop(Zeroizing::new(pem.into_contents()));
        text
    }

    /// Reads a key pair that [`to_pem`](Self::to_pem) wrote, or another program in the same form.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn from_pem(text: &str) -> Result<Self, String> {
        let pem = pem::parse(text).map_err(|error| format!("not PEM ({error})"))?;
        if pem.tag() != LABEL {
            return Err(format!("it is labelled {:?}, not {LABEL:?}", pem.tag()));
        }
        let body = Zeroizing::new(pem.into_contents());
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &body)
            .map(Self::new)
            .map_err(|rejected| rejected.to_string())
    }

    /// Writes the key pair to a new file that only its owner may read (mode 0600 on Unix).
    ///
    /// # Errors
    /// [`HolderKeyError::File`] also if the file exists: a key is not overwritten.
    pub fn write_pem_file(&self, path: impl AsRef<Path>) -> Result<(), HolderKeyError> {
        let path = path.as_ref();
        let write = || {
            let mut file = create_private(path)?;
            let written = file
                .write_all(self.to_pem().as_bytes())
                .and_then(|()| file.sync_all());
            written.inspect_err(|_| drop(fs::remove_file(path)))
        };
        write().map_err(|error| HolderKeyError::file(path, error))
    }

    /// Reads a key pair from a file. Warns in the log if others than its owner may read it.
    ///
    /// # Errors
    /// [`HolderKeyError`] if it cannot be read, or holds no key of P-256.
    pub fn from_pem_file(path: impl AsRef<Path>) -> Result<Self, HolderKeyError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|error| HolderKeyError::file(path, error))?;
        let text = Zeroizing::new(text);
        if others_may_read(path).map_err(|error| HolderKeyError::file(path, error))? {
            tracing::warn!(path = %path.display(), "this private key can be read by others: chmod 600 it");
        }
        Self::from_pem(&text).map_err(|reason| HolderKeyError::Key {
            path: path.into(),
            reason,
        })
    }

    fn new(pair: EcdsaKeyPair) -> Self {
        let public = HolderKey::from_uncompressed(pair.public_key().as_ref())
            .expect("the library gives points of the curve, uncompressed");
        Self { pair, public }
    }
}

impl HolderSigner for HolderKeyPair {
    fn holder_key(&self) -> HolderKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<HolderProof, SignError> {
        let signature = self
            .pair
            .sign(&SystemRandom::new(), message)
            .map_err(|_| SignError::Device("ECDSA failed".into()))?;
        let bytes = signature.as_ref();
        let got = bytes.len();
        let bytes = bytes.try_into().map_err(|_| SignError::Length { got })?;
        Ok(HolderProof::new(bytes))
    }
}

impl fmt::Debug for HolderKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the secret.
        f.debug_struct("HolderKeyPair")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// A file of a holder's key is of no use.
#[derive(Debug, thiserror::Error)]
pub enum HolderKeyError {
    /// The system does not let us read or write it.
    #[error("cannot use {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It holds no key of P-256.
    #[error("{} holds no key of P-256: {reason}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl HolderKeyError {
    fn file(path: &Path, error: io::Error) -> Self {
        let path = path.into();
        Self::File { path, error }
    }
}

const LABEL: &str = "PRIVATE KEY";

#[cfg(test)]
mod tests {
    use stoq_core::access::{TokenHash, proof_message};
    use stoq_core::hash::SessionHash;

    use super::*;

    #[test]
    fn a_key_comes_back_from_its_file_and_its_proofs_hold() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("holder.pem");
        let pair = HolderKeyPair::generate();
        pair.write_pem_file(&path).unwrap();
        let back = HolderKeyPair::from_pem_file(&path).unwrap();
        assert_eq!(back.public(), pair.public());
        // It is not overwritten.
        assert!(HolderKeyPair::generate().write_pem_file(&path).is_err());

        let token = TokenHash::of(b"a token");
        let session = SessionHash::new(&[1; 32], &[2; 32], "files");
        let proof = back.sign(&proof_message(&token, &session)).unwrap();
        assert!(pair.public().has_signed(&token, &session, &proof));
        let other = SessionHash::new(&[1; 32], &[3; 32], "files");
        assert!(!pair.public().has_signed(&token, &other, &proof));
        let other = TokenHash::of(b"another token");
        assert!(!pair.public().has_signed(&other, &session, &proof));
        let other = HolderKeyPair::generate().public();
        assert!(!other.has_signed(&token, &session, &proof));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("holder.pem");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            HolderKeyPair::from_pem_file(&path).unwrap_err().to_string()
        };
        assert!(read("nothing").contains("not PEM"));
        let pem = HolderKeyPair::generate().to_pem();
        assert!(read(&pem.replace("PRIVATE", "PUBLIC")).contains("PUBLIC KEY"));
        assert!(read(&pem::encode(&Pem::new(LABEL, [0; 20]))).contains("no key of P-256"));
        let absent = HolderKeyPair::from_pem_file(directory.path().join("absent"));
        assert!(absent.unwrap_err().to_string().contains("absent"));
        assert!(!format!("{:?}", HolderKeyPair::generate()).contains("pair"));
    }
}
