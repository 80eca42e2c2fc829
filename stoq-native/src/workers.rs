//! Threads that each drive one socket with the connections on it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use tokio_util::sync::{CancellationToken, DropGuard};

use crate::driver;
use crate::endpoint::BindError;
use crate::socket::Bound;

/// Starts one for each socket. `open` makes the endpoint over it, within the worker's runtime; `accept` takes connections.
///
/// When the guard is dropped, none are taken any more, and the workers end when the last connection has.
///
/// # Errors
/// [`BindError`] if one cannot be started; then none is left.
pub(crate) fn start<A: Future<Output = ()> + 'static>(
    bound: Vec<Bound>,
    open: impl Fn(usize, Bound) -> Result<quinn::Endpoint, BindError> + Clone + Send + 'static,
    accept: impl Fn(quinn::Endpoint) -> A + Clone + Send + 'static,
    drivers: &Arc<driver::Shared>,
) -> Result<(Vec<quinn::Endpoint>, DropGuard), BindError> {
    let stop = CancellationToken::new();
    let failed = |error| BindError::system(error, |error| BindError::Worker { error });
    let mut endpoints = Vec::with_capacity(bound.len());
    let guard = stop.clone().drop_guard();
    for (index, bound) in bound.into_iter().enumerate() {
        let (opened, answer) = channel();
        let open = open.clone();
        let worker = Worker {
            accept: accept.clone(),
            stop: stop.clone(),
            drivers: drivers.clone(),
        };
        thread::Builder::new()
            .name(format!("stoq-worker-{index}"))
            .spawn(move || worker.run(|| open(index, bound), &opened))
            .map_err(failed)?;
        // It answers as soon as it has a runtime and its endpoint; otherwise it has panicked.
        let silent = |_| failed(io::Error::other("it ended at once"));
        endpoints.push(answer.recv().map_err(silent)??);
    }
    Ok((endpoints, guard))
}

struct Worker<F> {
    accept: F,
    stop: CancellationToken,
    drivers: Arc<driver::Shared>,
}

impl<A: Future<Output = ()>, F: Fn(quinn::Endpoint) -> A> Worker<F> {
    /// Resolves when it was stopped and no connection is left, on any worker: sockets that close earlier would change whom the
    /// kernel steers to.
    fn run(
        self,
        open: impl FnOnce() -> Result<quinn::Endpoint, BindError>,
        opened: &Sender<Result<quinn::Endpoint, BindError>>,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                let failed = BindError::system(error, |error| BindError::Worker { error });
                let _ = opened.send(Err(failed));
                return;
            }
        };
        runtime.block_on(async {
            let quinn = match open() {
                Ok(quinn) => quinn,
                Err(error) => {
                    let _ = opened.send(Err(error));
                    return;
                }
            };
            let accepting = (self.accept)(quinn.clone());
            // Nobody hears it if an earlier worker has failed; then `stop` is set.
            let _ = opened.send(Ok(quinn.clone()));
            // It is dropped with all handshakes that are not done.
            self.stop.run_until_cancelled(accepting).await;
            self.stop.cancelled().await;
            self.drivers.tasks.wait().await;
            quinn.wait_idle().await;
        });
    }
}
