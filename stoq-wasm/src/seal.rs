//! The sending end of a verified channel: tokens in front of what a page writes.

use alloc::rc::Rc;
use alloc::string::ToString;
use core::cell::RefCell;

use bytes::BytesMut;
use stoq_core::Code;
use stoq_core::channel::{SealError, Sealer, Sent};
use stoq_core::frame::{Frame, TokenAlgorithm};
use stoq_core::token::Scope;

use crate::error::Error;
use crate::js;
use crate::line::Line;

/// Puts tokens in front of data, and notes what was sent, so that answers to it can be told. Nothing is signed: a page has no
/// FALCON key.
pub(crate) struct Seal {
    sealer: RefCell<Sealer>,
    sent: Option<Rc<RefCell<Sent>>>,
    /// Whether only an answer to all that was sent may be the last.
    whole: bool,
    /// Those who write: the frames of one chunk stay together.
    pub(crate) line: Line,
}

impl Seal {
    /// Data that [`frames`](Self::frames) is given at most: four full frames, so that a large chunk is in WebAssembly's memory
    /// only in part, and each round through JavaScript moves enough to be worth it.
    pub(crate) const MAX_PIECE: u32 = 4 * Frame::MAX_DATA as u32;

    /// `sent` is where what was sent is noted, if a signed answer to it may come.
    pub(crate) fn new(
        scope: Scope,
        algorithm: TokenAlgorithm,
        sent: Option<Rc<RefCell<Sent>>>,
        whole: bool,
    ) -> Result<Self, Error> {
        let sealer = Sealer::new(scope, algorithm, None).map_err(|error| impossible(&error))?;
        Ok(Self {
            sealer: RefCell::new(sealer),
            sent,
            whole,
            line: Line::default(),
        })
    }

    /// Says that nothing more will be sent. Fails if the signed answer has ended before, and is to less.
    pub(crate) fn end(&self) -> Result<(), Error> {
        match &self.sent {
            Some(sent) if self.whole => (sent.borrow_mut().end())
                .map_err(|cut| Error::new(Code::WRONG_REQUEST, cut.to_string())),
            _ => Ok(()),
        }
    }

    /// The data in frames with their tokens.
    pub(crate) fn frames(&self, data: &[u8]) -> Result<BytesMut, Error> {
        let mut sealer = self.sealer.borrow_mut();
        let frames = data.len().div_ceil(Frame::MAX_DATA);
        // As the machine does: frames written into anything else would be compiled anew.
        let mut out = BytesMut::with_capacity(data.len() + frames * Sealer::MAX_HEADER_LEN);
        for piece in data.chunks(Frame::MAX_DATA) {
            let sealed = sealer.seal(js::wall_clock(), piece, &mut out);
            sealed.map_err(|error| impossible(&error))?;
            out.extend_from_slice(piece);
            if let Some(sent) = &self.sent {
                sent.borrow_mut().note(piece);
            }
        }
        Ok(out)
    }
}

/// Pieces are cut to size, nobody has to sign, and who writes looks first whether the stream was finished.
pub(crate) fn impossible(error: &SealError) -> Error {
    Error::new(Code::INTERNAL, error.to_string())
}
