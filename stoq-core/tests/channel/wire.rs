//! A channel frame by frame, so that a test can do to it what a relay could.

use std::sync::LazyLock;

use stoq_core::channel::{
    ChannelError, ChannelId, Delivery, Item, Opener, Received, SealError, Sealer, Sent,
};
use stoq_core::frame::{FalconKey, Token, TokenAlgorithm};
use stoq_core::stream::Direction;
use stoq_core::time::UnixMicros;
use stoq_core::token::{Flow, Scope};
use stoq_core::{FalconId, Frame, SessionHash, VarInt};

use crate::signer::Signer;

pub(crate) static ORIGIN: LazyLock<Signer> = LazyLock::new(|| Signer::new(1));
pub(crate) static OTHER: LazyLock<Signer> = LazyLock::new(|| Signer::new(2));
pub(crate) const NOW: UnixMicros = UnixMicros(1_800_000_000_000_000);

pub(crate) fn scope() -> Scope {
    Scope {
        session: SessionHash::new(&[1; 32], &[2; 32], "files"),
        flow: Flow::ToClient,
        kind: Direction::Bidirectional,
        channel: ChannelId::new([3; 16]),
    }
}

/// What was sent, a frame an element.
pub(crate) struct Channel<'a> {
    pub(crate) sealer: Sealer,
    pub(crate) frames: Vec<Vec<u8>>,
    pub(crate) received: Received,
    signer: Option<&'a Signer>,
}

impl<'a> Channel<'a> {
    pub(crate) fn new(scope: Scope, signer: Option<&'a Signer>) -> Self {
        let id = signer.map(|signer| signer.key.id());
        let mut channel = Self {
            sealer: Sealer::new(scope, TokenAlgorithm::SHA256, id).expect("known"),
            frames: Vec::new(),
            received: Received::default(),
            signer,
        };
        channel.frames.extend(signer.map(announcement));
        channel
    }

    /// Six messages in three runs: key, 0 1 s, 2 3 s, 4 5 s. Frames stand at 0, then 1 2 3 4 5, 6 7 8 9 10, 11 12 13 14 15.
    pub(crate) fn of_three_runs(scope: Scope, signer: &'a Signer) -> Self {
        let mut channel = Self::new(scope, Some(signer));
        for run in 0..3 {
            channel.send(&[run * 2; 10]);
            channel.send(&[run * 2 + 1; 10]);
            if run < 2 {
                channel.close();
            }
        }
        channel.finish();
        channel
    }

    /// TOKEN and DATA.
    pub(crate) fn send(&mut self, data: &[u8]) {
        self.try_send(data).expect("there is room");
    }

    pub(crate) fn try_send(&mut self, data: &[u8]) -> Result<(), SealError> {
        let mut header = Vec::new();
        self.sealer.seal(NOW, data, &mut header)?;
        header.extend_from_slice(data);
        self.split(&header);
        Ok(())
    }

    /// A token for nothing, which only the end has.
    pub(crate) fn send_empty(&mut self, sequence: u32) {
        let (algorithm, sequence) = (TokenAlgorithm::SHA256, VarInt::from_u32(sequence));
        let tag = scope().tag(algorithm, sequence, NOW, &[]).expect("known");
        let mut out = Vec::new();
        Frame::Token(Token {
            algorithm,
            sequence,
            timestamp: NOW,
            tag,
        })
        .encode(&mut out);
        Frame::Data(&[]).encode(&mut out);
        self.split(&out);
    }

    /// The signature of the run.
    pub(crate) fn close(&mut self) {
        let statement = self.sealer.close(&self.received).expect("there is a run");
        self.sign(&statement);
    }

    pub(crate) fn finish(&mut self) {
        let mut out = Vec::new();
        let statement = self.sealer.finish(NOW, &self.received, &mut out);
        self.split(&out);
        if let Some(statement) = statement.expect("no run is being signed") {
            self.sign(&statement);
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.frames.concat()
    }

    fn sign(&mut self, statement: &stoq_core::run::Statement) {
        let signature = self.signer.expect("it signs").sign(statement);
        let mut frame = Vec::new();
        let signed = self.sealer.signed(&signature, &mut frame);
        signed.expect("a run was closed");
        self.frames.push(frame);
    }

    fn split(&mut self, mut bytes: &[u8]) {
        while let Some((_, len)) = Frame::decode(bytes).expect("it may be sent") {
            self.frames.push(bytes[..len].to_vec());
            bytes = &bytes[len..];
        }
    }
}

pub(crate) fn announcement(signer: &Signer) -> Vec<u8> {
    let mut frame = Vec::new();
    Frame::FalconKey(FalconKey {
        algorithm: signer.key.algorithm(),
        key: signer.key.as_bytes(),
        created: NOW,
    })
    .encode(&mut frame);
    frame
}

pub(crate) fn opener(delivery: Delivery) -> Opener {
    Opener::new(scope(), [ORIGIN.key.id()], delivery)
}

/// What a receiver that trusts the origin is given, and how it ends.
pub(crate) fn open(frames: &[Vec<u8>]) -> (Vec<Item>, Result<(), ChannelError>) {
    read(opener(Delivery::Pending), &mut Sent::default(), frames)
}

pub(crate) fn read(
    mut opener: Opener,
    sent: &mut Sent,
    frames: &[Vec<u8>],
) -> (Vec<Item>, Result<(), ChannelError>) {
    let bytes = frames.concat();
    let mut items = Vec::new();
    let mut input = &bytes[..];
    loop {
        match opener.next(NOW, sent, &mut input) {
            Ok(Some(item)) => items.push(item),
            Ok(None) => return (items, opener.end()),
            Err(error) => {
                assert_eq!(opener.next(NOW, sent, &mut input), Err(error), "again");
                assert_eq!(opener.end(), Err(error));
                return (items, Err(error));
            }
        }
    }
}

/// The data that was handed out.
pub(crate) fn data(items: &[Item]) -> Vec<u8> {
    let mut all = Vec::new();
    for item in items {
        if let Item::Data { data, .. } = item {
            all.extend_from_slice(data);
        }
    }
    all
}

/// One more than the last sequence that a signature vouches for.
pub(crate) fn verified(items: &[Item]) -> u64 {
    let last = items.iter().rev().find_map(|item| match item {
        Item::Verified {
            through, signer, ..
        } => {
            assert_eq!(*signer, ORIGIN.key.id());
            Some(through.into_inner() + 1)
        }
        _ => None,
    });
    last.unwrap_or(0)
}

pub(crate) fn origins() -> [FalconId; 2] {
    [ORIGIN.key.id(), OTHER.key.id()]
}
