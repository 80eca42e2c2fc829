//! `stoq inspect`.

mod report;

use crate::arguments::InspectArguments;
use crate::error::CommandError;
use crate::identity::authority;
use crate::signals::Signals;
use crate::terminal;
use core::time::Duration;
use report::Report;
use stoq_native::{HandshakeFailed, Inspection, Target, inspect};

/// As long as a connection may take by default.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at a server, and prints what it offers.
///
/// # Errors
/// [`CommandError`] if nobody is there; and after all was printed, if the server did not prove what it shows, or the
/// authority does not vouch for it.
pub(crate) async fn run(arguments: InspectArguments) -> Result<(), CommandError> {
    let InspectArguments {
        target,
        authority: path,
    } = arguments;
    let authority = path.as_deref().map(authority).transpose()?;
    let mut signals = Signals::new().map_err(CommandError::System)?;
    let inspected = tokio::select! {
        inspected = inspect(&target, PATIENCE) => inspected,
        signal = signals.next() => return Err(CommandError::Ended(signal)),
    };
    let inspection = inspected.map_err(|source| {
        let target = target.clone();
        CommandError::Inspect { target, source }
    })?;
    let judged = authority.map(|authority| match &inspection.falcon.certificate {
        Some(certificate) => certificate.judge(&authority, &target.host),
        None => Err(stoq_native::IdentityRejected::NoFalconKey),
    });
    Report::new(&inspection, judged.as_ref())
        .lines()
        .try_for_each(terminal::say)?;
    unproven(&inspection, &target)?;
    match judged {
        Some(Err(rejected)) => Err(CommandError::NotVouchedFor { target, rejected }),
        _ => Ok(()),
    }
}

/// What the server shows and did not prove.
fn unproven(inspection: &Inspection, target: &Target) -> Result<(), CommandError> {
    let falcon = inspection.falcon.handshake.as_ref().err();
    let classical = inspection.classical.handshake.as_ref().err();
    let failed = falcon.into_iter().chain(classical);
    let mut failed = failed.filter(|failed| !matches!(failed, HandshakeFailed::Refused { .. }));
    match failed.next() {
        Some(failed) => Err(CommandError::Unproven {
            target: target.clone(),
            failed: failed.clone(),
        }),
        None => Ok(()),
    }
}
