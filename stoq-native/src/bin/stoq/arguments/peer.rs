//! Which server a client means, why it believes it, and who the client is.

use super::TransportArguments;
use super::relay::Hop;
use crate::access::credentials;
use crate::digest::Digest;
use crate::error::CommandError;
use crate::identity::{authority, falcon};
use clap::Args;
use std::path::PathBuf;
use stoq_native::{
    ConnectOptions, FalconId, FalconTrust, HolderKeys, Identity, Pins, PqPolicy, SignedAccessToken,
    Target, Trust,
};

/// Which server, why it is believed, and who asks.
#[derive(Debug, Args)]
pub(crate) struct PeerArguments {
    /// The service, such as stoq://example.org:4433/files
    #[arg(value_parser = parse_url)]
    pub(crate) url: Target,
    #[command(flatten)]
    pub(crate) trust: TrustArguments,
}

/// Why the server is believed, and who asks.
#[derive(Debug, Args)]
pub(crate) struct TrustArguments {
    /// FALCON identity that the server must prove, as it printed it at start; any of several (repeatable)
    #[arg(
        long = "pin",
        value_name = "IDENTITY",
        conflicts_with_all = ["authority", "certificate_hashes", "ca", "via"]
    )]
    pins: Vec<FalconId>,
    /// Authority that must have granted the server's FALCON identity its name; its public key, PEM, as `stoq id --public`
    /// prints it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["certificate_hashes", "ca", "via"])]
    authority: Option<PathBuf>,
    /// SHA-256 of the server's certificate, in hexadecimal; any of several (repeatable). A server with a FALCON identity has
    /// two
    #[arg(long = "certificate-hash", value_name = "HEX", conflicts_with_all = ["ca", "via"])]
    certificate_hashes: Vec<Digest>,
    /// Certificate authorities to trust, PEM; by default those of the system
    #[arg(long, value_name = "FILE", conflicts_with = "via")]
    ca: Option<PathBuf>,
    /// Relay to go through, in this order (repeatable). The first is connected to and must prove its identity; each relay
    /// knows by itself where the next one is. The last one knows by the service's name who serves it: host and port of the URL
    /// are then for people only
    #[arg(long, value_name = "IDENTITY@HOST:PORT")]
    via: Vec<Hop>,
    /// Private key of the FALCON identity to show to a server that asks, PEM, as `stoq keygen` makes it
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// An authority's grant for that identity, PEM, as `stoq grant` makes it
    #[arg(long, value_name = "FILE", requires = "identity")]
    grant: Option<PathBuf>,
    /// Access token to present, as `stoq token issue` makes it (repeatable, up to four)
    #[arg(long = "token", value_name = "FILE")]
    tokens: Vec<PathBuf>,
    /// Private key of a token's holder, PEM, as `stoq token holder` makes it (repeatable)
    #[arg(long = "holder-key", value_name = "FILE", requires = "tokens")]
    holder_keys: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) transport: TransportArguments,
}

impl PeerArguments {
    /// What the flags ask of the server.
    ///
    /// # Errors
    /// [`CommandError`] if a file is of no use.
    pub(crate) fn policy(&self) -> Result<PqPolicy, CommandError> {
        if let Some(first) = self.trust.via.first() {
            let pins = Pins::new().pin(&first.place.authority(), first.id);
            return Ok(pins.expect("it is the authority of a URL").into());
        }
        if !self.trust.pins.is_empty() {
            let here = self.url.authority();
            let pins = self
                .trust
                .pins
                .iter()
                .try_fold(Pins::new(), |pins, id| pins.pin(&here, *id));
            return Ok(pins.expect("it is the authority of a URL").into());
        }
        if let Some(path) = &self.trust.authority {
            return Ok(FalconTrust::Authority(authority(path)?).into());
        }
        if !self.trust.certificate_hashes.is_empty() {
            let hashes = self.trust.certificate_hashes.iter().map(|hash| hash.0);
            return Ok(Trust::CertificateHashes(hashes.collect()).into());
        }
        Ok(match &self.trust.ca {
            Some(path) => Trust::roots_from_pem_file(path)?.into(),
            None => Trust::SystemRoots.into(),
        })
    }

