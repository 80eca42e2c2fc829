//! The project's own commands: `cargo xtask <command>`.
//!
//! ```text
//! setup ──► sdk ──► site ──► demo        what a newcomer runs
//!            │        └────► test        every test, the ones in browsers too
//!            └─────────────► package     what users would get, used from an empty directory
//! check, bench                           lints and documents; numbers
//! ```
//!
//! Each command finds what it is missing and installs it, or says in one sentence what to install.

mod bench;
mod bindgen;
mod check;
mod demo;
mod deny;
mod fuzz;
mod names;
mod package;
mod process;
mod sdk;
mod setup;
mod site;
mod steps;
mod test;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The project's own commands.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs what the other commands need: the wasm32 targets, browsers, npm packages
    Setup,
    /// Builds the npm package into target/sdk
    BuildSdk(sdk::Options),
    /// Builds everything, starts a native service and a gateway, serves the page, prints its URL
    Demo(demo::Options),
    /// Runs every test of the workspace, the ones in real browsers too
    Test,
    /// Lays out what the browser tests serve, into target/test-site (their STOQ_SITE)
    TestSite,
    /// Formatting, lints, documents, features, targets, the oldest compiler, licences
    Check,
    /// Packs the crates and the npm package, and uses what came out from an empty directory
    Package,
    /// Measures, and prints what it measured on
    Bench {
        #[command(subcommand)]
        bench: bench::Bench,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Setup => setup::everything(),
        Command::BuildSdk(options) => sdk::build(&options).map(drop),
        Command::Demo(options) => demo::run(&options),
        Command::Test => test::run(),
        Command::TestSite => site::stage_tests(&site::for_tests()),
        Command::Check => check::run(),
        Command::Package => package::run(),
        Command::Bench { bench } => bench::run(&bench),
    }
}
