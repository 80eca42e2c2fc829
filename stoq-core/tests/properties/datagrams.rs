//! What holds for the receiving end of verified datagrams, whatever comes in.

use std::collections::BTreeSet;

use bytes::Bytes;
use stoq_core::channel::datagrams::{DatagramItem, DatagramOpener};
use stoq_core::channel::{ChannelId, Delivery};
use stoq_core::datagram::Content;
use stoq_core::frame::{FalconSignature, Token, TokenAlgorithm, TokenRun};
use stoq_core::identity::SignatureAlgorithm;
use stoq_core::reader::{Fault, Reader};
use stoq_core::stream::Direction;
use stoq_core::time::UnixMicros;
use stoq_core::token::{Flow, Scope};
use stoq_core::{FalconId, Frame, SessionHash, VarInt};

/// Reads `script` as datagrams and announcements of a peer that has no key. Nothing panics, nothing is verified, and no
/// datagram is handed out twice.
pub(crate) fn datagrams_bytes(script: &[u8]) {
    for origins in [&[][..], &[ORIGIN]] {
        for delivery in [Delivery::Pending, Delivery::Verified] {
            let session = scope().session;
            let opener = DatagramOpener::new(session, Flow::ToClient, origins, delivery);
            let seen = BTreeSet::new();
            // The script just ends somewhere.
            let _: Result<(), Fault> = Run { opener, seen }.play(script);
        }
    }
}

struct Run {
    opener: DatagramOpener,
    seen: BTreeSet<VarInt>,
}

impl Run {
    fn play(&mut self, script: &[u8]) -> Result<(), Fault> {
        let mut script = Reader::new(script);
        while script.left() > 0 {
            self.step(&mut script)?;
            while let Some(item) = self.opener.next_item() {
                let DatagramItem::Data {
                    sequence,
                    signer: None,
                    ..
                } = item
                else {
                    panic!("nobody has signed: {item:?}")
                };
                assert!(self.seen.insert(sequence), "{sequence} came twice");
            }
        }
        Ok(())
    }

    fn step(&mut self, script: &mut Reader<'_>) -> Result<(), Fault> {
        let [op, len] = *script.array()?;
        let bytes = script.bytes(usize::from(len % 64).min(script.left()))?;
        let refused = match op % 4 {
            0 => match Content::decode(Bytes::copy_from_slice(bytes)) {
                Ok(Content::Sealed(token, data)) => self.opener.datagram(NOW, &token, data),
                _ => Ok(()),
            },
            1 => self.opener.announced(bytes),
            2 => {
                // One whose token is right for it: anybody can make it.
                let sequence = VarInt::from(script.u16()?);
                let algorithm =
                    [TokenAlgorithm::SHA256, TokenAlgorithm::BLAKE3][op as usize / 4 % 2];
                let token = Token {
                    algorithm,
                    sequence,
                    timestamp: NOW,
                    tag: scope().tag(algorithm, sequence, NOW, bytes).expect("known"),
                };
                let data = Bytes::copy_from_slice(bytes);
                self.opener.datagram(NOW, &token, data)
            }
            _ => {
                let mut run = Vec::new();
                for at in BTreeSet::from_iter(bytes) {
                    TokenRun::put(VarInt::from(*at), &[op; 32], &mut run);
                }
                let Ok(list) = TokenRun::new(&run) else {
                    return Ok(());
                };
                let first = list.tokens().next().expect("it has one").0;
                let last = list.tokens().last().expect("it has one").0;
                let signed = Frame::FalconSignature(FalconSignature {
                    signer: ORIGIN,
                    algorithm: SignatureAlgorithm::FALCON_PADDED_1024,
                    first,
                    last,
                    request: VarInt::default(),
                    is_final: op & 4 == 4,
                    signature: &[0x3a; 1280],
                });
                let mut announce = |frame: Frame<'_>| {
                    let mut bytes = Vec::new();
                    frame.encode(&mut bytes);
                    self.opener.announced(&bytes)
                };
                let _: Result<(), _> = announce(Frame::TokenRun(list));
                announce(signed)
            }
        };
        if let Err(error) = refused {
            assert!(!error.to_string().is_empty() && error.code().name().is_some());
        }
        Ok(())
    }
}

fn scope() -> Scope {
    Scope {
        session: SessionHash::new(&[1; 32], &[2; 32], "files"),
        flow: Flow::ToClient,
        kind: Direction::Bidirectional,
        channel: ChannelId::DATAGRAMS,
    }
}

const NOW: UnixMicros = UnixMicros(1);
const ORIGIN: FalconId = FalconId::new([7; 32]);
