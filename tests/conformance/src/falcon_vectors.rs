//! The 1000 FALCON-1024 vectors of core: one check for every place in which core verifies.

use core::fmt;
use std::collections::BTreeMap;

#[path = "../../../stoq-core/tests/falcon/vectors.rs"]
mod vectors;

const FILE: &[u8] = include_bytes!("../../../stoq-core/tests/vectors/falcon.bin");

/// Checks all of them, with the core that this is linked with.
///
/// # Errors
/// What was answered wrongly, or that there are not 1000 of every kind together.
pub fn check() -> Result<Counts, String> {
    let counts = Counts(vectors::check(FILE)?);
    let all: usize = counts.0.values().sum();
    match (all, counts.0.len()) {
        (COUNT, KINDS) => Ok(counts),
        _ => Err(format!("{counts}; there should be {COUNT} of {KINDS}")),
    }
}

/// How many vectors of each kind there were. Shown as `1000 vectors: 695 good, 30 stripped, …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts(BTreeMap<&'static str, usize>);

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} vectors", self.0.values().sum::<usize>())?;
        for (at, kind) in vectors::KINDS.iter().enumerate() {
            let before = if at == 0 { ":" } else { "," };
            let count = self.0.get(kind).copied().unwrap_or_default();
            write!(f, "{before} {count} {kind}")?;
        }
        Ok(())
    }
}

const COUNT: usize = 1000;
const KINDS: usize = vectors::KINDS.len();

#[cfg(test)]
mod tests {
    use std::io::{self, Write as _};

    #[test]
    fn all_1000_are_answered_as_they_should_be() {
        let counts = super::check().unwrap();
        // Past the capture of the test's output: the log shows it, as it does for Node and the browsers.
        writeln!(io::stdout(), "native: {counts}").unwrap();
        assert_eq!(
            counts.to_string(),
            "1000 vectors: 695 good, 30 stripped, 30 too long, 30 wrong key, 30 wrong label, 30 altered message, \
             30 padding set, 30 altered nonce, 30 altered signature, 30 wrong header, 30 zeros, 5 too much signed"
        );
    }
}
