//! The words that JavaScript has for codes.

use stoq_core::Code;

/// The `ErrorCode` of JavaScript: the code's name, or `application` for all codes that have none.
///
/// ```
/// use stoq_core::Code;
///
/// assert_eq!(stoq_wasm::word(Code::UPSTREAM_LOST), "upstream-lost");
/// assert_eq!(stoq_wasm::word(Code::new(42)), "application");
/// ```
pub fn word(code: Code) -> &'static str {
    code.name().unwrap_or(APPLICATION)
}

const APPLICATION: &str = "application";

#[cfg(test)]
mod tests {
    use super::*;

    /// Scripts compare with these: one that changes breaks them.
    const PINNED: &[(u32, &str)] = &[
        (0, "no-error"),
        (0x5354_0001, "internal-error"),
        (0x5354_0002, "protocol-violation"),
        (0x5354_0003, "malformed-frame"),
        (0x5354_0004, "frame-too-large"),
        (0x5354_0005, "control-stream-closed"),
        (0x5354_0006, "settings-error"),
        (0x5354_0007, "version-mismatch"),
        (0x5354_0008, "unknown-service"),
        (0x5354_0009, "unknown-path"),
        (0x5354_000a, "origin-refused"),
        (0x5354_000b, "upstream-unreachable"),
        (0x5354_000c, "upstream-lost"),
        (0x5354_000d, "going-away"),
        (0x5354_000e, "timeout"),
        (0x5354_000f, "limit-exceeded"),
        (0x5354_0010, "held-too-long"),
        (0x5354_0011, "unmapped-code"),
        (0x5354_0012, "unknown-session"),
        (0x5354_0013, "control-flood"),
        (0x5354_0014, "cancelled"),
        (0x5354_0015, "session-closed"),
        (0x5354_0016, "handshake-failed"),
        (0x5354_0017, "connection-lost"),
        (0x5354_0018, "invalid-argument"),
        (0x5354_0019, "unsupported"),
        (0x5354_001a, "datagram-too-large"),
        (0x5354_001b, "session-refused"),
        (0x5354_001c, "untrusted-identity"),
        (0x5354_001d, "identity-revoked"),
        (0x5354_001e, "endpoint-record-refused"),
        (0x5354_001f, "early-data-rejected"),
        (0x5354_0020, "access-token-malformed"),
        (0x5354_0021, "access-token-forged"),
        (0x5354_0022, "access-token-untrusted-issuer"),
        (0x5354_0023, "access-token-expired"),
        (0x5354_0024, "access-token-not-yet-valid"),
        (0x5354_0025, "access-token-wrong-audience"),
        (0x5354_0026, "access-token-wrong-service"),
        (0x5354_0027, "access-token-revoked"),
        (0x5354_0028, "access-token-required"),
        (0x5354_0029, "permission-denied"),
        (0x5354_002a, "holder-proof-missing"),
        (0x5354_002b, "holder-proof-wrong"),
        (0x5354_002c, "hop-loop"),
        (0x5354_002d, "too-many-hops"),
        (0x5354_002e, "next-hop-not-allowed"),
        (0x5354_002f, "channel-reused"),
        (0x5354_0030, "bad-token"),
        (0x5354_0031, "replayed-token"),
        (0x5354_0032, "stale-token"),
        (0x5354_0033, "bad-signature"),
        (0x5354_0034, "unsent-run"),
        (0x5354_0035, "wrong-request"),
        (0x5354_0036, "truncated"),
        (0x5354_0037, "untrusted-origin"),
    ];

    #[test]
    fn every_code_has_its_word() {
        let words: Vec<_> = Code::ALL
            .iter()
            .map(|code| (code.value(), word(*code)))
            .collect();
        assert_eq!(words, PINNED);
    }

    #[test]
    fn the_types_name_the_same_words() {
        let types = include_str!("../js/types/error.d.ts");
        let (_, union) = types
            .split_once("export type ErrorCode =")
            .expect("the union is there");
        let (union, _) = union.split_once(';').expect("the union ends");
        let names: Vec<_> = union
            .split('|')
            .map(|name| name.trim().trim_matches('\''))
            .collect();
        let table = Code::ALL
            .iter()
            .map(|code| word(*code))
            .chain([APPLICATION]);
        // The first `|` stands before the first name.
        assert_eq!(names[1..], table.collect::<Vec<_>>());
    }
}
