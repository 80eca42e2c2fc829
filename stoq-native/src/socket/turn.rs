//! When quinn's drivers take their turns, and how what they send in one goes out.
//!
//! A driver begins when the tasks that were ready before it have had their turn. tokio would run it next, as soon as the first of
//! them has written something; so, of 64 requests that are made at once, each would have a packet and a call to the system of its
//! own. Whoever is alone waits for nobody. A driver that stops because of a bound of its own, the endpoint's after 50 µs of receiving,
//! lets the others go first twice.
//!
//! And quinn puts at most ten packets into a batch, and its driver of a connection sends two such batches in a turn, each with a call
//! to the system of its own. With packets of 1452 bytes the system takes four times as much at once, and a call costs more than
//! what it carries: so full batches are held until the turn is over, and go out as one.

use core::cell::RefCell;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use quinn::udp::{EcnCodepoint, Transmit};

use super::config::LARGEST_PAYLOAD;
use super::wire::Wire;

/// A driver of quinn's, each turn of which begins after those of others and sends what it can at once.
pub(crate) struct Turns<F> {
    driver: F,
    /// Whether it has let others go first.
    has_waited: bool,
}

impl<F> Turns<F> {
    pub(crate) fn of(driver: F) -> Self {
        Self {
            driver,
            has_waited: false,
        }
    }
}

impl<F: Future<Output = ()> + Unpin> Future for Turns<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { driver, has_waited } = &mut *self;
        *has_waited = !*has_waited;
        if *has_waited {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let turn = Turn::begin();
        let mut polled = Pin::new(&mut *driver).poll(cx);
        if polled.is_pending() && turn.may_go_on() {
            polled = Pin::new(driver).poll(cx);
        }
        polled
    }
}

/// Between its beginning and its end, what the thread sends is held where that can make larger batches of it.
struct Turn;

impl Turn {
    fn begin() -> Self {
        HELD.with_borrow_mut(|held| held.is_open = true);
        Self
    }

    /// Whether the driver seems to have stopped because of its own bound, and there is room for as much again.
    fn may_go_on(&self) -> bool {
        HELD.with_borrow(|held| {
            held.batch.as_ref().is_some_and(|batch| {
                let length = held.contents.len();
                length >= DRIVER_BOUND * batch.segment && 2 * length <= LARGEST_PAYLOAD.into()
            })
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        HELD.with_borrow_mut(|held| {
            held.is_open = false;
            held.send();
        });
    }
}

/// Sends a batch, now or when the present turn ends.
///
/// # Errors
/// `WouldBlock`, if there is no room for it.
pub(super) fn send(wire: &Arc<Wire>, transmit: &Transmit<'_>) -> io::Result<()> {
    HELD.with_borrow_mut(|held| {
        if held.joins(wire, transmit) {
            held.contents.extend_from_slice(transmit.contents);
            return Ok(());
        }
        held.send();
        if !held.is_open || !is_worth_holding(transmit) || wire.is_blocked() {
            return wire.send(transmit);
        }
        held.batch = Some(Batch::of(wire, transmit));
        held.contents.extend_from_slice(transmit.contents);
        Ok(())
    })
}

/// Whether it is as large as quinn makes them, so that there may be more to come, and there is room for more.
fn is_worth_holding(transmit: &Transmit<'_>) -> bool {
    let length = transmit.contents.len();
    transmit.segment_size.is_some_and(|segment| {
        length >= BATCH_BOUND * segment && 2 * length <= LARGEST_PAYLOAD.into()
    })
}

thread_local! {
    static HELD: RefCell<Held> = const { RefCell::new(Held::NOTHING) };
}

/// What a thread holds.
struct Held {
    /// Whether it is within a turn.
    is_open: bool,
    batch: Option<Batch>,
    /// The datagrams of the batch; kept for the next one. At most what the system takes at once.
    contents: Vec<u8>,
}

impl Held {
    const NOTHING: Self = Self {
        is_open: false,
        batch: None,
        contents: Vec::new(),
    };

    /// Whether this can go out in one batch with what is held: to the same place, marked alike, and all datagrams but the last of
    /// one size.
    fn joins(&self, wire: &Arc<Wire>, transmit: &Transmit<'_>) -> bool {
        let Some(batch) = &self.batch else {
            return false;
        };
        let length = self.contents.len() + transmit.contents.len();
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len());
        let sizes_agree = match transmit.segment_size {
            Some(segment) => segment == batch.segment,
            None => segment <= batch.segment,
        };
        sizes_agree
            && self.contents.len().is_multiple_of(batch.segment)
            && length <= LARGEST_PAYLOAD.into()
            && length.div_ceil(batch.segment) <= wire.state.max_gso_segments()
            && Arc::ptr_eq(&batch.wire, wire)
            && batch.destination == transmit.destination
            && batch.src_ip == transmit.src_ip
            && batch.ecn == transmit.ecn
    }

    fn send(&mut self) {
        if let Some(batch) = self.batch.take() {
            batch.wire.send_or_keep(&Transmit {
                destination: batch.destination,
                ecn: batch.ecn,
                contents: &self.contents,
                segment_size: Some(batch.segment),
                src_ip: batch.src_ip,
            });
            self.contents.clear();
        }
    }
}

/// What the datagrams of a batch have in common.
struct Batch {
    wire: Arc<Wire>,
    destination: SocketAddr,
    ecn: Option<EcnCodepoint>,
    src_ip: Option<IpAddr>,
    segment: usize,
}

impl Batch {
    fn of(wire: &Arc<Wire>, transmit: &Transmit<'_>) -> Self {
        Self {
            wire: wire.clone(),
            destination: transmit.destination,
            ecn: transmit.ecn,
            src_ip: transmit.src_ip,
            segment: transmit.segment_size.unwrap_or(transmit.contents.len()),
        }
    }
}

/// Packets of quinn's batches, at most.
const BATCH_BOUND: usize = 10;
/// Packets that quinn's driver of a connection sends in a turn before it lets others work.
const DRIVER_BOUND: usize = 20;

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests;
