//! A handshake that early data came with: what may be done with it before the handshake is done.

use std::pin::pin;

use stoq_core::close::Code;
use stoq_core::stream::StreamHeader;

use crate::driver::{self, Unintroduced};
use crate::early;
use crate::security::facts;
use crate::stream::{Arrived, Introduction};

/// Hands over streams of early data until the handshake is done. All else that came is given back for then: somebody who only
/// repeats recorded packets gets no further than here, and the server says nothing of its own meanwhile.
pub(super) async fn until_done(
    connection: &quinn::Connection,
    done: quinn::ZeroRttAccepted,
    drivers: &driver::Shared,
) -> Unintroduced {
    let mut waiting = Unintroduced::default();
    let mut held = Vec::new();
    let mut done = pin!(done);
    let peer = facts(connection).and_then(|facts| facts.peer());
    loop {
        let room = waiting.streams.len() < MAX_STREAMS;
        let arrived: Arrived = tokio::select! {
            _ = &mut done => break,
            Ok(stream) = connection.accept_bi(), if room => Arrived::bidirectional(stream),
            Ok(stream) = connection.accept_uni(), if room => Arrived::unidirectional(stream),
            Some(introduced) = waiting.streams.next() => {
                match (introduced, &drivers.early) {
                    (Ok((stream, Introduction::Header(StreamHeader::Early))), Some(requests)) => {
                        let from = connection.remote_address();
                        let rules = drivers.access.borrow().clone();
                        waiting.early.spawn(early::hand_over(stream, peer, from, requests.clone(), rules));
                    }
                    (Ok((stream, _)), _) if held.len() >= MAX_STREAMS => stream.reject(Code::LIMIT),
                    (Ok(introduced), _) => held.push(introduced),
                    // Only a panic gets here, and it has been reported.
                    (Err(_), _) => {}
                }
                continue;
            }
            Some(_) = waiting.early.join_next() => continue,
        };
        waiting.streams.add(arrived);
    }
    for introduced in held {
        waiting.streams.put_back(introduced);
    }
    waiting
}

/// Streams of one connection that may wait, of those that are and those that are not early data: as many as a session's
/// before its SETTINGS.
const MAX_STREAMS: usize = 16;
