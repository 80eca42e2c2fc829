//! One request: whether it is passed on, to whom, and the answer.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use stoq_core::access::SignedAccessToken;
use stoq_core::close::Code;
use stoq_core::hops::{HopChain, HopError, Passage};
use stoq_core::identity::FalconId;
use stoq_core::session::Answer;

use super::pace::Pace;
use super::pool::frames_for;
use super::stats::count;
use super::{LARGEST_DATAGRAM, Lease, OpenFailure, Pool, Shared};
use crate::access::HolderKeys;
use crate::request::{Request, SessionRequest};
use crate::session::Session;

/// Why a request is not passed on: for who asked, and for whoever reads the log.
struct Refusal {
    code: Code,
    reason: String,
}

/// Both sides of a session that has been opened.
pub(super) struct Opened {
    /// Towards who asked.
    pub(super) down: Session,
    /// Towards the target.
    pub(super) up: Lease,
}

/// Opens the session at the next hop and answers; `None` if it was refused, or who asked has gone.
pub(super) async fn open(shared: &Arc<Shared>, request: SessionRequest) -> Option<Opened> {
    let opened = async {
        let (next, pool, onward) = shared.judge(&request)?;
        pool.open(onward, shows_tokens(&request))
            .await
            .map_err(|failure| shared.failed(&next, failure))
    };
    let opened = tokio::select! {
        opened = opened => opened,
        _ = request.withdrawn() => return None,
    };
    let up = match opened {
        Ok(up) => up,
        Err(Refusal { code, reason }) => {
            tracing::debug!(from = %request.remote_address(), %code, reason, "not passed on");
            request.refuse(code, &reason);
            return None;
        }
    };
    let onward = u32::try_from(up.max_datagram_size()).unwrap_or(u32::MAX);
    let max_datagram_size = onward.min(LARGEST_DATAGRAM);
    let mut answer = Answer::new(up.random(), max_datagram_size);
    answer.hops = up.hops().cloned();
    // If who asked has gone, the drop of `up` closes it.
    let down = request.accept_with(answer).await.ok()?;
    count(&shared.counters.sessions_total);
    Some(Opened { down, up })
}

impl Shared {
    /// To whom the request goes on, and as what.
    fn judge(&self, request: &SessionRequest) -> Result<(FalconId, Arc<Pool>, Request), Refusal> {
        let counters = &self.counters;
        let last = request.hops().and_then(HopChain::last);
        if last != request.authenticated_hop() {
            count(&counters.refused_untrusted);
            let reason = "the last relay of the chain is not the one that the request comes from";
            return Err(refusal(Code::UNTRUSTED, reason));
        }
        let own = self.config.hop(self.id, self.listening);
        let (hops, route) = (request.hops().cloned(), request.route().to_vec());
        let passage = Passage::new(hops, route, own, self.config.max_hops).map_err(|error| {
            count(match error {
                HopError::Loop { .. } => &counters.refused_loop,
                HopError::TooManyHops { .. } | HopError::TooLarge { .. } => {
                    &counters.refused_too_many_hops
                }
            });
            refusal(error.code(), error.to_string())
        })?;
        let service = request.service();
        let next = passage
            .next
            .or_else(|| self.config.services.get(service).copied());
        let Some(next) = next else {
            count(&counters.refused_next_hop);
            let reason = format!("this relay knows no target for the service {service}");
            return Err(refusal(Code::UNKNOWN_SERVICE, reason));
        };
        let Some(pool) = self.pools.get(&next) else {
            count(&counters.refused_next_hop);
            let reason = format!("this relay does not forward to {next}");
            return Err(refusal(Code::NEXT_HOP, reason));
        };
        let onward = Request {
            service: service.clone(),
            random: request.random(),
            authority: request.authority().into(),
            headers: request.headers().to_vec(),
            access_tokens: SignedAccessToken::for_others(request.access_tokens(), self.id),
            holders: HolderKeys::new(),
            route: passage.route,
            hops: Some(passage.hops),
        };
        // Those that relays pass on are of many clients; they have paced them.
        if last.is_none() && !self.client_may(request) {
            count(&counters.refused_pace);
            let reason = "too many sessions were asked for on this connection";
            return Err(refusal(Code::LIMIT, reason));
        }
        Ok((next, pool.clone(), onward))
    }

    /// Whether a client's connection has its share of sessions left.
    fn client_may(&self, request: &SessionRequest) -> bool {
        let (now, key) = (Instant::now(), request.connection().quinn().stable_id());
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= self.config.max_connections {
            clients.retain(|_, pace| !pace.is_full(now));
        }
        let pace = clients.entry(key).or_insert_with(Pace::of_client);
        pace.take(now, frames_for(shows_tokens(request)))
    }

    fn failed(&self, next: &FalconId, failure: OpenFailure) -> Refusal {
        match failure {
            OpenFailure::Unreachable(reason) => {
                count(&self.counters.unreachable);
                let listed = self.config.next_hops.iter().find(|hop| hop.id == *next);
                let name = listed.and_then(|hop| hop.name.as_deref()).unwrap_or("");
                tracing::warn!(%next, name, reason, "next hop unreachable");
                refusal(Code::UPSTREAM_UNREACHABLE, "the next hop cannot be reached")
            }
            OpenFailure::Refused(code, reason) => {
                count(&self.counters.refused_behind);
                refusal(code, reason)
            }
        }
    }
}

/// Whether proofs may come, for this relay or somebody behind it.
fn shows_tokens(request: &SessionRequest) -> bool {
    !request.access_tokens().is_empty()
}

fn refusal(code: Code, reason: impl Into<String>) -> Refusal {
    let reason = reason.into();
    Refusal { code, reason }
}
