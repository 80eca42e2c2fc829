//! What can be said about the code without running it.

use anyhow::{Result, bail};

use crate::deny;
use crate::process::{cargo, command, run as run_to_end};
use crate::setup::{BARE_TARGET, BROWSER_TARGET, require_target, require_toolchain};
use crate::steps::{Done, Steps};
use crate::test::PRODUCT;
use crate::workspace::{members, npm_folders};

/// Tries all of it, and fails if a part failed.
pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::default();
    steps.run("formatting", || {
        run_to_end(&mut cargo(&["fmt", "--all", "--check"]))
    });
    steps.run("npm lock files name no address", lock_files);
    steps.run("clippy, native", || {
        run_to_end(
            cargo(&["clippy", "--all-targets"])
                .args(PRODUCT)
                .args(DENY_WARNINGS),
        )?;
        run_to_end(
            cargo(&["clippy", "--package", "xtask", "--all-targets", "--locked"])
                .args(DENY_WARNINGS),
        )
    });
    steps.run("clippy, wasm32", clippy_wasm);
    steps.run("documents", documents);
    steps.run("core without std", || {
        require_target(BARE_TARGET)?;
        run_to_end(&mut cargo(&[
            "build",
            "--package",
            "stoq-core",
            "--target",
            BARE_TARGET,
            "--locked",
        ]))
    });
    steps.run("each feature alone, and none", features);
    steps.step("the oldest compiler", oldest_compiler);
    steps.run("licences, sources, doubled versions", deny::local);
    steps.step("advisories", deny::advisories);
    steps.finish()
}

const DENY_WARNINGS: &[&str] = &["--", "--deny", "warnings"];

/// Crates that users build.
pub(crate) const LIBRARIES: &[&str] = &["stoq-core", "stoq-native", "stoq-gateway"];

/// What runs in a browser: what is for users, and what tests it. The second has `std`, which the first is without.
const IN_BROWSERS: [&[&str]; 2] = [&["stoq-core", "stoq-wasm"], &["stoq-web-tests"]];

/// `--package` before each name.
pub(crate) fn packages<'a>(names: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    names.iter().flat_map(|name| ["--package", name])
}

fn clippy_wasm() -> Result<()> {
    require_target(BROWSER_TARGET)?;
    for together in IN_BROWSERS {
        let mut clippy = cargo(&["clippy", "--target", BROWSER_TARGET, "--locked"]);
        run_to_end(clippy.args(packages(together)).args(DENY_WARNINGS))?;
    }
    Ok(())
}

fn documents() -> Result<()> {
    let deny = ("RUSTDOCFLAGS", "--deny warnings");
    run_to_end(
        cargo(&["doc", "--no-deps"])
            .args(PRODUCT)
            .env(deny.0, deny.1),
    )?;
    let mut browser = cargo(&[
        "doc",
        "--no-deps",
        "--package",
        "stoq-wasm",
        "--target",
        BROWSER_TARGET,
        "--locked",
    ]);
    run_to_end(browser.env(deny.0, deny.1))
}

/// A feature that only builds together with another one is not a feature.
fn features() -> Result<()> {
    for member in members()?
        .iter()
        .filter(|member| LIBRARIES.contains(&member.name.as_str()))
    {
        let check = [
            "check",
            "--package",
            &member.name,
            "--no-default-features",
            "--locked",
        ];
        run_to_end(&mut cargo(&check))?;
        for feature in &member.features {
            run_to_end(cargo(&check).args(["--features", feature]))?;
        }
    }
    Ok(())
}

/// `rust-version` of the root manifest.
const OLDEST: &str = "1.88.0";

fn oldest_compiler() -> Result<Done> {
    if let Err(error) = require_toolchain(OLDEST) {
        return Ok(Done::Skipped(format!(
            "Rust {OLDEST} is not here and cannot be installed: {error}"
        )));
    }
    let mut check = command(
        "rustup",
        &[
            "run",
            OLDEST,
            "cargo",
            "check",
            "--all-features",
            "--locked",
        ],
    );
    run_to_end(check.args(packages(LIBRARIES)))?;
    Ok(Done::Passed)
}

/// A lock file that names a registry's address works with no other.
fn lock_files() -> Result<()> {
    for folder in npm_folders()? {
        let lock = folder.join("package-lock.json");
        if std::fs::read_to_string(&lock)?.contains("\"resolved\": \"http") {
            bail!(
                "{} names addresses: put omit-lockfile-registry-resolved=true into .npmrc and lock again",
                lock.display()
            );
        }
    }
    Ok(())
}
