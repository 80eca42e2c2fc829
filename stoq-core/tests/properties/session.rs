//! What holds for the session state machine, whatever its peer and its user do.

use bytes::Bytes;
use stoq_core::{
    Code, Datagram, FalconId, Frame, ServiceName, SessionId, StreamHeader,
    access::{HolderProof, TokenHash},
    frame::Auth,
    reader::{Fault, Reader},
    session::{Answer, Config, ForeignAuth, Holder, Input, Limits, Output, Request, Session, Side},
    stream::{Direction, Payload},
    time::Timestamp,
};

/// Reads `script` as calls with values from a hostile peer and a careless user. Nothing panics, all that is sent can be
/// read by a peer, no stream is answered twice, and after an error there is silence.
pub(crate) fn session_bytes(script: &[u8]) {
    // The script just ends somewhere.
    let _: Result<(), Fault> =
        Run::new(script.first().is_some_and(|byte| byte & 1 == 1)).play(script);
}

struct Run {
    session: Session,
    now: Timestamp,
    side: Side,
    sent: Vec<u8>,
    streams: Vec<u64>,
    failed: bool,
}

impl Run {
    fn new(server: bool) -> Self {
        let side = if server { Side::Server } else { Side::Client };
        let now = Timestamp::default();
        let mut out = Vec::new();
        let session = Session::new(now, config(side), &mut out).expect("within the bounds");
        let mut run = Self {
            session,
            now,
            side,
            sent: Vec::new(),
            streams: Vec::new(),
            failed: false,
        };
        run.outputs(out);
        run
    }

    fn play(&mut self, script: &[u8]) -> Result<(), Fault> {
        let mut script = Reader::new(script);
        script.u8()?;
        while script.left() > 0 {
            self.step(&mut script)?;
        }
        Ok(())
    }

    fn step(&mut self, script: &mut Reader<'_>) -> Result<(), Fault> {
        let mut out = Vec::new();
        let out = &mut out;
        match script.u8()? % 20 {
            0 => {
                let len = usize::from(script.u8()?);
                self.feed(Input::Control(script.bytes(len.min(script.left()))?), out);
            }
            1 => {
                // What an honest peer of the other side sends first: it opens the gate to the rest.
                let other = if self.side == Side::Client {
                    Side::Server
                } else {
                    Side::Client
                };
                self.feed(Input::Control(&settings(other)), out);
            }
            2 => self.feed(Input::ControlClosed, out),
            3 => {
                let stream = self.streams.len() as u64;
                let header = match script.u8()? {
                    0 => StreamHeader::Control,
                    1 => StreamHeader::grease(0),
                    _ => StreamHeader::Data {
                        session: id(script)?,
                        payload: Payload::Raw,
                    },
                };
                self.streams.push(0);
                self.feed(Input::Stream { stream, header }, out);
            }
            4 => self.feed(Input::StreamGone(script.u8()?.into()), out),
            5 => {
                let mut datagram = Vec::new();
                Datagram::header(id(script)?, &mut datagram);
                datagram.resize(datagram.len() + usize::from(script.u16()? % 2000), 0);
                self.feed(Input::Datagram(datagram.into()), out);
            }
            6 => {
                let len = usize::from(script.u8()?);
                let datagram = Bytes::copy_from_slice(script.bytes(len.min(script.left()))?);
                self.feed(Input::Datagram(datagram), out);
            }
            7 => {
                self.now = self.now + core::time::Duration::from_millis(script.u16()?.into());
                self.feed(Input::Tick, out);
            }
            8 => {
                let mut answer = Answer::new([3; 32], script.u32()?);
                let asks = script.u8()?;
                answer.relays_proofs = asks & 1 != 0;
                answer.holder = (asks & 2 != 0).then(|| Holder {
                    token: TokenHash::new([asks >> 2; 32]),
                    key: BASE_POINT.parse().expect("a point of the curve"),
                });
                self.session.accept(self.now, id(script)?, &answer, out);
            }
            9 => {
                let reason = "r".repeat(script.u16()?.into());
                self.session.refuse(
                    self.now,
                    id(script)?,
                    Code::new(script.u32()?),
                    &reason,
                    out,
                );
            }
            10 => {
                let reason = "\u{20ac}".repeat(usize::from(script.u16()?));
                self.session.close(
                    self.now,
                    id(script)?,
                    Code::new(script.u32()?),
                    &reason,
                    out,
                );
            }
            11 => {
                let header = (String::from("name"), "v".repeat(script.u16()?.into()));
                let request = Request {
                    service: ServiceName::new("echo").expect("a name"),
                    random: [4; 32],
                    authority: "a".repeat(usize::from(script.u8()?) * 2),
                    headers: vec![header; usize::from(script.u8()?) % 80],
                    access_tokens: vec![
                        vec![1; script.u16()?.into()].into();
                        usize::from(script.u8()?) % 6
                    ],
                    holders: vec![TokenHash::new([0; 32]); usize::from(script.u8()?) % 3],
                    route: vec![FalconId::new([6; 32]); usize::from(script.u8()?) % 20],
                    hops: None,
                };
                let _: Result<_, _> = self.session.open(&request, out);
            }
            12 => {
                let _: Result<_, _> = self.session.ping(self.now, out);
            }
            13 => {
                let grace = core::time::Duration::from_secs(u64::from(script.u32()?) << 32);
                self.session.go_away(Code::GOING_AWAY, grace, out);
            }
            14 => {
                let token = TokenHash::new([script.u8()? % 4; 32]);
                let proof = HolderProof::new([script.u8()?; HolderProof::LEN]);
                self.session.prove(id(script)?, &token, &proof, out);
            }
            15 => {
                let auth = ForeignAuth {
                    token: TokenHash::new([script.u8()? % 4; 32]),
                    algorithm: 1,
                    signature: vec![7; script.u16()?.into()].into(),
                };
                self.session.send_auth(id(script)?, &auth, out);
            }
            16 => {
                let length = script.u8()?;
                let signature = [7; HolderProof::LEN + 1];
                let auth = Frame::Auth(Auth {
                    id: id(script)?,
                    token: [script.u8()? % 4; 32],
                    algorithm: script.u8()? % 3,
                    signature: &signature[..usize::from(length) % signature.len()],
                });
                let mut bytes = Vec::new();
                auth.encode(&mut bytes);
                self.feed(Input::Control(&bytes), out);
            }
            // A whole frame of any type, so that a script need not guess lengths.
            _ => {
                let frame_type = script.u8()?;
                let len = script.u8()? % 64;
                let payload = script.bytes(usize::from(len).min(script.left()))?;
                let frame = [&[frame_type % 64, payload.len() as u8][..], payload].concat();
                self.feed(Input::Control(&frame), out);
            }
        }
        self.outputs(core::mem::take(out));
        Ok(())
    }

