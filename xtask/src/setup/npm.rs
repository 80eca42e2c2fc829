//! Node, which is never fetched, and the npm packages of the folders that have a lock file.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::process::{command, output, run};
use crate::workspace::npm_folders;

/// The oldest Node that the npm package and its tests run on.
const OLDEST_NODE: u32 = 20;

/// Makes sure that there is a Node.
pub(crate) fn require_node() -> Result<()> {
    let sentence = || format!("install Node {OLDEST_NODE} or newer, with npm");
    let version = output(&mut command("node", &["--version"])).with_context(sentence)?;
    let major = version
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= OLDEST_NODE => {}
        _ => bail!("this Node is {}: {}", version.trim(), sentence()),
    }
    output(&mut command("npm", &["--version"])).with_context(sentence)?;
    Ok(())
}

/// Installs the packages of every lock file whose installation is not up to date.
pub(crate) fn packages() -> Result<()> {
    for folder in npm_folders()? {
        if !is_current(&folder) {
            run(command(
                "npm",
                &["ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            )
            .current_dir(&folder))
            .with_context(|| format!("cannot install the npm packages of {}", folder.display()))?;
        }
    }
    Ok(())
}

/// npm leaves a copy of the lock file behind when it has installed.
fn is_current(folder: &Path) -> bool {
    let modified =
        |file: &str| fs::metadata(folder.join(file)).and_then(|metadata| metadata.modified());
    match (
        modified("package-lock.json"),
        modified("node_modules/.package-lock.json"),
    ) {
        (Ok(wanted), Ok(installed)) => installed >= wanted,
        _ => false,
    }
}
