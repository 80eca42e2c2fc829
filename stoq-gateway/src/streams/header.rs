//! The first bytes of a browser's stream.

use bytes::BytesMut;
use stoq_core::close::Code;
use stoq_core::session_id::SessionId;
use stoq_core::stream::{Direction, Payload, StreamHeader};

use crate::carrier::ToBrowser;
use crate::relay::Sink;

/// `None` if the stream ends first. A header is read byte by byte, because nearly all have one.
pub(super) async fn read(
    stream: &mut quinn::RecvStream,
    direction: Direction,
) -> Result<Option<StreamHeader>, Code> {
    let mut header = [0; StreamHeader::MAX_LEN];
    for end in 1..=header.len() {
        match stream.read(&mut header[end - 1..end]).await {
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return Ok(None),
        }
        let decoded =
            StreamHeader::decode(&header[..end], direction).map_err(|error| error.code())?;
        if let Some((header, _)) = decoded {
            return Ok(Some(header));
        }
    }
    Err(Code::FRAME)
}

/// Writes what tells the browser what the stream carries.
pub(super) async fn write(
    mut send: ToBrowser,
    payload: Payload,
    direction: Direction,
) -> Result<ToBrowser, Code> {
    let mut header = BytesMut::with_capacity(StreamHeader::MAX_LEN);
    StreamHeader::Data {
        session: SessionId::ZERO,
        payload,
    }
    .encode(direction, &mut header);
    send.write(&mut [header.freeze()]).await?;
    Ok(send)
}
