//! `stoq token`: access tokens, issued and shown, and the keys of their holders.

use crate::arguments::{
    HolderArguments, IssueArguments, ShowArguments, TokenArguments, TokenCommand,
};
use crate::date::{unix_micros, utc};
use crate::error::CommandError;
use crate::file_name::FileName;
use crate::output::Output;
use crate::terminal::say;
use core::time::Duration;
use std::io::Write;
use std::time::SystemTime;
use stoq_native::{
    AccessError, AccessToken, FalconKey, HolderKeyPair, SignedAccessToken, UnixMicros, Verifier,
    access_token_from_file, fresh_nonce, issue_access_token, verifying_key_from_pem_file,
};

/// Does what the words after `stoq token` say.
///
/// # Errors
/// [`CommandError`].
pub(crate) fn run(arguments: TokenArguments) -> Result<(), CommandError> {
    match arguments.command {
        TokenCommand::Issue(arguments) => issue(arguments),
        TokenCommand::Show(arguments) => show(&arguments),
        TokenCommand::Holder(arguments) => holder(&arguments),
    }
}

/// Signs a token and prints it; or writes it to a file, and prints its nonce and its last moment.
fn issue(arguments: IssueArguments) -> Result<(), CommandError> {
    let issuer = FalconKey::from_pem_file(&arguments.key).map_err(CommandError::Key)?;
    let (not_before, expiry) = times(
        unix_micros(SystemTime::now()),
        arguments.life.0,
        arguments.holder.is_some(),
    );
    let mut permissions = arguments.permissions;
    permissions.sort_unstable();
    permissions.dedup();
    let token = AccessToken {
        issuer: issuer.id(),
        audience: arguments.audience,
        nonce: fresh_nonce(),
        not_before,
        expiry,
        holder: arguments.holder,
        subject: arguments.subject,
        service: arguments.service,
        permissions,
    };
    let (nonce, end) = (token.nonce, utc(expiry.0 / 1000));
    let signed = issue_access_token(token, &issuer).map_err(CommandError::Issue)?;
    let Some(path) = arguments.out else {
        return say(signed.to_text());
    };
    let name: FileName = "token".parse().expect("it is a name");
    let write = || {
        let mut output = Output::open(Some(&path), &name)?;
        output.keep_private()?;
        writeln!(output, "{}", signed.to_text())?;
        output.commit()
    };
    write().map_err(|source| CommandError::OutputFile {
        path: path.clone(),
        source,
    })?;
    say(format_args!("nonce {nonce} until {end}"))
}

/// From when to when a token holds that is to hold for `life` from now.
///
/// It begins a little earlier, for verifiers whose clocks are behind: so much as a token without a holder may.
fn times(now: UnixMicros, life: Duration, has_holder: bool) -> (UnixMicros, UnixMicros) {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let earlier = match has_holder {
        true => CLOCKS_DIFFER,
        false => CLOCKS_DIFFER.min(AccessToken::MAX_BEARER_LIFE.saturating_sub(life)),
    };
    (
        UnixMicros(now.0.saturating_sub(micros(earlier))),
        UnixMicros(now.0.saturating_add(micros(life))),
    )
}

/// Prints what a token says, a line each.
fn show(arguments: &ShowArguments) -> Result<(), CommandError> {
    let signed = access_token_from_file(&arguments.file).map_err(CommandError::TokenFile)?;
    let judged = match &arguments.issuer {
        Some(path) => {
            let issuer = verifying_key_from_pem_file(path).map_err(CommandError::PublicKey)?;
            judge(&signed, Verifier::new(signed.claim().audience, [issuer]))?
        }
        None => "not checked, for want of --issuer",
    };
    let token = signed.claim();
    let holder = token.holder.map(|key| key.to_string());
    for (what, value) in [
        ("subject", token.subject.clone()),
        ("service", token.service.to_string()),
        ("permissions", token.permissions.join(" ")),
        ("audience", token.audience.to_string()),
        ("issuer", token.issuer.to_string()),
        ("not before", utc(token.not_before.0 / 1000)),
        ("expiry", utc(token.expiry.0 / 1000)),
        ("holder", holder.unwrap_or_else(|| "whoever has it".into())),
        ("nonce", token.nonce.to_string()),
        ("signature", judged.into()),
    ] {
        say(format_args!("{what:<11} {value}"))?;
    }
    Ok(())
}

/// What its verifier would say of it now.
fn judge(signed: &SignedAccessToken, verifier: Verifier) -> Result<&'static str, CommandError> {
    let now = unix_micros(SystemTime::now());
    let service = &signed.claim().service;
    match verifier.verify(&signed.encode(), service, None, now) {
        Ok(_) => Ok("good"),
        Err(AccessError::NotYetValid) => Ok("good, but the token is not valid yet"),
        Err(AccessError::Expired) => Ok("good, but the token has expired"),
        Err(error) => Err(CommandError::TokenUnusable(error)),
    }
}

/// Makes a holder's key, or reads one, and prints its public half.
fn holder(arguments: &HolderArguments) -> Result<(), CommandError> {
    let pair = if arguments.existing {
        HolderKeyPair::from_pem_file(&arguments.file).map_err(CommandError::HolderKey)?
    } else {
        let pair = HolderKeyPair::generate();
        let written = pair.write_pem_file(&arguments.file);
        written.map_err(CommandError::HolderKeyFile)?;
        pair
    };
    say(pair.public())
}

/// A verifier whose clock is behind by less takes a new token at once.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_begins_as_early_as_it_may() {
        let now = UnixMicros(1_000_000_000);
        for (life, has_holder, earlier) in [
            (60, false, 60),
            (240, false, 60),
            (270, false, 30),
            (300, false, 0),
            (900, false, 0),
            (900, true, 60),
        ] {
            let (from, to) = times(now, Duration::from_secs(life), has_holder);
            assert_eq!(from.0, now.0 - earlier * 1_000_000, "{life}");
            assert_eq!(to.0, now.0 + life * 1_000_000, "{life}");
        }
    }
}
