//! What an origin says on a verified stream, and what a relay makes of it.

use stoq_core::Frame;
use stoq_core::channel::{Received, Sealer};
use stoq_core::frame::{FalconKey as KeyFrame, FrameType, Token, TokenAlgorithm};
use stoq_core::time::UnixMicros;
use stoq_core::token::Scope;
use stoq_native::{FalconKey, FalconSigner};

/// The frames of one channel, whole and in order.
pub fn channel(scope: Scope, key: &FalconKey, runs: &[Vec<Vec<u8>>]) -> Vec<Vec<u8>> {
    let mut sealer = Sealer::new(scope, TokenAlgorithm::BLAKE3, Some(key.id())).expect("known");
    let (received, verifying) = (Received::default(), key.verifying_key());
    let mut wire = Vec::new();
    Frame::FalconKey(KeyFrame {
        algorithm: verifying.algorithm(),
        key: verifying.as_bytes(),
        created: NOW,
    })
    .encode(&mut wire);
    for (number, run) in runs.iter().enumerate() {
        for data in run {
            sealer.seal(NOW, data, &mut wire).expect("there is room");
            wire.extend_from_slice(data);
        }
        let statement = match number + 1 == runs.len() {
            true => sealer.finish(NOW, &received, &mut wire).expect("once"),
            false => sealer.close(&received),
        };
        let statement = statement.expect("there is a run");
        let signature = key.sign(statement.domain, &[&statement.to_be_signed()]);
        let signature = signature.expect("the key signs");
        let signed = sealer.signed(&signature, &mut wire);
        signed.expect("a run was closed");
    }
    split(&wire)
}

fn split(mut wire: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some((_, len)) = Frame::decode(wire).expect("it was made so") {
        frames.push(wire[..len].to_vec());
        wire = &wire[len..];
    }
    frames
}

/// What a relay has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tampering {
    /// Nothing.
    None,
    /// Something that changes nothing of what the origin says: its key is not signed but named, and a signature may come behind
    /// tokens of the next run.
    Harmless,
    /// Something that a receiver must find out.
    Harmful,
}

/// Leaves the frames alone, or does one thing to them, as the random numbers say. `other` are frames of another channel of the
/// same origin, and `scope` is that of this one.
pub fn tamper(
    random: &mut fastrand::Rng,
    frames: &mut Vec<Vec<u8>>,
    other: &[Vec<u8>],
    scope: Scope,
) -> Tampering {
    let at = random.usize(0..frames.len());
    let ty = ty(&frames[at]);
    match random.u32(0..8) {
        0 => return Tampering::None,
        1 => {
            let byte = random.usize(0..frames[at].len());
            frames[at][byte] ^= 1 << random.u32(0..8);
        }
        2 => drop(frames.remove(at)),
        3 => {
            let again = frames[at].clone();
            frames.insert(random.usize(at..=frames.len()), again);
        }
        4 => {
            let with = random.usize(0..frames.len());
            frames.swap(at, with);
            let moved = [ty, self::ty(&frames[at])];
            if at == with {
                return Tampering::None;
            }
            if !moved
                .iter()
                .all(|ty| matches!(*ty, FrameType::TOKEN | FrameType::DATA))
            {
                return Tampering::Harmless;
            }
        }
        // As if that had been all.
        5 => {
            frames.truncate(at);
            return Tampering::Harmful;
        }
        6 => match other.get(at) {
            Some(other) => frames[at].clone_from(other),
            None => return Tampering::None,
        },
        _ => {
            forge(frames, random, scope);
            return Tampering::Harmful;
        }
    }
    match ty == FrameType::FALCON_KEY {
        true => Tampering::Harmless,
        false => Tampering::Harmful,
    }
}

/// Puts other data in place of some, with a token that is right for it: tags have no key.
fn forge(frames: &mut [Vec<u8>], random: &mut fastrand::Rng, scope: Scope) {
    let tokens: Vec<_> = (0..frames.len() - 1)
        .filter(|at| ty(&frames[*at]) == FrameType::TOKEN)
        .collect();
    let at = tokens[random.usize(0..tokens.len())];
    let Ok(Some((Frame::Token(token), _))) = Frame::decode(&frames[at]) else {
        unreachable!("it is one")
    };
    let data = b"what the relay says";
    let tag = scope.tag(token.algorithm, token.sequence, token.timestamp, data);
    let tag = tag.expect("known");
    let encoded = |frame: Frame<'_>| {
        let mut out = Vec::new();
        frame.encode(&mut out);
        out
    };
    frames[at] = encoded(Frame::Token(Token { tag, ..token }));
    frames[at + 1] = encoded(Frame::Data(data));
}

fn ty(frame: &[u8]) -> FrameType {
    match Frame::decode(frame) {
        Ok(Some((frame, _))) => frame.ty(),
        other => panic!("not a frame: {other:?}"),
    }
}

const NOW: UnixMicros = UnixMicros(1_700_524_800_000_000);
