//! What both ends tell each other first, and what follows from it.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{Answer, Config, SessionError};
use crate::frame::{AccessTokens, DecodeError, Frame, FrameType, Hop, Route, SettingId, Settings};
use crate::hops::HopChain;
use crate::identity::FalconId;
use crate::reader::{Fault, Reader};
use crate::service::ServiceName;
use crate::table::Table;
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
    pub(super) access_tokens: Vec<Bytes>,
    pub(super) route: Vec<FalconId>,
    pub(super) hops: Option<HopChain>,
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
            access_tokens: owned(value(settings, SettingId::ACCESS_TOKENS, |reader| {
                let tokens = AccessTokens::read(reader)?;
                tokens.check().map(|()| tokens)
            })?),
            route: value(settings, SettingId::ROUTE, Route::read)?
                .map_or_else(Vec::new, |route| route.0),
            hops: value(settings, SettingId::HOPS, |reader| {
                let hop = Hop::read(reader)?;
                hop.check().map(|()| hop.into())
            })?,
        })
    }
}

/// The SETTINGS of a client: what it wants of session 0 is in its configuration.
///
/// # Errors
/// If access tokens, the route or the maximum of relays are over their bounds.
pub(super) fn of_client(config: &Config) -> Result<Vec<u8>, DecodeError> {
    let tokens: AccessTokens<'_> = config.access_tokens.iter().map(|token| &**token).collect();
    let route = Route(config.route.clone());
    let malformed = |fault| DecodeError::Malformed {
        frame: FrameType::SETTINGS,
        fault,
    };
    let hops = config.max_hops.map(HopChain::new);
    let hop = hops.as_ref().map(HopChain::as_hop);
    tokens
        .check()
        .and_then(|()| route.check())
        .and_then(|()| hop.as_ref().map_or(Ok(()), Hop::check))
        .map_err(malformed)?;
    let mut values = Vec::from([(SettingId::RANDOM, config.random.to_vec())]);
    if let Some(service) = &config.service {
        values.push((SettingId::SERVICE, service.as_str().as_bytes().to_vec()));
    }
    if !config.access_tokens.is_empty() {
        values.push((SettingId::ACCESS_TOKENS, written(|out| tokens.write(out))));
    }
    if !route.0.is_empty() {
        values.push((SettingId::ROUTE, written(|out| route.write(out))));
    }
    if let Some(hop) = &hop {
        values.push((SettingId::HOPS, written(|out| hop.write(out))));
    }
    Ok(encoded(config, config.limits.max_datagram_size, values))
}

/// The SETTINGS of a server that takes session 0.
pub(super) fn of_server(config: &Config, answer: &Answer) -> Vec<u8> {
    let mut values = Vec::from([(SettingId::RANDOM, answer.random.to_vec())]);
    if let Some(hops) = &answer.hops {
        values.push((SettingId::HOPS, written(|out| hops.as_hop().write(out))));
    }
    encoded(config, answer.max_datagram_size, values)
}

fn encoded(config: &Config, max_datagram_size: u32, values: Vec<(SettingId, Vec<u8>)>) -> Vec<u8> {
    let numbers = [
        (SettingId::VERSION, VERSION),
        (SettingId::MAX_SESSIONS, config.limits.max_sessions.into()),
        (SettingId::MAX_DATAGRAM_SIZE, max_datagram_size.into()),
        (SettingId::MAX_STREAMS, config.limits.max_streams.into()),
    ];
    let numbers = numbers.map(|(id, number)| {
        // A version or a u32 is below 2^62.
        let number = VarInt::saturating(number.into());
        (id, written(|out| number.encode(out)))
    });
    // They stand in order.
    let mut ordered = Table::default();
    for (id, value) in values.into_iter().chain(numbers) {
        ordered.insert(id, value);
    }
    let entries: Vec<_> = ordered.iter().map(|(id, value)| (*id, &**value)).collect();
    written(|out| Frame::Settings(Settings::from(entries)).encode(out))
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

/// Copies tokens out of the frame they came in.
pub(super) fn owned(tokens: Option<AccessTokens<'_>>) -> Vec<Bytes> {
    let tokens = tokens.unwrap_or_default();
    tokens.iter().map(Bytes::copy_from_slice).collect()
}

/// A setting with a form of its own, if it is there.
fn value<'a, T>(
    settings: &Settings<'a>,
    id: SettingId,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Fault>,
) -> Result<Option<T>, SessionError> {
    let Some(value) = settings.get(id) else {
        return Ok(None);
    };
    let mut reader = Reader::new(value);
    let read = read(&mut reader).and_then(|value| reader.end().map(|()| value));
    let frame = FrameType::SETTINGS;
    read.map(Some)
        .map_err(|fault| DecodeError::Malformed { frame, fault }.into())
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
    reason.get(..end).unwrap_or_default().into()
}
