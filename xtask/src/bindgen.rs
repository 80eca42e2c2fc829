//! From a crate to WebAssembly and the JavaScript that loads it.

use std::path::Path;

use anyhow::{Result, bail};
use wasm_bindgen_cli_support::Bindgen;

use crate::process::{cargo, command, output, run};
use crate::setup::{BROWSER_TARGET, require_target};
use crate::workspace::{locked_version, target};

/// Builds `package` in `profile` and writes `<package>.js` and `<package>_bg.wasm` into `out`.
pub(crate) fn build(package: &str, profile: &str, out: &Path) -> Result<()> {
    same_release()?;
    require_target(BROWSER_TARGET)?;
    run(&mut cargo(&[
        "build",
        "--package",
        package,
        "--target",
        BROWSER_TARGET,
        "--profile",
        profile,
    ]))?;
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
