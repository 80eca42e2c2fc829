//! `stoq grant`.

use crate::arguments::GrantArguments;
use crate::date::{unix_micros, utc};
use crate::error::CommandError;
use crate::file_name::FileName;
use crate::output::Output;
use crate::terminal;
use core::net::IpAddr;
use core::time::Duration;
use rustls_pki_types::DnsName;
use std::io::Write;
use std::time::SystemTime;
use stoq_native::{Domain, FalconKey, FalconSigner, Grant, SignedGrant, grant_to_pem};

/// Signs a grant with an authority's key, writes it to a file, and prints its serial and its last moment.
///
/// # Errors
/// [`CommandError`]; nothing is written then.
pub(crate) fn run(arguments: GrantArguments) -> Result<(), CommandError> {
    let authority =
        FalconKey::from_pem_file(&arguments.authority_key).map_err(CommandError::Key)?;
    let now = SystemTime::now();
    let not_after = unix_micros(now + DAY * arguments.days);
    let grant = Grant {
        authority: authority.id(),
        subject: arguments.id,
        serial: arguments.serial.unwrap_or_else(|| unix_micros(now).0),
        not_before: unix_micros(now - CLOCKS_DIFFER),
        not_after,
        names: canonical(arguments.names)?,
    };
    let serial = grant.serial;
    let signed = sign(grant, &authority)?;

    let path = arguments.out;
    let name: FileName = "grant.pem".parse().expect("it is a name");
    let write = || {
        let mut output = Output::open(Some(&path), &name)?;
        output.write_all(grant_to_pem(&signed).as_bytes())?;
        output.commit()
    };
    write().map_err(|source| CommandError::OutputFile {
        path: path.clone(),
        source,
    })?;
    let end = utc(not_after.0 / 1000);
    terminal::say(format_args!("serial {serial} until {end}"))
}

fn sign(grant: Grant, authority: &FalconKey) -> Result<SignedGrant, CommandError> {
    let signed = grant.to_be_signed().map_err(CommandError::Grant)?;
    let signature = authority
        .sign(Domain::GRANT, &[&signed])
        .map_err(CommandError::Sign)?;
    Ok(SignedGrant::new(grant, signature).expect("it was encoded above"))
}

/// Names in the form and the order that a grant wants.
fn canonical(names: Vec<String>) -> Result<Vec<String>, CommandError> {
    let mut names = names
        .into_iter()
        .map(
            |name| match (name.parse::<IpAddr>(), DnsName::try_from(name.as_str())) {
                (Ok(address), _) => Ok(address.to_string()),
                (_, Ok(host)) => Ok(host.as_ref().to_ascii_lowercase()),
                _ => Err(CommandError::GrantName { name }),
            },
        )
        .collect::<Result<Vec<_>, _>>()?;
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A peer whose clock is behind takes a new grant at once.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Result<Vec<String>, CommandError> {
        canonical(names.iter().copied().map(Into::into).collect())
    }

    #[test]
    fn names_become_canonical() {
        assert_eq!(
            names(&["b.example", "A.Example", "0:0::1", "127.0.0.1", "b.example"]).unwrap(),
            ["127.0.0.1", "::1", "a.example", "b.example"]
        );
        assert_eq!(names(&[]).unwrap(), [""; 0]);
    }

    #[test]
    fn what_no_host_is_called_is_refused() {
        let long = "x".repeat(254);
        for name in [
            "",
            "host:443",
            "[::1]",
            "*.example",
            "a b",
            "ä.example",
            &long,
        ] {
            let refused = names(&["localhost", name]).unwrap_err();
            assert!(
                matches!(&refused, CommandError::GrantName { name: got } if got == name),
                "{name}: {refused}"
            );
        }
    }
}
