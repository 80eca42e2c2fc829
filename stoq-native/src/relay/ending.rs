//! How one side of a relayed session has ended, and what the other side is told.

use stoq_core::close::Code;

use crate::closed::{Closed, ClosedBy};
use crate::session::Session;

/// Whether a session ended without a word about it: with its path, or with a connection that ended politely and said nothing
/// of its sessions.
///
/// # Cancel safety
/// Dropping the future changes nothing.
pub async fn was_lost(session: &Session, closed: &Closed) -> bool {
    let connection = session.connection();
    let connection = match connection.is_open() {
        true => None,
        false => Some(connection.closed().await),
    };
    // The connection's own session is ended politely by its connection.
    let own = session.id() == stoq_core::SessionId::ZERO;
    lost(closed, connection.as_ref().filter(|_| !own))
}

/// What the other side is told: code and reason as they came, or `lost` and `words` where nothing was said.
pub(super) async fn told(
    session: &Session,
    closed: Closed,
    lost: Code,
    words: &str,
) -> (Code, String) {
    if was_lost(session, &closed).await {
        return (lost, words.into());
    }
    (closed.code, closed.reason)
}

/// `connection` is how the connection that a multiplexed session was on has ended, if it has.
fn lost(closed: &Closed, connection: Option<&Closed>) -> bool {
    // One that ends after a session leaves that session's own end as it was.
    let silent = closed.code == Code::NO_ERROR && connection == Some(closed);
    closed.by == ClosedBy::Path || silent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_is_what_ends_without_a_word() {
        let closed = |code, by| Closed {
            code,
            reason: String::new(),
            by,
        };
        let orderly = closed(Code::NO_ERROR, ClosedBy::Peer);
        let leaving = closed(Code::GOING_AWAY, ClosedBy::Peer);
        let limit = closed(Code::LIMIT, ClosedBy::Local);
        let silence = closed(Code::CONNECTION_LOST, ClosedBy::Path);
        for (session, connection, expected) in [
            (&orderly, None, false),
            (&orderly, Some(&leaving), false),
            (&orderly, Some(&silence), false),
            (&orderly, Some(&orderly), true),
            (&leaving, Some(&leaving), false),
            (&limit, None, false),
            (&silence, Some(&silence), true),
        ] {
            assert_eq!(
                lost(session, connection),
                expected,
                "{session:?}, then {connection:?}"
            );
        }
    }
}
