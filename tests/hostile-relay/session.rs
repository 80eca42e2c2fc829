//! One session, passed on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use stoq_core::channel::ChannelId;
use stoq_core::stream::Direction;
use stoq_core::token::{Flow, Scope};
use stoq_native::{
    Answer, Code, Connection, Payload, RecvStream, Request, SendStream, Session, SessionRequest,
};
use tokio::task::JoinSet;

use crate::Result;
use crate::trick::{Frames, Trick};

/// Takes the session as the target does, and passes on streams in both directions and datagrams until it ends.
pub(crate) async fn pass(
    asked: SessionRequest,
    target: &Connection,
    tricks: Arc<[Trick]>,
    opened: Arc<AtomicUsize>,
) -> Result<()> {
    let mut request = Request::new(asked.service().clone());
    request.random = asked.random();
    // It does not say that it stands in the chain, nor who else does: the target knows whom it talks to.
    let there = target.open_session(request).await?;
    let mut answer = Answer::new(there.random(), there.max_datagram_size() as u32);
    answer.hops = there.hops().cloned();
    let here = asked.accept_with(answer).await?;
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            stream = here.accept_any_bi() => {
                let Ok((send, receive)) = stream else { break };
                let trick = match receive.payload() {
                    Payload::Framed => {
                        let number = opened.fetch_add(1, Ordering::Relaxed);
                        tricks.get(number).copied().unwrap_or(Trick::None)
                    }
                    _ => Trick::None,
                };
                streams.spawn(stream_of_client(there.clone(), send, receive, trick));
            }
            content = here.recv_content() => {
                let Ok(content) = content else { break };
                // What does not fit is lost, as datagrams are.
                let _ = there.send_content(content);
            }
            content = there.recv_content() => {
                let Ok(content) = content else { break };
                let _ = here.send_content(content);
            }
            Some(_) = streams.join_next(), if !streams.is_empty() => {}
            closed = there.closed() => {
                here.close(closed.code, &closed.reason);
                break;
            }
        }
    }
    there.close(Code::NO_ERROR, "");
    Ok(())
}

async fn stream_of_client(there: Session, send: SendStream, mut receive: RecvStream, trick: Trick) {
    let Ok((to, from)) = there.open_bi_with(receive.payload()).await else {
        return;
    };
    if trick == Trick::None {
        tokio::join!(copy(receive, to), copy(from, send));
        return;
    }
    let Ok(channel) = first(&mut receive).await else {
        return;
    };
    let scope = Scope {
        session: there.hash(),
        flow: Flow::ToClient,
        kind: Direction::Bidirectional,
        channel: ChannelId::new(channel),
    };
    let mut to = to;
    if to.write_all(&channel).await.is_ok() {
        let frames = Frames::new(scope, trick);
        tokio::join!(copy(receive, to), altered(from, send, frames));
    }
}

/// The name of the channel, which stands first on the half of who opened it.
async fn first(receive: &mut RecvStream) -> Result<[u8; ChannelId::LEN]> {
    let mut channel = [0; ChannelId::LEN];
    let mut filled = 0;
    while filled < channel.len() {
        let read = receive.read(&mut channel[filled..]).await?;
        filled += read.ok_or("the stream ended before its name")?;
    }
    Ok(channel)
}

async fn copy(mut from: RecvStream, mut to: SendStream) {
    loop {
        match from.read_chunk(64 * 1024).await {
            Ok(Some(bytes)) => {
                if let Err(error) = to.write_chunk(bytes).await {
                    return from.stop(error.code());
                }
            }
            Ok(None) => {
                let _ = to.finish();
                let _ = to.stopped().await;
                return;
            }
            Err(error) => return to.reset(error.code()),
        }
    }
}

/// As [`copy`], with what the trick makes of the frames.
async fn altered(mut from: RecvStream, mut to: SendStream, mut frames: Frames) {
    let mut out = Vec::new();
    loop {
        match from.read_chunk(64 * 1024).await {
            Ok(Some(bytes)) => {
                let goes_on = frames.pass(&bytes, &mut out);
                let written = to.write_all(&out).await;
                out.clear();
                if let Err(error) = written {
                    return from.stop(error.code());
                }
                if goes_on {
                    continue;
                }
                from.stop(Code::CANCELLED);
            }
            Ok(None) => {}
            Err(error) => return to.reset(error.code()),
        }
        let _ = to.finish();
        let _ = to.stopped().await;
        return;
    }
}
