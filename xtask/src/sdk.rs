//! The npm package, as a user would install it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

use crate::process::{command, output};
use crate::setup::require_node;
use crate::workspace::{empty_folder, path, target};
use crate::{bindgen, names, workspace};

/// How to build the package.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Builds fast instead of small, with names in stack traces
    #[arg(long)]
    dev: bool,
}

/// Builds the package and returns its `.tgz`.
pub(crate) fn build(options: &Options) -> Result<PathBuf> {
    require_node()?;
    let pkg = path("stoq-wasm/pkg");
    empty_folder(&pkg)?;
    bindgen::build(
        "stoq-wasm",
        if options.dev { "dev" } else { "wasm-release" },
        &pkg,
    )?;
    let wasm = pkg.join("stoq_wasm_bg.wasm");
    if !options.dev {
        optimise(&wasm, &pkg.join("stoq_wasm.js"))?;
    }
    print_size(&wasm)?;
    pack()
}

/// What makes the module smallest as a web server sends it; `-Oz` makes it smaller as it is, and no smaller gzipped. The lowest
/// 1,024 bytes of memory, which are taken to be unused, are the far end of the stack.
const SMALL: &[&str] = &[
    "-Os",
    "--low-memory-unused",
    "--strip-producers",
    "--strip-target-features",
    "--minify-imports-and-exports-and-modules",
];

/// What rustc uses in WebAssembly: wasm-opt takes no more for granted than it is told.
const WASM_FEATURES: &[&str] = &[
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
];

/// Makes the module smaller, and has its script call it by the names that it then has.
fn optimise(wasm: &Path, script: &Path) -> Result<()> {
    let Some(wasm_opt) = wasm_opt() else {
        eprintln!(
            "SKIPPED: wasm-opt: its npm packages are not installed (`cargo xtask setup`); the package is larger without it"
        );
        return Ok(());
    };
    let said = output(
        command(&wasm_opt, SMALL)
            .args(WASM_FEATURES)
            .arg(wasm)
            .arg("--output")
            .arg(wasm),
    )?;
    fs::write(script, names::rename(&fs::read_to_string(script)?, &said)?)?;
    Ok(())
}

/// The program of the npm package `binaryen`.
fn wasm_opt() -> Option<String> {
    let mut folders = workspace::npm_folders().ok()?.into_iter();
    let program = folders.find_map(|folder| {
        Some(folder.join("node_modules/.bin/wasm-opt")).filter(|program| program.exists())
    })?;
    Some(program.to_str()?.to_owned())
}

/// Prints a file's size, as it is and as a web server would send it.
fn print_size(file: &Path) -> Result<()> {
    let bytes = fs::read(file)?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&bytes)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    println!(
        "{name}: {} bytes, {} bytes gzipped",
        bytes.len(),
        gzip.finish()?.len()
    );
    Ok(())
}

fn pack() -> Result<PathBuf> {
    let folder = target().join("sdk");
    empty_folder(&folder)?;
    let pack = ["pack", "--json", "--ignore-scripts", "--pack-destination"];
    let report = output(
        command("npm", &pack)
            .arg(&folder)
            .current_dir(path("stoq-wasm")),
    )?;
    let report: Value = serde_json::from_str(&report)?;
    let name = report[0]["filename"]
        .as_str()
        .context("npm pack names its file")?;
    let tarball = folder.join(name);
    println!("{}", tarball.display());
    Ok(tarball)
}
