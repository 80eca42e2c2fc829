//! A transfer that something happens to before it is over.

use stoq_native::{RecvStream, SendStream, Session};
use tokio::sync::watch;

/// Enough that windows and buffers hold little of it.
pub(crate) const LENGTH: usize = 24 * 1024 * 1024;

/// A transfer each way on one stream, at the same time.
pub(crate) struct Both<'a> {
    content: &'a [u8],
    /// Bytes that the client and the server have received.
    received: [watch::Sender<usize>; 2],
    /// Whether the last quarter may be received.
    may_end: watch::Sender<bool>,
}

impl<'a> Both<'a> {
    pub(crate) fn new(content: &'a [u8]) -> Self {
        let received = [watch::Sender::new(0), watch::Sender::new(0)];
        Self {
            content,
            received,
            may_end: watch::Sender::new(false),
        }
    }

    /// What happens to it has happened: without this it does not end.
    pub(crate) fn may_end(&self) {
        self.may_end.send_replace(true);
    }

    /// Resolves when all has arrived as it was sent.
    pub(crate) async fn run(&self, client: &Session, server: &Session) {
        let (send, receive) = client.open_bi().await.unwrap();
        let here =
            async { tokio::join!(self.send(send), self.receive(receive, &self.received[0])) };
        let there = async {
            let (send, receive) = server.accept_bi().await.unwrap();
            tokio::join!(self.send(send), self.receive(receive, &self.received[1]))
        };
        tokio::join!(here, there);
    }

    async fn send(&self, mut send: SendStream) {
        send.write_all(self.content).await.unwrap();
        send.finish().unwrap();
    }

    async fn receive(&self, mut receive: RecvStream, received: &watch::Sender<usize>) {
        let mut at = 0;
        while let Some(chunk) = receive.read_chunk(usize::MAX).await.unwrap() {
            assert!(
                self.content[at..].starts_with(&chunk),
                "other bytes at {at}"
            );
            at += chunk.len();
            received.send_replace(at);
            if at > self.content.len() / 4 * 3 {
                let mut may_end = self.may_end.subscribe();
                may_end.wait_for(|may| *may).await.unwrap();
            }
        }
        assert_eq!(at, self.content.len());
    }

    /// Resolves when both have received so many quarters of it; the last is not received before [`may_end`](Self::may_end).
    pub(crate) async fn have(&self, quarters: usize) {
        for received in &self.received {
            let enough = self.content.len() / 4 * quarters;
            let mut changes = received.subscribe();
            changes
                .wait_for(|&received| received >= enough)
                .await
                .unwrap();
        }
    }
}
