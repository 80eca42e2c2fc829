//! What a user can say to the command.

use crate::byte_size::ByteSize;
use crate::digest::Digest;
use crate::error::CommandError;
use crate::file_name::FileName;
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use stoq_native::{FalconId, Target, Trust};

/// Moves files over STOQ, and serves them
#[derive(Debug, Parser)]
#[command(name = "stoq", version, after_help = crate::error::EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a directory (service `files`) and an echo (service `echo`) until SIGINT or SIGTERM
    Serve(ServeArguments),
    /// Send a file to a server
    Send(SendArguments),
    /// Fetch a file from a server
    Get(GetArguments),
    /// List what a server stores
    List(ListArguments),
    /// Delete a file from a server
    Delete(DeleteArguments),
    /// Measure the time to a server and back
    Ping(PingArguments),
    /// Make a FALCON-1024 key, and print the identity of who holds it
    Keygen(KeyArguments),
    /// Print the identity of who holds a FALCON-1024 key
    Id(KeyArguments),
    /// Vouch, as an authority, for an identity: it may speak for these names for so many days
    Grant(GrantArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// Directory of the files; created if it does not exist
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Address to listen on; port 0 takes any free one
    #[arg(long, default_value = "[::]:4433")]
    pub(crate) listen: SocketAddr,
    /// Bytes that all files together may have
    #[arg(long, default_value = "10GiB")]
    pub(crate) quota: ByteSize,
    /// Certificate chain, PEM, the server's own certificate first. Without one, a certificate for development is made
    #[arg(long, value_name = "PEM", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// Private key of the certificate, PEM
    #[arg(long, value_name = "PEM", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// Name or address in the certificate for development (repeatable)
    #[arg(long = "name", value_name = "HOST", conflicts_with = "cert", default_values = ["localhost", "127.0.0.1", "::1"])]
    pub(crate) names: Vec<String>,
    /// Seconds that running transfers have to end after a signal; a second signal ends them at once
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) grace: u32,
}

#[derive(Debug, Args)]
pub(crate) struct SendArguments {
    /// File to send
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) peer: PeerArguments,
    /// Name to store it under; its own by default
    #[arg(long)]
    pub(crate) name: Option<FileName>,
}

#[derive(Debug, Args)]
pub(crate) struct GetArguments {
    #[command(flatten)]
    pub(crate) peer: PeerArguments,
    /// Name of the file
    pub(crate) name: FileName,
    /// File or directory to write to, `-` for standard output; by default NAME here. A file that exists is replaced,
    /// once all has arrived and its SHA-256 is right
    #[arg(short, long)]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    pub(crate) peer: PeerArguments,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArguments {
    #[command(flatten)]
    pub(crate) peer: PeerArguments,
    /// Name of the file
    pub(crate) name: FileName,
}

#[derive(Debug, Args)]
pub(crate) struct PingArguments {
    #[command(flatten)]
    pub(crate) peer: PeerArguments,
    /// How many pings
    #[arg(long, default_value = "10")]
    pub(crate) count: NonZeroU32,
}

#[derive(Debug, Args)]
pub(crate) struct KeyArguments {
    /// File of the private key, PEM. A new one is for its owner alone (mode 0600), and never in place of a file that exists
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct GrantArguments {
    /// The authority's private key, PEM, as `stoq keygen` makes it
    #[arg(long, value_name = "FILE")]
    pub(crate) authority_key: PathBuf,
    /// Whom to vouch for, as `stoq id` prints it
    #[arg(long, value_name = "IDENTITY")]
    pub(crate) id: FalconId,
    /// Host name or address that the identity may be (repeatable); none for one that only connects to others
    #[arg(long = "name", value_name = "HOST")]
    pub(crate) names: Vec<String>,
    /// Days that it holds, a century at most; it begins an hour ago, because clocks differ
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=36_525))]
    pub(crate) days: u32,
    /// Number by which it can be revoked; by default the time in microseconds
    #[arg(long)]
    pub(crate) serial: Option<u64>,
    /// File to write the grant to, PEM; one that exists is replaced
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// Which server, and why it is believed.
#[derive(Debug, Args)]
pub(crate) struct PeerArguments {
    /// The service, such as stoq://example.org:4433/files
    #[arg(value_parser = parse_url)]
    pub(crate) url: Target,
    /// SHA-256 of the server's certificate, in hexadecimal; any of several (repeatable)
    #[arg(long = "certificate-hash", value_name = "HEX", conflicts_with = "ca")]
    certificate_hashes: Vec<Digest>,
    /// Certificate authorities to trust, PEM; by default those of the system
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl PeerArguments {
    /// The trust that the flags ask for.
    pub(crate) fn trust(&self) -> Result<Trust, CommandError> {
        if !self.certificate_hashes.is_empty() {
            let hashes = self.certificate_hashes.iter().map(|hash| hash.0);
            return Ok(Trust::CertificateHashes(hashes.collect()));
        }
        match &self.ca {
            Some(path) => Ok(Trust::roots_from_pem_file(path)?),
            None => Ok(Trust::SystemRoots),
        }
    }
}

fn parse_url(url: &str) -> Result<Target, String> {
    let target: Target = url.parse().map_err(|error| format!("{error}"))?;
    if target.service.is_none() {
        return Err("name a service, as in stoq://host:port/files".into());
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_url_names_a_service() {
        assert!(parse_url("stoq://localhost:1/files").is_ok());
        assert!(parse_url("stoq://localhost:1/").is_err());
        assert!(parse_url("https://localhost:1/files").is_err());
    }

    #[test]
    fn an_identity_has_its_spelling() {
        let grant = |id: &str| {
            let words = ["stoq", "grant", "--authority-key", "k", "--id", id];
            let rest = ["--days", "1", "--out", "o"];
            Arguments::try_parse_from([&words[..], &rest].concat())
        };
        let id = FalconId::new([7; 32]).to_string();
        assert!(grant(&id).is_ok());
        assert!(grant(&id.to_uppercase()).is_err());
    }

    #[test]
    fn a_hash_and_an_authority_are_one_too_many() {
        let hash = "0".repeat(64);
        let words = [
            "stoq",
            "list",
            "stoq://h:1/files",
            "--certificate-hash",
            &hash,
            "--ca",
            "x",
        ];
        assert!(Arguments::try_parse_from(words).is_err());
        assert!(Arguments::try_parse_from(&words[..5]).is_ok());
    }
}
