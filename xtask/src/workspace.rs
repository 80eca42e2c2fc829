//! Where things are in the workspace, and what `Cargo.lock` and the manifests say.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::process::{cargo, output};

/// The folder of the root manifest.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the workspace")
}

/// A file or folder of the workspace, as text for a command line.
pub(crate) fn path(relative: &str) -> PathBuf {
    root().join(relative)
}

/// Cargo's target folder: `CARGO_TARGET_DIR`, else `target`.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| path("target"), |folder| root().join(folder))
}

/// True on a machine of continuous integration, where what is missing is an error and not a skip.
pub(crate) fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

/// The version of a package in `Cargo.lock`.
pub(crate) fn locked_version(name: &str) -> Result<String> {
    let lock: toml::Table = fs::read_to_string(path("Cargo.lock"))?.parse()?;
    let packages = lock["package"]
        .as_array()
        .context("Cargo.lock lists packages")?;
    let package = packages
        .iter()
        .find(|package| package["name"].as_str() == Some(name));
    let version = package.and_then(|package| package["version"].as_str());
    Ok(version
        .with_context(|| format!("Cargo.lock has no {name}"))?
        .to_owned())
}

/// One member of the workspace.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) features: Vec<String>,
}

/// The members, as their manifests describe them.
pub(crate) fn members() -> Result<Vec<Member>> {
    let metadata = output(&mut cargo(&[
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
    ]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"]
        .as_array()
        .context("the metadata lists packages")?;
    let member = |package: &Value| {
        let features = package["features"].as_object().into_iter().flatten();
        let features = features
            .map(|(name, _)| name.clone())
            .filter(|name| name != "default");
        Some(Member {
            name: package["name"].as_str()?.to_owned(),
            features: features.collect(),
        })
    };
    packages
        .iter()
        .map(|package| member(package).context("a package has a name"))
        .collect()
}

/// Folders with an npm manifest and a lock file.
pub(crate) fn npm_folders() -> Result<Vec<PathBuf>> {
    let locks = sources(&|name| name == "package-lock.json")?;
    Ok(locks
        .into_iter()
        .filter_map(|lock| Some(lock.parent()?.to_owned()))
        .collect())
}

/// Files of the workspace whose name is `wanted`, in order; not those that a build or npm has put there.
pub(crate) fn sources(wanted: &dyn Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            if entry.file_type()?.is_dir() {
                let is_ours =
                    !name.starts_with('.') && !matches!(name, "node_modules" | "target" | "pkg");
                folders.extend(is_ours.then(|| entry.path()));
            } else if wanted(name) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Copies a folder's files and folders for which `wanted` holds.
pub(crate) fn copy_folder(from: &Path, to: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if !name.to_str().is_some_and(wanted) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to.join(name), wanted)?;
        } else {
            fs::copy(entry.path(), to.join(name))?;
        }
    }
    Ok(())
}

/// Makes a folder that is there and empty.
pub(crate) fn empty_folder(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(fs::create_dir_all(folder)?)
}
