//! One after the other.

use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use crate::signal::Signal;

/// Those who wait for their turn, in the order in which they came.
#[derive(Default)]
pub(crate) struct Line {
    waiting: RefCell<Vec<u64>>,
    next: Cell<u64>,
    moved: Signal,
}

impl Line {
    /// Resolves when all who came before have left.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        let number = self.next.replace(self.next.get() + 1);
        self.waiting.borrow_mut().push(number);
        let turn = Turn { line: self, number };
        let first = || (self.waiting.borrow().first() == Some(&number)).then_some(());
        self.moved.until(first).await;
        turn
    }
}

/// A place in the line, left when it is dropped.
pub(crate) struct Turn<'a> {
    line: &'a Line,
    number: u64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.line
            .waiting
            .borrow_mut()
            .retain(|&number| number != self.number);
        self.line.moved.notify();
    }
}