    fn feed(&mut self, input: Input<'_>, out: &mut Vec<Output>) {
        let result = self.session.handle(self.now, input, out);
        if self.failed {
            assert_eq!(result, Ok(None));
            assert_eq!(*out, []);
        }
        if let Err(error) = result {
            self.failed = true;
            assert!(!error.to_string().is_empty());
            assert!(error.code().name().is_some());
            let Some(Output::Send(last)) = out.last() else {
                panic!("the peer was not told: {out:?}")
            };
            let (frame, _) = Frame::decode(last)
                .expect("it may be sent")
                .expect("it is whole");
            assert!(
                matches!(frame, Frame::CloseSession(close) if close.code == error.code()),
                "{frame:?}"
            );
        }
    }

    fn outputs(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Send(bytes) => self.sent.extend_from_slice(&bytes),
                Output::Stream { stream, .. }
                | Output::RejectStream { stream, .. }
                | Output::DiscardStream { stream } => {
                    let answers = &mut self.streams[stream as usize];
                    *answers += 1;
                    assert_eq!(*answers, 1, "stream {stream} was answered again");
                }
                _ => {}
            }
        }
    }
}

/// All that was sent can be read: the type of the control stream, then frames.
impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let header = StreamHeader::decode(&self.sent, Direction::Unidirectional);
        assert_eq!(header, Ok(Some((StreamHeader::Control, 1))));
        let mut rest = &self.sent[1..];
        while !rest.is_empty() {
            let (_, len) = Frame::decode(rest)
                .expect("it may be sent")
                .expect("it is whole");
            rest = &rest[len..];
        }
    }
}

fn config(side: Side) -> Config {
    Config {
        side,
        service: None,
        access_tokens: vec![],
        holders: vec![],
        route: vec![],
        max_hops: None,
        random: [side as u8; 32],
        limits: Limits {
            max_sessions: 4,
            ..Limits::default()
        },
    }
}

/// The SETTINGS frame of an honest peer.
fn settings(side: Side) -> Bytes {
    let mut out = Vec::new();
    let session = Session::new(Timestamp::default(), config(side), &mut out);
    let mut session = session.expect("within the bounds");
    if side == Side::Client {
        let Some(Output::Send(first)) = out.first() else {
            panic!("{out:?}")
        };
        return first.slice(1..);
    }
    out.clear();
    let client = settings(Side::Client);
    session
        .handle(Timestamp::default(), Input::Control(&client), &mut out)
        .expect("an honest client");
    out.clear();
    let now = Timestamp::default();
    session.accept(now, SessionId::ZERO, &Answer::new([5; 32], 1200), &mut out);
    let Some(Output::Send(first)) = out.first() else {
        panic!("{out:?}")
    };
    first.clone()
}

fn id(script: &mut Reader<'_>) -> Result<SessionId, Fault> {
    Ok(SessionId::new((script.u8()? % 8).into()).expect("below 2^62"))
}

const BASE_POINT: &str = "stoqh1A2sX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKW";
