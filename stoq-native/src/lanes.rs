//! What arrived for a session, by its kind.

use core::array;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// First in, first out, for each kind of stream or datagram apart: so who waits for one kind is not given another, and what nobody
/// takes of one kind holds up no other. A relay takes all kinds.
///
/// They share one room. When it is full, the oldest item of the kind that takes most of it gives way.
#[derive(Debug)]
pub(crate) struct Lanes<T> {
    items: Mutex<Items<T>>,
    /// An item of this kind has come.
    arrived: [Notify; KINDS],
    /// One of any kind has.
    any_arrived: Notify,
    room: usize,
}

#[derive(Debug)]
struct Items<T> {
    lanes: [Lane<T>; KINDS],
    closed: bool,
}

#[derive(Debug)]
struct Lane<T> {
    items: VecDeque<(T, usize)>,
    weight: usize,
}

impl<T> Lane<T> {
    const fn new() -> Self {
        Self {
            items: VecDeque::new(),
            weight: 0,
        }
    }

    fn pop(&mut self) -> Option<T> {
        let (item, weight) = self.items.pop_front()?;
        self.weight -= weight;
        Some(item)
    }
}

impl<T> Items<T> {
    fn weight(&self) -> usize {
        self.lanes.iter().map(|lane| lane.weight).sum()
    }

    /// What gives way for an item of this kind and weight.
    fn yielding(&mut self, kind: usize, weight: usize) -> Option<T> {
        let lanes = self.lanes.iter_mut().enumerate();
        let lanes = lanes.filter(|(_, lane)| !lane.items.is_empty());
        let share = |(of, lane): &(usize, &mut Lane<T>)| {
            lane.weight
                .saturating_add(if *of == kind { weight } else { 0 })
        };
        let (_, heaviest) = lanes.max_by_key(share)?;
        heaviest.pop()
    }

    /// The oldest of a kind; the inner `None` when there will be none.
    fn pop(&mut self, kind: usize) -> Option<Option<T>> {
        let item = self.lanes[kind].pop();
        (item.is_some() || self.closed).then_some(item)
    }
}

impl<T> Lanes<T> {
    /// `room` is the sum of weights of all kinds that are held.
    pub(crate) fn new(room: usize) -> Self {
        let items = Items {
            lanes: array::from_fn(|_| Lane::new()),
            closed: false,
        };
        Self {
            items: Mutex::new(items),
            arrived: array::from_fn(|_| Notify::new()),
            any_arrived: Notify::new(),
            room,
        }
    }

    /// Appends an item and returns how many, of any kind, were dropped for it; what is closed drops the item itself.
    pub(crate) fn push(&self, kind: usize, item: T, weight: usize) -> u64 {
        let mut dropped = 0;
        {
            let mut items = self.lock();
            if items.closed || weight > self.room {
                return 1;
            }
            while items.weight() > self.room - weight && items.yielding(kind, weight).is_some() {
                dropped += 1;
            }
            let lane = &mut items.lanes[kind];
            lane.weight += weight;
            lane.items.push_back((item, weight));
        }
        self.arrived[kind].notify_one();
        self.any_arrived.notify_waiters();
        dropped
    }

    /// Waits for an item of one kind; `None` when there will be none. Nothing is lost if the future is dropped.
    pub(crate) async fn pop(&self, kind: usize) -> Option<T> {
        loop {
            let arrived = self.arrived[kind].notified();
            if let Some(popped) = self.lock().pop(kind) {
                return popped;
            }
            arrived.await;
        }
    }

    /// Waits for an item of any kind; as [`pop`](Self::pop).
    pub(crate) async fn pop_any(&self) -> Option<T> {
        loop {
            let arrived = self.any_arrived.notified();
            {
                let mut items = self.lock();
                if let Some(item) = items.lanes.iter_mut().find_map(Lane::pop) {
                    return Some(item);
                }
                if items.closed {
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// Takes nothing more in. What is there can still be taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.iter().for_each(Notify::notify_waiters);
        self.any_arrived.notify_waiters();
    }

    /// Takes nothing more in, and drops what is there.
    pub(crate) fn clear(&self) {
        self.close();
        // Dropped outside of the lock: an item may do anything when it is dropped.
        let empty = array::from_fn(|_| Lane::new());
        let lanes = core::mem::replace(&mut self.lock().lanes, empty);
        drop(lanes);
    }

    fn lock(&self) -> MutexGuard<'_, Items<T>> {
        // No code of others runs under the lock, so it cannot be poisoned half-way through a change.
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Raw, framed and announcing streams; data, sealed data and shards in datagrams.
const KINDS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_kind_waits_for_its_own() {
        let lanes = Lanes::new(8);
        lanes.push(1, 'b', 1);
        lanes.push(0, 'a', 1);
        assert_eq!(lanes.pop(0).await, Some('a'));
        lanes.push(2, 'c', 1);
        assert_eq!(lanes.pop_any().await, Some('b'));
        lanes.close();
        assert_eq!(lanes.push(2, 'd', 0), 1, "closed");
        assert_eq!(lanes.pop(1).await, None);
        assert_eq!(lanes.pop_any().await, Some('c'));
        assert_eq!(lanes.pop_any().await, None);
    }

    #[tokio::test]
    async fn all_kinds_share_one_room_and_who_takes_most_of_it_gives_way() {
        let lanes = Lanes::new(10);
        assert_eq!(lanes.push(0, 'a', 2), 0);
        for (item, dropped) in [('b', 0), ('c', 0), ('d', 1)] {
            assert_eq!(lanes.push(1, item, 4), dropped, "b gives way to d");
        }
        assert_eq!(lanes.push(0, 'e', 2), 1, "c gives way");
        assert_eq!(lanes.push(2, 'f', 9), 3, "all give way");
        assert_eq!(lanes.push(2, 'g', 11), 1, "g can never fit");
        assert_eq!(lanes.pop_any().await, Some('f'));
    }

    #[tokio::test]
    async fn every_waiter_is_served() {
        let lanes = std::sync::Arc::new(Lanes::new(usize::MAX));
        let mut takers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let lanes = lanes.clone();
            takers.spawn(async move { lanes.pop(1).await });
        }
        tokio::task::yield_now().await;
        for item in 0..7 {
            lanes.push(1, item, 1);
        }
        lanes.close();
        let mut taken: Vec<_> = takers.join_all().await.into_iter().flatten().collect();
        taken.sort();
        assert_eq!(taken, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[tokio::test]
    async fn who_takes_all_kinds_is_woken_by_any() {
        let lanes = std::sync::Arc::new(Lanes::new(8));
        let taker = tokio::spawn({
            let lanes = lanes.clone();
            async move { (lanes.pop_any().await, lanes.pop_any().await) }
        });
        tokio::task::yield_now().await;
        lanes.push(2, 'c', 1);
        tokio::task::yield_now().await;
        lanes.clear();
        assert_eq!(taker.await.unwrap(), (Some('c'), None));
    }
}
