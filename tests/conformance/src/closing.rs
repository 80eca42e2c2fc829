//! How sessions end, and what an open one answers.

use stoq_core::close::Code;

use crate::services::{CLOSE, ECHO};
use crate::{Connect, Failure, RecvHalf, SendHalf, Session, expect, step};

pub(crate) async fn ping_is_answered<C: Connect>(connect: &C) -> Result<(), String> {
    let session = step("connect", connect.connect(ECHO).await)?;
    for _ in 0..10 {
        step("ping", session.ping().await)?;
    }
    Ok(())
}

pub(crate) async fn the_service_closes_with_code_and_reason<C: Connect>(
    connect: &C,
) -> Result<(), String> {
    for (code, reason) in [(0, ""), (4_711, "it is late · ça suffit"), (u32::MAX, "x")] {
        let session = step("connect", connect.connect(CLOSE).await)?;
        let (mut send, _recv) = step("open", session.open_bi().await)?;
        step("write", send.write(&code.to_be_bytes()).await)?;
        step("write", send.write(reason.as_bytes()).await)?;
        step("finish", finish(&mut send).await)?;
        let wanted = (Code::new(code), reason.to_owned());
        expect("closed", &session.closed().await, &wanted)?;
    }
    Ok(())
}

/// The service sees code and reason: the caller of the body checks that on the server's side.
pub(crate) async fn we_close_with_code_and_reason<C: Connect>(connect: &C) -> Result<(), String> {
    let session = step("connect", connect.connect(ECHO).await)?;
    session.close(Code::new(31), "enough").await;
    let wanted = (Code::new(31), "enough".to_owned());
    expect("closed", &session.closed().await, &wanted)
}

pub(crate) async fn streams_end_with_their_session<C: Connect>(connect: &C) -> Result<(), String> {
    let session = step("connect", connect.connect(CLOSE).await)?;
    let (mut send, mut recv) = step("open", session.open_bi().await)?;
    let (mut idle_send, mut idle_recv) = step("open", session.open_bi().await)?;
    step("write", idle_send.write(b"a").await)?;
    step("write", send.write(&5u32.to_be_bytes()).await)?;
    step("finish", finish(&mut send).await)?;
    session.closed().await;
    for read in [recv.read().await, idle_recv.read().await] {
        if read.is_ok() {
            return Err(format!("a stream outlived its session: {read:?}"));
        }
    }
    if idle_send.write(b"b").await.is_ok() {
        return Err("a stream of a closed session took bytes".into());
    }
    Ok(())
}

/// Finishes a stream that the service closes the session upon, which may be heard of first.
async fn finish<S: SendHalf>(send: &mut S) -> Result<(), Failure> {
    match send.finish().await {
        Err(Failure(Code::SESSION_CLOSED)) => Ok(()),
        finished => finished,
    }
}
