//! What `std` would bring: an allocator, and what a panic does, and values that outlive every call.
//!
//! A panic is a trap, as with `std`, whose message goes nowhere in a page either. The code that would write it is 5 KB gzipped.

use core::cell::RefCell;
use core::panic::PanicInfo;

use dlmalloc::GlobalDlmalloc;

#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// A value of the whole page, in place of `thread_local`.
pub(crate) struct Global<T>(RefCell<T>);

#[cfg(not(target_feature = "atomics"))]
// SAFETY: a module without atomics shares no memory with another thread, so that only one can come to the value.
unsafe impl<T> Sync for Global<T> {}

impl<T> Global<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    pub(crate) fn set(&self, value: T) {
        self.0.replace(value);
    }

    pub(crate) fn with_borrow<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.0.borrow())
    }

    pub(crate) fn with_borrow_mut<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut self.0.borrow_mut())
    }
}
