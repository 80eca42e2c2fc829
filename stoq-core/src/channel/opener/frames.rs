//! Frames from bytes in pieces, and data from tokens.

use alloc::vec::Vec;

use bytes::{Buf as _, Bytes};

use super::{Delivery, Item, Opener};
use crate::channel::{ChannelError, MAX_IDLE_FRAMES, Sent};
use crate::frame::{DecodeError, Frame, FrameType, Token, TokenAlgorithm};
use crate::reader::{Fault, Reader};
use crate::time::UnixMicros;
use crate::token::PREFIX_LEN;
use crate::varint::VarInt;

/// The frame that is being read.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// Type and length, and of small frames the payload as well. At most 1.8 KB, reserved once.
    head: Vec<u8>,
    body: Body,
}

#[derive(Clone, Debug, Default)]
enum Body {
    /// Type and length are not complete.
    #[default]
    Head,
    /// So many bytes of payload are to come into `head`.
    Small { left: usize },
    /// What there is of a DATA frame, behind the room for what is hashed with it; and how long both will be.
    Data { data: Vec<u8>, len: usize },
    /// So many bytes are to be skipped.
    Unknown { left: usize },
}

impl Reading {
    pub(super) const fn is_between_frames(&self) -> bool {
        matches!(self.body, Body::Head) && self.head.is_empty()
    }
}

