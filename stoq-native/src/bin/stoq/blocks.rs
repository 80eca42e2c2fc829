//! Files in large blocks, off the threads that serve the network.
//!
//! ```text
//! Reader:  disk --read + hash--> block k+1   while   block k   --> stream
//! Writer:  stream --> block k+1   while   block k   --write + hash--> disk
//! ```
//! Each holds two blocks, whatever the size of the file.

use std::io::{self, Read, Write};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};

/// Large enough that the hand-over between threads (~10 µs) does not show beside the work, small enough that a
/// hundred transfers at once take 26 MiB.
pub(crate) const BLOCK: usize = 128 * 1024;

/// Reads a source one block ahead of its user.
pub(crate) struct Reader<S> {
    ahead: Option<JoinHandle<Filled<S>>>,
    source: Option<S>,
    block: Vec<u8>,
}

struct Filled<S> {
    source: S,
    block: Vec<u8>,
    result: io::Result<()>,
}

impl<S: Read + Send + 'static> Reader<S> {
    /// Starts to read `source`.
    pub(crate) fn new(source: S) -> Self {
        let block = Vec::new();
        let ahead = Some(spawn_blocking(|| fill(source, Vec::new())));
        let source = None;
        Self {
            ahead,
            source,
            block,
        }
    }

    /// The next block: full, except the last one; `None` at the end.
    ///
    /// # Cancel safety
    /// A call that did not resolve has taken nothing.
    pub(crate) async fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let Some(ahead) = &mut self.ahead else {
            return Ok(None);
        };
        let filled = ahead.await.map_err(io::Error::other)?;
        self.ahead = None;
        filled.result?;
        let spare = core::mem::replace(&mut self.block, filled.block);
        if self.block.len() < BLOCK {
            self.source = Some(filled.source);
        } else {
            self.ahead = Some(spawn_blocking(|| fill(filled.source, spare)));
        }
        Ok(if self.block.is_empty() {
            None
        } else {
            Some(&self.block)
        })
    }

    /// The source, once [`next`](Self::next) has returned `None`.
    pub(crate) fn into_source(self) -> Option<S> {
        self.source
    }
}

