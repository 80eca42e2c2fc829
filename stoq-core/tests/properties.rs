//! The properties in the folder of the same name, on random values, random bytes, and the bytes of values with a slip in them.

#[path = "properties/access.rs"]
mod access;
#[path = "properties/channel.rs"]
mod channel;
#[path = "properties/codec.rs"]
mod codec;
#[path = "properties/datagrams.rs"]
mod datagrams;
#[path = "properties/hops.rs"]
mod hops;
#[path = "properties/identity.rs"]
mod identity;
#[path = "properties/peek.rs"]
mod peek;
#[path = "properties/seeds.rs"]
mod seeds;
#[path = "properties/session.rs"]
mod session;
#[path = "properties/shards.rs"]
mod shards;

use core::{net::Ipv6Addr, time::Duration};
use std::collections::BTreeSet;

use proptest::{array, collection::vec, prelude::*, string::string_regex};
use stoq_core::{
    Code, Frame, SessionId, StreamHeader, VarInt,
    frame::{
        AnswerHeaders, Auth, CloseSession, FalconKey, FalconSignature, FrameType, GoAway, Headers,
        Hop, Ping, Priority, Relay, RequestHeaders, Route, RstStream, Seed, SeedNode, SeedPriority,
        SettingId, Settings, Shard, Stats, Token, TokenAlgorithm, TokenRun, WindowUpdate,
    },
    identity::{FalconId, SignatureAlgorithm},
    shards::{Loss, Parity},
    stream::{Direction, Payload},
    time::UnixMicros,
};

proptest! {
    // A failure prints its input; it becomes a vector, not a file of seeds.
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn varints(value in varint(), bytes in vec(any::<u8>(), 0..10)) {
        codec::varint(value);
        codec::varint_bytes(&bytes);
    }

    #[test]
    fn stream_headers(session in varint(), kind in 0usize..3, unknown in varint(), bytes in vec(any::<u8>(), 0..20)) {
        for direction in [Direction::Bidirectional, Direction::Unidirectional] {
            let kinds = match direction {
                Direction::Bidirectional => [Payload::Raw, Payload::Framed, Payload::Raw],
                Direction::Unidirectional => [Payload::Raw, Payload::Framed, Payload::Announce],
            };
            let payload = kinds[kind];
            codec::stream_header(&StreamHeader::Data { session: session.into(), payload }, direction);
            codec::stream_header(&StreamHeader::grease(unknown.into_inner() as u32), direction);
            codec::stream_header(&StreamHeader::Early, direction);
        }
        codec::stream_header(&StreamHeader::Control, Direction::Unidirectional);
        codec::stream_header_bytes(&bytes);
        // Past the type of session streams, where random bytes seldom get.
        codec::stream_header_bytes(&[&[0x40, 0x41 + 0x13 * u8::from(kind > 0)][..], &bytes].concat());
    }

    #[test]
    fn datagrams(session in varint(), payload in vec(any::<u8>(), 0..100), bytes in vec(any::<u8>(), 0..50)) {
        codec::datagram(session.into(), &payload);
        codec::datagram_bytes(&bytes);
        codec::datagram_bytes(&[&[0x31][..], &bytes].concat());
    }

    #[test]
    fn token_runs(bytes in vec(any::<u8>(), 0..200)) {
        codec::token_run_bytes(&bytes);
    }

    #[test]
    fn channels(bytes in vec(any::<u8>(), 0..300)) {
        channel::channel_bytes(&bytes);
        // Past type and length of a token, where random bytes seldom get.
        let token = [&[0xc0, 0, 0, 0, 0xfe, 0, 0, 1, 42, 0, 0][..], &bytes].concat();
        channel::channel_bytes(&token);
    }

    #[test]
    fn verified_datagrams(script in vec(any::<u8>(), 0..600)) {
        datagrams::datagrams_bytes(&script);
    }

    #[test]
    fn close_codes(number: u64, near in -100i64..100, at in 0usize..3) {
        codec::close_code(number);
        let edges = [0, Code::new(0).to_http3(), Code::new(u32::MAX).to_http3()];
        codec::close_code(edges[at].wrapping_add_signed(near));
    }

    #[test]
    fn service_names(name in "[a-z0-9._-]{0,64}", other: String) {
        codec::service_text(&name);
        codec::service_text(&other);
    }

    #[test]
    fn frames(parts in parts()) {
        for frame in parts.frames() {
            codec::frame(&frame);
        }
    }

    #[test]
    fn sessions(script in vec(any::<u8>(), 0..400), server: bool) {
        session::session_bytes(&script);
        // Past the SETTINGS and, as a server, the answer.
        let opened = [&[server.into(), 1, 8, 0, 0, 4, 0, 0, 0][..], &script].concat();
        session::session_bytes(&opened);
    }

    #[test]
    fn shards(script in vec(any::<u8>(), 0..800)) {
        shards::shards_bytes(&script);
        // Past the limits, so that more than a shard is held, and honest messages of several shards.
        let opened = [&[255, 7, 255][..], &[200, 4, 90].repeat(6), &script].concat();
        shards::shards_bytes(&opened);
    }

    #[test]
    fn announcements(script in vec(any::<u8>(), 0..600)) {
        seeds::seeds_bytes(&script);
    }

    #[test]
    fn messages(
        len in 0usize..6_000,
        room in 60usize..1_500,
        fixed in prop::option::of(any::<u8>()),
        loss in 0u32..600_000,
        order in vec(any::<u8>(), 0..255),
    ) {
        let parity = fixed.map_or(Parity::Auto, Parity::Fixed);
        shards::message(len, room, parity, Loss::from_millionths(loss), &order);
    }

    #[test]
    fn frames_of_random_bytes(ty in 0..FrameType::ALL.len(), bytes in vec(any::<u8>(), 0..200)) {
        codec::frame_bytes(&bytes);
        // Past type and length, where random bytes seldom get.
        let mut known = Vec::new();
        VarInt::from(FrameType::ALL[ty]).encode(&mut known);
        VarInt::try_from(bytes.len()).unwrap().encode(&mut known);
        known.extend(bytes);
        codec::frame_bytes(&known);
    }

    #[test]
    fn frames_with_a_slip(parts in parts(), at: prop::sample::Index, flip in 1u8.., insert: u8) {
        for frame in parts.frames() {
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            // Most of a large payload is data that may be anything: slip where fields are.
            let at = at.index(bytes.len().min(150));
            let mut flipped = bytes.clone();
            flipped[at] ^= flip;
            codec::frame_bytes(&flipped);
            codec::frame_bytes(&bytes[..at]);
            bytes.insert(at, insert);
            codec::frame_bytes(&bytes);
            bytes.remove(at);
            bytes.remove(at);
            codec::frame_bytes(&bytes);
        }
    }
}

