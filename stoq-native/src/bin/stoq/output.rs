//! Where a fetched file goes.

use crate::file_name::FileName;
use crate::temporary;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Stdout, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file under way to its place, or a stream that takes bytes as they come.
pub(crate) enum Output {
    /// Gets its name when it is complete; removed when dropped before.
    File {
        temporary: NamedTempFile,
        path: PathBuf,
    },
    /// A device or a pipe.
    Device(File),
    Stdout(Stdout),
}

impl Output {
    /// Opens what `--out` names: `-`, a file, a directory to put `name` in, a device; `name` here if it is not given.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn open(out: Option<&Path>, name: &FileName) -> io::Result<Self> {
        let path = match out {
            Some(path) if path == Path::new("-") => return Ok(Self::Stdout(io::stdout())),
            Some(path) => path,
            None => Path::new(name.as_str()),
        };
        // Through links, so that they stay, and what they point to is replaced.
        match path.canonicalize() {
            Ok(path) if path.is_dir() => Self::file(path.join(name.as_str())),
            Ok(path) if path.is_file() => Self::file(path),
            Ok(path) => OpenOptions::new().write(true).open(path).map(Self::Device),
            Err(error) if error.kind() == ErrorKind::NotFound => Self::file(path.to_owned()),
            Err(error) => Err(error),
        }
    }

    /// Makes a file one that only its owner may read (mode 0600 on Unix). What is written elsewhere stays as it is.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn keep_private(&self) -> io::Result<()> {
        #[cfg(unix)]
        if let Self::File { temporary, .. } = self {
            let owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            temporary.as_file().set_permissions(owner)?;
        }
        Ok(())
    }

    /// Gives a file its name. What was written to a device or a stream is there already.
    ///
    /// # Errors
    /// What the system says; the file is removed then.
    pub(crate) fn commit(self) -> io::Result<()> {
        match self {
            Self::File { temporary, path } => temporary.persist(path).map(drop).map_err(Into::into),
            Self::Device(_) => Ok(()),
            Self::Stdout(mut stdout) => stdout.flush(),
        }
    }

    fn file(path: PathBuf) -> io::Result<Self> {
        if fs::symlink_metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(io::Error::other(
                "something other than a file has this name",
            ));
        }
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let temporary = temporary::create(directory)?;
        Ok(Self::File { temporary, path })
    }
}

impl Write for Output {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::File { temporary, .. } => temporary.write(buffer),
            Self::Device(device) => device.write(buffer),
            Self::Stdout(stdout) => stdout.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File { temporary, .. } => temporary.flush(),
            Self::Device(device) => device.flush(),
            Self::Stdout(stdout) => stdout.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn write(out: &Path) -> io::Result<()> {
        let mut output = Output::open(Some(out), &"name".parse().unwrap())?;
        output.write_all(b"new")?;
        output.commit()
    }

    fn entries(directory: &TempDir) -> usize {
        fs::read_dir(directory.path()).unwrap().count()
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("out");
        fs::write(&path, b"old").unwrap();
        let mut abandoned = Output::open(Some(&path), &"name".parse().unwrap()).unwrap();
        abandoned.write_all(b"half").unwrap();
        drop(abandoned);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        write(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(entries(&directory), 1);
    }

    #[test]
    fn a_directory_gets_the_file_under_its_name() {
        let directory = TempDir::new().unwrap();
        write(directory.path()).unwrap();
        assert_eq!(fs::read(directory.path().join("name")).unwrap(), b"new");
        assert!(write(&directory.path().join("absent/out")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_stay_what_they_are() {
        let directory = TempDir::new().unwrap();
        let (target, link) = (
            directory.path().join("target"),
            directory.path().join("link"),
        );
        fs::write(&target, b"old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write(&link).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&target).unwrap(), b"new");
        write(Path::new("/dev/null")).unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }
}
