//! What to do about an error: said after it, on the same line.

use crate::protocol::RefusalCode;
use stoq_native::{
    AccessTokenFileError, BindError, Closed, ClosedBy, Code, ConnectError, IdentityRejected,
    InspectError, PublicKeyFault, PublicKeyFileError,
};

pub(super) fn on_connecting(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::Identity(rejected) => on_identity(rejected),
        ConnectError::IdentityRefused { .. } => {
            "; show who you are with --identity FILE, and --grant FILE if the server goes by an authority; its operator knows whom it lets in"
        }
        ConnectError::NotPostQuantum { .. } => {
            "; `stoq inspect` shows what it offers; without FALCON, --certificate-hash or --ca is what can be had"
        }
        ConnectError::Refused {
            code: Code::UNKNOWN_SERVICE,
            ..
        } => "; check the service in the URL",
        ConnectError::Refused { code, .. } => match on_relays(*code) {
            "" => on_access(*code),
            advice => advice,
        },
        ConnectError::Resolve { .. } | ConnectError::NoAddress { .. } => {
            "; check the host in the URL"
        }
        ConnectError::Timeout { .. } | ConnectError::Lost(_) | ConnectError::Address { .. } => {
            "; check host and port, that the server runs, and that firewalls let UDP pass"
        }
        _ => "",
    }
}

/// What an access token would have to be.
fn on_access(code: Code) -> &'static str {
    match code {
        Code::TOKEN_REQUIRED => "; present one with --token FILE",
        Code::TOKEN_AUDIENCE | Code::TOKEN_SERVICE => "; `stoq token show` prints what it is for",
        Code::TOKEN_EXPIRED | Code::TOKEN_REVOKED => "; have its issuer make another",
        Code::TOKEN_NOT_YET_VALID => "; check the clocks",
        Code::PERMISSION => "; its issuer can make one that does",
        Code::HOLDER_MISSING | Code::HOLDER_WRONG => {
            "; give the holder's key with --holder-key FILE"
        }
        _ => "",
    }
}

fn on_identity(rejected: &IdentityRejected) -> &'static str {
    match rejected {
        IdentityRejected::NotPinned { .. } => {
            "; if its operator says that this is the server's identity, give it with --pin"
        }
        IdentityRejected::NoGrant | IdentityRejected::Grant(_) => {
            "; its operator can have the authority vouch for it (`stoq grant`), or tell you its identity for --pin"
        }
        IdentityRejected::Hash { .. } | IdentityRejected::Classical { .. } => {
            "; if it is your server, give what it printed at start with --pin or --certificate-hash, or --ca FILE"
        }
        IdentityRejected::NotYetValid | IdentityRejected::Expired => {
            "; check the clocks, or have the server's certificate renewed"
        }
        // Whoever shows this is broken, or not who it says it is.
        _ => "",
    }
}

pub(super) fn on_inspecting(error: &InspectError) -> &'static str {
    match error {
        InspectError::Connect(error) => on_connecting(error),
        InspectError::NotStoq { http3: true, .. } => {
            ": it may be a gateway, and this its port for browsers; the servers behind it speak STOQ"
        }
        InspectError::NotStoq { .. } => "; check the port",
        _ => "",
    }
}

pub(super) fn who_broke_off(code: &Code) -> &'static str {
    match *code {
        Code::UPSTREAM_LOST => "a relay",
        _ => "the server",
    }
}

pub(super) fn on_breaking_off(code: &Code) -> &'static str {
    match *code {
        Code::UPSTREAM_LOST => BEHIND_LOST,
        _ => "; try again",
    }
}

const BEHIND_LOST: &str =
    "; a relay lost who comes behind it: check that all of them still run, and try again";

/// What relays say no with.
fn on_relays(code: Code) -> &'static str {
    match code {
        Code::NEXT_HOP => {
            "; the relay's operator lists it with --next, and says which relays follow it"
        }
        Code::HOP_LOOP => {
            "; name each relay once, and if you did, two relays have each other as target"
        }
        Code::TOO_MANY_HOPS => "; go through fewer relays",
        Code::UPSTREAM_UNREACHABLE => {
            "; a relay did not reach who comes behind it, its log says more"
        }
        Code::UNTRUSTED => {
            "; a relay does not know the one before it, its operator can name it with --client"
        }
        _ => "",
    }
}

pub(super) fn on_binding(error: &BindError) -> &'static str {
    match error {
        BindError::Socket { .. } => "; choose another with --listen",
        _ => "",
    }
}

pub(super) fn on_public_key(error: &PublicKeyFileError) -> &'static str {
    match error {
        PublicKeyFileError::Key {
            fault: PublicKeyFault::Label { .. },
            ..
        } => "; `stoq id --public` prints that of a key",
        _ => "",
    }
}

pub(super) fn on_token_file(error: &AccessTokenFileError) -> &'static str {
    match error {
        AccessTokenFileError::Token { .. } => "; `stoq token issue` makes one",
        AccessTokenFileError::Revocations { .. } => {
            "; it holds the nonces that `stoq token show` prints, one a line"
        }
        AccessTokenFileError::File { .. } => "",
    }
}

pub(super) fn on_loss(closed: &Closed) -> &'static str {
    match (closed.by, closed.code) {
        (ClosedBy::Path, _) => "; check that the server still runs, and try again",
        (_, Code::UPSTREAM_LOST) => BEHIND_LOST,
        (_, Code::GOING_AWAY) => "; try again when it is back",
        (_, code) => on_access(code),
    }
}

pub(super) fn on_refusal(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::NoSuchFile => "; `stoq list` shows what there is",
        RefusalCode::QuotaExceeded => "; delete something, or let the server have a larger --quota",
        RefusalCode::StorageError => "; the server's log says more",
        RefusalCode::NotPermitted => on_access(Code::PERMISSION),
        _ => "",
    }
}
