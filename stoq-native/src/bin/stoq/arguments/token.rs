//! What a user can say of access tokens.

use crate::life::Life;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use stoq_native::{FalconId, HolderKey, ServiceName};

#[derive(Debug, Args)]
pub(crate) struct TokenArguments {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Permit somebody to use a service of one server, and print the token
    Issue(IssueArguments),
    /// Print what a token says
    Show(ShowArguments),
    /// Make the key of a token's holder, and print its public half for --holder
    Holder(HolderArguments),
}

#[derive(Debug, Args)]
pub(crate) struct IssueArguments {
    /// The issuer's private key, PEM, as `stoq keygen` makes it
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Who is permitted, in your words: up to 128 bytes of text
    #[arg(long)]
    pub(crate) subject: String,
    /// The server or gateway that the token is for, by its FALCON identity
    #[arg(long, value_name = "IDENTITY")]
    pub(crate) audience: FalconId,
    /// The service that it is for
    #[arg(long)]
    pub(crate) service: ServiceName,
    /// What is permitted (repeatable): `files` knows read and write
    #[arg(long = "permission", value_name = "WORD", required = true)]
    pub(crate) permissions: Vec<String>,
    /// How long it holds, such as 90s, 5m, 12h or 30d; without --holder five minutes at most. It begins up to a minute ago,
    /// because clocks differ
    #[arg(long, default_value = "5m")]
    pub(crate) life: Life,
    /// Public key of the one who must prove to be its holder, as `stoq token holder` prints it. Without one, whoever has the
    /// token can use it
    #[arg(long, value_name = "KEY")]
    pub(crate) holder: Option<HolderKey>,
    /// File to write the token to, for its owner alone; one that exists is replaced. Printed by default
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    /// File of the token
    pub(crate) file: PathBuf,
    /// Check its signature with this issuer's public key, PEM, as `stoq id --public` prints it
    #[arg(long, value_name = "FILE")]
    pub(crate) issuer: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct HolderArguments {
    /// File of the private key, PEM. A new one is for its owner alone (mode 0600), and never in place of a file that exists
    pub(crate) file: PathBuf,
    /// Print the public half of the key that is there, and make none
    #[arg(long)]
    pub(crate) existing: bool,
}
