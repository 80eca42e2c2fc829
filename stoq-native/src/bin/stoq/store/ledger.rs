//! Who holds how much of the quota.

use super::{Entry, StoreError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bounds what a listing costs (its line stays below 8 MiB), and the files that need no bytes of the quota.
pub(super) const MAX_FILES: usize = 10_000;

/// The account of one store, shared by the files under way.
pub(super) struct Ledger {
    quota: u64,
    account: Mutex<Account>,
}

/// Bytes and files: those stored, and those promised to files under way. Held locked over each change to the
/// directory, so that both change as one.
#[derive(Default)]
pub(super) struct Account {
    used: u64,
    files: usize,
    reserved: u64,
    under_way: usize,
}

impl Ledger {
    pub(super) fn new(quota: u64, files: &[Entry]) -> Self {
        let mut account = Account::default();
        account.recount(files);
        let account = Mutex::new(account);
        Self { quota, account }
    }

    pub(super) fn quota(&self) -> u64 {
        self.quota
    }

    pub(super) fn account(&self) -> MutexGuard<'_, Account> {
        // Each change is whole before anything can panic.
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Promises `size` bytes to one file under way.
    pub(super) fn reserve(this: &Arc<Self>, size: u64) -> Result<Reservation, StoreError> {
        let mut account = this.account();
        let free = this
            .quota
            .saturating_sub(account.used)
            .saturating_sub(account.reserved);
        if size > free {
            return Err(StoreError::QuotaExceeded { size, free });
        }
        if account.files + account.under_way >= MAX_FILES {
            return Err(StoreError::TooManyFiles { limit: MAX_FILES });
        }
        account.reserved += size;
        account.under_way += 1;
        let ledger = Some(Arc::clone(this));
        Ok(Reservation { ledger, size })
    }
}

impl Account {
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    pub(super) fn recount(&mut self, files: &[Entry]) {
        self.used = files
            .iter()
            .fold(0, |sum, entry| sum.saturating_add(entry.size));
        self.files = files.len();
    }

    pub(super) fn remove(&mut self, size: u64) {
        // Saturating, because others may have changed the directory since it was counted.
        self.used = self.used.saturating_sub(size);
        self.files = self.files.saturating_sub(1);
    }
}

/// A promise of bytes and of one file; returned on drop.
pub(super) struct Reservation {
    ledger: Option<Arc<Ledger>>,
    size: u64,
}

impl Reservation {
    /// Turns the promise into a stored file, in place of one of `replaced` bytes.
    pub(super) fn settle(mut self, account: &mut Account, replaced: Option<u64>) {
        self.ledger = None;
        account.reserved -= self.size;
        account.under_way -= 1;
        if let Some(size) = replaced {
            account.remove(size);
        }
        account.used = account.used.saturating_add(self.size);
        account.files += 1;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(ledger) = &self.ledger {
            let mut account = ledger.account();
            account.reserved -= self.size;
            account.under_way -= 1;
        }
    }
}
