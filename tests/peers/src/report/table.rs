//! The table, in Markdown.

use std::fmt::Write as _;

use super::metric::digits;
use super::{Report, Row};
use crate::subject::Subject;

/// With what it was measured on before it, and what was left out after it.
pub(crate) fn markdown(report: &Report) -> String {
    let mut out = String::new();
    let rounds = report.rounds;
    let millis = report.millis;
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}.\n", report.machine.line());
    let _ = writeln!(out, "{}.\n", report.machine.versions_line());
    let _ = writeln!(
        out,
        "Medians of {rounds} interleaved rounds of {millis} ms, ± half of the range, and in brackets the ratio to quinn.\n"
    );
    let mut part = None;
    for row in report.rows() {
        let heading = (row.path.clone(), row.is_largest);
        if part.as_ref() != Some(&heading) {
            begin(&mut out, report, &row);
            part = Some(heading);
        }
        let cells = report
            .subjects
            .iter()
            .map(|subject| cell(report, &row, *subject));
        let cells: Vec<_> = cells.collect();
        let _ = writeln!(out, "| {} | {} |", row.metric.title(), cells.join(" | "));
    }
    for skipped in &report.skipped {
        let _ = writeln!(out, "\n**{skipped}**");
    }
    out
}

/// The heading of one path and size.
fn begin(out: &mut String, report: &Report, row: &Row) {
    let size = match row.is_largest {
        false => "1452 bytes",
        true => "the size at which each is fastest",
    };
    let titles = report.subjects.iter().map(|subject| {
        let mtu = report.mtu(row, *subject).filter(|_| row.is_largest);
        let mtu = mtu.map_or_else(String::new, |mtu| format!(", {mtu}"));
        format!("{}{mtu}", subject.title())
    });
    let titles: Vec<_> = titles.collect();
    let lines = "---:|".repeat(titles.len());
    let _ = write!(
        out,
        "\n| {}, {size} | {} |\n|---|{lines}\n",
        row.path,
        titles.join(" | ")
    );
}

fn cell(report: &Report, row: &Row, subject: Subject) -> String {
    let Some(spread) = report.spread(row, subject) else {
        return "–".into();
    };
    let value = format!("{} ±{:.0} %", digits(spread.median), spread.percent());
    match report.spread(row, Subject::Quinn) {
        Some(quinn) if subject != Subject::Quinn && quinn.median > 0.0 => {
            format!("{value} ({:.2})", spread.median / quinn.median)
        }
        _ => value,
    }
}
