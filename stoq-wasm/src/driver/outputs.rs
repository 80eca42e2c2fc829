//! What the machine says, carried out.

use alloc::vec::Vec;

use stoq_core::SessionId;
use stoq_core::access::TokenHash;
use stoq_core::channel::ChannelId;
use stoq_core::datagram::Content;
use stoq_core::hash::SessionHash;
use stoq_core::session::Output;
use stoq_core::stream::Payload;

use super::Driver;
use crate::inbox::{GoingAway, Opened};
use crate::incoming::Arrival;
use crate::{access, js};

impl Driver {
    /// Carries out one thing that the machine says.
    pub(super) fn carry_out_one(&self, output: Output) {
        match output {
            Output::Send(bytes) => {
                if let Err(error) = self.control.send(&bytes) {
                    self.close_transport(error.code(), error.message());
                    self.end(error.code(), error.message().into());
                }
            }
            Output::Opened {
                hash,
                max_datagram_size,
                hops,
                ..
            } => {
                self.inbox.hops.replace(hops);
                self.inbox.opened.replace(Some(Opened {
                    hash,
                    max_datagram_size,
                }));
            }
            Output::Refused { code, reason, .. }
            | Output::Closed { code, reason, .. }
            | Output::CloseCarrier { code, reason } => {
                self.close_transport(code, &reason);
                self.end(code, reason);
            }
            Output::Stream {
                stream, payload, ..
            } => self.hand_over(stream, payload),
            Output::RejectStream { stream, code } => {
                if let Some(arrival) = self.take_arrival(stream) {
                    arrival.reject(code);
                }
            }
            Output::DiscardStream { stream } => {
                if let (Some(arrival), Some(driver)) =
                    (self.take_arrival(stream), self.me.upgrade())
                {
                    js::spawn(arrival.discard(driver));
                }
            }
            Output::Datagram { content, .. } => match Content::decode(content) {
                Ok(Content::Data(data)) => self.inbox.put_datagram(&data),
                Ok(Content::Shard(shard)) => self.inbox.messages.put(&shard),
                Ok(Content::Sealed(token, data)) => self.inbox.put_sealed(token, data),
                Err(_) => self.inbox.dropped_datagrams.add(),
            },
            Output::Pong { id, rtt } => {
                self.inbox.ping_rtt.set(Some(rtt));
                self.inbox.pongs.borrow_mut().push((id, rtt));
            }
            Output::GoAway {
                code,
                grace,
                authority,
                ..
            } => {
                let going_away = GoingAway {
                    code,
                    grace,
                    authority,
                };
                self.inbox.going_away.replace(Some(going_away));
            }
            Output::Stats(stats) => self.inbox.path.set(Some(stats)),
            Output::Prove { id, hash, token } => {
                if let Some(driver) = self.me.upgrade() {
                    js::spawn(async move { driver.prove(id, &hash, &token).await });
                }
            }
            // It relays nothing.
            Output::Auth { .. } => {}
            Output::Requested(_) | Output::Unproven { .. } => {
                unreachable!("only servers are asked for sessions")
            }
        }
    }

    /// Shows that this page has the key of the token's holder; the session ends if it cannot.
    async fn prove(&self, id: SessionId, hash: &SessionHash, token: &TokenHash) {
        let key = self.proofs.iter().find(|(proven, _)| proven == token);
        let (_, key) = key.expect("the machine asks for what it was told of");
        match access::prove(key, token, hash).await {
            Ok(proof) => {
                let mut out = Vec::new();
                let mut machine = self.machine.borrow_mut();
                machine.prove(id, token, &proof, &mut out);
                drop(machine);
                self.carry_out(out);
            }
            Err(error) => {
                self.close(error.code(), error.message());
                self.end(error.code(), error.message().into());
            }
        }
    }

    fn hand_over(&self, stream: u64, payload: Payload) {
        let Some(arrival) = self.take_arrival(stream) else {
            return;
        };
        match payload {
            Payload::Raw => self.put_stream(arrival, None),
            Payload::Framed => {
                if let Some(driver) = self.me.upgrade() {
                    js::spawn(driver.read_channel(arrival));
                }
            }
            Payload::Announce => {
                if let Some(driver) = self.me.upgrade() {
                    driver.put_announcements(&arrival);
                }
            }
        }
    }

    /// Lets the user have a stream of the peer.
    pub(crate) fn put_stream(&self, arrival: Arrival, channel: Option<ChannelId>) {
        self.inbox.put_stream(arrival, channel);
        self.counters.streams_accepted.add();
    }

    fn take_arrival(&self, stream: u64) -> Option<Arrival> {
        let mut arrivals = self.arrivals.borrow_mut();
        let at = arrivals.iter().position(|(key, _)| *key == stream)?;
        Some(arrivals.swap_remove(at).1)
    }
}
