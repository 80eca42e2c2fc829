//! `stoq keygen` and `stoq id`.

use crate::arguments::{IdArguments, KeyArguments};
use crate::error::CommandError;
use crate::terminal;
use std::path::Path;
use stoq_native::{
    FalconKey, FalconSigner as _, PublicKeyFault, PublicKeyFileError, VerifyingKey,
    verifying_key_from_pem_file, verifying_key_to_pem,
};

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

/// Prints the identity of who holds the key in a file, or its public half.
///
/// # Errors
/// [`CommandError`].
pub(crate) fn identify(arguments: &IdArguments) -> Result<(), CommandError> {
    let key = public_half(&arguments.file)?;
    if !arguments.public {
        return terminal::say(key.id());
    }
    verifying_key_to_pem(&key)
        .lines()
        .try_for_each(terminal::say)
}

/// The public key in a file, or the public half of the private key in it.
fn public_half(path: &Path) -> Result<VerifyingKey, CommandError> {
    match verifying_key_from_pem_file(path) {
        Ok(key) => Ok(key),
        Err(PublicKeyFileError::Key {
            fault: PublicKeyFault::Label { .. },
            ..
        }) => {
            let key = FalconKey::from_pem_file(path).map_err(CommandError::Key)?;
            Ok(key.verifying_key().clone())
        }
        Err(error) => Err(CommandError::PublicKey(error)),
    }
}
