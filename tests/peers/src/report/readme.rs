//! Table and plot in the project's README.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Report, plot, table};

const BEGIN: &str = "<!-- bench:peers -->";
const END: &str = "<!-- /bench:peers -->";

/// The plot's file, from the project's root.
const PLOT: &str = "tests/peers/peers.svg";

/// Replaces what stands between the markers.
///
/// # Errors
/// If the README has no markers: where the table belongs is for whoever writes the README.
pub(crate) fn write(report: &Report) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let root = root.context("the project is two folders up")?;
    let file = root.join("README.md");
    let old = fs::read_to_string(&file)?;
    let new = replaced(&old, &table::short(report))?;
    fs::write(root.join(PLOT), plot::svg(report))?;
    fs::write(&file, new)?;
    eprintln!("wrote {} and {PLOT}", file.display());
    Ok(())
}

fn replaced(old: &str, table: &str) -> Result<String> {
    let missing = || format!("the README has no {BEGIN} … {END}");
    let (before, rest) = old.split_once(BEGIN).with_context(missing)?;
    let (_, after) = rest.split_once(END).with_context(missing)?;
    let plot = format!("![Bulk throughput of QUIC stacks, side by side]({PLOT})");
    let table = table.trim_end();
    Ok(format!("{before}{BEGIN}\n{plot}\n\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_what_stands_between_the_markers() {
        let old = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let new = replaced(&old, "| new |\n").unwrap();
        assert!(new.starts_with(&format!("before\n{BEGIN}\n![")));
        assert!(new.ends_with(&format!("\n\n| new |\n{END}\nafter\n")));
        assert!(!new.contains("old"));
        // Again, with the same outcome.
        assert_eq!(replaced(&new, "| new |\n").unwrap(), new);
    }

    #[test]
    fn a_readme_without_markers_is_left_alone() {
        assert!(replaced("nothing\n", "| new |\n").is_err());
    }
}
