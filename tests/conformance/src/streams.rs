//! Streams: order, ends, codes, and who may open them.

use stoq_core::close::Code;

use crate::services::{COUNT, ECHO, GREETING, OPENS, RESET, STOP, WITNESS};
use crate::{Connect, Failure, RecvHalf, SendHalf, Session, expect, read_to_end, step};

pub(crate) async fn bytes_come_back_in_order<C: Connect>(connect: &C) -> Result<(), String> {
    let session = step("connect", connect.connect(ECHO).await)?;
    let (mut send, mut recv) = step("open", session.open_bi().await)?;
    let mut sent = Vec::new();
    let mut back = Vec::new();
    // Read while writing: an echo of more than the windows hold stops if nobody reads.
    for round in 0..64u8 {
        let block: Vec<u8> = (0..8_192u32).map(|i| (i as u8) ^ round).collect();
        step("write", send.write(&block).await)?;
        sent.extend_from_slice(&block);
        while back.len() < sent.len() {
            match step("read", recv.read().await)? {
                Some(bytes) => back.extend_from_slice(&bytes),
                None => return Err(format!("the echo ended after {} bytes", back.len())),
            }
        }
    }
    step("finish", send.finish().await)?;
    expect(
        "after the end",
        &step("read", read_to_end(&mut recv).await)?.len(),
        &0,
    )?;
    if sent != back {
        return Err("the echo differs from what was sent".into());
    }
    Ok(())
}

pub(crate) async fn half_close_leaves_the_other_half_open<C: Connect>(
    connect: &C,
) -> Result<(), String> {
    let session = step("connect", connect.connect(COUNT).await)?;
    let (mut send, mut recv) = step("open", session.open_bi().await)?;
    step("write", send.write(&[1; 100_000]).await)?;
    step("finish", send.finish().await)?;
    let answer = step("read", read_to_end(&mut recv).await)?;
    expect("count", &answer, &b"100000".to_vec())
}

pub(crate) async fn an_empty_stream_ends<C: Connect>(connect: &C) -> Result<(), String> {
    let session = step("connect", connect.connect(COUNT).await)?;
    let (mut send, mut recv) = step("open", session.open_bi().await)?;
    step("finish", send.finish().await)?;
    let answer = step("read", read_to_end(&mut recv).await)?;
    expect("count", &answer, &b"0".to_vec())
}

pub(crate) async fn many_streams_at_once_keep_apart<C: Connect>(connect: &C) -> Result<(), String> {
    let session = step("connect", connect.connect(ECHO).await)?;
    let mut open = Vec::new();
    for number in 0..32u8 {
        let (mut send, recv) = step("open", session.open_bi().await)?;
        step("write", send.write(&[number; 700]).await)?;
        open.push((number, send, recv));
    }
    for (number, mut send, mut recv) in open.into_iter().rev() {
        step("finish", send.finish().await)?;
        let back = step("read", read_to_end(&mut recv).await)?;
        expect("echo", &back, &vec![number; 700])?;
    }
    Ok(())
}

/// Codes that a naive mapping loses: zero, around the greased points of HTTP/3's space, and the largest.
const CODES: [u32; 7] = [0, 1, 29, 30, 31, 4_711, u32::MAX];

pub(crate) async fn reset_codes_arrive<C: Connect>(connect: &C) -> Result<(), String> {
    let session = step("connect", connect.connect(RESET).await)?;
    for code in CODES {
        let (mut send, mut recv) = step("open", session.open_bi().await)?;
        step("write", send.write(&code.to_be_bytes()).await)?;
        expect(
            "read",
            &read_to_end(&mut recv).await,
            &Err(Failure(Code::new(code))),
        )?;
        step("finish", send.finish().await)?;
    }
    Ok(())
}

