//! Streams of one session: who opened them, what they are, and the task that relays each.

mod header;

use std::sync::{Arc, OnceLock};

use stoq_core::close::Code;
use stoq_core::stream::{Direction, Payload, StreamHeader};
use stoq_native::Session;
use stoq_native::relay::{
    Heed, NativeSink, NativeSource, Sink, Source, Unfinished, Urgency, pump, stream_code,
};
use wtransport::Connection;

use crate::carrier::{FromBrowser, ToBrowser, from_target, to_target};
use crate::control::{Control, Verdict};
use crate::metrics::{Metrics, One, count};
use crate::tasks::Spawner;

/// The streams of one session.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    ends: Arc<Ends>,
    spawner: Spawner,
}

/// Both ends between which streams go.
#[derive(Debug)]
struct Ends {
    metrics: Arc<Metrics>,
    browser: Connection,
    control: Arc<Control>,
    /// Set before the browser's first stream is admitted.
    target: OnceLock<Session>,
}

impl Streams {
    pub(crate) fn new(
        metrics: &Arc<Metrics>,
        browser: &Connection,
        control: &Arc<Control>,
        spawner: Spawner,
    ) -> Self {
        let ends = Ends {
            metrics: metrics.clone(),
            browser: browser.clone(),
            control: control.clone(),
            target: OnceLock::new(),
        };
        Self {
            ends: Arc::new(ends),
            spawner,
        }
    }

    pub(crate) fn spawner(&self) -> &Spawner {
        &self.spawner
    }

    /// Says to where: before the browser's first stream is admitted.
    pub(crate) fn relay(&self, target: &Session) {
        let first = self.ends.target.set(target.clone());
        debug_assert!(first.is_ok(), "a session has one target");
    }

    /// Takes the browser's streams. Its control stream is fed; others wait for the machine's verdict.
    pub(crate) fn accept_from_browser(&self) {
        let Self { ends, spawner } = self.clone();
        self.spawner.spawn(async move {
            tokio::join!(
                accept_bidirectional(&ends, &spawner),
                accept_unidirectional(&ends, &spawner)
            );
        });
    }

    /// Takes the target's streams.
    pub(crate) fn accept_from_target(&self) {
        let Self { ends, spawner } = self.clone();
        self.spawner.spawn(async move {
            let Some(target) = ends.target.get() else {
                return;
            };
            let bidirectional = async {
                while let Ok((send, receive)) = target.accept_any_bi().await {
                    let (ends, send) = (ends.clone(), Unfinished::new(to_target(send)));
                    spawner.spawn(async move {
                        let payload = receive.payload();
                        let receive = from_target(receive);
                        ends.target_bidirectional(payload, send, receive).await;
                    });
                }
            };
            let unidirectional = async {
                while let Ok(receive) = target.accept_any_uni().await {
                    let ends = ends.clone();
                    spawner.spawn(async move {
                        let payload = receive.payload();
                        ends.target_unidirectional(payload, from_target(receive))
                            .await;
                    });
                }
            };
            tokio::join!(bidirectional, unidirectional);
        });
    }
}

async fn accept_bidirectional(ends: &Arc<Ends>, spawner: &Spawner) {
    while let Ok((send, receive)) = ends.browser.accept_bi().await {
        let (ends, send) = (ends.clone(), Unfinished::new(ToBrowser(send)));
        spawner.spawn(async move {
            ends.browser_bidirectional(send, FromBrowser(receive)).await;
        });
    }
}

async fn accept_unidirectional(ends: &Arc<Ends>, spawner: &Spawner) {
    while let Ok(receive) = ends.browser.accept_uni().await {
        let ends = ends.clone();
        spawner.spawn(async move { ends.browser_unidirectional(FromBrowser(receive)).await });
    }
}

impl Ends {
    async fn browser_bidirectional(
        &self,
        mut send: Unfinished<ToBrowser>,
        mut receive: FromBrowser,
    ) {
        let payload = match self.judge(&mut receive, Direction::Bidirectional).await {
            Verdict::Relay(payload) => payload,
            Verdict::Discard => {
                send.finish();
                return discard(receive).await;
            }
            Verdict::Reject(code) => {
                send.reset(code);
                return receive.stop(code);
            }
        };
        let Some(target) = self.target.get() else {
            return;
        };
        match target.open_bi_with(payload).await {
            Ok((to, from)) => {
                let to = Unfinished::new(to_target(to));
                let urgency = Urgency::default();
                let _open = self.open();
                tokio::join!(
                    self.to_target(receive, to, urgency.said(payload)),
                    self.to_browser(from_target(from), send, urgency.heard(payload)),
                );
            }
            Err(error) => {
                let code = rejection(&error);
                send.reset(code);
                receive.stop(code);
            }
        }
    }

