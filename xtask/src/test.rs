//! Every test of the workspace.

use std::ffi::OsString;

use anyhow::{Result, bail};

use crate::process::{cargo, command, run as run_to_end};
use crate::setup::{self, Browser, NODE_TARGET};
use crate::steps::{Done, Steps};
use crate::workspace::{is_ci, npm_folders, sources, target};
use crate::{fuzz, site};

/// Everything but xtask with every feature: one set of features, so each dependency is built once.
pub(crate) const PRODUCT: &[&str] = &[
    "--workspace",
    "--exclude",
    "xtask",
    "--all-features",
    "--locked",
];

/// Runs all of them, and fails if one failed.
pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::default();
    let site = site::for_tests();
    let mut variables: Vec<(&str, OsString)> = vec![
        ("STOQ_SITE", site.clone().into()),
        ("STOQ_BIN", target().join("debug").into()),
    ];

    steps.run("set-up: targets, Node, npm packages", || {
        setup::require_node()?;
        setup::npm_packages()
    });
    for browser in [Browser::Chromium, Browser::Firefox] {
        steps.step(
            &format!("set-up: {}", browser.name()),
            || match setup::require_browser(browser) {
                Ok(program) => {
                    variables.push((browser.variable(), program.into()));
                    Ok(Done::Passed)
                }
                Err(error) if is_ci() => Err(error),
                Err(error) => Ok(Done::Skipped(format!("{error}"))),
            },
        );
    }
    steps.run(
        "the npm package, and the page for the browser tests",
        || site::stage_tests(&site),
    );
    steps.run("types of the npm package and the page", check_types);
    steps.run("npm package and page: node --test", test_npm);
    steps.run("short fuzz of every decoder", || fuzz::run(fuzz::SHORT));
    steps.run("build", || {
        run_to_end(cargo(&["build", "--bins", "--tests"]).args(PRODUCT))
    });
    steps.run("xtask", || {
        run_to_end(&mut cargo(&["test", "--package", "xtask", "--locked"]))
    });
    steps.run("core on wasm32", test_core_on_wasm);
    steps.run("native, end to end, browsers", || {
        run_to_end(
            cargo(&["test", "--no-fail-fast"])
                .args(PRODUCT)
                .envs(variables),
        )
    });
    steps.finish()
}

/// Core's tests again, with the browser's word size, under Node.
fn test_core_on_wasm() -> Result<()> {
    setup::require_target(NODE_TARGET)?;
    // Cargo starts the runner in the package's folder.
    let runner =
        format!("target.{NODE_TARGET}.runner = ['node', '--no-warnings', 'tests/wasi-runner.mjs']");
    let test = [
        "test",
        "--package",
        "stoq-core",
        "--tests",
        "--target",
        NODE_TARGET,
        "--locked",
        "--config",
    ];
    run_to_end(cargo(&test).arg(runner))
}

/// `tsc --noEmit` on the sources, the tests and the demo.
fn check_types() -> Result<()> {
    let mut folders = npm_folders()?.into_iter();
    let Some(tsc) = folders
        .find_map(|folder| Some(folder.join("node_modules/.bin/tsc")).filter(|tsc| tsc.exists()))
    else {
        bail!("no npm package provides tsc");
    };
    for project in sources(&|name| name == "tsconfig.json")? {
        let mut check = command(
            &tsc.to_string_lossy(),
            &["--noEmit", "--pretty", "false", "--project"],
        );
        run_to_end(check.arg(project))?;
    }
    Ok(())
}

/// Every `*.test.js`: what needs no browser.
fn test_npm() -> Result<()> {
    let tests = sources(&|name| name.ends_with(".test.js"))?;
    run_to_end(command("node", &["--test"]).args(tests))
}
