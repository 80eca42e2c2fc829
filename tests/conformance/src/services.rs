//! What the native test server must offer; the bodies ask for these by name.

use stoq_core::close::Code;

/// Streams, datagrams and messages come back as they went.
pub const ECHO: &str = "echo";
/// Reads a bidirectional stream to its end, then answers with the number of bytes, as decimal text.
pub const COUNT: &str = "count";
/// Reads four bytes of a bidirectional stream, big-endian, and resets its own half with that code.
pub const RESET: &str = "reset";
/// Reads four bytes of a bidirectional stream, big-endian, asks the peer to stop with that code, and
/// finishes its own half with `stopped`.
pub const STOP: &str = "stop";
/// Reads one byte of a bidirectional stream and answers with one. After `r` it reads until the peer resets
/// the stream, after `s` it writes until the peer stops it; then it opens a unidirectional stream with the
/// code that it saw, as decimal text, and finishes its half.
pub const WITNESS: &str = "witness";
/// Opens one unidirectional and one bidirectional stream, both with `from the service`; on the second it
/// then echoes.
pub const OPENS: &str = "opens";
/// Reads four bytes of a bidirectional stream, big-endian, and closes the session with that code and the
/// rest of the stream as the reason.
pub const CLOSE: &str = "close";
/// Announces every seed that it hears back, with one more copy wanted.
pub const SEEDS: &str = "seeds";
/// Signs datagrams: those with a token come back with one. On bidirectional streams it says who it is.
pub const SIGNED: &str = "signed";
/// Refuses every session with [`REFUSAL`].
pub const REFUSE: &str = "refuse";
/// Reads a bidirectional stream to its end, and sends what it read as a message.
pub const MAIL: &str = "mail";
/// A name that no server offers.
pub const UNKNOWN: &str = "no-such-service";

/// The code and reason of [`REFUSE`].
pub const REFUSAL: (Code, &str) = (Code::new(4_711), "this service refuses everybody");
/// What [`OPENS`] writes first.
pub const GREETING: &[u8] = b"from the service";