impl Opener {
    /// Reads frames until one hands something out.
    pub(super) fn read(
        &mut self,
        now: UnixMicros,
        sent: &mut Sent,
        input: &mut &[u8],
    ) -> Result<Option<Item>, ChannelError> {
        loop {
            let is_whole = match &mut self.reading.body {
                Body::Head => {
                    let Some((&byte, rest)) = input.split_first() else {
                        return Ok(None);
                    };
                    *input = rest;
                    self.reading.head.push(byte);
                    self.begin()?
                }
                Body::Small { left } => {
                    let piece = take(input, *left);
                    *left -= piece.len();
                    self.reading.head.extend_from_slice(piece);
                    *left == 0
                }
                Body::Data { data, len } => {
                    data.extend_from_slice(take(input, *len - data.len()));
                    data.len() == *len
                }
                Body::Unknown { left } => {
                    *left -= take(input, *left).len();
                    *left == 0
                }
            };
            if is_whole {
                if let Some(item) = self.frame(now, sent)? {
                    return Ok(Some(item));
                }
            } else if input.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Looks at the head of a frame; if it is complete, at what the frame may be. Says whether the frame is whole with it.
    fn begin(&mut self) -> Result<bool, ChannelError> {
        let upcoming = self.upcoming();
        let malformed = |fault| ChannelError::Malformed {
            sequence: upcoming,
            fault,
        };
        let mut reader = Reader::new(&self.reading.head);
        let mut varint = || match reader.varint() {
            Ok(value) => Ok(Some(value)),
            Err(Fault::Truncated { .. }) => Ok(None),
            Err(fault) => Err(malformed(DecodeError::Header(fault))),
        };
        let Some(frame) = varint()?.map(FrameType::new) else {
            return Ok(false);
        };
        let Some(got) = varint()?.map(VarInt::into_inner) else {
            return Ok(false);
        };
        let limit = frame.max_len();
        let len = usize::try_from(got).ok().filter(|&len| len <= limit);
        let len = len.ok_or_else(|| malformed(DecodeError::TooLarge { frame, limit, got }))?;
        self.reading.body = match frame {
            FrameType::DATA => {
                self.expect_data(len)?;
                let len = PREFIX_LEN + len;
                let mut data = Vec::with_capacity(len);
                data.resize(PREFIX_LEN, 0);
                Body::Data { data, len }
            }
            FrameType::TOKEN
            | FrameType::FALCON_SIGNATURE
            | FrameType::FALCON_KEY
            | FrameType::PRIORITY => {
                // At once for the longest token: they come over and over.
                self.reading.head.reserve_exact(len.max(Token::MAX_LEN));
                Body::Small { left: len }
            }
            _ if frame.name().is_none() => Body::Unknown { left: len },
            _ => {
                let sequence = upcoming;
                return Err(ChannelError::Unexpected { sequence, frame });
            }
        };
        Ok(len == 0)
    }

    /// Counts a frame without data: it costs a receiver work, and a sender next to nothing.
    fn pace(&mut self) -> Result<(), ChannelError> {
        let sequence = self.upcoming();
        let left = self.idle.checked_sub(1);
        self.idle = left.ok_or(ChannelError::Flood { sequence })?;
        Ok(())
    }

    /// Takes the frame that is whole.
    fn frame(&mut self, now: UnixMicros, sent: &mut Sent) -> Result<Option<Item>, ChannelError> {
        let mut head = core::mem::take(&mut self.reading.head);
        let taken = match core::mem::take(&mut self.reading.body) {
            Body::Data { data, .. } if data.len() > PREFIX_LEN => {
                self.idle = (self.idle + 2).min(MAX_IDLE_FRAMES);
                self.data(data)
            }
            Body::Data { data, .. } => self.pace().and_then(|()| self.data(data)),
            Body::Head | Body::Unknown { .. } => self.pace().map(|()| None),
            Body::Small { .. } => self.small(now, sent, &head),
        };
        head.clear();
        self.reading.head = head;
        taken
    }

    /// Takes a frame that is no data.
    fn small(
        &mut self,
        now: UnixMicros,
        sent: &mut Sent,
        frame: &[u8],
    ) -> Result<Option<Item>, ChannelError> {
        let sequence = self.upcoming();
        let decoded = Frame::decode(frame);
        let decoded = decoded.map_err(|fault| ChannelError::Malformed { sequence, fault })?;
        let Some((frame, _)) = decoded else {
            return Ok(None);
        };
        if let Frame::Token(token) = frame {
            // It is counted with its data.
            return self.token(now, token).map(|()| None);
        }
        self.pace()?;
        match frame {
            Frame::FalconSignature(signature) => self.signature(sent, &signature),
            Frame::FalconKey(key) => self.key(&key),
            Frame::Priority(priority) => Ok(Some(Item::Priority(priority))),
            _ => Ok(None),
        }
    }

    fn token(&mut self, now: UnixMicros, token: Token) -> Result<(), ChannelError> {
        let expected = self.upcoming();
        if self.token.is_some() {
            return Err(ChannelError::Unexpected {
                sequence: expected,
                frame: FrameType::TOKEN,
            });
        }
        if self.ended {
            return Err(ChannelError::BehindEnd { sequence: expected });
        }
        let got = token.sequence;
        if got < expected {
            return Err(ChannelError::Replayed { sequence: got });
        }
        if got > expected {
            let sequence = expected;
            return Err(ChannelError::Missing { sequence, got });
        }
        self.time.check(now, got, token.timestamp)?;
        let (TokenAlgorithm::SHA256 | TokenAlgorithm::BLAKE3) = token.algorithm else {
            return Err(ChannelError::UnknownAlgorithm {
                sequence: got,
                algorithm: token.algorithm,
            });
        };
        self.token = Some(token);
        Ok(())
    }

    /// Whether DATA of this length may come now.
    fn expect_data(&self, len: usize) -> Result<(), ChannelError> {
        if self.token.is_none() {
            return Err(ChannelError::Unexpected {
                sequence: self.upcoming(),
                frame: FrameType::DATA,
            });
        }
        if self.expects_signatures() && !self.unsigned.has_room(len) {
            let sequence = self.unsigned_from();
            return Err(ChannelError::RunTooLong { sequence });
        }
        Ok(())
    }

    fn data(&mut self, mut room: Vec<u8>) -> Result<Option<Item>, ChannelError> {
        let Some(token) = self.token.take() else {
            return Ok(None);
        };
        let sequence = token.sequence;
        let (scope, timestamp) = (self.scope, token.timestamp);
        let tag = scope.tag_in_place(token.algorithm, sequence, timestamp, &mut room);
        if tag != Some(token.tag) {
            return Err(ChannelError::BadTag { sequence });
        }
        let mut data = Bytes::from(room);
        data.advance(PREFIX_LEN);
        self.next += 1;
        if self.expects_signatures() {
            self.unsigned.push(token.tag, data.len());
        }
        if data.is_empty() {
            return Ok(None);
        }
        let item = Item::Data {
            sequence,
            data,
            verified: false,
        };
        if self.expects_signatures() && self.delivery == Delivery::Verified {
            self.unsigned.hold(item);
            return Ok(None);
        }
        Ok(Some(item))
    }
}

/// Takes as many bytes from the front of `input` as there are, up to `most`.
fn take<'a>(input: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (piece, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    piece
}
