//! What a server proves with that it has forgotten a connection.

use core::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::hmac;
use pem::{EncodeConfig, LineEnding, Pem};
use zeroize::Zeroizing;

use crate::falcon::{create_private, others_may_read};

/// The key that a server's stateless resets are made with ([RFC 9000, section 10.3]): kept over a restart, it lets the server
/// end connections that it no longer knows.
///
/// Whoever knows it can end every connection of the server whose packets it sees, so it is kept like a private key. Servers that
/// could receive each other's packets do not share it while they run at the same time.
///
/// [RFC 9000, section 10.3]: https://www.rfc-editor.org/rfc/rfc9000#section-10.3
#[derive(Clone)]
pub struct ResetKey(Zeroizing<[u8; Self::LEN]>);

impl ResetKey {
    /// Bytes of a key.
    pub const LEN: usize = 32;

    /// A fresh one.
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; Self::LEN]);
        aws_lc_rs::rand::fill(bytes.as_mut()).expect("the system has random bytes");
        Self(bytes)
    }

    /// One that is kept elsewhere. The bytes are random; guessed ones let strangers end connections.
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key in this file; if there is none, a fresh one, which is written there for its owner only (mode 0600 on Unix):
    ///
    /// ```text
    /// -----BEGIN STOQ RESET KEY-----
    /// base64( key [32] )
    /// -----END STOQ RESET KEY-----
    /// ```
    ///
    /// Warns in the log if others than its owner may read it. Of several that make it at once, all get the same key. It is
    /// written beside its place, under a name that ends in `.new`, and then linked there: so the file system must know hard
    /// links, and who is stopped in between may leave the other name behind.
    ///
    /// # Errors
    /// [`ResetKeyError`] if the file cannot be read or written, or holds something else.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ResetKeyError> {
        let path = path.as_ref();
        let unusable = |error| ResetKeyError::File {
            path: path.into(),
            error,
        };
        if let Some(key) = Self::read(path)? {
            return Ok(key);
        }
        let key = Self::generate();
        match key.write(path) {
            Ok(()) => Ok(key),
            // Somebody else was faster: both use the same key.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Self::read(path)?.ok_or_else(|| unusable(error))
            }
            Err(error) => Err(unusable(error)),
        }
    }

    /// `None` if there is no file.
    fn read(path: &Path) -> Result<Option<Self>, ResetKeyError> {
        let unusable = |error| ResetKeyError::File {
            path: path.into(),
            error,
        };
        let text = match fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(error)),
        };
        if others_may_read(path).map_err(unusable)? {
            tracing::warn!(path = %path.display(), "this reset key can be read by others: chmod 600 it");
        }
        let key = Self::from_pem(&text);
        key.map(Some)
            .ok_or_else(|| ResetKeyError::Content { path: path.into() })
    }

    /// Gives the file its name only when all of it is on the disk: half a key would stand in the way of every later start.
    ///
    /// # Errors
    /// What the system says; `AlreadyExists` if there is a file of that name.
    fn write(&self, path: &Path) -> io::Result<()> {
        let mut random = [0; 8];
        aws_lc_rs::rand::fill(&mut random).map_err(io::Error::other)?;
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{:016x}.new", u64::from_be_bytes(random)));
        let unfinished = PathBuf::from(name);
        let mut file = create_private(&unfinished)?;
        let named = file
            .write_all(self.to_pem().as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::hard_link(&unfinished, path));
        let removed = fs::remove_file(&unfinished);
        named.and(removed)
    }

    fn from_pem(text: &str) -> Option<Self> {
        let pem = pem::parse(text).ok()?;
        let fits = pem.tag() == LABEL;
        let contents = Zeroizing::new(pem.into_contents());
        let bytes = <[u8; Self::LEN]>::try_from(contents.as_slice()).ok()?;
        fits.then(|| Self::from_bytes(bytes))
    }

    fn to_pem(&self) -> Zeroizing<String> {
        let pem = Pem::new(LABEL, self.0.as_slice());
        let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
        let text = Zeroizing::new(pem::encode_config(&pem, config));
        drop(Zeroizing::new(pem.into_contents()));
        text
    }

    pub(crate) fn hmac(&self) -> Arc<hmac::Key> {
        Arc::new(hmac::Key::new(hmac::HMAC_SHA256, self.0.as_slice()))
    }
}

impl fmt::Debug for ResetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetKey(…)")
    }
}

/// A file with a reset key is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ResetKeyError {
    /// The system does not let us read or write it.
    #[error("cannot use {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It holds something else.
    #[error("{} holds no reset key; if it is removed, a new one is made", path.display())]
    Content {
        /// The file.
        path: PathBuf,
    },
}

const LABEL: &str = "STOQ RESET KEY";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_keeps_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reset.pem");
        let made = ResetKey::from_file(&path).unwrap();
        let read = ResetKey::from_file(&path).unwrap();
        assert_eq!(*made.0, *read.0);
        assert_ne!(*made.0, *ResetKey::generate().0);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn all_who_make_it_at_once_have_the_same_key() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("reset.pem");
            let together = std::sync::Barrier::new(4);
            let make = || {
                together.wait();
                *ResetKey::from_file(&path).unwrap().0
            };
            let keys: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
                threads.into_iter().map(|it| it.join().unwrap()).collect()
            });
            let kept = *ResetKey::from_file(&path).unwrap().0;
            assert!(keys.iter().all(|key| *key == kept));
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn another_file_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reset.pem");
        for content in [
            "",
            "text",
            "-----BEGIN STOQ RESET KEY-----\nAAAA\n-----END STOQ RESET KEY-----\n",
        ] {
            fs::write(&path, content).unwrap();
            let error = ResetKey::from_file(&path).unwrap_err();
            assert!(matches!(error, ResetKeyError::Content { .. }));
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        let key = ResetKey::generate().to_pem().replace("RESET", "OTHER");
        assert!(ResetKey::from_pem(&key).is_none());
    }

    #[test]
    fn debug_says_nothing() {
        let shown = format!("{:?}", ResetKey::from_bytes([7; ResetKey::LEN]));
        assert!(!shown.contains('7'), "{shown}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes: [u8; ResetKey::LEN]) {
            let text = ResetKey::from_bytes(bytes).to_pem();
            prop_assert_eq!(*ResetKey::from_pem(&text).unwrap().0, bytes);
        }

        #[test]
        fn any_text_returns(text: String) {
            let _ = ResetKey::from_pem(&text);
        }
    }
}
