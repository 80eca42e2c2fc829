//! One relayed session, from its request to its last trace.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use stoq_core::close::Code;
use stoq_core::session::CLOSE_TIMEOUT;
use stoq_core::session_id::SessionId;
use tokio::task::{JoinSet, coop::consume_budget};
use tokio::time::timeout;

use super::ending::told;
use super::request::{self, Opened};
use super::stats::{One, count};
use super::{
    NativeSink, NativeSource, Shared, Sink, Source, Unfinished, Urgency, pump, stream_code,
};
use crate::access::relay_auths;
use crate::closed::Closed;
use crate::request::SessionRequest;
use crate::session::{Session, StreamOpenError};
use crate::stream::{RecvStream, SendStream};

/// Serves one request.
pub(super) async fn serve(shared: &Arc<Shared>, request: SessionRequest) {
    let _open = One::new(&shared.counters.sessions_open);
    let Some(Opened { down, up: lease }) = request::open(shared, request).await else {
        return;
    };
    let side = |session: &Session, lost| Side {
        shared: shared.clone(),
        session: session.clone(),
        lost,
    };
    let (down, up) = (
        side(&down, Code::CONNECTION_LOST),
        side(&lease, Code::UPSTREAM_LOST),
    );
    let mut streams = JoinSet::new();
    let (ended, other, closed, words) = match pass(&down, &up, &mut streams).await {
        End::Down(closed) => (
            &down,
            &up,
            closed,
            "the connection before this relay was lost",
        ),
        End::Up(closed) => (
            &up,
            &down,
            closed,
            "the connection behind this relay was lost",
        ),
    };
    // What came before the close goes out before it, as if there were no relay, unless the other side does not take it.
    let _ = timeout(CLOSE_TIMEOUT, drain(ended, other, &mut streams)).await;
    streams.shutdown().await;
    let (code, reason) = told(&ended.session, closed, ended.lost, words).await;
    other.session.close(code, &reason);
}

/// One side of the session.
#[derive(Clone)]
struct Side {
    shared: Arc<Shared>,
    session: Session,
    /// What the other side learns when this one is gone without a word.
    lost: Code,
}

/// Which side has ended.
enum End {
    Down(Closed),
    Up(Closed),
}

/// Passes on what comes, until one side ends.
async fn pass(down: &Side, up: &Side, streams: &mut JoinSet<()>) -> End {
    let mut datagrams = pin!(async { tokio::join!(down.carry(up), up.carry(down)) });
    let mut auths = pin!(relay_auths(&down.session, &up.session));
    // No datagrams, no proofs of access tokens: a side has ended then.
    let (mut silent, mut proven) = (false, false);
    // Sessions that share a connection cannot be told apart in GOAWAY: each learns by its own end.
    let mut tell = down.session.id() == SessionId::ZERO;
    loop {
        tokio::select! {
            closed = down.session.closed() => return End::Down(closed),
            closed = up.session.closed() => return End::Up(closed),
            Ok(halves) = down.session.accept_any_bi() => down.bidirectional(up, halves, streams),
            Ok(halves) = up.session.accept_any_bi() => up.bidirectional(down, halves, streams),
            Ok(receive) = down.session.accept_any_uni() => down.unidirectional(up, receive, streams),
            Ok(receive) = up.session.accept_any_uni() => up.unidirectional(down, receive, streams),
            _ = &mut datagrams, if !silent => silent = true,
            () = &mut auths, if !proven => proven = true,
            going = up.session.connection().going_away(), if tell => {
                tell = false;
                let behind = up.session.connection();
                if behind.is_open() {
                    let grace = behind.grace().unwrap_or_default();
                    down.session.connection().go_away(going.code, grace);
                }
            }
            Some(_) = streams.join_next() => {}
        }
    }
}

