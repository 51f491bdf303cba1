//! The picture: ratios to epoll with their intervals, and the rates of each cell.

use std::fmt::Write as _;

use crate::report::{self, Row};
use crate::run::Results;
use crate::servers::{EPOLL, Origin};

const LABEL: f64 = 210.0;
const BAR: f64 = 380.0;
const PANEL: f64 = LABEL + BAR + 110.0;
const LINE: f64 = 18.0;
const HEAD: f64 = 34.0;
const COLUMNS: usize = 2;

/// One bar, with whiskers from `low` to `high`.
struct Bar<'a> {
    label: &'a str,
    ours: bool,
    value: f64,
    range: Option<(f64, f64)>,
    note: String,
}

/// Draws everything into one SVG.
#[must_use]
pub fn svg(results: &Results, caption: &str) -> String {
    let mut panels: Vec<(String, Vec<Bar<'_>>)> = Vec::new();
    for depth in report::depths(results) {
        let title = format!("Depth {depth}: times the rate of C epoll, with 95 % interval");
        panels.push((title, ratio_bars(results, depth)));
    }
    if panels.len() % COLUMNS != 0 {
        panels.push((String::new(), Vec::new())); // the cells start on a line of their own
    }
    for (c, cell) in results.cells.iter().enumerate() {
        panels.push((format!("{cell}: thousand messages/s, least to most"), rate_bars(results, c)));
    }
    let height = HEAD + LINE * results.servers.len() as f64 + 16.0;
    let rows = panels.len().div_ceil(COLUMNS);
    let (wide, high) = (PANEL * COLUMNS as f64 + 20.0, height * rows as f64 + 40.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide}\" height=\"{high}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"14\">{}</text>\n",
        escape(caption)
    );
    for (i, (title, bars)) in panels.iter().enumerate() {
        let x = 10.0 + PANEL * (i % COLUMNS) as f64;
        let y = 30.0 + height * (i / COLUMNS) as f64;
        panel(&mut out, x, y, title, bars);
    }
    out + "</svg>\n"
}

fn ratio_bars(results: &Results, depth: u32) -> Vec<Bar<'_>> {
    let epoll = results.servers.iter().position(|server| server.label == EPOLL);
    let bar = |(s, server)| {
        let server: &crate::servers::Server = server;
        let ratio = epoll.and_then(|e| report::ratio(results, s, e, |cell| cell.depth == depth));
        Bar {
            label: &server.label,
            ours: server.origin == Origin::Ours,
            value: ratio.map_or(0.0, |ratio| ratio.mean),
            range: ratio.and_then(|ratio| ratio.interval),
            note: ratio.map_or("no clean pair".to_owned(), |ratio| format!("{:.2}", ratio.mean)),
        }
    };
    results.servers.iter().enumerate().map(bar).collect()
}

fn rate_bars(results: &Results, cell: usize) -> Vec<Bar<'_>> {
    let bar = |(s, server)| {
        let server: &crate::servers::Server = server;
        let Row { void, rate, range, .. } = report::row(&results.samples[cell][s]);
        let void = void.is_some();
        Bar {
            label: &server.label,
            ours: server.origin == Origin::Ours,
            value: if void { 0.0 } else { rate / 1000.0 },
            range: (!void).then_some((range.0 / 1000.0, range.1 / 1000.0)),
            note: if void { "void".to_owned() } else { format!("{:.1}", rate / 1000.0) },
        }
    };
    results.servers.iter().enumerate().map(bar).collect()
}

fn panel(out: &mut String, x: f64, y: f64, title: &str, bars: &[Bar<'_>]) {
    // Whiskers of very uncertain ratios are cut off at twice the longest bar.
    let longest = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let reach =
        bars.iter().filter_map(|bar| bar.range).map(|range| range.1).fold(longest, f64::max);
    let full = reach.min(2.0 * longest).max(f64::MIN_POSITIVE);
    let to_x = |value: f64| x + LABEL + BAR * (value / full).clamp(0.0, 1.0);
    text(out, x, y + 20.0, "start", "bold", title);
    for (i, bar) in bars.iter().enumerate() {
        let top = y + HEAD + LINE * i as f64;
        let middle = top + LINE / 2.0;
        let color = if bar.ours { "#c0504d" } else { "#7f9db9" };
        text(out, x + LABEL - 6.0, middle + 4.0, "end", "normal", bar.label);
        let wide = to_x(bar.value) - x - LABEL;
        let _ = writeln!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" height=\"{:.1}\" fill=\"{color}\"/>",
            x + LABEL,
            top + 2.0,
            LINE - 4.0
        );
        let mut end = to_x(bar.value);
        if let Some((low, high)) = bar.range {
            end = end.max(to_x(high));
            let _ = writeln!(
                out,
                "<path d=\"M{0:.1} {2:.1}H{1:.1}M{0:.1} {3:.1}v6M{1:.1} {3:.1}v6\" \
                 stroke=\"black\" fill=\"none\"/>",
                to_x(low),
                to_x(high),
                middle,
                middle - 3.0
            );
        }
        text(out, end + 6.0, middle + 4.0, "start", "normal", &bar.note);
    }
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, weight: &str, text: &str) {
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" \
         font-weight=\"{weight}\">{}</text>",
        escape(text)
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
