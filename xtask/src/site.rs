//! A folder that a web server can serve: the demo page, and the npm package where the page expects it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::process::{command, run};
use crate::workspace::{copy_folder, empty_folder, path, target};
use crate::{bindgen, sdk};

/// Lays out the demo page and the unpacked npm package.
pub(crate) fn stage(site: &Path, sdk: &Path) -> Result<()> {
    empty_folder(site)?;
    copy_folder(&path("www"), site, &is_served)?;
    unpack(sdk, &site.join("node_modules/stoq"))
}

/// Where [`stage_tests`] puts what the browser tests need; they find it by `STOQ_SITE`.
pub(crate) fn for_tests() -> PathBuf {
    target().join("test-site")
}

/// The demo, and the page that runs the conformance bodies in a browser.
pub(crate) fn stage_tests(site: &Path) -> Result<()> {
    stage(site, &sdk::build(&sdk::Options::default())?)?;
    for file in [
        "tests/browser/conformance.html",
        "stoq-wasm/test/behaviours.js",
    ] {
        let name = Path::new(file).file_name().expect("both are files");
        fs::copy(path(file), site.join(name))?;
    }
    let conformance = site.join("conformance");
    bindgen::build("stoq-web-tests", "dev", &conformance)?;
    // Node takes a file for a module only if this says so.
    fs::write(
        conformance.join("package.json"),
        "{ \"type\": \"module\" }\n",
    )?;
    Ok(())
}

/// Unpacks a package of npm or cargo; all its files lie in one folder. They count as written now: packers give them a time long
/// ago, by which cargo would think that it has built them already.
pub(crate) fn unpack(tarball: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    run(command("tar", &["-xzm", "--strip-components=1", "--file"])
        .arg(tarball)
        .arg("--directory")
        .arg(folder))
}

/// Tests, types and settings stay behind.
fn is_served(name: &str) -> bool {
    !matches!(
        name,
        "test" | "node_modules" | "package.json" | "package-lock.json" | "tsconfig.json"
    ) && !name.starts_with('.')
        && !name.ends_with(".d.ts")
}
