//! From a name to the first address that answers ([RFC 8305], "Happy Eyeballs").
//!
//! Names are resolved by the system, both families in one query, so section 3 of the RFC (answers that come apart)
//! is its business; the order within a family is the system's too ([RFC 6724]).
//!
//! [RFC 8305]: https://www.rfc-editor.org/rfc/rfc8305
//! [RFC 6724]: https://www.rfc-editor.org/rfc/rfc6724

use core::time::Duration;
use std::io;
use std::net::SocketAddr;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::transport::IpVersions;

/// The addresses of `host` that may be used, families interleaved, the system's first choice first.
pub(crate) async fn resolve(host: &str, port: u16, ip: IpVersions) -> io::Result<Vec<SocketAddr>> {
    let found = tokio::net::lookup_host((host, port)).await?;
    Ok(interleave(found.filter(|address| match ip {
        IpVersions::Both => true,
        IpVersions::V6Only => address.is_ipv6(),
        IpVersions::V4Only => address.is_ipv4(),
    })))
}

fn interleave(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses = addresses.peekable();
    let v6_first = addresses.peek().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.partition(|address| address.is_ipv6() == v6_first);
    (0..first.len().max(second.len()))
        .flat_map(|at| [first.get(at), second.get(at)])
        .flatten()
        .copied()
        .collect()
}

/// Tries the addresses in order, each [`STAGGER`] after the one before it or as soon as that has failed. The first
/// success wins and the other attempts are aborted; if all fail, the errors come back in the order of failure.
///
/// # Cancel safety
/// Dropping the future aborts all attempts.
pub(crate) async fn race<T, E, F>(
    addresses: Vec<SocketAddr>,
    mut attempt: impl FnMut(SocketAddr) -> F,
) -> Result<T, Vec<E>>
where
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    let mut waiting = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut failures = Vec::new();
    let mut next = waiting.next();
    let mut due = Instant::now();
    loop {
        tokio::select! {
            () = sleep_until(due), if next.is_some() => {
                if let Some(address) = next.take() {
                    attempts.spawn(attempt(address));
                }
                next = waiting.next();
                due = Instant::now() + STAGGER;
            }
            Some(finished) = attempts.join_next() => match finished {
                Ok(Ok(winner)) => return Ok(winner),
                Ok(Err(failure)) => {
                    failures.push(failure);
                    due = Instant::now();
                }
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => unreachable!("only dropping the set aborts an attempt"),
                },
            },
            else => return Err(failures),
        }
    }
}

/// RFC 8305, section 5: the recommended delay between attempts.
const STAGGER: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn addresses(text: &str) -> Vec<SocketAddr> {
        text.split_whitespace()
            .map(|address| address.parse().unwrap())
            .collect()
    }

    #[test]
    fn families_alternate_and_the_first_stays_first() {
        for (found, ordered) in [
            ("", ""),
            ("1.1.1.1:1 2.2.2.2:1", "1.1.1.1:1 2.2.2.2:1"),
            (
                "[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1 2.2.2.2:1",
                "[::1]:1 1.1.1.1:1 [::2]:1 2.2.2.2:1 [::3]:1",
            ),
            ("1.1.1.1:1 [::1]:1 [::2]:1", "1.1.1.1:1 [::1]:1 [::2]:1"),
        ] {
            assert_eq!(interleave(addresses(found).into_iter()), addresses(ordered));
        }
    }

    /// Runs a race on a virtual clock: port 1 answers after 1 s, port 2 fails after 100 ms, port 3 never ends.
    /// Returns the winner or the failures, and when each attempt began.
    async fn run(text: &str) -> (Result<u16, Vec<u16>>, Vec<(u16, u128)>) {
        let start = Instant::now();
        let begun = Arc::new(Mutex::new(Vec::new()));
        let outcome = race(addresses(text), |address| {
            begun
                .lock()
                .unwrap()
                .push((address.port(), start.elapsed().as_millis()));
            async move {
                match address.port() {
                    1 => tokio::time::sleep(Duration::from_secs(1)).await,
                    2 => {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        return Err(2);
                    }
                    _ => std::future::pending().await,
                }
                Ok(address.port())
            }
        })
        .await;
        let begun = begun.lock().unwrap().clone();
        (outcome, begun)
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_staggered_and_a_failure_brings_the_next_forward() {
        let (outcome, begun) = run("1.1.1.1:3 1.1.1.1:2 1.1.1.1:1 1.1.1.1:3").await;
        assert_eq!(outcome, Ok(1));
        assert_eq!(begun, [(3, 0), (2, 250), (1, 350), (3, 600)]);
    }

    #[tokio::test(start_paused = true)]
    async fn all_failures_come_back() {
        assert_eq!(run("1.1.1.1:2 1.1.1.1:2").await.0, Err(vec![2, 2]));
        assert_eq!(run("").await.0, Err(vec![]));
    }
}
