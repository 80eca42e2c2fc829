//! What a user can say to the command.

mod bench;
mod peer;
mod relay;
mod token;
mod transport;

use crate::access::Wanted;
use crate::file_name::FileName;
use crate::life::Life;
use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use stoq_native::{FalconId, Target, TargetError};

pub(crate) use bench::{BenchArguments, LoadArguments, Mode};
pub(crate) use peer::{PeerArguments, TrustArguments};
pub(crate) use relay::{Hop, RelayArguments, ServiceHop};
pub(crate) use token::{
    HolderArguments, IssueArguments, ShowArguments, TokenArguments, TokenCommand,
};
pub(crate) use transport::TransportArguments;

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
    /// Load a server's service `echo` and print rates, errors and the distribution of times
    Bench(BenchArguments),
    /// Make a FALCON-1024 key, and print the identity of who holds it
    Keygen(KeyArguments),
    /// Print the identity of who holds a FALCON-1024 key, or the public key
    Id(IdArguments),
    /// Vouch, as an authority, for an identity: it may speak for these names for so many days
    Grant(GrantArguments),
    /// Issue and show access tokens, and make the keys of their holders
    Token(TokenArguments),
    /// Pass sessions on, unread, to those who are listed, until SIGINT or SIGTERM
    Relay(RelayArguments),
    /// Print what a server offers to anybody: identity, certificates, key exchange. Believes nobody
    Inspect(InspectArguments),
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
    /// After this time certificates that are made here are replaced, such as 12h or 7d; 12d at most. Clients that go by a
    /// certificate's hash need the new one then. Files are looked at every few seconds, and replaced when they change
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub(crate) renew_after: Life,
    /// Private key of a FALCON identity, PEM, as `stoq keygen` makes it; shown to clients beside the certificate
    #[arg(long, value_name = "FILE")]
    pub(crate) falcon_key: Option<PathBuf>,
    /// An authority's grant for that identity, PEM, as `stoq grant` makes it
    #[arg(long, value_name = "FILE", requires = "falcon_key")]
    pub(crate) grant: Option<PathBuf>,
    /// Lets in only clients with this FALCON identity, or another that is named so (repeatable)
    #[arg(
        long = "client",
        value_name = "IDENTITY",
        conflicts_with = "client_authority"
    )]
    pub(crate) clients: Vec<FalconId>,
    /// Lets in only clients that show a grant by this authority; its public key, PEM, as `stoq id --public` prints it
    #[arg(long, value_name = "FILE")]
    pub(crate) client_authority: Option<PathBuf>,
    /// Service that wants an access token, and perhaps what the token must permit, such as files or files=read (repeatable).
    /// Tokens are for the FALCON identity of the server. With one, `files` lets list and get who may read, and send and delete
    /// who may write
    #[arg(
        long,
        value_name = "SERVICE[=PERMISSION]",
        requires = "issuers",
        requires = "falcon_key"
    )]
    pub(crate) access: Vec<Wanted>,
    /// Whose access tokens are taken; the issuer's public key, PEM, as `stoq id --public` prints it (repeatable)
    #[arg(long = "issuer", value_name = "FILE", requires = "access")]
    pub(crate) issuers: Vec<PathBuf>,
    /// Nonces of access tokens that hold no longer, one a line, as `stoq token show` prints them; read again at SIGHUP
    #[arg(long, value_name = "FILE", requires = "access")]
    pub(crate) revoked: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) transport: TransportArguments,
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
    /// FALCON identity that must have signed the file's answer, whatever relays stand between; any of several (repeatable)
    #[arg(long = "verify", value_name = "IDENTITY")]
    pub(crate) origins: Vec<FalconId>,
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
pub(crate) struct IdArguments {
    /// File of the private or the public key, PEM
    pub(crate) file: PathBuf,
    /// Print the public key, PEM, to be given to others: for --authority and --client-authority
    #[arg(long)]
    pub(crate) public: bool,
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

#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    // Not a doc comment, where the brackets would be a link.
    #[arg(
        value_name = "HOST:PORT",
        value_parser = parse_address,
        help = "The server, such as example.org:4433 or [::1]:4433"
    )]
    pub(crate) target: Target,
    /// Check the server's grant against this authority; its public key, PEM, as `stoq id --public` prints it
    #[arg(long, value_name = "FILE")]
    pub(crate) authority: Option<PathBuf>,
}

fn parse_address(address: &str) -> Result<Target, TargetError> {
    let url = match address.contains("://") {
        true => address.to_owned(),
        false => format!("stoq://{address}/"),
    };
    url.parse()
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
    fn what_is_inspected_is_an_address_or_a_url() {
        for (address, authority) in [
            ("Example.org:1", "example.org:1"),
            ("[::1]:1", "[::1]:1"),
            ("stoq://h:1/files", "h:1"),
        ] {
            assert_eq!(parse_address(address).unwrap().authority(), authority);
        }
        for address in ["", "h", "h:", "::1:1", "h:0", "https://h:1", "h:1:2"] {
            assert!(parse_address(address).is_err(), "{address}");
        }
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
}
