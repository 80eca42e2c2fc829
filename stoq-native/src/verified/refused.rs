//! What came on verified channels and was not taken.

use core::sync::atomic::{AtomicU64, Ordering};

use stoq_core::channel::datagrams::OpenedDatagrams;
use stoq_core::close::Code;

/// Writes both structs from one table.
macro_rules! table {
    ($($(#[$doc:meta])* $name:ident = $code:ident;)*) => {
        /// What came on the verified channels of a session and was not taken, by the code that the peer was told.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct RefusedChannels {
            $($(#[$doc])* pub $name: u64,)*
            /// Anything else: frames that cannot be read or do not belong there.
            pub other: u64,
            /// Datagrams that were held back, and given up for newer ones before their signature came.
            pub expired_datagrams: u64,
            /// Datagrams that are not those that were signed.
            pub forged_datagrams: u64,
        }

        #[derive(Debug, Default)]
        pub(crate) struct Refused {
            $($name: AtomicU64,)*
            other: AtomicU64,
            expired_datagrams: AtomicU64,
            forged_datagrams: AtomicU64,
        }

        impl Refused {
            pub(crate) fn count(&self, code: Code) {
                let counter = match code {
                    $(Code::$code => &self.$name,)*
                    _ => &self.other,
                };
                counter.fetch_add(1, Ordering::Relaxed);
            }

            pub(super) fn note_datagrams(&self, counters: OpenedDatagrams) {
                self.expired_datagrams.store(counters.expired, Ordering::Relaxed);
                self.forged_datagrams.store(counters.forged, Ordering::Relaxed);
            }

            pub(crate) fn get(&self) -> RefusedChannels {
                RefusedChannels {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    other: self.other.load(Ordering::Relaxed),
                    expired_datagrams: self.expired_datagrams.load(Ordering::Relaxed),
                    forged_datagrams: self.forged_datagrams.load(Ordering::Relaxed),
                }
            }
        }
    };
}

table! {
    /// Data that was changed, dropped or reordered.
    bad_tokens = BAD_TOKEN;
    /// Tokens that came twice, or too late.
    replayed_tokens = REPLAYED_TOKEN;
    /// Tokens of another time.
    stale_tokens = STALE_TOKEN;
    /// Signatures that do not hold, or did not come.
    bad_signatures = BAD_SIGNATURE;
    /// Signatures of tokens that did not come.
    unsent_runs = UNSENT_RUN;
    /// Answers to other requests.
    wrong_requests = WRONG_REQUEST;
    /// Keys and signatures of others than the origins.
    untrusted_origins = UNTRUSTED_ORIGIN;
    /// Channels whose end was not signed.
    truncated = TRUNCATED;
    /// Streams with the id of another.
    reused_channels = CHANNEL_REUSED;
    /// Runs that were too long, and streams that were too many.
    limits = LIMIT;
}
