//! What a relay can do to the frames that it carries.

use std::str::FromStr;

use stoq_core::frame::{Frame, Token};
use stoq_core::token::Scope;

/// One thing to do, at the token with this sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trick {
    /// Nothing.
    None,
    /// Changes a bit of the data.
    Change(u64),
    /// Changes the data, and makes a token that is right for it: tags have no key.
    Forge(u64),
    /// Leaves token and data out.
    Drop(u64),
    /// Sends token and data twice.
    Repeat(u64),
    /// Ends the stream before the token, as if that had been all.
    Cut(u64),
}

impl FromStr for Trick {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, sequence) = text.split_once(':').unwrap_or((text, "0"));
        let sequence = sequence.parse().map_err(|error| format!("{error}"))?;
        Ok(match name {
            "none" => Self::None,
            "change" => Self::Change(sequence),
            "forge" => Self::Forge(sequence),
            "drop" => Self::Drop(sequence),
            "repeat" => Self::Repeat(sequence),
            "cut" => Self::Cut(sequence),
            _ => return Err(format!("no trick is called {name}")),
        })
    }
}

/// The frames of one half of a stream.
pub(crate) struct Frames {
    scope: Scope,
    trick: Trick,
    partial: Vec<u8>,
    /// The token whose data is next, and its bytes.
    token: Option<(Token, Vec<u8>)>,
}

impl Frames {
    pub(crate) const fn new(scope: Scope, trick: Trick) -> Self {
        Self {
            scope,
            trick,
            partial: Vec::new(),
            token: None,
        }
    }

    /// Takes bytes, and appends what is to be passed on; `false` when nothing more is.
    pub(crate) fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        self.partial.extend_from_slice(bytes);
        let input = core::mem::take(&mut self.partial);
        let mut rest = &input[..];
        while let Ok(Some((frame, len))) = Frame::decode(rest) {
            let (bytes, behind) = rest.split_at(len);
            rest = behind;
            match (frame, self.token.take()) {
                (Frame::Token(token), None) => {
                    if self.trick == Trick::Cut(token.sequence.into_inner()) {
                        return false;
                    }
                    self.token = Some((token, bytes.to_vec()));
                }
                (Frame::Data(data), Some((token, head))) => {
                    self.data(&token, &head, data, bytes, out);
                }
                (_, token) => {
                    out.extend(token.into_iter().flat_map(|(_, bytes)| bytes));
                    out.extend_from_slice(bytes);
                }
            }
        }
        self.partial = rest.to_vec();
        true
    }

    fn data(&self, token: &Token, head: &[u8], data: &[u8], frame: &[u8], out: &mut Vec<u8>) {
        let sequence = token.sequence.into_inner();
        let mut changed = data.to_vec();
        if let Some(byte) = changed.last_mut() {
            *byte ^= 1;
        }
        match self.trick {
            Trick::Change(at) if at == sequence => {
                out.extend_from_slice(head);
                Frame::Data(&changed).encode(out);
            }
            Trick::Forge(at) if at == sequence => {
                let (algorithm, timestamp) = (token.algorithm, token.timestamp);
                let tag = self
                    .scope
                    .tag(algorithm, token.sequence, timestamp, &changed);
                let tag = tag.unwrap_or(token.tag);
                Frame::Token(Token { tag, ..*token }).encode(out);
                Frame::Data(&changed).encode(out);
            }
            Trick::Drop(at) if at == sequence => {}
            trick => {
                let times = if trick == Trick::Repeat(sequence) {
                    2
                } else {
                    1
                };
                for _ in 0..times {
                    out.extend_from_slice(head);
                    out.extend_from_slice(frame);
                }
            }
        }
    }
}
