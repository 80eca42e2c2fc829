//! How connections work, from a file.

use crate::error::CommandError;
use clap::Args;
use std::path::PathBuf;
use stoq_native::{TransportConfig, TransportConfigError};

#[derive(Debug, Args)]
pub(crate) struct TransportArguments {
    /// Settings of connections, TOML: time-outs, limits, IP versions and more; all of them stand in the package's
    /// transport.example.toml
    #[arg(long, value_name = "FILE")]
    transport: Option<PathBuf>,
}

impl TransportArguments {
    /// What the file says; `otherwise` where it says nothing.
    ///
    /// # Errors
    /// [`CommandError`] names what in the file cannot be used.
    pub(crate) fn get(&self, otherwise: TransportConfig) -> Result<TransportConfig, CommandError> {
        let Some(path) = &self.transport else {
            return Ok(otherwise);
        };
        let path = path.clone();
        otherwise
            .with_toml_file(&path)
            .map_err(|error| match error {
                TransportConfigError::Read { error, .. } => CommandError::Input {
                    path,
                    source: error,
                },
                error => CommandError::Transport { path, error },
            })
    }
}
