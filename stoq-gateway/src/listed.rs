//! The certificates that browsers may have heard of.

use stoq_core::endpoint_record::EndpointRecord;
use stoq_core::time::UnixMicros;

/// Hashes of certificates, the newest first, each with the last moment of its certificate: the one that is served, and
/// those before it that have not ended. At most [`EndpointRecord::MAX_HASHES`].
#[derive(Clone, Debug)]
pub(crate) struct Listed(Vec<([u8; 32], UnixMicros)>);

impl Listed {
    /// The first certificate.
    pub(crate) fn new(hash: [u8; 32], expiry: UnixMicros) -> Self {
        Self(vec![(hash, expiry)])
    }

    /// With this one served from now on: what has ended leaves, and where there are too many, the oldest.
    pub(crate) fn with(&self, hash: [u8; 32], expiry: UnixMicros, now: UnixMicros) -> Self {
        let older = self.0.iter().copied();
        let older = older.filter(|(other, expiry)| *other != hash && *expiry >= now);
        let all = std::iter::once((hash, expiry)).chain(older);
        Self(all.take(EndpointRecord::MAX_HASHES).collect())
    }

    /// Those that count now. The one that is served is always among them, even when it has ended: it is what browsers meet.
    pub(crate) fn hashes(&self, now: UnixMicros) -> Vec<[u8; 32]> {
        let listed = self.0.iter().enumerate();
        listed
            .filter(|(at, (_, expiry))| *at == 0 || *expiry >= now)
            .map(|(_, (hash, _))| *hash)
            .collect()
    }

    /// The one that is served.
    pub(crate) fn newest(&self) -> [u8; 32] {
        self.0[0].0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMicros = UnixMicros(1000);

    #[test]
    fn the_newest_is_first_and_what_has_ended_leaves() {
        let listed = Listed::new([1; 32], UnixMicros(1000));
        let listed = listed.with([2; 32], UnixMicros(999), NOW);
        assert_eq!(listed.hashes(NOW), [[2; 32], [1; 32]]);
        // The first ends with the moment 1000, the one that is served stays.
        assert_eq!(listed.hashes(UnixMicros(1001)), [[2; 32]]);
        let listed = listed.with([3; 32], UnixMicros(2000), NOW);
        assert_eq!(listed.hashes(NOW), [[3; 32], [1; 32]]);
        assert_eq!(listed.newest(), [3; 32]);
    }

    #[test]
    fn one_that_comes_back_stands_once() {
        let listed = Listed::new([1; 32], UnixMicros(2000))
            .with([2; 32], UnixMicros(2000), NOW)
            .with([1; 32], UnixMicros(3000), NOW);
        assert_eq!(listed.hashes(UnixMicros(2500)), [[1; 32]]);
        assert_eq!(listed.hashes(NOW), [[1; 32], [2; 32]]);
    }

    #[test]
    fn the_oldest_leaves_when_there_is_no_room() {
        let count = u8::try_from(EndpointRecord::MAX_HASHES).unwrap();
        let mut listed = Listed::new([0; 32], UnixMicros(2000));
        for number in 1..=count {
            listed = listed.with([number; 32], UnixMicros(2000), NOW);
        }
        let expected: Vec<_> = (1..=count).rev().map(|number| [number; 32]).collect();
        assert_eq!(listed.hashes(NOW), expected);
    }
}
