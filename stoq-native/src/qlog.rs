//! What happens on connections, in files that public viewers open (qvis, for one): qlog 0.3 in JSON text sequences
//! ([draft-ietf-quic-qlog-main-schema-02], [RFC 7464]). For looking into a fault, not for every day.
//!
//! [draft-ietf-quic-qlog-main-schema-02]: https://datatracker.ietf.org/doc/html/draft-ietf-quic-qlog-main-schema-02
//! [RFC 7464]: https://www.rfc-editor.org/rfc/rfc7464

#[cfg(feature = "qlog")]
mod directory;
#[cfg(feature = "qlog")]
mod file;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::ConfigError;
use crate::transport::as_text;

/// Where connections are recorded, and how much of it is kept. Of use with the feature `qlog` alone; without it the setting is refused.
///
/// A file for each connection, and for each attempt at one, with a name such as `20260701T120000.123Z-server-7.sqlog`: when it began, which
/// end this is, and the number that [`Connection::id`](crate::Connection::id) tells. It is written in blocks of 64 KiB, by the task of the
/// connection, and is whole once all handles of the connection are dropped. A packet takes some 200 bytes and some microseconds.
///
/// Who reads such a file learns when the peers talked and how much, and nothing of what they said.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct QlogConfig {
    /// The directory; made if it is not there. Two endpoints may share one, and then its bounds.
    pub dir: PathBuf,
    /// Files in the directory; the oldest make room, those of earlier runs too, and those of connections that run are ended then. Default
    /// 100: the last minutes of a busy server. Disk ≤ this × `max_file_size`.
    #[serde(default = "default_files")]
    pub max_files: u32,
    /// Bytes of one file; what comes after is left out. Default 16 MiB: some 80,000 packets.
    #[serde(default = "default_size", with = "as_text::size")]
    pub max_file_size: u64,
}

impl QlogConfig {
    /// Defaults, in this directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            max_files: default_files(),
            max_file_size: default_size(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let bad = |setting, value: String, rule| {
            Err(ConfigError {
                setting,
                value,
                rule,
            })
        };
        if !cfg!(feature = "qlog") {
            let rule = "this program was built without the feature `qlog` of stoq-native";
            return bad("qlog", self.dir.display().to_string(), rule);
        }
        if self.max_files == 0 {
            return bad("qlog.max_files", "0".into(), "must be at least 1");
        }
        if self.max_file_size < SMALLEST_FILE {
            let rule = "must hold the header (1 KiB)";
            return bad("qlog.max_file_size", self.max_file_size.to_string(), rule);
        }
        Ok(())
    }
}

/// Records the connections of one endpoint, if it is asked to.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    #[cfg(feature = "qlog")]
    directory: Option<std::sync::Arc<directory::Directory>>,
}

impl Recorder {
    /// # Errors
    /// [`ConfigError`] if the directory is of no use.
    pub(crate) fn new(config: Option<&QlogConfig>) -> Result<Self, ConfigError> {
        #[cfg(feature = "qlog")]
        {
            let directory = config.map(directory::Directory::open).transpose()?;
            Ok(Self {
                directory: directory.map(std::sync::Arc::new),
            })
        }
        #[cfg(not(feature = "qlog"))]
        {
            config.map_or(Ok(()), QlogConfig::check)?;
            Ok(Self {})
        }
    }

    /// Has the connection that is made with these settings recorded, by its number.
    #[cfg_attr(not(feature = "qlog"), expect(clippy::unused_self))]
    pub(crate) fn record(
        &self,
        transport: &mut quinn::TransportConfig,
        side: quinn::Side,
        number: u64,
    ) {
        #[cfg(feature = "qlog")]
        if let Some(directory) = &self.directory {
            transport.qlog_stream(directory.begin(side, number));
        }
        #[cfg(not(feature = "qlog"))]
        let _ = (transport, side, number);
    }
}

const fn default_files() -> u32 {
    100
}

const fn default_size() -> u64 {
    16 * 1024 * 1024
}

const SMALLEST_FILE: u64 = 1024;
