//! A directory of files with a quota. Plain blocking code: it knows no network and no runtime.
//!
//! ```text
//! put --> DIR/.incoming/<temporary> --commit: fsync, rename--> DIR/<name>
//! ```
//! The directory is the only record: what is a regular file with a [`FileName`] in it is stored, nothing else is seen
//! or followed. A file under way is no entry of it, so nothing half-written is ever stored, whatever ends the process.

mod disk;
mod ledger;

use crate::digest::{Digest, Hashing};
use crate::file_name::FileName;
use crate::temporary;
use bytesize::ByteSize;
use disk::Lock;
use ledger::{Ledger, Reservation};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tempfile::NamedTempFile;

/// Where files under way are, below the directory. The leading dot keeps it out of reach of every [`FileName`].
const INCOMING: &str = ".incoming";

/// An open store; clones share it.
#[derive(Clone)]
pub(crate) struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    directory: PathBuf,
    ledger: Arc<Ledger>,
    _lock: Lock,
}

/// One stored file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: FileName,
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
}

/// All that is stored, by name.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    pub(crate) files: Vec<Entry>,
    pub(crate) used: u64,
    pub(crate) quota: u64,
}

/// Why a directory cannot be a store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("another process serves this directory; stop it, or choose another directory")]
    InUse,
    #[error("{} is not a directory; move it away", path.display())]
    NotADirectory { path: PathBuf },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("there is no such file")]
    NoSuchFile,
    #[error("{} are asked for, {} are free", ByteSize(*size), ByteSize(*free))]
    QuotaExceeded { size: u64, free: u64 },
    #[error("the store holds its maximum of {limit} files")]
    TooManyFiles { limit: usize },
    #[error("something other than a file has this name")]
    NotAFile,
    #[error("{got} bytes of {size} came")]
    Incomplete { size: u64, got: u64 },
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Store {
    /// Opens `directory`, creating it if need be, and removes what a killed process left under way.
    ///
    /// `quota` bounds the bytes of all files together, those under way included.
    ///
    /// # Errors
    /// [`OpenError`]; one process at a time may hold a directory open.
    pub(crate) fn open(directory: &Path, quota: u64) -> Result<Self, OpenError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            |source| OpenError::Io { path, source }
        };
        fs::create_dir_all(directory).map_err(at(directory))?;
        let directory = directory.canonicalize().map_err(at(directory))?;
        let incoming = directory.join(INCOMING);
        match fs::create_dir(&incoming) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(at(&incoming)(error));
            }
            _ => {}
        }
        // Not followed if it is a link: files under way would leave the directory.
        if !fs::symlink_metadata(&incoming)
            .map_err(at(&incoming))?
            .is_dir()
        {
            return Err(OpenError::NotADirectory { path: incoming });
        }
        let lock = Lock::take(&incoming)
            .map_err(at(&incoming))?
            .ok_or(OpenError::InUse)?;
        remove_leftovers(&incoming).map_err(at(&incoming))?;

        let files = scan(&directory).map_err(at(&directory))?;
        let ledger = Arc::new(Ledger::new(quota, &files));
        let _lock = lock;
        let shared = Arc::new(Shared {
            directory,
            ledger,
            _lock,
        });
        Ok(Self { shared })
    }

    /// Begins a file of `size` bytes, reserving them, and room for one more file.
    ///
    /// A file that it will replace keeps its own share of the quota until then.
    ///
    /// # Errors
    /// [`StoreError::QuotaExceeded`], [`TooManyFiles`](StoreError::TooManyFiles), [`NotAFile`](StoreError::NotAFile),
    /// [`Io`](StoreError::Io).
    pub(crate) fn put(&self, name: FileName, size: u64) -> Result<Incoming, StoreError> {
        disk::file_size(&self.path(&name))?;
        let reservation = Ledger::reserve(&self.shared.ledger, size)?;
        let temporary = temporary::create(&self.shared.directory.join(INCOMING))?;
        let content = Hashing::new(temporary);
        let store = self.clone();
        Ok(Incoming {
            content,
            reservation,
            store,
            name,
            size,
            got: 0,
        })
    }

    /// Opens a stored file for reading; its length now. What replaces or deletes it later does not touch this reader.
    ///
    /// # Errors
    /// [`StoreError::NoSuchFile`], [`Io`](StoreError::Io).
    pub(crate) fn get(&self, name: &FileName) -> Result<(File, u64), StoreError> {
        disk::open_regular(&self.path(name))?.ok_or(StoreError::NoSuchFile)
    }

    /// Everything stored, sorted by name. Also takes note of what others changed in the directory.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(crate) fn list(&self) -> Result<Contents, StoreError> {
        let mut account = self.shared.ledger.account();
        let mut files = scan(&self.shared.directory)?;
        account.recount(&files);
        let used = account.used();
        drop(account);
        files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(Contents {
            files,
            used,
            quota: self.shared.ledger.quota(),
        })
    }

    /// Removes a stored file.
    ///
    /// # Errors
    /// [`StoreError::NoSuchFile`], [`Io`](StoreError::Io).
    pub(crate) fn delete(&self, name: &FileName) -> Result<(), StoreError> {
        let path = self.path(name);
        let mut account = self.shared.ledger.account();
        let size = match disk::file_size(&path) {
            Ok(Some(size)) => size,
            Ok(None) | Err(StoreError::NotAFile) => return Err(StoreError::NoSuchFile),
            Err(error) => return Err(error),
        };
        fs::remove_file(&path)?;
        account.remove(size);
        drop(account);
        disk::sync_directory(&self.shared.directory)?;
        Ok(())
    }

    fn path(&self, name: &FileName) -> PathBuf {
        self.shared.directory.join(name.as_str())
    }
}

