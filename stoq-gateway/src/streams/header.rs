//! The first bytes of a browser's stream.

use bytes::BytesMut;
use stoq_core::close::Code;
use stoq_core::session_id::SessionId;
use stoq_core::stream::{Direction, Payload, StreamHeader};
use stoq_native::relay::{Sink, Unfinished};

use crate::carrier::ToBrowser;

/// Reads byte by byte, because nearly all headers have one. `Err` says with which code to turn the stream away; one that
/// ends before its header is turned away too, because an empty answer would look complete.
pub(super) async fn read(
    stream: &mut quinn::RecvStream,
    direction: Direction,
) -> Result<StreamHeader, Code> {
    let mut header = [0; StreamHeader::MAX_LEN];
    for end in 1..=header.len() {
        match stream.read(&mut header[end - 1..end]).await {
            Ok(Some(_)) => {}
            Ok(None) => return Err(Code::FRAME),
            Err(quinn::ReadError::Reset(code)) => {
                return Err(Code::from_http3(code.into_inner()));
            }
            Err(_) => return Err(Code::CONNECTION_LOST),
        }
        let decoded =
            StreamHeader::decode(&header[..end], direction).map_err(|error| error.code())?;
        if let Some((header, _)) = decoded {
            return Ok(header);
        }
    }
    Err(Code::FRAME)
}

/// Writes what tells the browser what the stream carries.
pub(super) async fn write(
    mut send: Unfinished<ToBrowser>,
    payload: Payload,
    direction: Direction,
) -> Result<Unfinished<ToBrowser>, Code> {
    let mut header = BytesMut::with_capacity(StreamHeader::MAX_LEN);
    StreamHeader::Data {
        session: SessionId::ZERO,
        payload,
    }
    .encode(direction, &mut header);
    send.write(&mut [header.freeze()]).await?;
    Ok(send)
}
