//! Peers that speak bare QUIC and break STOQ's rules, or go to the edge of them. What breaks a rule ends the connection with
//! its code; what is only unknown is skipped.

use bytes::BytesMut;
use quinn::VarInt as QuicInt;
use stoq_core::frame::{CloseSession, Frame, FrameType, Ping, SettingId, Settings};
use stoq_core::session_id::SessionId;
use stoq_core::stream::{Direction, Payload, StreamHeader};
use stoq_core::varint::VarInt;
use stoq_native::{ALPN, Closed, ClosedBy, Code, ConnectError, Session};

use crate::bare::{bare_client, bare_server};
use crate::harness::{Peers, echo, within};

/// A connection, and a control stream on which nothing has been written but its type.
pub(crate) struct Bare {
    pub(crate) quinn: quinn::Connection,
    control: quinn::SendStream,
}

impl Bare {
    async fn connect(peers: &Peers) -> Self {
        let quinn = bare_client(peers.address(), ALPN).await.unwrap();
        let control = quinn.open_uni().await.unwrap();
        let mut bare = Self { quinn, control };
        bare.write(&[0]).await;
        bare
    }

    /// A connection whose session 0 is open, and the server's end of it.
    pub(crate) async fn session(peers: &Peers) -> (Self, Session) {
        let mut bare = Self::connect(peers).await;
        bare.frame(&settings(1)).await;
        let session = peers.server.accept().await.unwrap().accept().await.unwrap();
        (bare, session)
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.control.write_all(bytes).await.unwrap();
    }

    async fn frame(&mut self, frame: &[u8]) {
        self.write(frame).await;
    }

    pub(crate) async fn open(
        &self,
        direction: Direction,
        header: StreamHeader,
    ) -> (quinn::SendStream, Option<quinn::RecvStream>) {
        let (mut send, receive) = match direction {
            Direction::Bidirectional => {
                let (send, receive) = self.quinn.open_bi().await.unwrap();
                (send, Some(receive))
            }
            Direction::Unidirectional => (self.quinn.open_uni().await.unwrap(), None),
        };
        let mut bytes = BytesMut::new();
        header.encode(direction, &mut bytes);
        send.write_all(&bytes).await.unwrap();
        (send, receive)
    }

    /// The code with which the server closes.
    async fn closed(self) -> Code {
        match self.quinn.closed().await {
            quinn::ConnectionError::ApplicationClosed(close) => {
                Code::from_quic(close.error_code.into_inner())
            }
            other => panic!("the server should have closed, but: {other}"),
        }
    }
}

pub(crate) fn encode(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}

/// A client's SETTINGS for the service `test`.
pub(crate) fn settings(version: u32) -> Vec<u8> {
    let mut number = [Vec::new(), Vec::new()];
    VarInt::from_u32(version).encode(&mut number[0]);
    VarInt::from_u32(100).encode(&mut number[1]);
    encode(&Frame::Settings(Settings::from(vec![
        (SettingId::VERSION, number[0].as_slice()),
        (SettingId::RANDOM, &[7; 32]),
        (SettingId::SERVICE, b"test"),
        (SettingId::MAX_STREAMS, &number[1]),
        (SettingId::MAX_DATAGRAM_SIZE, &number[1]),
    ])))
}

fn raw(session: u64) -> StreamHeader {
    let session = SessionId::new(session).unwrap();
    StreamHeader::Data {
        session,
        payload: Payload::Raw,
    }
}

/// What the server does with a control stream that goes on so, before and after SETTINGS.
async fn control_ends_with(bytes: &[u8], before: Code, after: Code) {
    let peers = Peers::new();
    let mut bare = Bare::connect(&peers).await;
    bare.write(bytes).await;
    assert_eq!(bare.closed().await, before, "before SETTINGS");
    let (mut bare, session) = Bare::session(&peers).await;
    bare.write(bytes).await;
    assert_eq!(bare.closed().await, after, "after SETTINGS");
    let Closed { code, by, .. } = session.closed().await;
    assert_eq!((code, by), (after, ClosedBy::Local));
    peers.close().await;
}

#[tokio::test]
async fn garbage_on_the_control_stream() {
    // DATA has no place there; the type after it is not in its shortest form.
    within(control_ends_with(&[0x40, 0x01], Code::FRAME, Code::FRAME)).await;
    within(control_ends_with(
        &[0x00, 0x00],
        Code::SETTINGS,
        Code::PROTOCOL,
    ))
    .await;
    // CLOSE_SESSION, cut within a field.
    within(control_ends_with(
        &[0x10, 0x01, 0x40],
        Code::FRAME,
        Code::FRAME,
    ))
    .await;
}

