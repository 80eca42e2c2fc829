//! Standard libraries for other targets, and other compilers.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::process::{cargo, command, output, run_within};

/// A download of tens of megabytes; a network that does not answer must not hold a build for longer.
const DOWNLOAD: Duration = Duration::from_secs(300);

/// Makes sure that the compiler has a standard library for `target`.
pub(crate) fn require_target(target: &str) -> Result<()> {
    let sysroot = output(&mut command("rustc", &["--print", "sysroot"]))?;
    if Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(target)
        .join("lib")
        .is_dir()
    {
        return Ok(());
    }
    if !has_rustup() {
        bail!(
            "this rustc has no standard library for {target} and was not installed by rustup: \
             install Rust through rustup, because a distribution's own compiler (Debian's, say) cannot add targets"
        );
    }
    run_within(DOWNLOAD, &mut command("rustup", &["target", "add", target])).with_context(|| {
        format!("the standard library for {target} is missing: where there is a network, run `rustup target add {target}`")
    })
}

/// Makes sure that cargo can format and lint.
pub(crate) fn require_components() -> Result<()> {
    for component in ["rustfmt", "clippy"] {
        let asked = if component == "rustfmt" {
            "fmt"
        } else {
            component
        };
        if output(&mut cargo(&[asked, "--version"])).is_err() {
            run_within(
                DOWNLOAD,
                &mut command("rustup", &["component", "add", component]),
            )
            .with_context(|| {
                format!("{component} is missing: run `rustup component add {component}`")
            })?;
        }
    }
    Ok(())
}

/// Makes sure that rustup has the compiler `version`.
pub(crate) fn require_toolchain(version: &str) -> Result<()> {
    if !has_rustup() {
        bail!("Rust {version} needs rustup");
    }
    if output(&mut command(
        "rustup",
        &["run", version, "rustc", "--version"],
    ))
    .is_ok()
    {
        return Ok(());
    }
    let install = [
        "toolchain",
        "install",
        version,
        "--profile",
        "minimal",
        "--no-self-update",
    ];
    run_within(DOWNLOAD, &mut command("rustup", &install))
}

fn has_rustup() -> bool {
    output(&mut command("rustup", &["--version"])).is_ok()
}
