//! Access tokens: issued, kept in files, and shown by their holders.

mod file;
mod holder;
mod issue;

pub use file::{AccessTokenFileError, access_token_from_file, revocations_from_file};
pub use holder::{HolderKeyError, HolderKeyPair, HolderSigner};
pub use issue::{IssueError, fresh_nonce, issue_access_token};
