//! A small map in one piece of memory.

use alloc::vec::Vec;

/// Keys in order, and their values. Keys that rise, as those of sessions and pings do, go to the end; to remove one moves those
/// behind it, a few hundred at most.
///
/// Not a `BTreeMap`: each kind of those takes 10 KB of code, and a page loads this crate as WebAssembly.
#[derive(Clone, Debug)]
pub(crate) struct Table<K, V>(Vec<(K, V)>);

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Copy + Ord, V> Table<K, V> {
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.place(key).is_ok()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let at = self.place(key).ok()?;
        Some(&self.0[at].1)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.place(key).ok()?;
        Some(&mut self.0[at].1)
    }

    /// Puts a value in place of what there was.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self.place(&key) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.place(key).ok()?;
        Some(self.0.remove(at).1)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    fn place(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by_key(key, |(known, _)| *known)
    }
}

impl<K: Copy + Ord, V: Default> Table<K, V> {
    /// The value, which is the default if there was none.
    pub(crate) fn entry(&mut self, key: K) -> &mut V {
        let at = match self.place(&key) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (key, V::default()));
                at
            }
        };
        &mut self.0[at].1
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use super::*;

    #[test]
    fn does_what_a_map_does() {
        let (mut table, mut map) = (Table::default(), BTreeMap::new());
        let mut seed = 7_u32;
        for _ in 0..2000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (key, value) = (seed >> 26, seed);
            match seed >> 8 & 3 {
                0 => assert_eq!(table.remove(&key), map.remove(&key)),
                1 => {
                    *table.entry(key) += 1;
                    *map.entry(key).or_default() += 1;
                }
                _ => {
                    table.insert(key, value);
                    map.insert(key, value);
                }
            }
            assert_eq!(table.get(&key), map.get(&key));
            assert_eq!(table.get_mut(&key), map.get_mut(&key));
            assert_eq!(table.contains_key(&key), map.contains_key(&key));
            assert_eq!(table.len(), map.len());
            assert!(table.iter().eq(map.iter()));
        }
        table.clear();
        assert_eq!(table.len(), 0);
    }
}
