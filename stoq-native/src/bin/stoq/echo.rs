//! The service `echo`: streams, datagrams and messages come back as they went, and what is announced is announced
//! back.

use stoq_native::{Code, ReadError, RecvStream, SeedEvent, SendStream, Session, WriteError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Bytes moved at a time; what waits to be sent back is bounded by the windows of the stream.
const PIECE: usize = 64 * 1024;

/// Echoes until the session ends or `draining` says to take no more; then what runs ends by itself.
pub(crate) async fn serve(session: &Session, draining: &CancellationToken) {
    let mut streams = JoinSet::new();
    // Until they end, or from the beginning where none are let in.
    let mut hears = true;
    loop {
        tokio::select! {
            () = draining.cancelled() => break,
            Some(_) = streams.join_next() => {}
            accepted = session.accept_bi() => {
                let Ok((send, receive)) = accepted else { break };
                streams.spawn(echo(receive, send));
            }
            accepted = session.accept_uni() => {
                let Ok(receive) = accepted else { break };
                let session = session.clone();
                streams.spawn(async move {
                    if let Ok(send) = session.open_uni().await {
                        echo(receive, send).await;
                    }
                });
            }
            received = session.recv_datagram() => {
                let Ok(payload) = received else { break };
                // What does not fit the way back is lost, as datagrams are.
                let _ = session.send_datagram(payload);
            }
            event = session.next_seed_event(), if hears => match event {
                Ok(SeedEvent::Announced(seed) | SeedEvent::Changed(seed)) => {
                    let _ = session.send_seed(&seed).await;
                }
                Ok(_) => {}
                Err(_) => hears = false,
            },
            received = session.recv_message() => {
                let Ok(message) = received else { break };
                // As datagrams, which its shards are.
                let _ = session.send_message(message).await;
            }
        }
    }
    while streams.join_next().await.is_some() {}
}

/// Sends back what comes, and ends as it ends.
async fn echo(mut receive: RecvStream, mut send: SendStream) {
    match copy(&mut receive, &mut send).await {
        Ok(()) => {
            let _ = send.finish();
            // A close of the session would take back what is still on its way.
            let _ = send.stopped().await;
        }
        Err(code) => {
            send.reset(code);
            receive.stop(code);
        }
    }
}

async fn copy(receive: &mut RecvStream, send: &mut SendStream) -> Result<(), Code> {
    while let Some(piece) = receive
        .read_chunk(PIECE)
        .await
        .map_err(|error: ReadError| error.code())?
    {
        send.write_chunk(piece)
            .await
            .map_err(|error: WriteError| error.code())?;
    }
    Ok(())
}
