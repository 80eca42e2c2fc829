//! The plot: bulk throughput as bars, one group for each path, size and number of connections. The colours follow the reader's theme.

use std::fmt::Write as _;

use super::metric::{Metric, digits};
use super::{Report, Row};
use crate::subject::Subject;

const WIDTH: f64 = 860.0;
/// Where bars begin, after the names.
const LEFT: f64 = 90.0;
/// What is kept free on the right, for the numbers.
const RIGHT: f64 = 200.0;
const BAR: f64 = 14.0;
const STEP: f64 = 19.0;
const HEADING: f64 = 30.0;
const TOP: f64 = 44.0;

/// Both themes: GitHub shows the file as an image, which knows the reader's.
const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.group { font-weight: 600; }
.value { fill: #59636e; }
.bar { fill: #8c959f; }
.stoq { fill: #0969da; }
.range { stroke: #1f2328; stroke-width: 1; }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc; }
.value { fill: #9198a1; }
.bar { fill: #6e7681; }
.stoq { fill: #4493f8; }
.range { stroke: #f0f6fc; }
}";

pub(super) fn svg(report: &Report) -> String {
    let rows = report.rows().into_iter();
    let rows: Vec<_> = rows
        .filter(|row| matches!(row.metric, Metric::Bulk1 | Metric::Bulk8))
        .collect();
    let mut body = String::new();
    let mut y = TOP;
    for row in &rows {
        group(&mut body, report, row, &mut y);
    }
    let (before, after) = (report.machine.load, report.load_after);
    let machine = report.machine.line();
    let machine = escape(&format!(
        "{machine}; load average {before:.1} before, {after:.1} after"
    ));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
         <title>Bulk throughput of QUIC stacks, side by side</title>\n\
         <style>\n{STYLE}\n</style>\n\
         <text class=\"title\" x=\"8\" y=\"22\">Bulk throughput, Gbit/s (× quinn): longer is better</text>\n\
         {body}\
         <text class=\"value\" x=\"8\" y=\"{footer}\">{machine}</text>\n</svg>\n",
        height = y + 24.0,
        footer = y + 12.0,
    )
}

/// The bars of one row. Raw UDP, which would dwarf the others, stands in the heading as a number.
fn group(out: &mut String, report: &Report, row: &Row, y: &mut f64) {
    let bars = report
        .subjects
        .iter()
        .filter(|subject| **subject != Subject::Raw);
    let bars: Vec<_> = bars
        .filter_map(|subject| Some((*subject, report.spread(row, *subject)?)))
        .collect();
    let most = bars
        .iter()
        .map(|(_, spread)| spread.most)
        .fold(0.0, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / most.max(f64::MIN_POSITIVE);
    let size = if row.is_largest {
        "fastest size"
    } else {
        "1452 bytes"
    };
    let connections = match row.metric {
        Metric::Bulk8 => "8 connections",
        _ => "1 connection",
    };
    let ceiling = report
        .spread(row, Subject::Raw)
        .map_or_else(String::new, |raw| {
            format!(" (raw UDP: {})", digits(raw.median))
        });
    let path = &row.path;
    *y += HEADING - STEP;
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "<text class=\"group\" x=\"8\" y=\"{:.1}\">{path}, {size}, {connections}{ceiling}</text>",
        *y
    );
    *y += 8.0;
    for (subject, spread) in bars {
        let class = if subject == Subject::Stoq {
            "bar stoq"
        } else {
            "bar"
        };
        let middle = *y + BAR / 2.0;
        let end = LEFT + spread.median * scale;
        let (least, most) = (LEFT + spread.least * scale, LEFT + spread.most * scale);
        let size = report.mtu(row, subject).filter(|_| row.is_largest);
        let size = size.map_or_else(String::new, |size| format!(", {size} bytes"));
        let ratio = report
            .spread(row, Subject::Quinn)
            .filter(|quinn| subject != Subject::Quinn && quinn.median > 0.0)
            .map_or_else(String::new, |quinn| {
                format!(" ({:.2}×)", spread.median / quinn.median)
            });
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect class=\"{class}\" x=\"{LEFT:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{BAR}\" rx=\"2\"/>\
             <line class=\"range\" x1=\"{least:.1}\" x2=\"{most:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>\
             <text class=\"value\" x=\"{:.1}\" y=\"{:.1}\">{}{ratio}{size}</text>",
            LEFT - 6.0,
            middle + 4.0,
            subject.title(),
            *y,
            end - LEFT,
            most + 6.0,
            middle + 4.0,
            digits(spread.median),
        );
        *y += STEP;
    }
    *y += STEP;
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
