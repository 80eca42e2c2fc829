//! SHA-256, and the hash that both ends of a session share.

use core::fmt;

use sha2::Digest as _;

/// SHA-256, fed piece by piece ([FIPS 180-4]).
///
/// ```
/// let mut hash = stoq_core::Sha256::new();
/// hash.update(b"ab");
/// hash.update(b"c");
/// assert_eq!(hash.finish()[..4], [0xba, 0x78, 0x16, 0xbf]);
/// ```
///
/// [FIPS 180-4]: https://csrc.nist.gov/pubs/fips/180-4/upd1/final
#[derive(Clone, Debug, Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// A hash of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `data` to what is hashed.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The hash of all that was appended.
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// What both ends of a session know and no relay between them can alter unnoticed, once something is signed over it.
///
/// ```text
/// SHA-256( "stoq session v1" [15] · client random [32] · server random [32] · service [the rest] )
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionHash([u8; 32]);

impl SessionHash {
    /// The hash of a session of `service`, from the random of the client that began it and of the target that answered.
    /// The service is `""` for a connection that asks for none.
    pub fn new(client_random: &[u8; 32], server_random: &[u8; 32], service: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(LABEL);
        hash.update(client_random);
        hash.update(server_random);
        hash.update(service.as_bytes());
        Self(hash.finish())
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Lower-case hexadecimal.
impl fmt::Display for SessionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionHash({self})")
    }
}

/// The use that these bytes have, and its version: no other STOQ hash begins so.
const LABEL: &[u8] = b"stoq session v1";

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn each_part_changes_the_hash() {
        let hash = SessionHash::new(&[1; 32], &[2; 32], "files");
        assert_ne!(hash, SessionHash::new(&[2; 32], &[1; 32], "files"));
        assert_ne!(hash, SessionHash::new(&[1; 32], &[2; 32], "echo"));
    }

    #[test]
    fn known_answer() {
        // python3 -c 'import hashlib; print(hashlib.sha256(b"stoq session v1"+b"\1"*32+b"\2"*32+b"files").hexdigest())'
        let hash = SessionHash::new(&[1; 32], &[2; 32], "files");
        assert_eq!(
            hash.to_string(),
            "6c3e0c4a4f7ccd9e5f5f22f85f6e1521a20aa81c7d0314668b9beb2fb035416d"
        );
    }
}