/// What frames are put together from: they borrow it.
#[derive(Clone, Debug)]
struct Parts {
    numbers: [VarInt; 6],
    small: u8,
    word: u32,
    flag: bool,
    random: [u8; 32],
    blob: Vec<u8>,
    long: Vec<u8>,
    text: String,
    pairs: Vec<(String, String)>,
    run: Vec<u8>,
}

fn parts() -> impl Strategy<Value = Parts> {
    let numbers = array::uniform6(varint());
    let text = || string_regex("[a-z\u{e4}\u{20ac}\u{1f980}]{0,60}").expect("a valid expression");
    let pairs = vec((text().prop_map(|name| name + "x"), text()), 0..8);
    let fixed = (any::<u8>(), any::<u32>(), any::<bool>(), any::<[u8; 32]>());
    let blobs = (vec(any::<u8>(), 0..300), vec(any::<u8>(), 1793));
    (numbers, fixed, blobs, text(), pairs).prop_map(
        |(numbers, (small, word, flag, random), (blob, long), text, pairs)| Parts {
            run: run(&numbers, &random),
            numbers,
            small,
            word,
            flag,
            random,
            blob,
            long,
            text,
            pairs,
        },
    )
}

/// Tokens with these sequences.
fn run(numbers: &[VarInt], tag: &[u8; 32]) -> Vec<u8> {
    let mut run = Vec::new();
    for sequence in BTreeSet::from_iter(numbers) {
        TokenRun::put(*sequence, tag, &mut run);
    }
    run
}

/// Integers of all four lengths, and the edges between them.
fn varint() -> impl Strategy<Value = VarInt> {
    prop_oneof![
        prop::sample::select(&EDGES[..]).boxed(),
        (any::<u64>(), 2u32..64)
            .prop_map(|(bits, shift)| bits >> shift)
            .boxed(),
    ]
    .prop_map(|value| VarInt::new(value).expect("at most 62 bits are left"))
}