    /// The access tokens to present, and the keys of their holders.
    ///
    /// # Errors
    /// [`CommandError`] if a file is of no use, or the two do not fit each other.
    pub(crate) fn credentials(&self) -> Result<(Vec<SignedAccessToken>, HolderKeys), CommandError> {
        credentials(&self.trust.tokens, &self.trust.holder_keys)
    }

    /// Whom to connect to for the service: the server, or the first relay.
    pub(crate) fn neighbour(&self) -> Target {
        let first = self.trust.via.first();
        Target {
            service: self.url.service.clone(),
            ..first.map_or(&self.url, |first| &first.place).clone()
        }
    }

    /// What to ask of it: the relays behind the first.
    pub(crate) fn options(&self) -> ConnectOptions {
        let mut options = ConnectOptions::default();
        options.route = self.trust.via.iter().skip(1).map(|hop| hop.id).collect();
        options
    }

    /// Who the client is, if the flags say so.
    ///
    /// # Errors
    /// [`CommandError`] if a file is of no use.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, CommandError> {
        let trust = &self.trust;
        let key = trust.identity.as_deref();
        key.map(|key| falcon(key, trust.grant.as_deref()))
            .transpose()
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
    use crate::arguments::Arguments;
    use clap::Parser as _;

    #[test]
    fn a_url_names_a_service() {
        assert!(parse_url("stoq://localhost:1/files").is_ok());
        assert!(parse_url("stoq://localhost:1/").is_err());
        assert!(parse_url("https://localhost:1/files").is_err());
    }

    #[test]
    fn a_server_is_believed_for_one_reason() {
        let list = |words: &[&str]| {
            let list = ["stoq", "list", "stoq://h:1/files"];
            Arguments::try_parse_from([&list[..], words].concat()).is_ok()
        };
        let (hash, id) = ("0".repeat(64), FalconId::new([7; 32]).to_string());
        let hop = format!("{id}@h:2");
        let reasons = [
            ["--pin", &id],
            ["--authority", "x"],
            ["--certificate-hash", &hash],
            ["--ca", "x"],
            ["--via", &hop],
        ];
        for (at, reason) in reasons.iter().enumerate() {
            assert!(list(reason), "{reason:?}");
            for other in &reasons[at + 1..] {
                let both = [&reason[..], other].concat();
                assert!(!list(&both), "{both:?}");
            }
        }
        assert!(list(&["--pin", &id, "--pin", &id]));
        assert!(!list(&["--pin", &hash]));
    }

    #[test]
    fn a_client_connects_to_the_first_relay_and_names_the_others() {
        let [first, second] = [1, 2].map(|n| FalconId::new([n; 32]));
        let via = [format!("{first}@r1:1"), format!("{second}@r2:2")];
        let list = [
            "stoq",
            "list",
            "stoq://h:3/files",
            "--via",
            &via[0],
            "--via",
            &via[1],
        ];
        let arguments = Arguments::try_parse_from(list).unwrap();
        let crate::arguments::Command::List(list) = arguments.command else {
            panic!("{arguments:?}")
        };
        assert_eq!(list.peer.neighbour().to_string(), "stoq://r1:1/files");
        assert_eq!(list.peer.options().route, [second]);
        let pins = Pins::new().pin("r1:1", first).unwrap();
        assert_eq!(list.peer.policy().unwrap(), pins.into());
    }

    #[test]
    fn a_grant_is_of_no_use_without_its_identity() {
        let list = ["stoq", "list", "stoq://h:1/files", "--grant", "g"];
        assert!(Arguments::try_parse_from(list).is_err());
        let with = [&list[..], &["--identity", "k"]].concat();
        assert!(Arguments::try_parse_from(with).is_ok());
    }
}
