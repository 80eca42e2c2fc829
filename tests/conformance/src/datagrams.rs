//! Datagrams: whole, unordered, perhaps lost, never cut.

use stoq_core::close::Code;

use crate::services::ECHO;
use crate::{Connect, Failure, Session, expect, step};

/// A hundred, one at a time: with a single datagram on its way, no queue on loopback has a reason to drop it.
pub(crate) async fn datagrams_come_back<C: Connect>(connect: &C) -> Result<(), String> {
    let session = step("connect", connect.connect(ECHO).await)?;
    let size = session.max_datagram_size().min(1_000);
    for number in 0..100u8 {
        let sent = vec![number; size];
        step("send", session.send_datagram(&sent).await)?;
        let back = step("receive", session.recv_datagram().await)?;
        expect("echo", &back, &sent)?;
    }
    Ok(())
}

pub(crate) async fn too_large_a_datagram_is_refused_at_the_sender<C: Connect>(
    connect: &C,
) -> Result<(), String> {
    let session = step("connect", connect.connect(ECHO).await)?;
    let limit = session.max_datagram_size();
    let refused = session.send_datagram(&vec![0; limit + 1]).await;
    expect(
        "one byte more",
        &refused,
        &Err(Failure(Code::DATAGRAM_TOO_LARGE)),
    )?;
    step("the largest", session.send_datagram(&vec![7; limit]).await)?;
    expect(
        "echo",
        &step("receive", session.recv_datagram().await)?,
        &vec![7; limit],
    )
}
