//! Signs runs of tokens, beside the stream that goes on meanwhile.

use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;

use stoq_core::falcon::Signature;
use stoq_core::run::Statement;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::line::Sending;
use super::send::VerifiedWriteError;
use crate::falcon::{FalconSigner, SignError};

/// Signs each run that is due, until the stream fails or this is dropped.
pub(super) async fn sign_runs(sending: Arc<Sending>, signer: Arc<dyn FalconSigner>) {
    loop {
        let due = sending.line.lock().await.due;
        match due {
            None => sending.wake.notified().await,
            Some(due) if due > Instant::now() => tokio::select! {
                () = sleep_until(due) => {}
                () = sending.wake.notified() => {}
            },
            Some(_) => {
                let result = sign_run(&sending, &signer).await;
                let failed = result.is_err();
                if let Err(error) = result {
                    sending.line.lock().await.failure = Some(error);
                }
                sending.signed.notify_one();
                if failed {
                    return;
                }
            }
        }
    }
}

async fn sign_run(
    sending: &Sending,
    signer: &Arc<dyn FalconSigner>,
) -> Result<(), VerifiedWriteError> {
    let statement = {
        let mut line = sending.line.lock().await;
        line.due = None;
        line.close()
    };
    // There is room for the next run.
    sending.signed.notify_one();
    let Some(statement) = statement else {
        return Ok(());
    };
    let signature = sign(signer, statement).await?;
    {
        let mut line = sending.line.lock().await;
        line.put_signature(&signature);
        line.draining = true;
    }
    sending.signed.notify_one();
    let drained = sending.drain().await;
    sending.line.lock().await.draining = false;
    drained
}

/// Signs on a thread that may take its time.
pub(super) fn sign(
    signer: &Arc<dyn FalconSigner>,
    statement: Statement,
) -> impl Future<Output = Result<Signature, SignError>> + use<> {
    let signer = Arc::clone(signer);
    async move {
        let permit = THREADS.clone().acquire_owned().await;
        let signed = spawn_blocking(move || {
            // Until the key has signed, also if nobody waits for it any more.
            let _permit = permit;
            signer.sign(statement.domain, &[&statement.to_be_signed()])
        });
        signed
            .await
            .unwrap_or_else(|error| Err(SignError::Device(error.to_string())))
    }
}

/// Runs that are signed at once, of all streams in the process: as many as it has processors. More would take no less time, and
/// each a thread that others wait for.
static THREADS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let processors = available_parallelism().map_or(1, |count| count.get());
    Arc::new(Semaphore::new(processors))
});