fn fill<S: Read>(mut source: S, mut block: Vec<u8>) -> Filled<S> {
    block.resize(BLOCK, 0);
    let mut filled = 0;
    let result = loop {
        match source.read(&mut block[filled..]) {
            Ok(0) => break Ok(()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    block.truncate(filled);
    Filled {
        source,
        block,
        result,
    }
}

/// Writes to a sink one block behind its user.
///
/// Dropping it drops the sink on a thread that may block (it may be a file to be removed), unfinished.
pub(crate) struct Writer<S: Send + 'static> {
    behind: Option<Behind<S>>,
    block: Vec<u8>,
    filled: usize,
    size: usize,
}

enum Behind<S> {
    Idle {
        sink: S,
        spare: Vec<u8>,
    },
    Busy(JoinHandle<Flushed<S>>),
    /// Kept only to be dropped where blocking is allowed.
    Failed {
        _sink: S,
    },
}

struct Flushed<S> {
    sink: S,
    spare: Vec<u8>,
    result: io::Result<()>,
}

impl<S: Write + Send + 'static> Writer<S> {
    /// A writer to `sink`. `expected`, the bytes to come, spares a small file the memory of a large one.
    pub(crate) fn new(sink: S, expected: u64) -> Self {
        let size = usize::try_from(expected).map_or(BLOCK, |expected| expected.clamp(1, BLOCK));
        let spare = Vec::new();
        let behind = Some(Behind::Idle { sink, spare });
        Self {
            behind,
            block: Vec::new(),
            filled: 0,
            size,
        }
    }

    /// Free room to put bytes into, never empty; [`advance`](Self::advance) then says how many there are.
    ///
    /// # Errors
    /// What the sink said to an earlier block; every later call fails too.
    ///
    /// # Cancel safety
    /// A call that did not resolve has lost nothing.
    pub(crate) async fn room(&mut self) -> io::Result<&mut [u8]> {
        if self.filled == self.block.len() {
            self.flush().await?;
        }
        if self.block.is_empty() {
            // Zeroed pages come from the system untouched: a block that is never filled costs no memory.
            self.block = vec![0; self.size];
        }
        Ok(&mut self.block[self.filled..])
    }

    /// Takes the first `count` bytes of the room.
    pub(crate) fn advance(&mut self, count: usize) {
        assert!(
            count <= self.block.len() - self.filled,
            "advanced past the room"
        );
        self.filled += count;
    }

    /// Writes what is left and returns the sink.
    ///
    /// # Errors
    /// What the sink said to this block or an earlier one.
    pub(crate) async fn finish(mut self) -> io::Result<S> {
        self.flush().await?;
        let (sink, _) = self.idle().await?;
        Ok(sink)
    }

    /// Drops the sink unfinished, and returns once that is done.
    pub(crate) async fn discard(mut self) {
        let behind = match self.behind.take() {
            Some(Behind::Busy(handle)) => match handle.await {
                Ok(Flushed { sink, spare, .. }) => Some(Behind::Idle { sink, spare }),
                Err(_) => None,
            },
            behind => behind,
        };
        let _ = spawn_blocking(|| drop(behind)).await;
    }

    /// Hands what is filled to a blocking thread, once the block before it is done.
    async fn flush(&mut self) -> io::Result<()> {
        if self.filled == 0 {
            return Ok(());
        }
        let (mut sink, spare) = self.idle().await?;
        let block = core::mem::replace(&mut self.block, spare);
        let filled = core::mem::take(&mut self.filled);
        self.behind = Some(Behind::Busy(spawn_blocking(move || {
            let result = sink.write_all(&block[..filled]);
            let spare = block;
            Flushed {
                sink,
                spare,
                result,
            }
        })));
        Ok(())
    }

    /// Waits for the block behind, then takes the sink out.
    async fn idle(&mut self) -> io::Result<(S, Vec<u8>)> {
        if let Some(Behind::Busy(handle)) = &mut self.behind {
            let joined = handle.await;
            self.behind = None;
            let Flushed {
                sink,
                spare,
                result,
            } = joined.map_err(io::Error::other)?;
            if let Err(error) = result {
                self.behind = Some(Behind::Failed { _sink: sink });
                return Err(error);
            }
            self.behind = Some(Behind::Idle { sink, spare });
        }
        match self.behind.take() {
            Some(Behind::Idle { sink, spare }) => Ok((sink, spare)),
            failed => {
                self.behind = failed;
                Err(io::Error::other("an earlier block could not be written"))
            }
        }
    }
}

impl<S: Send + 'static> Drop for Writer<S> {
    fn drop(&mut self) {
        if let (Some(behind), Ok(runtime)) = (self.behind.take(), Handle::try_current()) {
            runtime.spawn_blocking(|| drop(behind));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `limit` bytes, then fails.
    struct Full {
        taken: Vec<u8>,
        limit: usize,
    }

    impl Write for Full {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            if self.taken.len() + buffer.len() > self.limit {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.taken.extend_from_slice(buffer);
            Ok(buffer.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|i| (i % 251) as u8).collect()
    }

    async fn copy(source: Vec<u8>, limit: usize) -> io::Result<Vec<u8>> {
        let taken = Vec::new();
        let mut writer = Writer::new(Full { taken, limit }, source.len() as u64);
        let mut reader = Reader::new(io::Cursor::new(source));
        while let Some(mut block) = reader.next().await? {
            while !block.is_empty() {
                let room = writer.room().await?;
                // An odd step, so that blocks of reader and writer do not line up.
                let count = room.len().min(block.len()).min(70_001);
                room[..count].copy_from_slice(&block[..count]);
                writer.advance(count);
                block = &block[count..];
            }
        }
        assert!(reader.into_source().is_some());
        Ok(writer.finish().await?.taken)
    }

    #[tokio::test]
    async fn carries_every_byte_in_order() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 7] {
            assert!(
                copy(bytes(length), usize::MAX).await.unwrap() == bytes(length),
                "{length}"
            );
        }
    }

    #[tokio::test]
    async fn reports_what_the_sink_says_and_stays_failed() {
        let error = copy(bytes(5 * BLOCK), 2 * BLOCK).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);

        let mut writer = Writer::new(
            Full {
                taken: Vec::new(),
                limit: 0,
            },
            2,
        );
        for _ in 0..2 {
            writer.room().await.unwrap();
            writer.advance(2);
            writer.flush().await.ok();
            assert!(writer.idle().await.is_err());
            writer.filled = 0;
        }
    }

    #[tokio::test]
    async fn discard_and_drop_drop_the_sink() {
        let (alive, mut gone) = tokio::sync::mpsc::unbounded_channel::<()>();
        struct Sink(
            #[allow(dead_code, reason = "its drop is what is watched")]
            tokio::sync::mpsc::UnboundedSender<()>,
        );
        impl Write for Sink {
            fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
                Ok(buffer.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for discard in [true, false] {
            let mut writer = Writer::new(Sink(alive.clone()), 1);
            writer.room().await.unwrap();
            writer.advance(1);
            writer.flush().await.unwrap();
            if discard {
                writer.discard().await;
                assert_eq!(alive.strong_count(), 1);
            } else {
                drop(writer);
            }
        }
        drop(alive);
        assert_eq!(gone.recv().await, None);
    }
}
