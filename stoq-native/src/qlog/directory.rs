//! The files of a directory, of which only so many are kept.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use quinn::Side;
use time::OffsetDateTime;

use super::QlogConfig;
use super::file::{Header, Writer};
use crate::config::ConfigError;

#[derive(Debug)]
pub(super) struct Directory {
    config: QlogConfig,
    /// The oldest first.
    files: Mutex<VecDeque<Kept>>,
}

#[derive(Debug)]
struct Kept {
    path: PathBuf,
    /// Cleared when it is removed: nothing is written to it any more, so that its blocks are free.
    is_kept: Arc<AtomicBool>,
}

impl Directory {
    pub(super) fn open(config: &QlogConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let files = earlier(config).map_err(|error| {
            tracing::warn!(dir = %config.dir.display(), %error, "no qlog");
            ConfigError {
                setting: "qlog.dir",
                value: config.dir.display().to_string(),
                rule: "it cannot be made or read",
            }
        })?;
        Ok(Self {
            config: config.clone(),
            files: Mutex::new(files),
        })
    }

    /// A file for a new connection; `None` if the system does not give one, which is no reason not to connect.
    pub(super) fn begin(&self, side: Side, number: u64) -> Option<quinn::QlogStream> {
        let now = OffsetDateTime::now_utc();
        let word = if side.is_client() { "client" } else { "server" };
        let name = format!("{}-{word}-{number}{ENDING}", stamp(now));
        let path = self.config.dir.join(name);
        let file = self.make(path.clone());
        let (file, is_kept) = file
            .inspect_err(
                |error| tracing::warn!(path = %path.display(), %error, "connection not recorded"),
            )
            .ok()?;
        let header = Header {
            vantage_point: word,
            began: now.unix_timestamp_nanos() / 1_000_000,
        };
        let writer = Writer::new(file, self.config.max_file_size, header, is_kept);
        let mut qlog = quinn::QlogConfig::default();
        qlog.writer(Box::new(writer))
            .title(Some(format!("STOQ connection {number}")));
        qlog.into_stream()
    }

    fn make(&self, path: PathBuf) -> io::Result<(File, Arc<AtomicBool>)> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        while files.len() >= self.config.max_files as usize {
            let Some(oldest) = files.pop_front() else {
                break;
            };
            oldest.is_kept.store(false, Ordering::Relaxed);
            match fs::remove_file(&oldest.path) {
                // Somebody else has.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        let is_kept = Arc::new(AtomicBool::new(true));
        files.push_back(Kept {
            path,
            is_kept: is_kept.clone(),
        });
        Ok((file, is_kept))
    }
}

/// What earlier runs have left.
fn earlier(config: &QlogConfig) -> io::Result<VecDeque<Kept>> {
    fs::create_dir_all(&config.dir)?;
    let mut paths = Vec::new();
    for entry in fs::read_dir(&config.dir)? {
        let entry = entry?;
        if is_ours(&entry.file_name().to_string_lossy()) {
            paths.push(entry.path());
        }
    }
    // Their names begin with when they began.
    paths.sort();
    let kept = |path| Kept {
        path,
        is_kept: Arc::default(),
    };
    Ok(paths.into_iter().map(kept).collect())
}

/// Whether a file has a name as they are given here. Others are not touched.
fn is_ours(name: &str) -> bool {
    let Some(rest) = name.strip_suffix(ENDING) else {
        return false;
    };
    let mut parts = rest.split('-');
    let (Some(stamp), Some(side), Some(number), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    stamp.len() == "20260701T120000.123Z".len()
        && ["client", "server"].contains(&side)
        && number.parse::<u64>().is_ok()
}

/// A moment, so that names sort by it.
fn stamp(time: OffsetDateTime) -> String {
    let (date, clock) = (time.date(), time.time());
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}.{:03}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second(),
        clock.millisecond()
    )
}

const ENDING: &str = ".sqlog";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_own_files() {
        let time = OffsetDateTime::from_unix_timestamp(1_782_907_200).unwrap();
        let name = format!("{}-server-7.sqlog", stamp(time));
        assert_eq!(name, "20260701T120000.000Z-server-7.sqlog");
        assert!(is_ours(&name));
        for other in [
            "notes.txt",
            "20260701T120000.000Z-server-7.sqlog.gz",
            "20260701T120000.000Z-relay-7.sqlog",
            "20260701T120000.000Z-server-.sqlog",
            "server-7.sqlog",
            ".sqlog",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
