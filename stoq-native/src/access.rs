//! Access tokens: issued, kept in files, wanted by servers, and proven by their holders.

mod file;
mod holder;
mod issue;
mod proofs;
mod rules;

pub use file::{AccessTokenFileError, access_token_from_file, revocations_from_file};
pub use holder::{HolderKeyError, HolderKeyPair, HolderSigner};
pub use issue::{IssueError, fresh_nonce, issue_access_token};
pub(crate) use proofs::Proofs;
pub use proofs::{HolderKeys, relay_auths};
pub use rules::{AccessRefusals, AccessRules};