pub(crate) async fn stop_codes_arrive<C: Connect>(connect: &C) -> Result<(), String> {
    let session = step("connect", connect.connect(STOP).await)?;
    for code in CODES {
        let (mut send, mut recv) = step("open", session.open_bi().await)?;
        step("write", send.write(&code.to_be_bytes()).await)?;
        expect(
            "answer",
            &step("read", read_to_end(&mut recv).await)?,
            &b"stopped".to_vec(),
        )?;
        let failure = loop {
            if let Err(failure) = send.write(&[0; 4_096]).await {
                break failure;
            }
        };
        expect("write", &failure, &Failure(Code::new(code)))?;
    }
    Ok(())
}

/// Codes that every carrier's sender can send: browsers have eight bits, of which 192 to 255 stand for STOQ's
/// own codes.
const SMALL_CODES: [Code; 7] = [
    Code::NO_ERROR,
    Code::new(1),
    Code::new(29),
    Code::new(30),
    Code::new(31),
    Code::new(191),
    Code::CANCELLED,
];
/// Codes that need more than eight bits.
const LARGE_CODES: [Code; 3] = [Code::new(256), Code::new(4_711), Code::new(u32::MAX)];

pub(crate) async fn reset_codes_reach_the_service<C: Connect>(connect: &C) -> Result<(), String> {
    resets_reach_the_service(connect, &SMALL_CODES).await
}

pub(crate) async fn large_reset_codes_reach_the_service<C: Connect>(
    connect: &C,
) -> Result<(), String> {
    resets_reach_the_service(connect, &LARGE_CODES).await
}

pub(crate) async fn stop_codes_reach_the_service<C: Connect>(connect: &C) -> Result<(), String> {
    stops_reach_the_service(connect, &SMALL_CODES).await
}

pub(crate) async fn large_stop_codes_reach_the_service<C: Connect>(
    connect: &C,
) -> Result<(), String> {
    stops_reach_the_service(connect, &LARGE_CODES).await
}

async fn resets_reach_the_service<C: Connect>(connect: &C, codes: &[Code]) -> Result<(), String> {
    let session = step("connect", connect.connect(WITNESS).await)?;
    for &code in codes {
        let (mut send, mut recv) = step("open", session.open_bi().await)?;
        step("write", send.write(b"r").await)?;
        step("read", recv.read().await)?;
        send.reset(code).await;
        expect(
            "seen by the service",
            &witnessed(&session).await?,
            &code.value().to_string(),
        )?;
        step("the other half", read_to_end(&mut recv).await)?;
    }
    Ok(())
}

async fn stops_reach_the_service<C: Connect>(connect: &C, codes: &[Code]) -> Result<(), String> {
    let session = step("connect", connect.connect(WITNESS).await)?;
    for &code in codes {
        let (mut send, mut recv) = step("open", session.open_bi().await)?;
        step("write", send.write(b"s").await)?;
        step("read", recv.read().await)?;
        recv.stop(code).await;
        expect(
            "seen by the service",
            &witnessed(&session).await?,
            &code.value().to_string(),
        )?;
        step("finish", send.finish().await)?;
    }
    Ok(())
}

/// The code that the service reports, as decimal text.
async fn witnessed<S: Session>(session: &S) -> Result<String, String> {
    let mut report = step("accept", session.accept_uni().await)?;
    let seen = step("read", read_to_end(&mut report).await)?;
    Ok(String::from_utf8_lossy(&seen).into_owned())
}

pub(crate) async fn the_service_opens_streams<C: Connect>(connect: &C) -> Result<(), String> {
    let session = step("connect", connect.connect(OPENS).await)?;
    let mut uni = step("accept", session.accept_uni().await)?;
    expect(
        "greeting",
        &step("read", read_to_end(&mut uni).await)?,
        &GREETING.to_vec(),
    )?;
    let (mut send, mut recv) = step("accept", session.accept_bi().await)?;
    step("write", send.write(b" and back").await)?;
    step("finish", send.finish().await)?;
    let all = step("read", read_to_end(&mut recv).await)?;
    expect("echo", &all, &b"from the service and back".to_vec())
}
