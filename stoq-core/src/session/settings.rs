//! What both ends tell each other first, and what follows from it.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::BufMut;

use super::{Config, SessionError};
use crate::frame::{Frame, SettingId, Settings};
use crate::service::ServiceName;
use crate::varint::VarInt;

/// The version that this library speaks, in SETTINGS and in the ALPN `stoq/1`.
pub const VERSION: u64 = 1;

/// The peer's SETTINGS, checked.
#[derive(Clone, Debug)]
pub(super) struct PeerSettings {
    pub(super) random: [u8; 32],
    pub(super) service: Option<ServiceName>,
    pub(super) max_sessions: u32,
    pub(super) max_streams: u32,
    pub(super) max_datagram_size: u32,
}

impl PeerSettings {
    /// Checks what must be there; unknown settings are ignored.
    pub(super) fn new(settings: &Settings<'_>) -> Result<Self, SessionError> {
        let theirs = number(settings, SettingId::VERSION, "version")?;
        let theirs = theirs.ok_or(SessionError::Setting { setting: "version" })?;
        if theirs != VERSION {
            return Err(SessionError::Version {
                ours: VERSION,
                theirs,
            });
        }
        let random = settings
            .get(SettingId::RANDOM)
            .and_then(|random| random.try_into().ok());
        let service = match settings.get(SettingId::SERVICE) {
            None => None,
            Some(name) => Some(
                core::str::from_utf8(name)
                    .ok()
                    .and_then(|name| ServiceName::new(name).ok())
                    .ok_or(SessionError::Setting { setting: "service" })?,
            ),
        };
        Ok(Self {
            random: random.ok_or(SessionError::Setting { setting: "random" })?,
            service,
            max_sessions: count(settings, SettingId::MAX_SESSIONS, "max sessions")?,
            max_streams: count(settings, SettingId::MAX_STREAMS, "max streams")?,
            max_datagram_size: count(settings, SettingId::MAX_DATAGRAM_SIZE, "max datagram size")?,
        })
    }
}

/// Appends this end's SETTINGS frame. `service` is the client's choice; servers name none.
pub(super) fn encode(
    config: &Config,
    random: &[u8; 32],
    max_datagram_size: u32,
    service: Option<&ServiceName>,
    out: &mut impl BufMut,
) {
    let mut numbers = [
        (SettingId::VERSION, VERSION),
        (SettingId::MAX_SESSIONS, config.limits.max_sessions.into()),
        (SettingId::MAX_DATAGRAM_SIZE, max_datagram_size.into()),
        (SettingId::MAX_STREAMS, config.limits.max_streams.into()),
    ]
    .map(|(id, value)| {
        let mut bytes = Vec::with_capacity(8);
        VarInt::try_from(value)
            .expect("a version or a u32 is below 2^62")
            .encode(&mut bytes);
        (id, bytes)
    });
    numbers.sort_by_key(|(id, _)| *id);
    let mut entries: Vec<(SettingId, &[u8])> = numbers
        .iter()
        .map(|(id, bytes)| (*id, bytes.as_slice()))
        .collect();
    entries.push((SettingId::RANDOM, random));
    if let Some(service) = service {
        entries.push((SettingId::SERVICE, service.as_str().as_bytes()));
    }
    Frame::Settings(Settings::from(entries)).encode(out);
}

fn number(
    settings: &Settings<'_>,
    id: SettingId,
    setting: &'static str,
) -> Result<Option<u64>, SessionError> {
    settings
        .get_varint(id)
        .map_err(|_| SessionError::Setting { setting })
}

/// A limit that the peer may leave out: then it grants nothing.
fn count(
    settings: &Settings<'_>,
    id: SettingId,
    setting: &'static str,
) -> Result<u32, SessionError> {
    let value = number(settings, id, setting)?.unwrap_or(0);
    u32::try_from(value).map_err(|_| SessionError::Setting { setting })
}

/// Cuts a reason to what CLOSE_SESSION carries, at a character boundary.
pub(super) fn short_reason(reason: &str, limit: usize) -> String {
    let mut end = reason.len().min(limit);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    String::from(&reason[..end])
}
