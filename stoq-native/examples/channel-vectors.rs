//! Makes the channel vectors of stoq-core: `cargo run --release -p stoq-native --example channel-vectors -- stoq-core/tests/vectors`
//!
//! PQClean's `falcon-padded-1024` signs. The key is new each time and forgotten, so a second run makes other files with the same
//! data. What they hold stands in `stoq-core/tests/vectors/README.md`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use stoq_core::channel::{ChannelId, Received, Sealer};
use stoq_core::frame::{FalconKey as KeyFrame, Frame, TokenAlgorithm};
use stoq_core::hash::SessionHash;
use stoq_core::run::Statement;
use stoq_core::stream::Direction;
use stoq_core::time::UnixMicros;
use stoq_core::token::{Flow, Scope};
use stoq_native::{FalconKey, FalconSigner};

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("name the folder to write to, stoq-core/tests/vectors");
        return ExitCode::from(64);
    };
    let (both, one) = (Direction::Bidirectional, Direction::Unidirectional);
    for (name, algorithm, kind) in [
        ("channel-sha256.bin", TokenAlgorithm::SHA256, both),
        ("channel-blake3.bin", TokenAlgorithm::BLAKE3, both),
        ("channel-unidirectional.bin", TokenAlgorithm::BLAKE3, one),
    ] {
        if let Err(error) = fs::write(folder.join(name), channel(algorithm, kind)) {
            eprintln!("cannot write to {}: {error}", folder.display());
            return ExitCode::from(73);
        }
    }
    ExitCode::SUCCESS
}

/// Three runs: two messages, two messages, and the end alone. On a stream of both directions each of them is followed by a
/// question.
fn channel(algorithm: TokenAlgorithm, kind: Direction) -> Vec<u8> {
    let key = FalconKey::generate();
    let scope = Scope {
        session: SessionHash::new(&[1; 32], &[2; 32], "files"),
        flow: Flow::ToClient,
        kind,
        channel: ChannelId::new([3; 16]),
    };
    let id = key.verifying_key().id();
    let mut sealer = Sealer::new(scope, algorithm, Some(id)).expect("a known algorithm");
    let mut received = Received::default();
    let mut wire = Vec::new();
    Frame::FalconKey(KeyFrame {
        algorithm: key.verifying_key().algorithm(),
        key: key.verifying_key().as_bytes(),
        created: NOW,
    })
    .encode(&mut wire);
    let sign = |sealer: &mut Sealer, statement: Statement, wire: &mut Vec<u8>| {
        let signature = key.sign(statement.domain, &[&statement.to_be_signed()]);
        let signature = signature.expect("the key signs");
        sealer.signed(&signature, wire).expect("a run was closed");
    };
    for (message, len) in [1, 100, 1000, 3000].into_iter().enumerate() {
        let data = vec![message as u8; len];
        let now = UnixMicros(NOW.0 + message as u64);
        let sealed = sealer.seal(now, &data, &mut wire);
        sealed.expect("there is room");
        wire.extend_from_slice(&data);
        if message % 2 == 1 {
            let statement = sealer.close(&received).expect("there is a run");
            sign(&mut sealer, statement, &mut wire);
            if kind == Direction::Bidirectional {
                received.note(b"question");
            }
        }
    }
    let now = UnixMicros(NOW.0 + 4);
    let statement = sealer.finish(now, &received, &mut wire);
    let statement = statement.expect("it goes on").expect("it is signed");
    sign(&mut sealer, statement, &mut wire);
    wire
}

/// 21 November 2023.
const NOW: UnixMicros = UnixMicros(1_700_524_800_000_000);
