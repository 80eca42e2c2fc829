//! From a crate to WebAssembly and the JavaScript that loads it.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use wasm_bindgen_cli_support::Bindgen;

use crate::process::{cargo, command, output, run};
use crate::setup::{BROWSER_TARGET, require_target};
use crate::workspace::{locked_version, root, target};

/// Builds `package` in `profile` and writes `<package>.js` and `<package>_bg.wasm` into `out`.
pub(crate) fn build(package: &str, profile: &str, out: &Path) -> Result<()> {
    same_release()?;
    require_target(BROWSER_TARGET)?;
    // Of this kind alone: cargo optimises across crates only where every kind of the library allows it, and rlib does not.
    run(cargo(&[
        "rustc",
        "--package",
        package,
        "--lib",
        "--crate-type",
        "cdylib",
        "--target",
        BROWSER_TARGET,
        "--profile",
        profile,
    ])
    .args(["--config", &nameless_paths()?]))?;
    let folder = if profile == "dev" { "debug" } else { profile };
    let name = package.replace('-', "_");
    let wasm = target()
        .join(BROWSER_TARGET)
        .join(folder)
        .join(format!("{name}.wasm"));
    Bindgen::new()
        .input_path(wasm)
        .web(true)?
        .typescript(true)
        .generate(out)?;
    no_env_import(&out.join(format!("{name}_bg.wasm")))
}

/// A setting for cargo: messages of panics name files by crate and by folder of this workspace, not by where this
/// machine keeps them. It adds to the flags in `.cargo/config.toml`.
fn nameless_paths() -> Result<String> {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let mut folders = vec![root().to_owned()];
    // One folder for each registry that crates come from.
    if let Some(registries) = cargo_home.map(|home| home.join("registry/src"))
        && registries.exists()
    {
        for registry in registries.read_dir()? {
            folders.push(registry?.path());
        }
    }
    let remap = |folder: PathBuf| format!("--remap-path-prefix={}/=", folder.display());
    let flags: Vec<String> = folders.into_iter().map(remap).collect();
    Ok(format!("target.{BROWSER_TARGET}.rustflags={flags:?}"))
}

/// The two halves of wasm-bindgen speak a format that changes with every release.
fn same_release() -> Result<()> {
    let library = locked_version("wasm-bindgen")?;
    let support = locked_version("wasm-bindgen-cli-support")?;
    if library != support {
        bail!(
            "wasm-bindgen is {library} and wasm-bindgen-cli-support is {support}: set both to one release in Cargo.toml"
        );
    }
    Ok(())
}

/// An import from `env` is a C function that nobody will provide: the module would not load.
fn no_env_import(wasm: &Path) -> Result<()> {
    let script = "const module = new WebAssembly.Module(require('fs').readFileSync(process.argv[1]));
        console.log(WebAssembly.Module.imports(module).filter((i) => i.module === 'env').map((i) => i.name).join(' '))";
    let imports = output(command("node", &["--eval", script]).arg(wasm))?;
    if !imports.trim().is_empty() {
        bail!("{} imports {} from `env`", wasm.display(), imports.trim());
    }
    Ok(())
}
