use alloc::vec::Vec;

use bytes::BufMut;

use crate::channel::{ChannelId, RUN_TIME, SealError};
use crate::falcon::{Domain, Signature};
use crate::frame::{FalconSignature, Frame, FrameType, Token, TokenAlgorithm, TokenRun};
use crate::hash::{SessionHash, Sha256};
use crate::identity::{FalconId, SignatureAlgorithm};
use crate::run::Statement;
use crate::stream::Direction;
use crate::time::UnixMicros;
use crate::token::{Flow, Scope};
use crate::varint::VarInt;

/// Puts tokens in front of datagrams, and lists of tokens into statements that a signer signs. Holds two lists of at most 400
/// tokens, 16 KB each.
#[derive(Clone, Debug)]
pub struct DatagramSealer {
    scope: Scope,
    algorithm: TokenAlgorithm,
    signer: Option<FalconId>,
    next: u64,
    /// The list that grows, and when it began.
    run: Vec<u8>,
    tokens: usize,
    began: UnixMicros,
    /// The list that is being signed.
    unsigned: Option<(Vec<u8>, Statement)>,
    skipped: u64,
}

impl DatagramSealer {
    /// The longest that [`seal`](Self::seal) writes: a TOKEN frame with its longest sequence, and the type of DATA.
    pub const MAX_HEADER_LEN: usize = 8 + 1 + Token::MAX_LEN + 1;

    /// The sending end of a session's datagrams.
    ///
    /// # Errors
    /// [`SealError::UnknownAlgorithm`].
    pub fn new(
        session: SessionHash,
        flow: Flow,
        algorithm: TokenAlgorithm,
        signer: Option<FalconId>,
    ) -> Result<Self, SealError> {
        let scope = Scope {
            session,
            flow,
            kind: Direction::Bidirectional,
            channel: ChannelId::DATAGRAMS,
        };
        match algorithm {
            TokenAlgorithm::SHA256 | TokenAlgorithm::BLAKE3 => Ok(Self {
                scope,
                algorithm,
                signer,
                next: 0,
                run: Vec::new(),
                tokens: 0,
                began: UnixMicros::default(),
                unsigned: None,
                skipped: 0,
            }),
            TokenAlgorithm(got) => Err(SealError::UnknownAlgorithm { got }),
        }
    }

    /// Writes what stands in front of `data` in a datagram's content: its token, and the type of DATA. Returns its sequence.
    ///
    /// A datagram that comes while both lists are full is sent all the same, and will not be signed: see
    /// [`skipped`](Self::skipped).
    pub fn seal(&mut self, now: UnixMicros, data: &[u8], out: &mut impl BufMut) -> VarInt {
        // It would take longer than the age of the world to count to 2^62.
        let sequence = VarInt::saturating(self.next.into());
        let tag = self.scope.tag(self.algorithm, sequence, now, data);
        let tag = tag.expect("`new` has looked at the algorithm");
        let token = Token {
            algorithm: self.algorithm,
            sequence,
            timestamp: now,
            tag,
        };
        Frame::Token(token).encode(out);
        VarInt::from(FrameType::DATA).encode(out);
        self.next += 1;
        if self.signer.is_none() {
            return sequence;
        }
        if self.tokens == TokenRun::MAX_TOKENS {
            self.skipped += 1;
            return sequence;
        }
        if self.tokens == 0 {
            self.began = now;
        }
        TokenRun::put(sequence, &tag, &mut self.run);
        self.tokens += 1;
        sequence
    }

    /// Whether the list is full or old enough to be signed now.
    pub fn due(&self, now: UnixMicros) -> bool {
        let age = u128::from(now.0.saturating_sub(self.began.0));
        self.tokens == TokenRun::MAX_TOKENS || self.tokens > 0 && age >= RUN_TIME.as_micros()
    }

    /// Tokens in the list that grows.
    pub const fn tokens(&self) -> usize {
        self.tokens
    }

    /// Datagrams that will not be signed, because more were sent than could be.
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Ends the list, and says what is to be signed; the signature goes to [`signed`](Self::signed). `None` if there is none,
    /// or the one before is being signed.
    pub fn close(&mut self) -> Option<Statement> {
        if self.unsigned.is_some() || self.tokens == 0 {
            return None;
        }
        let run = core::mem::take(&mut self.run);
        self.tokens = 0;
        let list = TokenRun::new(&run).expect("sequences ascend, and are counted");
        let (first, last) = (list.tokens().next()?.0, list.tokens().last()?.0);
        let statement = Statement {
            domain: Domain::DATAGRAM_RUN,
            session: self.scope.session,
            signer: self.signer?,
            channel: ChannelId::DATAGRAMS,
            request: Sha256::new().finish(),
            first,
            last,
            is_final: false,
            tags: super::digest(&list),
        };
        self.unsigned = Some((run, statement));
        Some(statement)
    }

    /// Writes the list that was closed and its signature as frames for the announcing stream, to stand there without others
    /// in between.
    ///
    /// # Errors
    /// [`SealError::NotClosed`] if no list waits for one.
    pub fn signed(
        &mut self,
        signature: &Signature,
        out: &mut impl BufMut,
    ) -> Result<(), SealError> {
        let (run, statement) = self.unsigned.take().ok_or(SealError::NotClosed)?;
        let list = TokenRun::new(&run).expect("it was one when it was closed");
        Frame::TokenRun(list).encode(out);
        let frame = FalconSignature {
            signer: statement.signer,
            algorithm: SignatureAlgorithm::FALCON_PADDED_1024,
            first: statement.first,
            last: statement.last,
            request: VarInt::default(),
            is_final: false,
            signature: signature.as_bytes(),
        };
        Frame::FalconSignature(frame).encode(out);
        Ok(())
    }
}