/// Passes on what is left of the side that has ended.
async fn drain(ended: &Side, other: &Side, streams: &mut JoinSet<()>) {
    while let Ok(halves) = ended.session.accept_any_bi().await {
        ended.bidirectional(other, halves, streams);
    }
    while let Ok(receive) = ended.session.accept_any_uni().await {
        ended.unidirectional(other, receive, streams);
    }
    ended.carry(other).await;
    while streams.join_next().await.is_some() {}
}

impl Side {
    /// Passes on a stream in both directions that the peer on this side has opened.
    fn bidirectional(
        &self,
        other: &Self,
        (send, receive): (SendStream, RecvStream),
        streams: &mut JoinSet<()>,
    ) {
        let (this, other) = (self.clone(), other.clone());
        streams.spawn(async move {
            let payload = receive.payload();
            let mut back = this.sink(send);
            let mut from = this.source(receive);
            let opened = other.session.open_bi_with(payload).await;
            let (send, receive) = match opened {
                Ok(halves) => halves,
                Err(error) => {
                    let code = other.rejection(&error);
                    back.reset(code);
                    return from.stop(code);
                }
            };
            let (mut into, mut answer) = (other.sink(send), other.source(receive));
            let _open = this.stream();
            let urgency = Urgency::default();
            tokio::join!(
                this.forward(&mut from, &mut into, &urgency, payload, true),
                other.forward(&mut answer, &mut back, &urgency, payload, false),
            );
        });
    }

    /// Passes on a stream that only the peer on this side sends on.
    fn unidirectional(&self, other: &Self, receive: RecvStream, streams: &mut JoinSet<()>) {
        let (this, other) = (self.clone(), other.clone());
        streams.spawn(async move {
            let payload = receive.payload();
            let mut from = this.source(receive);
            let mut into = match other.session.open_uni_with(payload).await {
                Ok(send) => other.sink(send),
                Err(error) => return from.stop(other.rejection(&error)),
            };
            let _open = this.stream();
            let urgency = Urgency::default();
            this.forward(&mut from, &mut into, &urgency, payload, true)
                .await;
        });
    }

    /// One direction of a stream, from this side.
    async fn forward(
        &self,
        from: &mut NativeSource,
        into: &mut Unfinished<NativeSink>,
        urgency: &Urgency,
        payload: crate::Payload,
        opener: bool,
    ) {
        let heed = match opener {
            true => urgency.said(payload),
            false => urgency.heard(payload),
        };
        if pump(from, into, heed, self.moved()).await {
            // A close that follows must not overtake it. An end of the session ends this too.
            into.stopped().await;
        }
    }

    /// Datagrams from this side, until it ends.
    async fn carry(&self, other: &Self) {
        let counters = &self.shared.counters;
        while let Ok(content) = self.session.recv_content().await {
            count(match other.session.send_content(content) {
                Ok(()) => &counters.datagrams_relayed,
                Err(_) => &counters.datagrams_dropped,
            });
            // A peer that sends faster than this passes on would keep the thread from everybody else.
            consume_budget().await;
        }
    }

    fn sink(&self, stream: SendStream) -> Unfinished<NativeSink> {
        Unfinished::new(NativeSink::new(stream, self.lost))
    }

    fn source(&self, stream: RecvStream) -> NativeSource {
        NativeSource::new(stream, self.lost)
    }

    /// With which code a stream is turned away that could not be opened on this side.
    fn rejection(&self, error: &StreamOpenError) -> Code {
        match error {
            StreamOpenError::Rejected(code) => *code,
            StreamOpenError::SessionClosed(closed) => stream_code(closed, self.lost),
        }
    }

    /// Counts bytes from this side.
    fn moved(&self) -> &AtomicU64 {
        match self.lost {
            Code::UPSTREAM_LOST => &self.shared.counters.bytes_back,
            _ => &self.shared.counters.bytes_forward,
        }
    }

    fn stream(&self) -> One<'_> {
        count(&self.shared.counters.streams_total);
        One::new(&self.shared.counters.streams_open)
    }
}
