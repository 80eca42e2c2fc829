//! What users would get: packed, unpacked, and used from an empty directory.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

use crate::check::{LIBRARIES, packages};
use crate::process::{cargo, command, run as run_to_end};
use crate::setup::require_node;
use crate::steps::Steps;
use crate::workspace::{is_ci, locked_version, path, target};
use crate::{sdk, site};

/// Packs the crates and the npm package, and builds the README's clients on them.
pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::default();
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    steps.run("cargo package", pack_crates);
    steps.run("the README's Rust client on the packed crates", || {
        use_crates(&folder.join("rust"))
    });
    steps.run("the npm package in an empty project", || {
        require_node()?;
        use_sdk(&sdk::build(&sdk::Options::default())?, &folder.join("npm"))
    });
    steps.finish()
}

/// The crates are built from what was packed by the client below, so cargo's own build is left out.
fn pack_crates() -> Result<()> {
    let dirty = (!is_ci()).then_some("--allow-dirty");
    run_to_end(
        cargo(&["package", "--no-verify", "--locked"])
            .args(dirty)
            .args(packages(LIBRARIES)),
    )
}

fn use_crates(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder.join("src"))?;
    let mut patches = String::new();
    for name in LIBRARIES {
        let version = locked_version(name)?;
        let packed = target()
            .join("package")
            .join(format!("{name}-{version}.crate"));
        site::unpack(&packed, &folder.join(name))?;
        patches += &format!("{name} = {{ path = \"{name}\" }}\n");
    }
    let profiles = profiles()?;
    let native = locked_version("stoq-native")?;
    let gateway = locked_version("stoq-gateway")?;
    let manifest = format!(
        "[package]\nname = \"client\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         stoq-gateway = \"{gateway}\"\nstoq-native = \"{native}\"\ntokio = {{ version = \"1\", features = [\"macros\", \"rt\"] }}\n\n\
         [patch.crates-io]\n{patches}\n{profiles}"
    );
    fs::write(folder.join("Cargo.toml"), manifest)?;
    // The versions that are tested are those that are used.
    fs::copy(path("Cargo.lock"), folder.join("Cargo.lock"))?;
    fs::write(folder.join("src/main.rs"), readme_block("rust")?)?;
    run_to_end(
        cargo(&["check"])
            .env("CARGO_TARGET_DIR", target())
            .current_dir(folder),
    )
}

/// The root manifest's, so that what the workspace has built need not be built again.
fn profiles() -> Result<String> {
    let manifest: toml::Table = fs::read_to_string(path("Cargo.toml"))?.parse()?;
    let profile = manifest["profile"].clone();
    Ok(toml::to_string(&toml::Table::from_iter([(
        "profile".to_owned(),
        profile,
    )]))?)
}

fn use_sdk(tarball: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(
        folder.join("package.json"),
        "{ \"private\": true, \"type\": \"module\" }\n",
    )?;
    run_to_end(
        command(
            "npm",
            &["install", "--no-audit", "--no-fund", "--ignore-scripts"],
        )
        .arg(tarball)
        .current_dir(folder),
    )?;
    fs::write(folder.join("hash.js"), HASH)?;
    run_to_end(command("node", &["hash.js"]).current_dir(folder))
}

/// What the package does without a browser.
const HASH: &str = "\
import init, { Sha256 } from 'stoq';
import assert from 'node:assert/strict';
await init();
const hash = new Sha256();
hash.update(new TextEncoder().encode('abc'));
assert.equal(hash.hex(), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
console.log('the packed npm package loads in Node and hashes');
";

/// The first block of that language in the README; after the language there may be words for rustdoc.
fn readme_block(language: &str) -> Result<String> {
    let readme = fs::read_to_string(path("README.md"))?;
    let fence = format!("```{language}");
    let mut lines = readme
        .lines()
        .skip_while(|line| line.split(',').next() != Some(&fence))
        .skip(1);
    let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
    if block.is_empty() {
        bail!("the README has no block of {language}");
    }
    Ok(block.join("\n") + "\n")
}
