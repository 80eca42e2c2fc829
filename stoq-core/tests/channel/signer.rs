//! A FALCON-1024 key that signs, from an implementation that is neither PQClean's nor core's verifier.

use fn_dsa_kgen::{KeyPairGenerator as _, KeyPairGeneratorStandard};
use fn_dsa_sign::{
    CryptoRng, DOMAIN_NONE, FN_DSA_LOGN_1024, HASH_ID_ORIGINAL_FALCON, RngCore, RngError,
    SigningKey as _, SigningKeyStandard, sign_key_size,
};
use stoq_core::Sha256;
use stoq_core::falcon::{PUBLIC_KEY_LEN, SIGNATURE_LEN, Signature, VerifyingKey};
use stoq_core::run::Statement;

/// The same key for the same seed.
pub(crate) struct Signer {
    secret: [u8; sign_key_size(FN_DSA_LOGN_1024)],
    pub(crate) key: VerifyingKey,
}

impl Signer {
    pub(crate) fn new(seed: u8) -> Self {
        let mut secret = [0; sign_key_size(FN_DSA_LOGN_1024)];
        let mut public = [0; PUBLIC_KEY_LEN];
        KeyPairGeneratorStandard::default().keygen(
            FN_DSA_LOGN_1024,
            &mut Seeded::new(&[seed]),
            &mut secret,
            &mut public,
        );
        let key = VerifyingKey::from_bytes(&public).expect("a new key");
        Self { secret, key }
    }

    pub(crate) fn sign(&self, statement: &Statement) -> Signature {
        let label = statement.domain.label().as_bytes();
        let message = [label, &statement.to_be_signed()].concat();
        let mut signing = SigningKeyStandard::decode(&self.secret).expect("its own key");
        let mut signature = [0; SIGNATURE_LEN];
        signing.sign(
            &mut Seeded::new(&message),
            &DOMAIN_NONE,
            &HASH_ID_ORIGINAL_FALCON,
            &message,
            &mut signature,
        );
        Signature::new(signature)
    }
}

/// Bytes that are always the same, for tests that are always the same.
struct Seeded {
    seed: [u8; 32],
    drawn: u64,
}

impl Seeded {
    fn new(seed: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed);
        Self {
            seed: hash.finish(),
            drawn: 0,
        }
    }
}

impl RngCore for Seeded {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let mut hash = Sha256::new();
            hash.update(&self.seed);
            hash.update(&self.drawn.to_be_bytes());
            self.drawn += 1;
            chunk.copy_from_slice(&hash.finish()[..chunk.len()]);
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), RngError> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Seeded {}
