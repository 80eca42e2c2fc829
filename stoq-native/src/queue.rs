//! What arrived for a session and waits to be taken.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// First in, first out, for any number of takers; what exceeds its room pushes out the oldest.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    items: Mutex<Items<T>>,
    arrived: Notify,
    room: usize,
}

#[derive(Debug)]
struct Items<T> {
    items: VecDeque<(T, usize)>,
    weight: usize,
    closed: bool,
}

impl<T> Queue<T> {
    /// `room` is the sum of weights that it holds.
    pub(crate) fn new(room: usize) -> Self {
        let items = Items {
            items: VecDeque::new(),
            weight: 0,
            closed: false,
        };
        Self {
            items: Mutex::new(items),
            arrived: Notify::new(),
            room,
        }
    }

    /// Appends an item and returns how many items were dropped for it; a closed queue drops the item itself.
    pub(crate) fn push(&self, item: T, weight: usize) -> u64 {
        let mut dropped = 0;
        {
            let mut items = self.lock();
            if items.closed || weight > self.room {
                return 1;
            }
            while items.weight + weight > self.room
                && let Some((_, oldest)) = items.items.pop_front()
            {
                items.weight -= oldest;
                dropped += 1;
            }
            items.weight += weight;
            items.items.push_back((item, weight));
        }
        self.arrived.notify_one();
        dropped
    }

    /// Waits for an item; `None` when the queue is closed and empty. Nothing is lost if the future is dropped.
    pub(crate) async fn pop(&self) -> Option<T> {
        loop {
            let arrived = self.arrived.notified();
            if let Some(popped) = self.try_pop() {
                return popped;
            }
            arrived.await;
        }
    }

    /// What [`pop`](Self::pop) would answer, if it would do so at once.
    pub(crate) fn try_pop(&self) -> Option<Option<T>> {
        let mut items = self.lock();
        match items.items.pop_front() {
            Some((item, weight)) => {
                items.weight -= weight;
                Some(Some(item))
            }
            None => items.closed.then_some(None),
        }
    }

    /// Takes nothing more in. What is in it can still be taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Items<T>> {
        // No code of others runs under the lock, so it cannot be poisoned half-way through a change.
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_give_way() {
        let queue = Queue::new(10);
        assert_eq!(queue.push('a', 4), 0);
        assert_eq!(queue.push('b', 4), 0);
        assert_eq!(queue.push('c', 6), 1, "a gives way");
        assert_eq!(queue.push('d', 11), 1, "d can never fit");
        queue.close();
        assert_eq!(queue.push('e', 0), 1, "closed");
        assert_eq!(queue.pop().await, Some('b'));
        assert_eq!(queue.pop().await, Some('c'));
        assert_eq!(queue.pop().await, None);
    }

    #[tokio::test]
    async fn every_waiter_is_served() {
        let queue = std::sync::Arc::new(Queue::new(usize::MAX));
        let mut takers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let queue = queue.clone();
            takers.spawn(async move { queue.pop().await });
        }
        tokio::task::yield_now().await;
        for item in 0..7 {
            queue.push(item, 1);
        }
        queue.close();
        let mut taken: Vec<_> = takers.join_all().await;
        taken.sort();
        assert_eq!(
            taken,
            [
                None,
                Some(0),
                Some(1),
                Some(2),
                Some(3),
                Some(4),
                Some(5),
                Some(6)
            ]
        );
    }
}
