//! Owners of tasks: what is spawned here ends with its owner.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;

use crate::metrics::{Metrics, One};

/// Owns the tasks that its [`Spawner`]s start. When it is dropped they are aborted, and nothing starts any more.
#[derive(Debug)]
pub(crate) struct Tasks(Spawner);

/// Starts tasks that belong to a [`Tasks`].
#[derive(Clone, Debug)]
pub(crate) struct Spawner {
    /// `None` once the owner is gone.
    set: Arc<Mutex<Option<JoinSet<()>>>>,
    metrics: Arc<Metrics>,
}

impl Tasks {
    pub(crate) fn new(metrics: &Arc<Metrics>) -> Self {
        Self(Spawner {
            set: Arc::new(Mutex::new(Some(JoinSet::new()))),
            metrics: metrics.clone(),
        })
    }

    pub(crate) fn spawner(&self) -> Spawner {
        self.0.clone()
    }

    /// Waits until every task has ended of itself; none can be started meanwhile.
    ///
    /// # Cancel safety
    /// If dropped, the tasks that still run are aborted.
    pub(crate) async fn join(self) {
        let set = self.0.lock().take();
        if let Some(mut set) = set {
            while set.join_next().await.is_some() {}
        }
    }

    /// Aborts every task and waits until all are gone.
    pub(crate) async fn abort(self) {
        let set = self.0.lock().take();
        if let Some(mut set) = set {
            set.shutdown().await;
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        let set = self.0.lock().take();
        drop(set);
    }
}

impl Spawner {
    /// Starts a task, or drops it at once if the owner is gone.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let alive = One::new(&self.metrics, |metrics| &metrics.tasks);
        let mut set = self.lock();
        if let Some(set) = set.as_mut() {
            // The results of those that have ended, or they would pile up.
            while set.try_join_next().is_some() {}
            set.spawn(async move {
                task.await;
                drop(alive);
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<JoinSet<()>>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