    async fn browser_unidirectional(&self, mut receive: FromBrowser) {
        let payload = match self.judge(&mut receive, Direction::Unidirectional).await {
            Verdict::Relay(payload) => payload,
            Verdict::Discard => return discard(receive).await,
            Verdict::Reject(code) => return receive.stop(code),
        };
        let Some(target) = self.target.get() else {
            return;
        };
        match target.open_uni_with(payload).await {
            Ok(send) => {
                let _open = self.open();
                let (to, urgency) = (Unfinished::new(to_target(send)), Urgency::default());
                self.to_target(receive, to, urgency.said(payload)).await;
            }
            Err(error) => receive.stop(rejection(&error)),
        }
    }

    async fn target_bidirectional(
        &self,
        payload: Payload,
        mut send: Unfinished<NativeSink>,
        mut receive: NativeSource,
    ) {
        match self.open_to_browser_both(payload).await {
            Ok((to_browser, from_browser)) => {
                let urgency = Urgency::default();
                let _open = self.open();
                tokio::join!(
                    self.to_target(from_browser, send, urgency.heard(payload)),
                    self.to_browser(receive, to_browser, urgency.said(payload)),
                );
            }
            Err(code) => {
                send.reset(code);
                receive.stop(code);
            }
        }
    }

    async fn target_unidirectional(&self, payload: Payload, mut receive: NativeSource) {
        match self.open_to_browser(payload).await {
            Ok(send) => {
                let _open = self.open();
                let urgency = Urgency::default();
                self.to_browser(receive, send, urgency.said(payload)).await;
            }
            Err(code) => receive.stop(code),
        }
    }

    async fn to_target(
        &self,
        mut from: FromBrowser,
        mut into: Unfinished<NativeSink>,
        heed: Heed<'_>,
    ) {
        pump(&mut from, &mut into, heed, &self.metrics.bytes_to_target).await;
    }

    async fn to_browser(
        &self,
        mut from: NativeSource,
        mut into: Unfinished<ToBrowser>,
        heed: Heed<'_>,
    ) {
        pump(&mut from, &mut into, heed, &self.metrics.bytes_to_browser).await;
    }

    async fn open_to_browser_both(
        &self,
        payload: Payload,
    ) -> Result<(Unfinished<ToBrowser>, FromBrowser), Code> {
        let opening = self.browser.open_bi().await.map_err(gone)?;
        let (send, receive) = opening.await.map_err(gone)?;
        let send = Unfinished::new(ToBrowser(send));
        let send = header::write(send, payload, Direction::Bidirectional).await?;
        Ok((send, FromBrowser(receive)))
    }

    async fn open_to_browser(&self, payload: Payload) -> Result<Unfinished<ToBrowser>, Code> {
        let opening = self.browser.open_uni().await.map_err(gone)?;
        let send = opening.await.map_err(gone)?;
        let send = Unfinished::new(ToBrowser(send));
        header::write(send, payload, Direction::Unidirectional).await
    }

    fn open(&self) -> One {
        count(&self.metrics.streams_total);
        One::new(&self.metrics, |metrics| &metrics.streams_open)
    }

    /// Reads what a stream of the browser says of itself, and learns what becomes of it. The control stream is fed here,
    /// for as long as it lasts.
    async fn judge(&self, receive: &mut FromBrowser, direction: Direction) -> Verdict {
        let stream = receive.0.quic_stream_mut();
        let key = quinn::VarInt::from(stream.id()).into_inner();
        match header::read(stream, direction).await {
            Ok(StreamHeader::Control) => {
                self.feed(stream, key).await;
                Verdict::Discard
            }
            Ok(header) => self.control.admit(key, header).await,
            Err(code) => Verdict::Reject(code),
        }
    }

    async fn feed(&self, stream: &mut quinn::RecvStream, key: u64) {
        if !self.control.control_stream(key) {
            return;
        }
        loop {
            match stream.read_chunk(CONTROL_READ, true).await {
                Ok(Some(chunk)) => {
                    if !self.control.feed(&chunk.bytes).await {
                        return;
                    }
                }
                Ok(None) | Err(quinn::ReadError::Reset(_)) => {
                    return self.control.control_stream_closed();
                }
                Err(_) => return self.control.carrier_lost(),
            }
        }
    }
}

/// Reads to the end and throws away; a stop would be an error to the browser.
async fn discard(mut receive: FromBrowser) {
    let stream = receive.0.quic_stream_mut();
    while let Ok(Some(_)) = stream.read_chunk(usize::MAX, true).await {}
}

/// A stream that cannot be opened to a browser: it is gone, or wants no stream.
fn gone<E>(_: E) -> Code {
    Code::CONNECTION_LOST
}

/// With which code a stream of the browser is turned away that could not be opened at the target.
fn rejection(error: &stoq_native::StreamOpenError) -> Code {
    match error {
        stoq_native::StreamOpenError::Rejected(code) => *code,
        stoq_native::StreamOpenError::SessionClosed(closed) => {
            stream_code(closed, Code::UPSTREAM_LOST)
        }
    }
}

/// Control frames are small; more at once would only let the browser make us hold more.
const CONTROL_READ: usize = 16 * 1024;
