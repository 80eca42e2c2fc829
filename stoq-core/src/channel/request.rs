//! What an answer answers: digests of what one end has sent and the other has received.

use alloc::collections::VecDeque;

use super::MAX_REQUESTS;
use crate::hash::Sha256;
use crate::varint::VarInt;

/// What a run of tokens answers: the data of the first `frames` DATA frames of the channel's other direction, which are those that
/// the signer's application had been given **when the run was closed** ([`Sealer::close`](super::Sealer::close),
/// [`Sealer::finish`](super::Sealer::finish)). Frames without data do not count. No frames, and the digest of nothing, if it had
/// been given none: also on a unidirectional stream, and of datagrams.
///
/// A run is closed after its data was written, as a rule within a quarter of a second. So it names all that can have had a part
/// in what it says, and perhaps some that came while it grew and had none; what had arrived by then and nobody had taken is not
/// in it.
///
/// A receiver takes a run if the first `frames` frames that it has itself sent have this digest, and no run before has named more of
/// them. [`Sent`] says what holds for the last run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// How many frames.
    pub frames: VarInt,
    /// SHA-256 of their data.
    pub digest: [u8; 32],
}

/// What one end has received on a channel, so that it can sign what it answers.
#[derive(Clone, Debug, Default)]
pub struct Received {
    frames: u64,
    hash: Sha256,
}

impl Received {
    /// Notes the data of one frame that the application was given.
    pub fn note(&mut self, data: &[u8]) {
        self.frames += 1;
        self.hash.update(data);
    }

    /// All that was received so far.
    pub fn request(&self) -> Request {
        Request {
            frames: VarInt::saturating(self.frames.into()),
            digest: self.hash.clone().finish(),
        }
    }
}

/// What one end has sent on a channel, so that it knows which answers are to it.
///
/// Keeps at most [`MAX_REQUESTS`] digests, 512 KiB, the newest; and gives up those before one that an answer has named.
#[derive(Clone, Debug)]
pub struct Sent {
    hash: Sha256,
    /// The digest after `first` frames, and after each one more.
    digests: VecDeque<[u8; 32]>,
    first: u64,
    /// What the newest good answer has named.
    answered: u64,
    /// Whether nothing more will be sent, so that a last answer must be to all.
    ended: bool,
    /// What the last answer has named.
    last_answer: Option<u64>,
}

impl Sent {
    /// Notes the data of one frame that is being sent.
    pub fn note(&mut self, data: &[u8]) {
        self.hash.update(data);
        if self.digests.len() == MAX_REQUESTS {
            self.digests.pop_front();
            self.first += 1;
        }
        self.digests.push_back(self.hash.clone().finish());
    }

    /// Notes that nothing more will be sent: from now on the signed end of an answer to less than all is refused
    /// ([`WrongRequest`](super::ChannelError::WrongRequest)), because a relay may have cut the question. An end that never says
    /// so takes all answers.
    ///
    /// # Errors
    /// [`CutShort`] if the signed end of the answer has come before, and is to less than was sent.
    pub fn end(&mut self) -> Result<(), CutShort> {
        self.ended = true;
        match self.last_answer {
            Some(answered) if answered < self.frames() => Err(CutShort {
                answered,
                sent: self.frames(),
            }),
            _ => Ok(()),
        }
    }

    /// How many frames were sent.
    fn frames(&self) -> u64 {
        self.first + self.digests.len() as u64 - 1
    }

    /// Whether these are all that were sent so far.
    pub(super) fn is_all(&self, frames: VarInt) -> bool {
        frames.into_inner() == self.frames()
    }

    /// Whether the answer to so many frames may be the last.
    pub(super) fn may_be_last(&self, frames: VarInt) -> bool {
        !self.ended || self.is_all(frames)
    }

    /// Notes that the answer has ended, as one to so many frames.
    pub(super) fn answer_ended(&mut self, frames: VarInt) {
        self.last_answer = Some(frames.into_inner());
    }

    /// The digest of the first `frames` frames; `None` if they were not sent, their digest is not kept any more, or an answer
    /// to more than them has come.
    pub fn digest(&self, frames: VarInt) -> Option<[u8; 32]> {
        let frames = frames.into_inner();
        // Nothing has the same digest at all times.
        if frames == 0 && self.answered == 0 {
            return Some(Sha256::new().finish());
        }
        let at = frames.checked_sub(self.first.max(self.answered))?;
        let skipped = self.answered.saturating_sub(self.first);
        let at = usize::try_from(at.checked_add(skipped)?).ok()?;
        self.digests.get(at).copied()
    }

    /// Notes that an answer to the first `frames` frames has come: none to fewer is taken any more.
    pub fn answered(&mut self, frames: VarInt) {
        self.answered = self.answered.max(frames.into_inner());
        while self.first < self.answered && self.digests.len() > 1 {
            self.digests.pop_front();
            self.first += 1;
        }
    }
}

impl Default for Sent {
    fn default() -> Self {
        let hash = Sha256::new();
        let nothing = hash.clone().finish();
        Self {
            hash,
            digests: VecDeque::from([nothing]),
            first: 0,
            answered: 0,
            ended: false,
            last_answer: None,
        }
    }
}

/// The answer has ended, and is to less than was sent: who answered has not had the rest, or did not care for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer has ended and is to {answered} frames of the {sent} that were sent")]
pub struct CutShort {
    /// The frames that are answered.
    pub answered: u64,
    /// The frames that were sent.
    pub sent: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(frames: u32) -> VarInt {
        VarInt::from_u32(frames)
    }

    #[test]
    fn both_ends_agree_on_every_boundary() {
        let (mut sent, mut received) = (Sent::default(), Received::default());
        for round in 0..20 {
            let request = received.request();
            assert_eq!(request.frames, frames(round));
            assert_eq!(sent.digest(request.frames), Some(request.digest));
            assert_eq!(sent.digest(frames(round + 1)), None, "not sent");
            sent.note(&[round as u8; 9]);
            received.note(&[round as u8; 9]);
        }
        let other = Received::default();
        assert_ne!(sent.digest(frames(20)), Some(other.request().digest));
    }

    #[test]
    fn an_answer_to_less_than_an_earlier_one_is_none() {
        let mut sent = Sent::default();
        for _ in 0..5 {
            sent.note(b"question");
        }
        let (three, four) = (sent.digest(frames(3)), sent.digest(frames(4)));
        sent.answered(frames(3));
        for gone in 0..3 {
            assert_eq!(sent.digest(frames(gone)), None, "{gone}");
        }
        assert_eq!(sent.digest(frames(3)), three);
        assert_eq!(sent.digest(frames(4)), four);
        sent.note(b"more");
        assert!(sent.digest(frames(6)).is_some());
    }

    #[test]
    fn the_oldest_digests_are_given_up() {
        let mut sent = Sent::default();
        for _ in 0..MAX_REQUESTS + 9 {
            sent.note(b"a lot");
        }
        assert_eq!(sent.digests.len(), MAX_REQUESTS);
        assert_eq!(sent.digest(frames(9)), None);
        assert!(sent.digest(frames(10)).is_some());
        assert!(sent.digest(frames(MAX_REQUESTS as u32 + 9)).is_some());
        assert!(sent.digest(frames(0)).is_some(), "who spoke first may");
        assert_eq!(sent.digest(VarInt::MAX), None);
    }
}
