//! What holds for announcements, whatever a peer sends and whenever an application asks: a script of bytes says both.

use std::collections::BTreeSet;
use std::time::Duration;

use stoq_core::announce::Announcements;
use stoq_core::reader::{Fault, Reader};
use stoq_core::seeds::{Limits, SeedEvent};
use stoq_core::time::Timestamp;
use stoq_core::{Frame, frame::Seed};

/// Runs a script until it ends, or the stream does.
pub(crate) fn seeds_bytes(script: &[u8]) {
    let limits = Limits {
        contents: 4,
        memory: 8 * 1024,
        lifetime: Duration::from_secs(1),
        burst: 32,
        per_second: 8,
    };
    let mut run = Run {
        whole: Announcements::new(limits),
        pieces: Announcements::new(limits),
        limits,
        known: BTreeSet::new(),
        now: Timestamp::from_micros(1),
        ended: false,
    };
    let mut script = Reader::new(script);
    while !run.ended && run.step(&mut script).is_ok() {}
}

struct Run {
    /// Fed as the script says.
    whole: Announcements,
    /// Fed the same byte by byte.
    pieces: Announcements,
    limits: Limits,
    /// Contents that the application knows of.
    known: BTreeSet<[u8; 32]>,
    now: Timestamp,
    ended: bool,
}

impl Run {
    fn step(&mut self, script: &mut Reader<'_>) -> Result<(), Fault> {
        match script.u8()? % 8 {
            0 => {
                let length = usize::from(script.u8()?).min(script.left());
                self.feed(script.bytes(length)?);
            }
            // A whole seed, so that a script need not guess.
            1..=3 => {
                let node = [1 + script.u8()? % 3; 32];
                let [content, nodes, reliability] = *script.array()?;
                let mut payload = vec![content % 8; 32];
                payload.extend([2, content >> 6]);
                for port in 1..=u16::from(nodes % 64) {
                    payload.extend(node);
                    payload.extend([0; 16]);
                    payload.extend(port.to_be_bytes());
                    payload.push(reliability % 102);
                }
                self.feed(&framed(0xfe00_0004, &payload));
            }
            // A whole frame of any type with a long number.
            4 => {
                let ty = 0xfe00_0000 | u32::from(script.u8()? % 9);
                let length = usize::from(script.u16()? % 2048);
                self.feed(&framed(ty, &vec![script.u8()?; length]));
            }
            5 => {
                self.now = self.now + Duration::from_millis(script.u16()?.into());
                for side in [&mut self.whole, &mut self.pieces] {
                    side.seeds().tick(self.now);
                    assert!(side.seeds().next_due().is_none_or(|due| due > self.now));
                }
            }
            6 => self.ask(),
            _ => while self.ask_one() {},
        }
        let limits = self.limits;
        let seeds = self.whole.seeds();
        assert!(seeds.len() <= limits.contents && seeds.memory() <= limits.memory);
        assert_eq!(seeds.is_empty(), seeds.next_due().is_none());
        Ok(())
    }

    /// However the bytes are cut, the same comes of them.
    fn feed(&mut self, bytes: &[u8]) {
        let whole = self.whole.feed(self.now, bytes);
        let pieces = bytes
            .iter()
            .try_for_each(|byte| self.pieces.feed(self.now, &[*byte]));
        assert_eq!(whole, pieces);
        if let Err(error) = whole {
            assert!(!error.to_string().is_empty());
            assert!(error.code().name().is_some());
            self.ended = true;
            while self.ask_one() {}
            return;
        }
        assert_eq!(self.whole.finish(), self.pieces.finish());
    }

    fn ask(&mut self) {
        self.ask_one();
        let signature = self.whole.next_signature();
        assert_eq!(signature, self.pieces.next_signature());
        if let Some(frame) = signature {
            let decoded = Frame::decode(&frame).expect("well-formed");
            assert_eq!(decoded.expect("whole").1, frame.len());
        }
    }

    fn ask_one(&mut self) -> bool {
        let event = self.whole.seeds().next_event();
        assert_eq!(event, self.pieces.seeds().next_event());
        match &event {
            Some(SeedEvent::Announced(seed)) => {
                assert!(self.known.insert(seed.content), "it was known");
                self.is_held(seed);
            }
            Some(SeedEvent::Changed(seed)) => {
                assert!(self.known.contains(&seed.content), "it was not known");
                self.is_held(seed);
            }
            Some(SeedEvent::Expired(content) | SeedEvent::Dropped(content)) => {
                assert!(self.known.remove(content), "it was not known");
            }
            None => {
                // All has been told: the application knows what the book holds.
                let seeds = self.whole.seeds();
                assert_eq!(self.known.len(), seeds.len());
                assert!(
                    self.known
                        .iter()
                        .all(|content| seeds.get(content).is_some())
                );
            }
        }
        event.is_some()
    }

    fn is_held(&mut self, seed: &Seed) {
        assert_eq!(self.whole.seeds().get(&seed.content), Some(seed));
        assert_eq!(Frame::Seed(seed.clone()).check(), Ok(()));
    }
}

/// A frame whose type takes eight bytes and whose length takes two or more.
fn framed(ty: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (0xc000_0000_0000_0000 | u64::from(ty))
        .to_be_bytes()
        .to_vec();
    let length = u16::try_from(payload.len()).expect("short");
    match length {
        0..64 => bytes.push(length as u8),
        _ => bytes.extend((0x4000 | length).to_be_bytes()),
    }
    bytes.extend(payload);
    bytes
}
