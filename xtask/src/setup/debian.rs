//! What Debian has, installed where we may.

use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Result, bail};

use crate::process::{command, run};

/// Installs a package, where this is Debian and we are root.
pub(crate) fn install(package: &str) -> Result<()> {
    if !(rustix::process::getuid().is_root() && Path::new("/usr/bin/apt-get").exists()) {
        bail!("only root on Debian has it installed for it");
    }
    update_package_lists();
    let install = ["install", "--yes", "--no-install-recommends", package];
    run(command("apt-get", &install).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// `ip`, which tests of routes lay cables between network namespaces with. Only root can, so others need none of it.
pub(crate) fn require_ip() -> Result<()> {
    let there = command("ip", &["-Version"]).output();
    if there.is_ok() || !rustix::process::getuid().is_root() {
        return Ok(());
    }
    install("iproute2")
}

/// Once in a run. A list that could not be fetched shows when the package cannot be installed.
fn update_package_lists() {
    static UPDATED: OnceLock<()> = OnceLock::new();
    UPDATED.get_or_init(|| {
        if let Err(error) = run(&mut command("apt-get", &["update"])) {
            eprintln!("{error:#}");
        }
    });
}
