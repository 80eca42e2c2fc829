//! What holds for bytes that are only looked at, for property tests and fuzz targets.

use stoq_core::frame::{Frame, Priority};
use stoq_core::peek::PriorityPeek;

/// The first byte says in what pieces the rest comes: what is seen does not depend on it, and is what stands there.
pub(crate) fn priority_peek_bytes(input: &[u8]) {
    let Some((&size, stream)) = input.split_first() else {
        return;
    };
    let mut peek = PriorityPeek::default();
    let pieces = stream.chunks(usize::from(size).max(1));
    let seen: Vec<Priority> = pieces.filter_map(|piece| peek.see(piece)).collect();
    assert_eq!(peek.is_done(), stream.len() >= 20);
    let stands = match stream.get(16..20).map(Frame::decode) {
        Some(Ok(Some((Frame::Priority(priority), 4)))) => Some(priority),
        _ => None,
    };
    assert_eq!(seen, Vec::from_iter(stands));
}
