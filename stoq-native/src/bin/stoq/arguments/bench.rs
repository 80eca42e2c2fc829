//! What load to put on a server, and how to say what came of it.

use super::{PeerArguments, TrustArguments, parse_address};
use clap::{Args, ValueEnum};
use serde::Serialize;
use stoq_native::{ServiceName, Target};

#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    // Not doc comments, where the brackets would be links.
    #[arg(
        long,
        value_name = "HOST:PORT",
        value_parser = parse_address,
        help = "The server, such as localhost:4433 or [::1]:4433, or a URL; its service `echo` unless the URL names another"
    )]
    target: Target,
    #[command(flatten)]
    load: LoadArguments,
    #[command(flatten)]
    trust: TrustArguments,
}

/// What the connections do, how many, and for how long.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct LoadArguments {
    /// Seconds to measure for, once the connections are open
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) duration: u32,
    /// Connections at once. An open one takes some 40 KiB here, and in bulk up to twice `limits.stream_window` more; none takes a
    /// file descriptor of its own, except with --mode handshake, where each takes one
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) connections: u32,
    /// What the connections do
    #[arg(long, value_enum, default_value_t = Mode::Rr)]
    pub(crate) mode: Mode,
    /// Bytes of a request or a datagram; bulk writes pieces of 64 KiB
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = clap::value_parser!(u32).range(16..=1_048_576))]
    pub(crate) size: u32,
    /// Connections that are being opened at once. A server of STOQ takes 256 from one address
    #[arg(long, value_name = "NUMBER", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) opening: u32,
    /// With --mode handshake: resume sessions, as clients do that come back, in place of whole handshakes
    #[arg(long)]
    pub(crate) resume: bool,
    /// Print one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl BenchArguments {
    /// The server, as other commands know it, and the load to put on it.
    pub(crate) fn split(self) -> (PeerArguments, LoadArguments) {
        let echo = || ServiceName::new("echo").expect("it is a service's name");
        let mut url = self.target;
        url.service.get_or_insert_with(echo);
        let trust = self.trust;
        (PeerArguments { url, trust }, self.load)
    }
}

/// What each connection does, one after the other, until the time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// One stream that is always full: what is written comes back. Times are those of a piece of 64 KiB, there and back
    Bulk,
    /// One request in flight, on one stream: the next when the answer has come
    Rr,
    /// Sixteen datagrams in flight. One that has not come back after a second counts as lost
    Datagram,
    /// Connect, open a session, close, again. Times are those until the session is open
    Handshake,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Arguments, Command};
    use clap::Parser as _;

    fn parse(words: &[&str]) -> Option<BenchArguments> {
        let words = [&["stoq", "bench"], words].concat();
        match Arguments::try_parse_from(words).ok()?.command {
            Command::Bench(arguments) => Some(arguments),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_target_is_an_address_or_a_url_and_means_echo() {
        for (target, url) in [
            ("h:1", "stoq://h:1/echo"),
            ("[::1]:1", "stoq://[::1]:1/echo"),
            ("stoq://h:1/other", "stoq://h:1/other"),
        ] {
            let (peer, _) = parse(&["--target", target]).unwrap().split();
            assert_eq!(peer.url.to_string(), url);
        }
        assert!(parse(&[]).is_none() && parse(&["--target", "h"]).is_none());
    }

    #[test]
    fn no_bound_can_be_zero() {
        for bound in ["--duration", "--connections", "--size", "--opening"] {
            assert!(parse(&["--target", "h:1", bound, "0"]).is_none(), "{bound}");
        }
    }
}
