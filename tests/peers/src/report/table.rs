//! The table, in Markdown: everything for the terminal, what matters for the README.

use std::fmt::Write as _;

use super::metric::digits;
use super::{Report, Row, Try};
use crate::subject::Subject;

/// With what it was measured on before it, and what was left out after it.
pub(crate) fn markdown(report: &Report) -> String {
    let mut out = String::new();
    let (rounds, millis) = (report.rounds, report.millis);
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}.\n", report.machine.line());
    let _ = writeln!(out, "{}.\n", report.machine.versions_line());
    let _ = writeln!(out, "{}.\n", report.load_line());
    let _ = match rounds {
        1 => writeln!(
            out,
            "One round of {millis} ms; in brackets the ratio to quinn."
        ),
        _ => writeln!(
            out,
            "Medians of {rounds} interleaved rounds of {millis} ms, ± half of the range, and in brackets the ratio to quinn."
        ),
    };
    blocks(&mut out, report, &report.rows(), full);
    sizes(&mut out, report);
    for skipped in &report.skipped {
        let _ = writeln!(out, "\n**{skipped}**");
    }
    out
}

/// The rows that matter most, with ratios for STOQ alone.
pub(crate) fn short(report: &Report) -> String {
    let mut rows = report.rows();
    rows.retain(|row| row.metric.is_essential() && !(row.path == "veth" && row.is_largest));
    let mut out = String::new();
    let (rounds, millis) = (report.rounds, report.millis);
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "{}. {}. {}.\n",
        report.machine.line(),
        report.machine.versions_line(),
        report.load_line()
    );
    let _ = writeln!(
        out,
        "Medians of {rounds} interleaved round{} of {millis} ms{}; behind STOQ's, in brackets, the ratio to quinn's.",
        if rounds == 1 { "" } else { "s" },
        ranges(report, &rows)
    );
    blocks(&mut out, report, &rows, brief);
    for skipped in &report.skipped {
        let _ = writeln!(out, "\n**{skipped}**");
    }
    out
}

/// How far the rounds lie apart.
fn ranges(report: &Report, rows: &[Row]) -> String {
    if report.rounds < 2 {
        return String::new();
    }
    let spreads = rows.iter().flat_map(|row| {
        let subjects = report.subjects.iter();
        subjects.filter_map(|subject| report.spread(row, *subject))
    });
    let mut percents: Vec<_> = spreads.map(|spread| spread.percent()).collect();
    percents.sort_unstable_by(f64::total_cmp);
    let at = |share: usize| percents.get((percents.len() * share / 100).min(percents.len() - 1));
    match (at(50), at(90)) {
        (Some(half), Some(most)) => format!(
            " (half of their range is {half:.0} % of the median for the middle cell, below {most:.0} % for nine of ten)"
        ),
        _ => String::new(),
    }
}

type Cell = fn(&Report, &Row, Subject) -> String;

/// One table for each path and size.
fn blocks(out: &mut String, report: &Report, rows: &[Row], cell: Cell) {
    let mut part = None;
    for row in rows {
        let heading = (&row.path, row.is_largest);
        if part != Some(heading) {
            begin(out, report, row);
            part = Some(heading);
        }
        let cells = report.subjects.iter();
        let cells: Vec<_> = cells.map(|subject| cell(report, row, *subject)).collect();
        let _ = writeln!(out, "| {} | {} |", row.metric.title(), cells.join(" | "));
    }
}

/// The heading of one path and size.
fn begin(out: &mut String, report: &Report, row: &Row) {
    let size = match row.is_largest {
        false => "packets of 1452 bytes",
        true => "packets of the size at which each is fastest",
    };
    let titles = report.subjects.iter().map(|subject| {
        let mtu = report.mtu(row, *subject).filter(|_| row.is_largest);
        let mtu = mtu.map_or_else(String::new, |mtu| format!(", {mtu}"));
        format!("{}{mtu}", subject.title())
    });
    let titles: Vec<_> = titles.collect();
    let lines = "---:|".repeat(titles.len());
    let path = match row.path.as_str() {
        "veth" => "veth pair",
        other => other,
    };
    let _ = write!(
        out,
        "\n| {path}, {size} | {} |\n|---|{lines}\n",
        titles.join(" | ")
    );
}

fn full(report: &Report, row: &Row, subject: Subject) -> String {
    let Some(spread) = report.spread(row, subject) else {
        return "–".into();
    };
    let mut value = digits(spread.median);
    if report.rounds > 1 {
        let _ = write!(value, " ±{:.0} %", spread.percent());
    }
    with_ratio(value, report, row, subject)
}

fn brief(report: &Report, row: &Row, subject: Subject) -> String {
    match report.median(row, subject) {
        None => "–".into(),
        Some(median) if subject == Subject::Stoq => {
            with_ratio(digits(median), report, row, subject)
        }
        Some(median) => digits(median),
    }
}

fn with_ratio(value: String, report: &Report, row: &Row, subject: Subject) -> String {
    let medians = report
        .median(row, subject)
        .zip(report.median(row, Subject::Quinn));
    match medians {
        Some((own, quinn)) if subject != Subject::Quinn && quinn > 0.0 => {
            format!("{value} ({:.2})", own / quinn)
        }
        _ => value,
    }
}

/// Which sizes of packets each manages.
fn sizes(out: &mut String, report: &Report) {
    let of_one = |one: &Try, next: &Try| (&one.path, one.subject) == (&next.path, next.subject);
    out.push('\n');
    for tries in report.tries.chunk_by(of_one) {
        let _ = writeln!(out, "- {}", self::tries(tries));
    }
}

/// What one subject gave on one path, in one line.
pub(crate) fn tries(tries: &[Try]) -> String {
    let Some(first) = tries.first() else {
        return String::new();
    };
    let rates = tries.iter().map(|tried| {
        let rate = tried.gigabits.map_or_else(|| "no".into(), digits);
        format!("{}: {rate}", tried.mtu)
    });
    let rates: Vec<_> = rates.collect();
    format!(
        "{}, {}, Gbit/s by size of packets: {}",
        first.path,
        first.subject.title(),
        rates.join(", ")
    )
}
