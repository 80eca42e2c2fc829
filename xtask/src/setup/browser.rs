//! Real browsers for the tests.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::debian::install;

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
    install(package).with_context(sentence)?;
    find(browser).with_context(sentence)
}