/// A file under way. Dropping it removes what was written and returns what was reserved.
pub(crate) struct Incoming {
    // Removed first, then its bytes are returned.
    content: Hashing<NamedTempFile>,
    reservation: Reservation,
    store: Store,
    name: FileName,
    size: u64,
    got: u64,
}

impl Incoming {
    /// Makes the file visible under its name, in place of one that had it, once it is safe on the disk.
    ///
    /// Of two puts of one name the last to get here wins; a reader sees the one or the other, whole.
    ///
    /// # Errors
    /// [`StoreError::Incomplete`] unless all bytes were written; [`NotAFile`](StoreError::NotAFile),
    /// [`Io`](StoreError::Io). Nothing is stored then.
    pub(crate) fn commit(self) -> Result<Digest, StoreError> {
        let Self {
            content,
            reservation,
            store,
            name,
            size,
            got,
        } = self;
        if got != size {
            return Err(StoreError::Incomplete { size, got });
        }
        let (temporary, digest) = content.finish();
        temporary.as_file().sync_all()?;

        let path = store.path(&name);
        let mut account = store.shared.ledger.account();
        let replaced = disk::file_size(&path)?;
        if let Err(failure) = temporary.persist(&path) {
            drop(account);
            return Err(failure.error.into());
        }
        reservation.settle(&mut account, replaced);
        drop(account);
        disk::sync_directory(&store.shared.directory)?;
        Ok(digest)
    }
}

/// Refuses bytes beyond the declared size.
impl Write for Incoming {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if buffer.len() as u64 > self.size - self.got {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let count = self.content.write(buffer)?;
        self.got += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.content.flush()
    }
}

/// Regular files with names that a client may ask for; never through a link.
fn scan(directory: &Path) -> io::Result<Vec<Entry>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let Some(Ok(name)) = entry.file_name().to_str().map(str::parse) else {
            continue;
        };
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if metadata.is_file() {
            let (size, modified) = (metadata.len(), metadata.modified()?);
            files.push(Entry {
                name,
                size,
                modified,
            });
        }
    }
    Ok(files)
}

fn remove_leftovers(incoming: &Path) -> io::Result<()> {
    for entry in fs::read_dir(incoming)? {
        let entry = entry?;
        if entry.file_name() != disk::LOCK_NAME && !entry.file_type()?.is_dir() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
