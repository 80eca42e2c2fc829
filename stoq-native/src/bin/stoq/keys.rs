//! `stoq keygen` and `stoq id`.

use crate::arguments::KeyArguments;
use crate::error::CommandError;
use crate::terminal;
use stoq_native::FalconKey;

/// Makes a key, writes it to a new file, and prints the identity of who holds it.
///
/// # Errors
/// [`CommandError`].
pub(crate) fn generate(arguments: &KeyArguments) -> Result<(), CommandError> {
    let key = FalconKey::generate();
    key.write_pem_file(&arguments.file)
        .map_err(CommandError::KeyFile)?;
    terminal::say(key.id())
}

/// Prints the identity of who holds the key in a file.
///
/// # Errors
/// [`CommandError`].
pub(crate) fn identify(arguments: &KeyArguments) -> Result<(), CommandError> {
    let key = FalconKey::from_pem_file(&arguments.file).map_err(CommandError::Key)?;
    terminal::say(key.id())
}
