//! Files that are under way.

use std::io;
use std::path::Path;
use tempfile::{Builder, NamedTempFile};

/// A new file in `directory`, removed on drop unless it gets a name before, with the permissions of any file that this user
/// creates.
///
/// # Errors
/// What the system says.
pub(crate) fn create(directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".stoq-");
    #[cfg(unix)]
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(permissions);
    builder.tempfile_in(directory)
}
