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
        let turn = self.place();
        self.moved.until(|| turn.has_come().then_some(())).await;
        turn
    }

    /// A place behind all who came before, for who waits for something else too: [`moved`](Self::moved) says when to look.
    pub(crate) fn place(&self) -> Turn<'_> {
        let number = self.next.replace(self.next.get() + 1);
        self.waiting.borrow_mut().push(number);
        Turn { line: self, number }
    }

    /// Told when somebody leaves.
    pub(crate) const fn moved(&self) -> &Signal {
        &self.moved
    }
}

/// A place in the line, left when it is dropped.
pub(crate) struct Turn<'a> {
    line: &'a Line,
    number: u64,
}

impl Turn<'_> {
    /// Whether all who came before have left.
    pub(crate) fn has_come(&self) -> bool {
        self.line.waiting.borrow().first() == Some(&self.number)
    }
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
