//! cargo-deny: what the dependencies may be. `.deny.toml` says what is allowed and why.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::process::{cargo, command, output, run};
use crate::steps::Done;
use crate::workspace::target;

/// Without optimisation it builds in a minute, and its work takes a second.
const VERSION: &str = "0.20.2";

/// What needs nothing but the lock file and the sources of the dependencies.
pub(crate) fn local() -> Result<()> {
    check(&["licenses", "sources", "bans"])
}

/// Known vulnerabilities: the database is fetched, and without a network that is a skip and not a failure.
pub(crate) fn advisories() -> Result<Done> {
    let fetch = ["--all-features", "--config", ".deny.toml", "fetch", "db"];
    if let Err(error) = output(&mut command(&program()?, &fetch)) {
        let cause = format!("{error:#}");
        let cause = cause
            .lines()
            .find(|line| line.starts_with("fatal"))
            .and_then(|line| line.rsplit(": ").next())
            .unwrap_or("no answer");
        return Ok(Done::Skipped(format!(
            "the database cannot be fetched: {cause}"
        )));
    }
    check(&["--disable-fetch", "advisories"])?;
    Ok(Done::Passed)
}

fn check(what: &[&str]) -> Result<()> {
    run(command(
        &program()?,
        &["--all-features", "--config", ".deny.toml", "check"],
    )
    .args(what))
}

/// The program: built from its source, once, into the target folder.
fn program() -> Result<String> {
    let tools = target().join("tools");
    let program: PathBuf = tools.join("bin/cargo-deny");
    let name = program.to_string_lossy().into_owned();
    let is_current = |version: String| version.contains(VERSION);
    if !output(&mut command(&name, &["--version"])).is_ok_and(is_current) {
        let install = [
            "install",
            "cargo-deny",
            "--version",
            VERSION,
            "--locked",
            "--profile",
            "dev",
            "--root",
        ];
        let mut install = cargo(&install);
        install
            .arg(&tools)
            .arg("--target-dir")
            .arg(tools.join("build"))
            .env("CARGO_PROFILE_DEV_DEBUG", "none");
        run(&mut install).with_context(|| format!("install cargo-deny {VERSION}"))?;
    }
    Ok(name)
}
