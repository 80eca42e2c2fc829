//! Messages in shards: whole, unordered, perhaps lost, much larger than a datagram.

use stoq_core::close::Code;

use crate::services::ECHO;
use crate::{Connect, Failure, Session, expect, step};

/// One at a time: with a single message on its way, no queue on loopback has a reason to drop more than parity makes up for.
pub(crate) async fn messages_come_back<C: Connect>(connect: &C) -> Result<(), String> {
    let session = step("connect", connect.connect(ECHO).await)?;
    for len in [1, 2, 999, 1_500, 20_001, 100_000] {
        let sent: Vec<u8> = (0..len).map(|at: u32| (at % 251) as u8).collect();
        step("send", session.send_message(&sent).await)?;
        let back = step("receive", session.recv_message().await)?;
        if back != sent {
            return Err(format!("{len} bytes came back as {} others", back.len()));
        }
    }
    Ok(())
}

pub(crate) async fn what_is_no_message_is_refused_at_the_sender<C: Connect>(
    connect: &C,
) -> Result<(), String> {
    let session = step("connect", connect.connect(ECHO).await)?;
    let limit = session.max_message_size();
    let refused = session.send_message(&vec![0; limit + 1]).await;
    let too_large = Err(Failure(Code::DATAGRAM_TOO_LARGE));
    expect("one byte more", &refused, &too_large)?;
    let refused = session.send_message(&[]).await;
    expect("nothing", &refused, &Err(Failure(Code::INVALID_ARGUMENT)))
}
