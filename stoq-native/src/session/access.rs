//! What the client of a session may do, and proofs on their way through a relay.

use stoq_core::access::Access;
use stoq_core::session::ForeignAuth;

use super::Session;
use crate::closed::Closed;
use crate::driver::Command;

impl Session {
    /// At a server: what the client's access token permits; `None` if the [rules](crate::AccessRules) want none for this
    /// service. The token was good when the session began, and its holder has proven it. It may have expired since.
    pub fn access(&self) -> Option<&Access> {
        self.0.shared.access.as_ref()
    }

    /// For relays: the next proof of an access token that is for somebody behind this end, or the confirmation of one.
    /// [`relay_auths`](crate::relay_auths) passes all of them on.
    ///
    /// # Errors
    /// [`Closed`] when the session has ended.
    ///
    /// # Cancel safety
    /// If the future is dropped, nothing is lost.
    pub async fn recv_auth(&self) -> Result<ForeignAuth, Closed> {
        match self.0.shared.auths.pop().await {
            Some(auth) => Ok(auth),
            None => Err(self.closed().await),
        }
    }

    /// For relays: passes on what [`recv_auth`](Self::recv_auth) of the other side gave. Does nothing if the session has ended.
    pub fn send_auth(&self, auth: ForeignAuth) {
        let id = self.id();
        self.0.connection.command(Command::Auth { id, auth });
    }
}
