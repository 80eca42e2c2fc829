//! What arrived for a session, by its kind.

use tokio::sync::Notify;

use crate::queue::Queue;

/// One queue for each kind of stream or datagram, so that who waits for one kind is not given another, and what nobody takes
/// of one kind holds up no other. A relay takes all kinds.
#[derive(Debug)]
pub(crate) struct Lanes<T> {
    queues: [Queue<T>; KINDS],
    arrived: Notify,
}

impl<T> Lanes<T> {
    /// `room` is the sum of weights that each queue holds.
    pub(crate) fn new(room: usize) -> Self {
        Self {
            queues: [(); KINDS].map(|()| Queue::new(room)),
            arrived: Notify::new(),
        }
    }

    /// Appends an item and returns how many of its kind were dropped for it.
    pub(crate) fn push(&self, kind: usize, item: T, weight: usize) -> u64 {
        let dropped = self.queues[kind].push(item, weight);
        self.arrived.notify_waiters();
        dropped
    }

    /// Waits for an item of one kind; `None` when there will be none. Nothing is lost if the future is dropped.
    pub(crate) async fn pop(&self, kind: usize) -> Option<T> {
        self.queues[kind].pop().await
    }

    /// Waits for an item of any kind; as [`pop`](Self::pop).
    pub(crate) async fn pop_any(&self) -> Option<T> {
        loop {
            let arrived = self.arrived.notified();
            let mut open = false;
            for queue in &self.queues {
                match queue.try_pop() {
                    Some(Some(item)) => return Some(item),
                    Some(None) => {}
                    None => open = true,
                }
            }
            if !open {
                return None;
            }
            arrived.await;
        }
    }

    /// Takes nothing more in. What is there can still be taken.
    pub(crate) fn close(&self) {
        self.queues.iter().for_each(Queue::close);
        self.arrived.notify_waiters();
    }

    /// Takes nothing more in, and drops what is there.
    pub(crate) fn clear(&self) {
        self.queues.iter().for_each(Queue::clear);
        self.arrived.notify_waiters();
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
        lanes.push(1, 'b', 8);
        lanes.push(0, 'a', 8);
        assert_eq!(lanes.pop(0).await, Some('a'));
        assert_eq!(lanes.push(2, 'c', 8), 0, "another kind has room of its own");
        assert_eq!(lanes.push(2, 'd', 8), 1, "c gives way");
        assert_eq!(lanes.pop_any().await, Some('b'));
        assert_eq!(lanes.pop_any().await, Some('d'));
        lanes.close();
        assert_eq!(lanes.pop_any().await, None);
        assert_eq!(lanes.pop(1).await, None);
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
