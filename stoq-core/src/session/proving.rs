//! Between answer and opening: who presented access tokens shows that it is their holder.
//!
//! ```text
//!   client                                        server
//!     │ ── SETTINGS or HEADERS, with tokens ──────▶ │  judged by the driver
//!     │ ◀───────────────────── SETTINGS or HEADERS ─ │  accepted: streams are held now
//!   Prove ─▶ prove ── AUTH, with a signature ─────▶ │  good: Opened, and what was held
//!   Opened ◀─────────────── AUTH, without one ───── │  wrong, or none in time: Unproven
//! ```
//!
//! A relay keeps AUTH frames for its own token, and passes the others on, both ways: [`Output::Auth`], and
//! [`Session::send_auth`]. A target confirms proofs that it did not ask for: whoever waits for them need wait no longer.

use super::*;
use crate::access::{AccessError, HolderKey, HolderProof, TokenHash};
use crate::frame::{AccessTokens, Auth, FrameType};

/// Whose proof a server awaits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The token that let the session in.
    pub token: TokenHash,
    /// The key that it names.
    pub key: HolderKey,
}

/// An AUTH frame on its way through a relay. From the client it has a signature; from the target, which confirms it, none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignAuth {
    /// The token that is proven.
    pub token: TokenHash,
    /// Which algorithm the holder's key is of.
    pub algorithm: u8,
    /// The proof, unread; at most [`Auth::MAX_SIGNATURE`] bytes.
    pub signature: Bytes,
}

/// A session that was answered, and is not open yet.
#[derive(Debug)]
pub(super) struct Proving {
    until: Timestamp,
    awaited: Awaited,
    /// What is told when it opens.
    opened: Output,
}

#[derive(Debug)]
enum Awaited {
    /// A server. How the proof is checked stands here, and not in the code that reads frames, so that a client's program is not
    /// linked with an elliptic curve that it never uses: 45 KB of a page's WebAssembly.
    Proof(Holder, SessionHash, Check),
    /// A client: the proofs that were not confirmed.
    Confirmations(Vec<TokenHash>),
}

type Check = fn(&HolderKey, &TokenHash, &SessionHash, &HolderProof) -> bool;

impl Session {
    /// A client: shows that it is the holder of a token, as [`Output::Prove`] asked. Does nothing if the session is gone.
    pub fn prove(
        &mut self,
        id: SessionId,
        token: &TokenHash,
        proof: &HolderProof,
        out: &mut Vec<Output>,
    ) {
        let awaits = |proving: &Proving| match &proving.awaited {
            Awaited::Confirmations(tokens) => tokens.contains(token),
            Awaited::Proof(..) => false,
        };
        if self.is_answered(id) && self.proving.get(&id).is_some_and(awaits) {
            send_auth(
                id,
                token,
                HolderProof::ALGORITHM,
                proof.as_bytes().as_slice(),
                out,
            );
        }
    }

    /// A relay: passes on what came as [`Output::Auth`] on its other side. Does nothing if the session is gone, or the signature
    /// is longer than one can be.
    pub fn send_auth(&mut self, id: SessionId, auth: &ForeignAuth, out: &mut Vec<Output>) {
        if self.is_answered(id) && auth.signature.len() <= Auth::MAX_SIGNATURE {
            send_auth(id, &auth.token, auth.algorithm, &auth.signature, out);
        }
    }

    /// A server has taken the session: opens it, or awaits the holder's proof.
    pub(super) fn answered(
        &mut self,
        now: Timestamp,
        id: SessionId,
        holder: Option<Holder>,
        opened: Output,
        out: &mut Vec<Output>,
    ) {
        match (holder, &opened) {
            (Some(holder), Output::Opened { hash, .. }) => {
                let awaited = Awaited::Proof(holder, *hash, HolderKey::has_signed);
                let proving = Proving {
                    until: now + PROOF_TIMEOUT,
                    awaited,
                    opened,
                };
                self.proving.insert(id, proving);
            }
            _ => {
                out.push(opened);
                self.release(id, out);
            }
        }
    }

    /// The server has taken the client's session: opens it, or asks the user for the proofs of its tokens.
    pub(super) fn taken(
        &mut self,
        now: Timestamp,
        id: SessionId,
        holders: Vec<TokenHash>,
        opened: Output,
        out: &mut Vec<Output>,
    ) {
        match &opened {
            Output::Opened { hash, .. } if !holders.is_empty() => {
                out.extend(holders.iter().map(|token| Output::Prove {
                    id,
                    hash: *hash,
                    token: *token,
                }));
                let proving = Proving {
                    until: now + self.config.limits.settings_timeout,
                    awaited: Awaited::Confirmations(holders),
                    opened,
                };
                self.proving.insert(id, proving);
            }
            _ => {
                out.push(opened);
                self.release(id, out);
            }
        }
    }