#[tokio::test]
async fn an_oversized_frame() {
    let mut bytes = Vec::new();
    VarInt::from(FrameType::SETTINGS).encode(&mut bytes);
    VarInt::from_u32(1 << 29).encode(&mut bytes);
    within(control_ends_with(
        &bytes,
        Code::FRAME_TOO_LARGE,
        Code::FRAME_TOO_LARGE,
    ))
    .await;
}

#[tokio::test]
async fn the_end_of_the_control_stream() {
    within(async {
        let peers = Peers::new();
        for reset in [false, true] {
            let (mut bare, session) = Bare::session(&peers).await;
            if reset {
                bare.control.reset(QuicInt::from_u32(1)).unwrap();
            } else {
                bare.control.finish().unwrap();
            }
            assert_eq!(bare.closed().await, Code::CONTROL_CLOSED);
            assert_eq!(session.closed().await.code, Code::CONTROL_CLOSED);
        }
        // The server's may not be stopped either; it notices when it has something to say.
        let (bare, session) = Bare::session(&peers).await;
        let mut control = bare.quinn.accept_uni().await.unwrap();
        control.stop(QuicInt::from_u32(1)).unwrap();
        while session.ping().await.is_ok() {}
        assert_eq!(bare.closed().await, Code::CONTROL_CLOSED);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_second_control_stream() {
    within(async {
        let peers = Peers::new();
        let (bare, _session) = Bare::session(&peers).await;
        let _second = bare
            .open(Direction::Unidirectional, StreamHeader::Control)
            .await;
        assert_eq!(bare.closed().await, Code::PROTOCOL);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_pings() {
    within(async {
        let peers = Peers::new();
        let (mut bare, _session) = Bare::session(&peers).await;
        let ping = encode(&Frame::Ping(Ping {
            data: [1; 8],
            ack: false,
        }));
        let flood = ping.repeat(1000);
        while bare.control.write_all(&flood).await.is_ok() {}
        assert_eq!(bare.closed().await, Code::CONTROL_FLOOD);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn another_version() {
    within(async {
        let peers = Peers::new();
        let mut bare = Bare::connect(&peers).await;
        bare.frame(&settings(2)).await;
        assert_eq!(bare.closed().await, Code::VERSION);
        peers.close().await;

        let (server, client) = bare_server(ALPN);
        let url = format!("stoq://{}/test", server.local_addr().unwrap());
        for (answer, code) in [
            (settings(2), Code::VERSION),
            (vec![0x40, 0x01], Code::FRAME),
        ] {
            let serve = async {
                let quinn = server.accept().await.unwrap().await.unwrap();
                let mut control = quinn.open_uni().await.unwrap();
                control
                    .write_all(&[&[0], answer.as_slice()].concat())
                    .await
                    .unwrap();
                quinn.closed().await
            };
            let (error, _) = tokio::join!(client.connect(&url), serve);
            let error = error.unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            let version = matches!(error, ConnectError::Version { .. });
            assert_eq!(version, code == Code::VERSION);
        }
    })
    .await;
}

#[tokio::test]
async fn unknown_frames_and_streams_are_skipped() {
    within(async {
        let peers = Peers::new();
        let (mut bare, session) = Bare::session(&peers).await;
        let echo = tokio::spawn(echo(session.clone()));
        // Reserved frame types, and ones from the future.
        bare.write(&[0x0a, 0x02, 1, 2, 0x3f, 0x00, 0x21, 0x01, 9])
            .await;
        let mut unknown = Vec::new();
        for n in 0..40 {
            for direction in [Direction::Bidirectional, Direction::Unidirectional] {
                let (mut send, receive) = bare.open(direction, StreamHeader::grease(n)).await;
                let _ = send.write_all(&[0xff; 100]).await;
                if n % 2 == 0 {
                    let _ = send.finish();
                }
                unknown.push((send, receive));
            }
        }
        let (mut send, receive) = bare.open(Direction::Bidirectional, raw(0)).await;
        send.write_all(b"known").await.unwrap();
        send.finish().unwrap();
        assert_eq!(receive.unwrap().read_to_end(5).await.unwrap(), b"known");
        // One that never ends is stopped at some point.
        let (mut endless, _) = bare
            .open(Direction::Unidirectional, StreamHeader::grease(1))
            .await;
        while endless.write_all(&[0; 1000]).await.is_ok() {}
        assert_eq!(
            endless.stopped().await.unwrap(),
            Some(QuicInt::from_u32(Code::UNSUPPORTED.value()))
        );
        session.close(Code::NO_ERROR, "");
        echo.await.unwrap();
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn streams_that_cannot_be_placed_are_rejected() {
    within(async {
        let peers = Peers::new();
        let (bare, _session) = Bare::session(&peers).await;
        let stopped = async |send: &quinn::SendStream| match send.stopped().await.unwrap() {
            Some(code) => Code::from_quic(code.into_inner()),
            None => panic!("not stopped"),
        };
        // A header that is cut short, or not in its shortest form; a kind that this version does not take.
        for (bytes, finish, code) in [
            (&[0x40][..], true, Code::FRAME),
            (&[0x40, 0x01], false, Code::FRAME),
            (&[0x02], false, Code::UNSUPPORTED),
        ] {
            let (mut send, mut receive) = bare.quinn.open_bi().await.unwrap();
            send.write_all(bytes).await.unwrap();
            if finish {
                send.finish().unwrap();
            } else {
                assert_eq!(stopped(&send).await, code);
            }
            let error = receive.read_to_end(1).await.unwrap_err();
            let reset = quinn::ReadError::Reset(QuicInt::from_u32(code.value()));
            assert_eq!(error, quinn::ReadToEndError::Read(reset));
        }
        // A session that nobody asks for in the time that such a stream is held.
        let (send, _receive) = bare.open(Direction::Bidirectional, raw(5)).await;
        assert_eq!(stopped(&send).await, Code::HELD_TOO_LONG);
        // More of them than are held.
        let mut held = Vec::new();
        for _ in 0..17 {
            held.push(bare.open(Direction::Unidirectional, raw(5)).await.0);
        }
        assert_eq!(stopped(&held[16]).await, Code::LIMIT);
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_overtakes_settings_is_held() {
    within(async {
        let peers = Peers::new();
        let quinn = bare_client(peers.address(), ALPN).await.unwrap();
        let (mut send, _receive) = quinn.open_bi().await.unwrap();
        send.write_all(&[1, b'x']).await.unwrap();
        let mut control = quinn.open_uni().await.unwrap();
        control
            .write_all(&[&[0], settings(1).as_slice()].concat())
            .await
            .unwrap();
        let session = peers.server.accept().await.unwrap().accept().await.unwrap();
        let (_send, mut receive) = session.accept_bi().await.unwrap();
        assert_eq!(receive.read_chunk(9).await.unwrap().unwrap(), "x");
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_close_in_band_is_enough() {
    within(async {
        let peers = Peers::new();
        let (mut bare, session) = Bare::session(&peers).await;
        let (id, code, reason) = (SessionId::ZERO, Code::new(8), "in band");
        bare.frame(&encode(&Frame::CloseSession(CloseSession {
            id,
            code,
            reason,
        })))
        .await;
        assert_eq!(
            bare.closed().await,
            code,
            "the other end closes the carrier"
        );
        assert_eq!(
            session.closed().await,
            Closed {
                code,
                reason: reason.into(),
                by: ClosedBy::Peer
            }
        );
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_does_not_close_the_carrier_is_left() {
    within(async {
        let peers = Peers::new();
        let (bare, session) = Bare::session(&peers).await;
        session.close(Code::new(3), "good-bye");
        assert_eq!(bare.closed().await, Code::new(3));
        peers.close().await;
    })
    .await;
}

#[tokio::test]
async fn datagrams_for_nobody_are_counted() {
    within(async {
        let peers = Peers::new();
        let (bare, session) = Bare::session(&peers).await;
        // For session 5, and one without data.
        bare.quinn
            .send_datagram(vec![0x31, 1, 5, 0x00, b'x'].into())
            .unwrap();
        bare.quinn.send_datagram(vec![0x3f].into()).unwrap();
        bare.quinn.send_datagram(vec![0x00, b'y'].into()).unwrap();
        assert_eq!(session.recv_datagram().await.unwrap(), "y");
        // The one for session 5 is held, because that session may still come.
        assert_eq!(session.connection().stats().dropped_datagrams, 1);
        peers.close().await;
    })
    .await;
}