impl Parts {
    /// One of each type and more, every one within the rules.
    fn frames(&self) -> Vec<Frame<'_>> {
        let [first, second, third, fourth, fifth, sixth] = self.numbers;
        let id = SessionId::from(first);
        let code = Code::new(self.word);
        let hop = self.flag.then(|| self.hop());
        let filler = |at: usize| VarInt::from_u32(1000 + at as u32);
        let entries = self
            .pairs
            .iter()
            .enumerate()
            .map(|(at, (name, _))| (SettingId::new(filler(at)), name.as_bytes()));
        let mut number = Vec::new();
        second.encode(&mut number);
        let version = [(SettingId::VERSION, &self.long[..1])];
        let mut frames = vec![
            Frame::Data(&self.blob),
            Frame::Headers(Headers::Request(RequestHeaders {
                id,
                random: self.random,
                authority: &self.text,
                path: &self.text,
                fields: self.pairs(),
                access_tokens: self
                    .pairs
                    .iter()
                    .take(4)
                    .map(|(name, _)| name.as_bytes())
                    .collect(),
                route: Route(vec![
                    FalconId::new(self.random);
                    usize::from(self.small) % 17
                ]),
                hop: hop.clone(),
            })),
            Frame::Headers(Headers::Answer(AnswerHeaders {
                id,
                status: code,
                reason: &self.text,
                random: self.random,
                max_datagram_size: self.word,
                hop,
            })),
            Frame::Priority(Priority {
                urgency: self.small % 8,
                incremental: self.flag,
            }),
            Frame::RstStream(RstStream { code }),
            Frame::Settings(Settings::from(entries.chain(version).collect::<Vec<_>>())),
            Frame::Ping(Ping {
                data: self.random[..8].try_into().expect("eight bytes"),
                ack: self.flag,
            }),
            Frame::GoAway(GoAway {
                last: id,
                grace: Duration::from_millis(second.into_inner()),
                code,
                authority: Some(self.text.as_str()).filter(|text| !text.is_empty()),
            }),
            Frame::WindowUpdate(WindowUpdate { increment: first }),
            Frame::CloseSession(CloseSession {
                id,
                code,
                reason: &self.text,
            }),
            Frame::Stats(Stats {
                rtt: Duration::from_micros(first.into_inner()),
                rtt_variation: Duration::from_micros(second.into_inner()),
                lost_packets: third.into_inner(),
                congestion_window: fourth.into_inner(),
                send_rate: fifth.into_inner(),
                tier: self.small,
            }),
            Frame::Auth(Auth {
                id,
                token: self.random,
                algorithm: self.small,
                signature: &self.blob,
            }),
            Frame::SessionDatagram(id),
            Frame::Token(Token {
                algorithm: TokenAlgorithm(self.small),
                sequence: first,
                timestamp: UnixMicros(self.word.into()),
                tag: self.random,
            }),
            self.shard(sixth),
            Frame::Hop(self.hop()),
            self.seed(),
            Frame::FalconSignature(FalconSignature {
                signer: FalconId::new(self.random),
                algorithm: SignatureAlgorithm(self.small),
                first: first.min(second),
                last: first.max(second),
                request: third,
                is_final: self.flag,
                signature: self.long.first_chunk().expect("1793 bytes"),
            }),
            Frame::TokenRun(TokenRun::new(&self.run).expect("in ascending order")),
            Frame::FalconKey(FalconKey {
                algorithm: SignatureAlgorithm(self.small),
                key: self.long.first_chunk().expect("1793 bytes"),
                created: UnixMicros(third.into_inner()),
            }),
            Frame::Unknown {
                ty: FrameType::CHUNK_ANNOUNCE,
                payload: &self.blob,
            },
            Frame::Unknown {
                ty: FrameType::new(VarInt::from_u32(0x1000 + (self.word >> 4))),
                payload: &self.long,
            },
        ];
        // Session 0 has no such frame.
        frames.retain(|frame| *frame != Frame::SessionDatagram(SessionId::ZERO));
        frames
    }

    fn pairs(&self) -> Vec<(&str, &str)> {
        self.pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }

    fn hop(&self) -> Hop<'_> {
        let relay = Relay {
            id: FalconId::new(self.random),
            address: Ipv6Addr::from_bits(u128::from(self.word) << 7),
            port: self.word as u16,
            timestamp: UnixMicros(self.word.into()),
            metadata: self.pairs().into_iter().take(2).collect(),
        };
        let count = self.small % 5;
        Hop {
            max_hops: count + self.small % 12,
            relays: vec![relay; count.into()],
        }
    }

    fn shard(&self, message: VarInt) -> Frame<'_> {
        let data = 1 + u16::from(self.small) % 200;
        let parity = self.word as u16 % (Shard::max_parity(data) + 1);
        let bytes = &self.long[..2 + 2 * (self.blob.len() / 2)];
        let holds = u32::from(data) * bytes.len() as u32;
        Frame::Shard(Shard {
            message,
            index: (self.word >> 16) as u16 % (data + parity),
            data,
            parity,
            message_len: VarInt::from_u32(1 + self.word % holds),
            digest: &self.random,
            bytes,
        })
    }

    fn seed(&self) -> Frame<'_> {
        let priorities = [
            SeedPriority::Low,
            SeedPriority::Normal,
            SeedPriority::High,
            SeedPriority::Critical,
        ];
        let node = |at: u8| SeedNode {
            id: FalconId::new(self.random),
            address: Ipv6Addr::from_bits(self.word.into()),
            port: (self.word as u16 & 0xff00) + 1 + u16::from(at),
            reliability: self.small % 101,
        };
        Frame::Seed(Seed {
            content: self.random,
            replication: self.small,
            priority: priorities[usize::from(self.small) % 4],
            nodes: (0..self.small % 6).map(node).collect(),
        })
    }
}

const EDGES: [u64; 8] = [
    0,
    63,
    64,
    16383,
    16384,
    (1 << 30) - 1,
    1 << 30,
    (1 << 62) - 1,
];
