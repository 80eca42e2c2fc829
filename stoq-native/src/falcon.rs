//! Signing with FALCON-1024: the trait that the rest of the crate signs through, and a key in memory or in a file.

mod basis;
mod pem_file;
mod public_file;

use core::fmt;
use core::hint::black_box;

use pqcrypto_falcon::falconpadded1024 as pqclean;
use pqcrypto_traits::sign::{DetachedSignature as _, PublicKey as _, SecretKey as _};
use stoq_core::falcon::{Domain, MAX_SIGNED_LEN, PUBLIC_KEY_LEN, Signature, VerifyingKey};
use stoq_core::identity::FalconId;

pub use pem_file::{FalconKeyError, KeyFileFault};
pub(crate) use pem_file::{create_private, others_may_read};
pub use public_file::{
    PublicKeyFault, PublicKeyFileError, verifying_key_from_pem_file, verifying_key_to_pem,
};

/// Signs with a FALCON-1024 key that it keeps to itself: a [`FalconKey`], or a device that never gives its key away.
///
/// Called on the thread that drives the connection's handshake, so it should take milliseconds, not seconds.
pub trait FalconSigner: Send + Sync + fmt::Debug {
    /// The public key that belongs to it; always the same one.
    fn verifying_key(&self) -> &VerifyingKey;

    /// Signs the domain's label and then `parts`, one after the other: at most [`MAX_SIGNED_LEN`] bytes.
    ///
    /// # Errors
    /// [`SignError`]. What it returns otherwise has been verified, or will be by whoever called: signatures that are
    /// wrong by a fault of the machine can give the key away.
    fn sign(&self, domain: Domain, parts: &[&[u8]]) -> Result<Signature, SignError>;
}

/// A FALCON-1024 key pair in memory, signing with PQClean's `falcon-padded-1024`.
///
/// The implementation had no independent audit, and it works in floating point: on hardware whose floating point takes
/// time that depends on the values, timing could tell something about the key. The secret is overwritten when the key is
/// dropped; copies that the compiler made on the stack meanwhile are beyond our reach.
pub struct FalconKey {
    secret: Secret,
    public: VerifyingKey,
}

/// Overwritten when dropped. In a box, so that moving the key leaves no copies behind.
struct Secret(Box<pqclean::SecretKey>);

impl FalconKey {
    /// A new key, from the randomness of the operating system.
    pub fn generate() -> Self {
        let (public, secret) = pqclean::keypair();
        let secret = Secret(Box::new(secret));
        let public = VerifyingKey::try_from(public.as_bytes())
            .expect("PQClean makes keys that decode, by its own known answers");
        Self { secret, public }
    }

    /// Who holds this key.
    pub fn id(&self) -> FalconId {
        self.public.id()
    }

    /// The key pair of these bytes, if the two belong together.
    fn from_parts(public: &[u8; PUBLIC_KEY_LEN], secret: &[u8]) -> Result<Self, KeyFileFault> {
        let verifying = VerifyingKey::from_bytes(public).map_err(|_| KeyFileFault::PublicKey)?;
        if !basis::is_sound(public, secret) {
            return Err(KeyFileFault::Mismatch);
        }
        let secret = pqclean::SecretKey::from_bytes(secret).map_err(|_| KeyFileFault::Mismatch)?;
        let key = Self {
            secret: Secret(Box::new(secret)),
            public: verifying,
        };
        // What `is_sound` says by arithmetic, in the words of the library that signs.
        key.sign(Domain::COMPOSITE, &[b"the key is being loaded"])
            .map_err(|_| KeyFileFault::Mismatch)?;
        Ok(key)
    }

    fn secret_bytes(&self) -> &[u8] {
        self.secret.0.as_bytes()
    }
}

impl FalconSigner for FalconKey {
    fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    fn sign(&self, domain: Domain, parts: &[&[u8]]) -> Result<Signature, SignError> {
        let label = domain.label().as_bytes();
        let message = [&[label], parts].concat().concat();
        if message.len() > MAX_SIGNED_LEN {
            let got = message.len();
            return Err(SignError::TooLong { got });
        }
        // The binding ignores what the C function returns, so what it wrote is looked at instead.
        let signature = pqclean::detached_sign(&message, &self.secret.0);
        let bytes = signature.as_bytes();
        let signature =
            Signature::try_from(bytes).map_err(|_| SignError::Length { got: bytes.len() })?;
        self.public
            .verify(domain, parts, &signature)
            .map_err(|_| SignError::Unverified)?;
        Ok(signature)
    }
}

impl fmt::Debug for FalconKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the secret.
        f.debug_struct("FalconKey")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let zeros = [0; pqclean::secret_key_bytes()];
        *self.0 = pqclean::SecretKey::from_bytes(&zeros).expect("it has the length");
        // Somebody could be looking: so the compiler cannot leave the overwriting out.
        black_box(&*self.0);
    }
}

/// A signature was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// More than [`MAX_SIGNED_LEN`] bytes: sign a hash of them.
    #[error("{got} bytes to sign, a signature covers {MAX_SIGNED_LEN}")]
    TooLong {
        /// Bytes, the label included.
        got: usize,
    },
    /// The library gave a signature of another length: it has failed.
    #[error("the signature has {got} bytes, not 1280: the key or the machine is broken")]
    Length {
        /// Bytes given.
        got: usize,
    },
    /// The signature that was made does not verify, so it was thrown away.
    #[error("a signature just made does not verify: the key or the machine is broken")]
    Unverified,
    /// The device that holds the key says no.
    #[error("the signer failed: {0}")]
    Device(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_and_refuses_what_is_too_long() {
        let key = FalconKey::generate();
        let signature = key.sign(Domain::GRANT, &[b"one ", b"two"]).unwrap();
        let verify = |domain, parts: &[&[u8]]| key.public.verify(domain, parts, &signature);
        assert_eq!(verify(Domain::GRANT, &[b"one two"]), Ok(()));
        assert!(verify(Domain::GRANT, &[b"one two!"]).is_err());
        assert!(verify(Domain::COMPOSITE, &[b"one two"]).is_err());
        let room = MAX_SIGNED_LEN - Domain::GRANT.label().len();
        assert!(key.sign(Domain::GRANT, &[&vec![0; room]]).is_ok());
        let got = MAX_SIGNED_LEN + 1;
        assert_eq!(
            key.sign(Domain::GRANT, &[&vec![0; room + 1]]),
            Err(SignError::TooLong { got })
        );
    }

    #[test]
    fn the_secret_is_not_shown() {
        let key = FalconKey::generate();
        assert!(format!("{key:?}").len() < 100);
    }
}
