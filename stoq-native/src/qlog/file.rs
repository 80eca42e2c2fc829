//! One file: records as they come, whole or not at all, to its bound.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What quinn does not say in the first record.
#[derive(Debug)]
pub(super) struct Header {
    /// Which end this is.
    pub(super) vantage_point: &'static str,
    /// Milliseconds since the Unix epoch; the times of events count from here.
    pub(super) began: i128,
}

/// Where quinn writes to. It never fails: what cannot be recorded is left out, and the log says so once.
#[derive(Debug)]
pub(super) struct Writer {
    /// `None` when nothing more is written.
    file: Option<File>,
    /// Bytes that may still be written.
    room: u64,
    /// Of the first record, until it has come.
    header: Option<Header>,
    /// A record that is not whole.
    record: Vec<u8>,
    /// Whole records.
    block: Vec<u8>,
    is_kept: Arc<AtomicBool>,
}

impl Writer {
    pub(super) fn new(file: File, size: u64, header: Header, is_kept: Arc<AtomicBool>) -> Self {
        Self {
            file: Some(file),
            room: size,
            header: Some(header),
            record: Vec::new(),
            block: Vec::new(),
            is_kept,
        }
    }

    /// The record is whole.
    fn end_record(&mut self) {
        if let Some(header) = self.header.take()
            && let Some(completed) = header.complete(&self.record)
        {
            self.record = completed;
        }
        let len = self.record.len() as u64;
        if len > self.room {
            self.write_block();
            self.file = None;
        } else {
            self.room -= len;
            self.block.append(&mut self.record);
            if self.block.len() >= BLOCK {
                self.write_block();
            }
        }
        self.record.clear();
    }

    fn write_block(&mut self) {
        if !self.is_kept.load(Ordering::Relaxed) {
            self.file = None;
        }
        if let Some(file) = &mut self.file
            && let Err(error) = file.write_all(&self.block)
        {
            tracing::warn!(%error, "the record of a connection is cut off");
            self.file = None;
        }
        self.block.clear();
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.is_none() {
            return Ok(bytes.len());
        }
        self.record.extend_from_slice(bytes);
        // A record is RS, JSON, LF (RFC 7464), and its JSON has no line ends.
        if self.record.ends_with(b"\n") {
            self.end_record();
        }
        Ok(bytes.len())
    }

    /// Blocks are written as they are full, and at the end: quinn flushes for each event.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.write_block();
    }
}

impl Header {
    /// The first record, with what is missing in it; `None` if it is not what it should be.
    fn complete(&self, record: &[u8]) -> Option<Vec<u8>> {
        let json = record.strip_prefix(&[RECORD_SEPARATOR])?;
        let mut header: serde_json::Value = serde_json::from_slice(json).ok()?;
        let trace = header.get_mut("trace")?.as_object_mut()?;
        trace.insert(
            "vantage_point".into(),
            serde_json::json!({ "type": self.vantage_point }),
        );
        let began = u64::try_from(self.began).unwrap_or_default();
        trace.insert(
            "common_fields".into(),
            serde_json::json!({ "time_format": "relative", "reference_time": began }),
        );
        let mut record = vec![RECORD_SEPARATOR];
        serde_json::to_writer(&mut record, &header).ok()?;
        record.push(b'\n');
        Some(record)
    }
}

const RECORD_SEPARATOR: u8 = 0x1e;
/// Some 300 packets: a call to the system now and then.
const BLOCK: usize = 64 * 1024;
