//! Makes the verified streams that the npm package's tests use:
//! `cargo run --release -p stoq-native --example verified-streams > stoq-wasm/test/verified-streams.json`
//!
//! A service's half of one session: its answer, and what it sends on one channel, frame by frame, so that a test can do to it
//! what a relay could. The keys are new each time and forgotten.

use core::net::{Ipv4Addr, Ipv6Addr};

use stoq_core::channel::datagrams::DatagramSealer;
use stoq_core::channel::{ChannelId, Received, Sealer};
use stoq_core::frame::{FalconKey as KeyFrame, Frame, TokenAlgorithm};
use stoq_core::hops::{HopChain, PassedHop};
use stoq_core::identity::FalconId;
use stoq_core::run::Statement;
use stoq_core::session::{Answer, Config, Input, Output, Session, Side};
use stoq_core::stream::Direction;
use stoq_core::time::{Timestamp, UnixMicros};
use stoq_core::token::{Flow, Scope};
use stoq_core::{ServiceName, SessionHash, SessionId};
use stoq_native::{FalconKey, FalconSigner};

fn main() {
    let (origin, other) = (FalconKey::generate(), FalconKey::generate());
    println!("{{");
    println!(r#"  "about": "made by stoq-native/examples/verified-streams.rs","#);
    println!(r#"  "service": "{SERVICE}","#);
    println!(r#"  "random": "{}","#, hex(&CLIENT));
    println!(r#"  "channel": "{}","#, hex(CHANNEL.as_bytes()));
    println!(r#"  "hash": "{}","#, hex(session().as_bytes()));
    println!(r#"  "control": "{}","#, hex(&control(&origin)));
    println!(r#"  "origin": "{}","#, origin.id());
    println!(r#"  "other": "{}","#, other.id());
    println!(r#"  "now": {},"#, NOW.0 / 1000);
    println!(r#"  "question": "{QUESTION}","#);
    println!(r#"  "asked": {:?},"#, asked());
    println!(r#"  "pieces": {:?},"#, PIECES);
    println!(r#"  "answer": {:?},"#, answer(&origin));
    println!(r#"  "byAnother": {:?},"#, answer(&other));
    println!(r#"  "datagrams": {:?},"#, datagrams(&origin).0);
    println!(r#"  "announced": {:?},"#, datagrams(&origin).1);
    println!(r#"  "announcedByAnother": {:?}"#, datagrams(&other).1);
    println!("}}");
}

/// What the client's question is on the wire.
fn asked() -> Vec<String> {
    let sealer = Sealer::new(scope(Flow::ToTarget), TokenAlgorithm::BLAKE3, None);
    let mut out = Vec::new();
    let mut sealer = sealer.expect("a known algorithm");
    put(&mut sealer, QUESTION, &mut out);
    out
}

/// The key, two pieces and their signature, one piece and the signature of the end.
fn answer(key: &FalconKey) -> Vec<String> {
    let mut received = Received::default();
    received.note(QUESTION.as_bytes());
    let signer = Some(key.id());
    let sealer = Sealer::new(scope(Flow::ToClient), TokenAlgorithm::SHA256, signer);
    let mut sealer = sealer.expect("a known algorithm");
    let mut out = vec![announced(key)];
    let [first, second, third] = PIECES;
    put(&mut sealer, first, &mut out);
    put(&mut sealer, second, &mut out);
    let statement = sealer.close(&received).expect("a run has begun");
    sign(&mut sealer, key, &statement, &mut out);
    put(&mut sealer, third, &mut out);
    let ended = sealer.finish(NOW, &received, &mut Vec::new());
    let statement = ended
        .expect("no run waits for its signature")
        .expect("somebody signs");
    sign(&mut sealer, key, &statement, &mut out);
    out
}

/// What is in each of three datagrams; and the key, the list of their tokens, and its signature.
fn datagrams(key: &FalconKey) -> (Vec<String>, Vec<String>) {
    let (hash, signer) = (TokenAlgorithm::BLAKE3, Some(key.id()));
    let sealer = DatagramSealer::new(session(), Flow::ToClient, hash, signer);
    let mut sealer = sealer.expect("a known algorithm");
    let contents = PIECES.map(|piece| {
        let mut content = Vec::new();
        sealer.seal(NOW, piece.as_bytes(), &mut content);
        content.extend_from_slice(piece.as_bytes());
        hex(&content)
    });
    let statement = sealer.close().expect("a list has begun");
    let signature = key.sign(statement.domain, &[&statement.to_be_signed()]);
    let mut frames = Vec::new();
    let signed = sealer.signed(&signature.expect("a new key signs"), &mut frames);
    signed.expect("the list was closed");
    let (_, list) = Frame::decode(&frames)
        .expect("it was just encoded")
        .expect("a list is whole");
    let announced = vec![announced(key), hex(&frames[..list]), hex(&frames[list..])];
    (contents.into(), announced)
}

/// The key, in its frame.
fn announced(key: &FalconKey) -> String {
    let verifying = key.verifying_key();
    let mut bytes = Vec::new();
    Frame::FalconKey(KeyFrame {
        algorithm: verifying.algorithm(),
        key: verifying.as_bytes(),
        created: NOW,
    })
    .encode(&mut bytes);
    hex(&bytes)
}

/// Two frames, the token and the data.
fn put(sealer: &mut Sealer, data: &str, out: &mut Vec<String>) {
    let mut header = Vec::new();
    let sealed = sealer.seal(NOW, data.as_bytes(), &mut header);
    sealed.expect("short data, and a run that is not full");
    let (_, token) = Frame::decode(&header)
        .expect("it was just encoded")
        .expect("a token is whole");
    out.push(hex(&header[..token]));
    out.push(hex(&[&header[token..], data.as_bytes()].concat()));
}

fn sign(sealer: &mut Sealer, key: &FalconKey, statement: &Statement, out: &mut Vec<String>) {
    let signature = key
        .sign(statement.domain, &[&statement.to_be_signed()])
        .expect("a new key signs");
    let mut frame = Vec::new();
    let signed = sealer.signed(&signature, &mut frame);
    signed.expect("the run was closed");
    out.push(hex(&frame));
}

/// The service's control stream: it takes the session, and names two relays on the way.
fn control(origin: &FalconKey) -> Vec<u8> {
    let service = ServiceName::new(SERVICE).expect("a constant of allowed characters");
    let mut config = Config::new(Side::Client, CLIENT);
    config.service = Some(service);
    let (start, mut out) = (Timestamp::default(), Vec::new());
    Session::new(start, config, &mut out).expect("nothing is shown");
    let [Output::Send(first)] = &out[..] else {
        unreachable!("a client begins with its SETTINGS")
    };
    let settings = first.slice(1..);
    out.clear();
    let config = Config::new(Side::Server, [0; 32]);
    let mut server = Session::new(start, config, &mut out).expect("a server shows nothing");
    let handled = server.handle(start, Input::Control(&settings), &mut out);
    handled.expect("a client's own SETTINGS");
    let mut answer = Answer::new(TARGET, 1200);
    let hop = |id, address, metadata: &[(&str, &str)]| PassedHop {
        id,
        address,
        port: 4433,
        timestamp: NOW,
        metadata: metadata
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect(),
    };
    let four = Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped();
    let six = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    answer.hops = Some(HopChain {
        max_hops: 4,
        hops: vec![
            hop(origin.id(), four, &[]),
            hop(FalconId::new([7; 32]), six, &[("place", "Zürich")]),
        ],
    });
    server.accept(start, SessionId::ZERO, &answer, &mut out);
    let sent = out.iter().filter_map(|output| match output {
        Output::Send(bytes) => Some(bytes.to_vec()),
        _ => None,
    });
    sent.collect::<Vec<_>>().concat()
}

fn session() -> SessionHash {
    SessionHash::new(&CLIENT, &TARGET, SERVICE)
}

fn scope(flow: Flow) -> Scope {
    Scope {
        session: session(),
        flow,
        kind: Direction::Bidirectional,
        channel: CHANNEL,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const SERVICE: &str = "files";
/// What the browser's random bytes are made to be.
const CLIENT: [u8; 32] = [1; 32];
const TARGET: [u8; 32] = [2; 32];
const CHANNEL: ChannelId = ChannelId::new([1; 16]);
/// 21 September 2026.
const NOW: UnixMicros = UnixMicros(1_790_000_000_000_000);
const QUESTION: &str = "which is the answer?";
const PIECES: [&str; 3] = ["forty", "-", "two"];
