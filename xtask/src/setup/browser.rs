//! Real browsers for the tests.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail};

use crate::process::{command, run};

/// A browser that the tests drive.
#[derive(Clone, Copy)]
pub(crate) enum Browser {
    Chromium,
    Firefox,
}

impl Browser {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chromium => "Chromium",
            Self::Firefox => "Firefox",
        }
    }

    /// The variable that names its program, for this command and for the tests.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Chromium => "STOQ_CHROMIUM",
            Self::Firefox => "STOQ_FIREFOX",
        }
    }

    /// The names it goes by on a search path.
    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Chromium => &["chromium", "chromium-browser", "google-chrome"],
            Self::Firefox => &["firefox-esr", "firefox"],
        }
    }

    fn debian_package(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox-esr",
        }
    }
}

/// Where the browser is, if it is installed.
pub(crate) fn find(browser: Browser) -> Option<PathBuf> {
    if let Some(program) = std::env::var_os(browser.variable()) {
        return Some(program.into());
    }
    let search = std::env::var_os("PATH")?;
    let folders: Vec<_> = std::env::split_paths(&search).collect();
    let candidates = browser
        .programs()
        .iter()
        .flat_map(|program| folders.iter().map(move |folder| folder.join(program)));
    candidates.into_iter().find(|candidate| candidate.is_file())
}

/// Finds the browser, or installs it where this is Debian and we are root.
pub(crate) fn require(browser: Browser) -> Result<PathBuf> {
    if let Some(program) = find(browser) {
        return Ok(program);
    }
    let (name, package, variable) = (browser.name(), browser.debian_package(), browser.variable());
    let sentence = || {
        format!(
            "install {name} (on Debian: `apt-get install {package}`), or name its program in {variable}"
        )
    };
    if !(rustix::process::getuid().is_root() && Path::new("/usr/bin/apt-get").exists()) {
        bail!(sentence());
    }
    update_package_lists();
    let install = ["install", "--yes", "--no-install-recommends", package];
    run(command("apt-get", &install).env("DEBIAN_FRONTEND", "noninteractive"))
        .with_context(sentence)?;
    find(browser).with_context(sentence)
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
