//! TLS 1.3 as STOQ wants it: rustls for the protocol, and beside it the composite signature, who is believed, and one QUIC
//! transport parameter of our own.
//!
//! ```text
//!   policy, trust ──▶ Servers, Clients (judge certificates) ──▶ verifiers ──▶ rustls configuration
//!   identity      ──▶ resolvers (composite or classical, by what the peer offers) ──▶      │
//!                                                                                          ▼
//!   quinn ◀── crypto::Session ── quic.rs: handshake bytes, keys, transport parameter ◀── rustls::quic
//! ```

pub(crate) mod clients;
pub(crate) mod composite;
pub(crate) mod identities;
pub(crate) mod judgement;
mod keys;
pub(crate) mod quic;
pub(crate) mod servers;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{CipherSuite, NamedGroup};

use crate::config::Cipher;

/// aws-lc-rs, with the post-quantum hybrid group first: a server that has it uses it, at no extra round trip.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![
        aws_lc_rs::kx_group::X25519MLKEM768,
        aws_lc_rs::kx_group::X25519,
        aws_lc_rs::kx_group::SECP256R1,
        aws_lc_rs::kx_group::SECP384R1,
    ];
    Arc::new(provider)
}

/// For policies that require post-quantum authentication: the hybrid group only, and the suite with SHA-384 first, because
/// what is signed is a hash of the handshake.
pub(crate) fn strict_provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups.retain(|group| group.name() == HYBRID);
    provider
        .cipher_suites
        .sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_256_GCM_SHA384);
    Arc::new(provider)
}

/// The same provider, with this cipher's suite first.
pub(crate) fn preferring(provider: Arc<CryptoProvider>, cipher: Cipher) -> Arc<CryptoProvider> {
    let first = match cipher {
        Cipher::Aes256Gcm => CipherSuite::TLS13_AES_256_GCM_SHA384,
        Cipher::Aes128Gcm => CipherSuite::TLS13_AES_128_GCM_SHA256,
    };
    let mut provider = Arc::unwrap_or_clone(provider);
    provider
        .cipher_suites
        .sort_by_key(|suite| suite.suite() != first);
    Arc::new(provider)
}

/// The key exchange that keeps its secret from a quantum computer.
pub(crate) const HYBRID: NamedGroup = NamedGroup::X25519MLKEM768;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_means_hybrid_and_sha384_first() {
        let provider = strict_provider();
        let groups: Vec<_> = provider
            .kx_groups
            .iter()
            .map(|group| group.name())
            .collect();
        assert_eq!(groups, [HYBRID]);
        let first = provider.cipher_suites[0].suite();
        assert_eq!(first, CipherSuite::TLS13_AES_256_GCM_SHA384);
    }

    #[test]
    fn a_cipher_that_is_preferred_comes_first_and_the_others_stay() {
        for strict in [provider(), strict_provider()] {
            let provider = preferring(strict.clone(), Cipher::Aes128Gcm);
            let first = provider.cipher_suites[0].suite();
            assert_eq!(first, CipherSuite::TLS13_AES_128_GCM_SHA256);
            assert_eq!(provider.cipher_suites.len(), strict.cipher_suites.len());
            let default = preferring(strict.clone(), Cipher::default());
            assert_eq!(default.cipher_suites, strict.cipher_suites);
        }
    }
}
