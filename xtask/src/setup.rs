//! What a machine must have: found, installed where that is possible, or named in one sentence.

mod browser;
mod debian;
mod npm;
mod rust;

pub(crate) use browser::{Browser, find as find_browser, require as require_browser};
pub(crate) use debian::require_ip;
pub(crate) use npm::{packages as npm_packages, require_node};
pub(crate) use rust::{require_components, require_target, require_toolchain};

use anyhow::Result;

/// The target of the npm package.
pub(crate) const BROWSER_TARGET: &str = "wasm32-unknown-unknown";
/// Core's own tests run on it, under Node.
pub(crate) const NODE_TARGET: &str = "wasm32-wasip1";
/// A target without `std`: core must build for it.
pub(crate) const BARE_TARGET: &str = "thumbv7em-none-eabi";

/// Installs all that any command needs.
pub(crate) fn everything() -> Result<()> {
    for target in [BROWSER_TARGET, NODE_TARGET, BARE_TARGET] {
        require_target(target)?;
    }
    require_components()?;
    require_node()?;
    npm_packages()?;
    require_ip()?;
    for browser in [Browser::Chromium, Browser::Firefox] {
        println!(
            "{}: {}",
            browser.name(),
            require_browser(browser)?.display()
        );
    }
    Ok(())
}
