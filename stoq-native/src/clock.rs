//! The wall clock. It jumps: when somebody sets it, when a machine wakes, when a time server is heard. So it is read only where a
//! date is meant (certificates, grants, access tokens, timestamps); whatever waits or measures uses the monotonic clock.

use std::time::SystemTime;

use stoq_core::time::UnixMicros;

/// By this machine's clock; the epoch, for what was before it.
pub(crate) fn now() -> UnixMicros {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let micros = since.unwrap_or_default().as_micros();
    UnixMicros(u64::try_from(micros).unwrap_or(u64::MAX))
}
