//! Progress bars, on standard error, where that is a terminal.

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

/// A bar for `size` bytes; it vanishes when dropped, so that a complaint stands on a line of its own.
pub(crate) fn bar(size: u64, name: &str) -> ProgressBar {
    let template =
        "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
    let style = ProgressStyle::with_template(template).expect("the template is fixed");
    ProgressBar::new(size)
        .with_style(style)
        .with_message(name.to_owned())
        .with_finish(ProgressFinish::AndClear)
}
