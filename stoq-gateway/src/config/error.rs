//! Why settings cannot be used.

use std::path::PathBuf;

use stoq_native::FalconKeyError;

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The text is not TOML, has a setting that does not exist, lacks one that must be there, or has one of the wrong type.
    #[error("{message}")]
    Syntax {
        /// What is wrong, and where.
        message: String,
    },
    /// The file that a setting names holds no key that can be used.
    #[error("{setting}: {error}")]
    FalconKey {
        /// The setting, as a path in the file.
        setting: String,
        /// Which file, and what is wrong with it.
        error: FalconKeyError,
    },
    /// A setting has a value that cannot be used.
    #[error("{setting} = {found:?}: {expected}")]
    Setting {
        /// The setting, as a path in the file.
        setting: String,
        /// The value found.
        found: String,
        /// What would be right.
        expected: String,
    },
}