    pub(super) fn on_auth(
        &mut self,
        now: Timestamp,
        auth: &Auth<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), SessionError> {
        let id = auth.id;
        if !self.is_answered(id) {
            // It may have been closed while the frame was on its way.
            self.known(id)?;
            return match self.multiplexed.contains_key(&id) || id == SessionId::ZERO {
                true => Err(not_allowed()),
                false => Ok(()),
            };
        }
        let count = self.auths.entry(id);
        *count += 1;
        if usize::from(*count) > AccessTokens::MAX_COUNT {
            return Err(not_allowed());
        }
        match self.config.side {
            Side::Server => self.on_proof(now, auth, out),
            Side::Client if auth.signature.is_empty() => self.on_confirmation(auth, out),
            Side::Client => return Err(not_allowed()),
        }
        Ok(())
    }

    fn on_proof(&mut self, now: Timestamp, auth: &Auth<'_>, out: &mut Vec<Output>) {
        let (id, token) = (auth.id, TokenHash::new(auth.token));
        match self.proving.get(&id).map(|proving| &proving.awaited) {
            Some(Awaited::Proof(holder, hash, check)) if holder.token == token => {
                let proof = auth.signature.try_into().map(HolderProof::new);
                let good = auth.algorithm == HolderProof::ALGORITHM
                    && proof.is_ok_and(|proof| check(&holder.key, &token, hash, &proof));
                if good {
                    send_auth(id, &token, auth.algorithm, &[], out);
                    self.open_proven(id, out);
                } else {
                    self.expel(now, id, &AccessError::HolderWrong, out);
                }
            }
            _ if self.relayed.contains_key(&id) => out.push(foreign(auth)),
            _ => send_auth(id, &token, auth.algorithm, &[], out),
        }
    }

    fn on_confirmation(&mut self, auth: &Auth<'_>, out: &mut Vec<Output>) {
        let (id, token) = (auth.id, TokenHash::new(auth.token));
        if let Some(Proving {
            awaited: Awaited::Confirmations(tokens),
            ..
        }) = self.proving.get_mut(&id)
            && let Some(at) = tokens.iter().position(|awaited| *awaited == token)
        {
            tokens.swap_remove(at);
            if tokens.is_empty() {
                self.open_proven(id, out);
            }
            return;
        }
        out.push(foreign(auth));
    }

    fn open_proven(&mut self, id: SessionId, out: &mut Vec<Output>) {
        if let Some(proving) = self.proving.remove(&id) {
            out.push(proving.opened);
            self.release(id, out);
        }
    }

    /// Ends what has waited too long for a proof, or for its confirmation.
    pub(super) fn expire_proofs(
        &mut self,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) -> Result<(), SessionError> {
        let over = |(id, proving): (&SessionId, &Proving)| (proving.until <= now).then_some(*id);
        let late: Vec<_> = self.proving.iter().filter_map(over).collect();
        for id in late {
            match self.config.side {
                Side::Server => self.expel(now, id, &AccessError::HolderMissing, out),
                Side::Client if id == SessionId::ZERO => return Err(SessionError::ProofTimeout),
                Side::Client => {
                    let error = SessionError::ProofTimeout;
                    let (code, reason) = (error.code(), error.to_string());
                    self.close(now, id, code, &reason, out);
                    out.push(Output::Refused { id, code, reason });
                }
            }
        }
        Ok(())
    }

    pub(super) fn proof_due(&self) -> Option<Timestamp> {
        self.proving.iter().map(|(_, proving)| proving.until).min()
    }

    /// Whether the session waits for a proof, or for its confirmation.
    pub(super) fn is_proving(&self, id: SessionId) -> bool {
        self.proving.contains_key(&id)
    }

    /// A multiplexed session is gone, and all that was known of its tokens.
    pub(super) fn forget_proofs(&mut self, id: SessionId) {
        self.proving.remove(&id);
        self.auths.remove(&id);
        self.relayed.remove(&id);
    }

    fn expel(&mut self, now: Timestamp, id: SessionId, error: &AccessError, out: &mut Vec<Output>) {
        let (code, reason) = (error.code(), error.to_string());
        self.close(now, id, code, &reason, out);
        out.push(Output::Unproven { id, code, reason });
    }

    fn is_answered(&self, id: SessionId) -> bool {
        match self.state {
            State::Open if id == SessionId::ZERO => true,
            State::Open => self.multiplexed.get(&id).is_some_and(|entry| entry.open),
            _ => false,
        }
    }
}

fn foreign(auth: &Auth<'_>) -> Output {
    Output::Auth {
        id: auth.id,
        auth: ForeignAuth {
            token: TokenHash::new(auth.token),
            algorithm: auth.algorithm,
            signature: Bytes::copy_from_slice(auth.signature),
        },
    }
}

fn send_auth(
    id: SessionId,
    token: &TokenHash,
    algorithm: u8,
    signature: &[u8],
    out: &mut Vec<Output>,
) {
    let token = *token.as_bytes();
    let auth = Auth {
        id,
        token,
        algorithm,
        signature,
    };
    send(&Frame::Auth(auth), out);
}

fn not_allowed() -> SessionError {
    let frame = FrameType::AUTH;
    SessionError::FrameNotAllowed { frame }
}

/// How long a server that has taken a session waits for the proof of its holder: several round trips of the longest path, and as
/// long as streams are held meanwhile.
pub const PROOF_TIMEOUT: Duration = Duration::from_secs(5);
