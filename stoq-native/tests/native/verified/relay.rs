//! A relay between a client and an origin: two connections, one session, and streams that pass frame by frame.

use stoq_core::channel::ChannelId;
use stoq_core::frame::{Frame, Token};
use stoq_core::stream::Direction;
use stoq_core::token::{Flow, Scope};
use stoq_native::{Answer, Code, Payload, RecvStream, Request, SendStream, Session, SessionHash};

use crate::harness::{Peers, service};

/// Three peers in a row. The relay's sessions are the two in the middle.
pub(super) struct Path {
    pub(super) client: Session,
    pub(super) to_client: Session,
    pub(super) to_origin: Session,
    pub(super) origin: Session,
    front: Peers,
    back: Peers,
}

impl Path {
    pub(super) async fn new() -> Self {
        let peers = || {
            Peers::with(|server, client| {
                server.framed_streams = true;
                client.framed_streams = true;
            })
        };
        let (front, back) = (peers(), peers());
        let relay = async {
            let asked = front.server.accept().await.unwrap();
            let mut request = Request::new(service("test"));
            request.random = asked.random();
            let connection = back.connection().await;
            let to_origin = connection.open_session(request).await.unwrap();
            let answer = Answer::new(to_origin.random(), 1000);
            (asked.accept_with(answer).await.unwrap(), to_origin)
        };
        let origin = async { back.server.accept().await.unwrap().accept().await.unwrap() };
        let url = front.url("test");
        let client = front.client.connect(&url);
        let ((to_client, to_origin), origin, client) = tokio::join!(relay, origin, client);
        let client = client.unwrap();
        assert_eq!(client.hash(), origin.hash(), "one session");
        Self {
            client,
            to_client,
            to_origin,
            origin,
            front,
            back,
        }
    }

    /// Takes a unidirectional stream of the origin whole, and gives the client what `tamper` leaves of it.
    pub(super) async fn carry_uni(&self, tamper: impl FnOnce(&mut Frames)) -> SendStream {
        let mut from = self.to_origin.accept_any_uni().await.unwrap();
        let mut frames = Frames::read(&mut from, true, self.client.hash()).await;
        tamper(&mut frames);
        let mut to = self.to_client.open_uni_with(Payload::Framed).await.unwrap();
        frames.write(&mut to).await;
        to
    }

    pub(super) async fn close(self) {
        self.client.close(Code::NO_ERROR, "");
        self.front.close().await;
        self.back.close().await;
    }
}

/// A stream, taken apart.
#[derive(Clone)]
pub(super) struct Frames {
    session: SessionHash,
    /// Only on the half of who opened the stream.
    pub(super) channel: Option<ChannelId>,
    pub(super) frames: Vec<Vec<u8>>,
}

impl Frames {
    pub(super) async fn read(from: &mut RecvStream, begins: bool, session: SessionHash) -> Self {
        let bytes = from.read_to_end(usize::MAX).await.unwrap();
        let (id, mut rest) = bytes.split_at(if begins { ChannelId::LEN } else { 0 });
        let mut frames = Vec::new();
        while let Some((_, len)) = Frame::decode(rest).unwrap() {
            frames.push(rest[..len].to_vec());
            rest = &rest[len..];
        }
        assert!(rest.is_empty());
        Self {
            session,
            channel: id.try_into().ok().map(ChannelId::new),
            frames,
        }
    }

    /// Until the receiver wants no more.
    pub(super) async fn write(&self, to: &mut SendStream) {
        let id = self.channel.as_ref().map(|id| id.as_bytes().to_vec());
        for bytes in id.iter().chain(&self.frames) {
            if to.write_all(bytes).await.is_err() {
                return;
            }
        }
        to.finish().unwrap();
    }

    /// Where the token with this sequence stands; its data is next.
    pub(super) fn token(&self, sequence: u64) -> usize {
        let found = |frame: &Vec<u8>| match Frame::decode(frame) {
            Ok(Some((Frame::Token(token), _))) => token.sequence.into_inner() == sequence,
            _ => false,
        };
        self.frames.iter().position(found).expect("it was sent")
    }

    /// Where the signatures stand.
    pub(super) fn signatures(&self) -> Vec<usize> {
        let is_signature = |frame: &Vec<u8>| {
            matches!(
                Frame::decode(frame),
                Ok(Some((Frame::FalconSignature(_), _)))
            )
        };
        (0..self.frames.len())
            .filter(|&at| is_signature(&self.frames[at]))
            .collect()
    }

    /// Puts other data in place of this, with a token that is right for it: tags have no key, so a relay can.
    pub(super) fn forge(
        &mut self,
        sequence: u64,
        (kind, flow): (Direction, Flow),
        channel: ChannelId,
        data: &[u8],
    ) {
        let at = self.token(sequence);
        let Ok(Some((Frame::Token(token), _))) = Frame::decode(&self.frames[at]) else {
            unreachable!("`token` has found it")
        };
        let scope = Scope {
            session: self.session,
            flow,
            kind,
            channel,
        };
        let tag = scope.tag(token.algorithm, token.sequence, token.timestamp, data);
        let tag = tag.unwrap();
        let encoded = |frame: Frame<'_>| {
            let mut out = Vec::new();
            frame.encode(&mut out);
            out
        };
        self.frames[at] = encoded(Frame::Token(Token { tag, ..token }));
        self.frames[at + 1] = encoded(Frame::Data(data));
    }

    pub(super) fn data(&self, sequence: u64) -> Vec<u8> {
        match Frame::decode(&self.frames[self.token(sequence) + 1]) {
            Ok(Some((Frame::Data(data), _))) => data.to_vec(),
            other => panic!("no data: {other:?}"),
        }
    }
}
