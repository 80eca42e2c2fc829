//! The `stoq` command: a small file store and an echo service over STOQ, their client, and the keys of identities.
//!
//! ```text
//!   send, get, list, delete ──▶ files ──▶ store (DIR, quota)      the service `files`, stoq serve
//!   anything ─────────────────▶ echo                              the service `echo`, stoq serve
//!   ping ─────────────────────▶ any service                       answered by the protocol itself
//!   bench ────────────────────▶ echo                              many connections, and how they fared
//!   keygen, id ───────────────▶ a FALCON key in a file            nothing goes over the network
//!   relay ────────────────────▶ sessions, passed on unread       to whom its flags list
//!   grant ────────────────────▶ an authority's word for an identity, in a file
//!   token ────────────────────▶ an issuer's permission to use a service, in a file
//!   inspect ──────────────────▶ what a server shows to anybody, in handshakes that carry nothing
//! ```
//! [`arguments`] is what a user can say, [`error::exit`] how the command ends.

mod access;
mod arguments;
mod bench;
mod blocks;
mod certificates;
mod client;
mod date;
mod digest;
mod echo;
mod error;
mod file_name;
mod files;
mod get;
mod grant;
mod identity;
mod inspect;
mod keys;
mod life;
mod list;
mod output;
mod ping;
mod progress;
mod protocol;
mod relay;
mod send;
mod serve;
mod signals;
mod store;
mod temporary;
mod terminal;
mod token;
mod verified;

use arguments::{Arguments, Command};
use clap::Parser;
use error::{CommandError, exit};
use std::process::ExitCode;

fn main() -> ExitCode {
    let command = match Arguments::try_parse() {
        Ok(arguments) => arguments.command,
        Err(error) => {
            // Help and version come this way too, and are no error. If even this cannot be printed, nothing can.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() {
                exit::USAGE
            } else {
                exit::OK
            });
        }
    };
    terminal::log(match command {
        Command::Serve(_) => "stoq=info,warn",
        Command::Relay(_) => "stoq=info,stoq_native::relay=info,warn",
        // The library warns of keys that others can read.
        Command::Id(_) | Command::Grant(_) | Command::Token(_) => "warn",
        _ => "off,stoq_native::falcon=warn,stoq_native::access=warn",
    });
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&CommandError::System(error)),
    };
    match runtime.block_on(run(command)) {
        Ok(()) => ExitCode::from(exit::OK),
        Err(error) => fail(&error),
    }
}

async fn run(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Send(arguments) => send::run(arguments).await,
        Command::Get(arguments) => get::run(arguments).await,
        Command::List(arguments) => list::run(arguments).await,
        Command::Delete(arguments) => list::delete(arguments).await,
        Command::Ping(arguments) => ping::run(arguments).await,
        Command::Bench(arguments) => bench::run(arguments).await,
        Command::Keygen(arguments) => keys::generate(&arguments),
        Command::Id(arguments) => keys::identify(&arguments),
        Command::Grant(arguments) => grant::run(arguments),
        Command::Token(arguments) => token::run(arguments),
        Command::Relay(arguments) => relay::run(arguments).await,
        Command::Inspect(arguments) => inspect::run(arguments).await,
    }
}

fn fail(error: &CommandError) -> ExitCode {
    terminal::complain(error);
    ExitCode::from(error.exit_code())
}
