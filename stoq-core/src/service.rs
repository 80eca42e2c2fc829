//! Names of services, and the WebTransport paths that ask for them.

use alloc::{borrow::ToOwned, string::String};
use core::{fmt, str::FromStr};

/// What every WebTransport path of STOQ version 1 begins with.
pub const PATH_PREFIX: &str = "/stoq/v1/";

/// The name of a service: 1 to 63 of `a-z 0-9 . _ -`, the first one a letter or a digit.
///
/// So a name is the same in a URL's path, in a route's configuration and as a file name, without escapes; 63 is the
/// length of a DNS label.
///
/// ```
/// use stoq_core::ServiceName;
///
/// let name = ServiceName::from_path("/stoq/v1/files")?;
/// assert_eq!(name.as_str(), "files");
/// assert_eq!(name.path(), "/stoq/v1/files");
/// # Ok::<_, stoq_core::service::PathError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(String);

impl ServiceName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 63;

    /// Checks `name` once.
    ///
    /// # Errors
    /// [`InvalidServiceName`] says which rule it breaks.
    pub fn new(name: &str) -> Result<Self, InvalidServiceName> {
        if name.is_empty() {
            return Err(InvalidServiceName::Empty);
        }
        if name.len() > Self::MAX_LEN {
            return Err(InvalidServiceName::TooLong { got: name.len() });
        }
        for (at, found) in name.char_indices() {
            match found {
                'a'..='z' | '0'..='9' => {}
                '.' | '_' | '-' if at > 0 => {}
                _ => return Err(InvalidServiceName::Character { at, found }),
            }
        }
        Ok(Self(name.to_owned()))
    }

    /// The service that the WebTransport path `path` asks for. The path is taken as it is: neither decoded nor cut at
    /// a query.
    ///
    /// # Errors
    /// [`PathError`] if it is not [`PATH_PREFIX`] and a name.
    pub fn from_path(path: &str) -> Result<Self, PathError> {
        let name = path.strip_prefix(PATH_PREFIX).ok_or(PathError::Prefix)?;
        Ok(Self::new(name)?)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The WebTransport path that asks for this service.
    pub fn path(&self) -> String {
        [PATH_PREFIX, &self.0].concat()
    }
}

impl AsRef<str> for ServiceName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl FromStr for ServiceName {
    type Err = InvalidServiceName;

    fn from_str(name: &str) -> Result<Self, InvalidServiceName> {
        Self::new(name)
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no [`ServiceName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidServiceName {
    /// There is no name.
    #[error("the service name is empty")]
    Empty,
    /// The name is longer than [`ServiceName::MAX_LEN`].
    #[error("the service name has {got} bytes, more than {}", ServiceName::MAX_LEN)]
    TooLong {
        /// Its length in bytes.
        got: usize,
    },
    /// A character that may not stand at all, or not first.
    // Not as text is shown for programmers: the tables for that are a sixtieth of a browser's module.
    #[error("'{}' cannot stand at byte {at} of a service name", found.escape_default())]
    Character {
        /// Where, in bytes.
        at: usize,
        /// What.
        found: char,
    },
}

/// The path asks for no service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The path does not begin with [`PATH_PREFIX`].
    #[error("the path does not begin with {PATH_PREFIX}")]
    Prefix,
    /// What follows the prefix is no name.
    #[error("the path names no service: {0}")]
    Service(#[from] InvalidServiceName),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_the_rule_allows() {
        for name in ["a", "0", "files", "a.b_c-d", &"x".repeat(63)] {
            assert_eq!(ServiceName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn refuses_what_it_does_not() {
        assert_eq!(ServiceName::new(""), Err(InvalidServiceName::Empty));
        assert_eq!(
            ServiceName::new(&"x".repeat(64)),
            Err(InvalidServiceName::TooLong { got: 64 })
        );
        for (name, at, found) in [
            (".a", 0, '.'),
            ("-", 0, '-'),
            ("aB", 1, 'B'),
            ("a/b", 1, '/'),
            ("é", 0, 'é'),
        ] {
            assert_eq!(
                ServiceName::new(name),
                Err(InvalidServiceName::Character { at, found })
            );
        }
    }

    #[test]
    fn a_path_is_the_prefix_and_a_name() {
        assert_eq!(
            ServiceName::from_path("/stoq/v2/files"),
            Err(PathError::Prefix)
        );
        assert_eq!(ServiceName::from_path("/stoq/v1"), Err(PathError::Prefix));
        assert_eq!(
            ServiceName::from_path("/stoq/v1/"),
            Err(PathError::Service(InvalidServiceName::Empty))
        );
        assert!(ServiceName::from_path("/stoq/v1/files/").is_err());
        assert!(ServiceName::from_path("/stoq/v1/files?a=b").is_err());
    }
}
