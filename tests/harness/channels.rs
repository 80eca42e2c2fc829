//! What one end of a simulated link receives on verified streams.

use std::collections::BTreeMap;

use stoq_core::FalconId;
use stoq_core::channel::{ChannelError, Delivery, Item, Opener, Sent};
use stoq_core::time::UnixMicros;
use stoq_core::token::Scope;

/// Streams by their number. Nothing is opened before the session has admitted its stream.
#[derive(Debug, Default)]
pub struct Channels {
    /// What the streams are, as this end knows from its session and from their headers.
    scopes: BTreeMap<u64, (Scope, FalconId, Delivery)>,
    early: BTreeMap<u64, (Vec<u8>, bool)>,
    open: BTreeMap<u64, Incoming>,
}

/// A channel as it comes.
#[derive(Debug)]
pub struct Incoming {
    opener: Opener,
    delivery: Delivery,
    /// Data in its order, that of tokens that nobody vouches for included.
    data: Vec<Vec<u8>>,
    /// How many of them are vouched for.
    verified: usize,
    /// Whether the origin's signature says that this is all.
    is_final: bool,
    end: Option<Result<(), ChannelError>>,
}

impl Channels {
    /// Says what a stream is, before it is admitted.
    pub fn expect(&mut self, stream: u64, scope: Scope, origin: FalconId, delivery: Delivery) {
        self.scopes.insert(stream, (scope, origin, delivery));
    }

    /// The session lets a stream in.
    pub(crate) fn admit(&mut self, stream: u64) {
        let (scope, origin, delivery) = self.scopes[&stream];
        let incoming = Incoming {
            opener: Opener::new(scope, [origin], delivery),
            delivery,
            data: Vec::new(),
            verified: 0,
            is_final: false,
            end: None,
        };
        assert!(self.open.insert(stream, incoming).is_none(), "once");
        let (bytes, ended) = self.early.remove(&stream).unwrap_or_default();
        self.data(stream, &bytes);
        if ended {
            self.end(stream);
        }
    }

    pub(crate) fn data(&mut self, stream: u64, bytes: &[u8]) {
        match self.open.get_mut(&stream) {
            Some(incoming) => incoming.data(bytes),
            None => self.early.entry(stream).or_default().0.extend(bytes),
        }
    }

    pub(crate) fn end(&mut self, stream: u64) {
        match self.open.get_mut(&stream) {
            Some(incoming) => incoming.end(),
            None => self.early.entry(stream).or_default().1 = true,
        }
    }

    /// A stream, if it was admitted.
    pub fn get(&self, stream: u64) -> Option<&Incoming> {
        self.open.get(&stream)
    }
}

impl Incoming {
    fn data(&mut self, mut bytes: &[u8]) {
        let mut sent = Sent::default();
        while self.end.is_none() {
            match self.opener.next(UnixMicros(0), &mut sent, &mut bytes) {
                Ok(Some(item)) => self.note(item),
                Ok(None) => return,
                Err(error) => self.end = Some(Err(error)),
            }
        }
    }

    fn note(&mut self, item: Item) {
        assert!(!self.is_final, "nothing comes behind the signed end");
        match item {
            Item::Data {
                sequence,
                data,
                verified,
            } => {
                let number = self.data.len() as u64;
                assert_eq!(sequence.into_inner(), number, "in order, without gaps");
                assert_eq!(verified, self.delivery == Delivery::Verified);
                self.data.push(data.to_vec());
            }
            Item::Verified {
                through, is_final, ..
            } => {
                // The end has a token of its own, if no data came since the last run.
                let through = usize::try_from(through.into_inner()).expect("a few");
                self.verified = self.data.len().min(through + 1);
                self.is_final = is_final;
            }
            Item::Key(_) | Item::Priority(_) => {}
        }
        // Who waits for signatures is given nothing else.
        if self.delivery == Delivery::Verified {
            self.verified = self.data.len();
        }
    }

    fn end(&mut self) {
        if self.end.is_none() {
            self.end = Some(self.opener.end());
        }
    }

    /// The data that is vouched for, in its order.
    pub fn verified(&self) -> &[Vec<u8>] {
        &self.data[..self.verified]
    }

    /// Whether the origin's end was verified.
    pub fn is_final(&self) -> bool {
        self.is_final
    }

    /// How it ended; `None` if that has not come.
    pub fn ended(&self) -> Option<Result<(), ChannelError>> {
        self.end
    }
}
