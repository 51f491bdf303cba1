//! The table, the JSON file, and the numbers that both and the picture show.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::grid::{Cell, Plan};
use crate::run::{Results, Rounds, SATURATED, Sample};
use crate::servers::{CEILING, EPOLL, Origin};
use crate::stats::{self, Ratio};

/// One line of the table: a server in a cell, over its clean rounds.
#[derive(Debug)]
pub struct Row {
    /// Why its numbers must not be used.
    pub void: Option<String>,
    /// How many rounds were clean, and how many there were.
    pub rounds: (usize, usize),
    /// Medians, in the order of the fields of [`Sample`].
    pub rate: f64,
    /// Of the rate, as a share.
    pub spread: f64,
    /// Of the percentiles, in microseconds.
    pub latency_us: [f64; 3],
    /// Of the server's CPU time per message, in microseconds.
    pub cpu_us: f64,
    /// Of the entries per message, where known.
    pub enters: Option<f64>,
    /// Of the share of the server's CPU that was busy.
    pub server_busy: f64,
    /// Of the share of its CPU that the generator used.
    pub generator_busy: f64,
    /// The least and the greatest rate.
    pub range: (f64, f64),
}

impl Row {
    /// Which side had no more to give.
    #[must_use]
    pub fn saturated(&self) -> &'static str {
        match (self.server_busy >= SATURATED, self.generator_busy >= SATURATED) {
            (true, true) => "both",
            (true, false) => "server",
            (false, true) => "generator",
            (false, false) => "neither",
        }
    }
}

/// Sums up the rounds of a server in a cell.
#[must_use]
pub fn row(rounds: &Rounds) -> Row {
    let clean: Vec<&Sample> = rounds.iter().filter(|sample| sample.clean()).collect();
    let of = |field: fn(&Sample) -> f64| -> Vec<f64> {
        clean.iter().map(|sample| field(sample)).collect()
    };
    let median = |field: fn(&Sample) -> f64| stats::median(&of(field)).unwrap_or(f64::NAN);
    let enters: Vec<f64> = clean.iter().filter_map(|sample| sample.enters).collect();
    let rates = of(|sample| sample.rate);
    let mut row = Row {
        void: None,
        rounds: (clean.len(), rounds.len()),
        rate: median(|sample| sample.rate),
        spread: stats::spread(&rates).unwrap_or(f64::NAN),
        latency_us: [
            median(|sample| sample.latency_us[0]),
            median(|sample| sample.latency_us[1]),
            median(|sample| sample.latency_us[2]),
        ],
        cpu_us: median(|sample| sample.cpu_us),
        enters: stats::median(&enters),
        server_busy: median(|sample| sample.server_busy),
        generator_busy: median(|sample| sample.generator_busy),
        range: (
            rates.iter().copied().fold(f64::INFINITY, f64::min),
            rates.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        ),
    };
    row.void = void(rounds, &row);
    row
}

/// Bytes that were wrong once are wrong; noise voids only if it left less than half.
fn void(rounds: &Rounds, row: &Row) -> Option<String> {
    if let Some(why) = rounds.iter().find_map(|sample| sample.failed.clone()) {
        return Some(why);
    }
    if 2 * row.rounds.0 < row.rounds.1 || row.rounds.0 == 0 {
        let why = rounds.iter().find_map(Sample::disturbed).unwrap_or("no rounds".to_owned());
        return Some(format!("{} of {} rounds clean, {why}", row.rounds.0, row.rounds.1));
    }
    if row.generator_busy >= SATURATED {
        return Some(format!("the generator was at {:.0} %", 100.0 * row.generator_busy));
    }
    None
}

/// The ratio of two servers' rates over the cells that `select` picks: from rounds in which both
/// were clean, and from cells that are void for neither.
#[must_use]
pub fn ratio(
    results: &Results,
    server: usize,
    base: usize,
    select: impl Fn(&Cell) -> bool,
) -> Option<Ratio> {
    let mut cells = Vec::new();
    for (cell, samples) in results.cells.iter().zip(&results.samples) {
        let (ours, theirs) = (&samples[server], &samples[base]);
        if !select(cell) || row(ours).void.is_some() || row(theirs).void.is_some() {
            continue;
        }
        let both = ours.iter().zip(theirs).filter(|(a, b)| a.clean() && b.clean());
        cells.push(both.map(|(a, b)| a.rate / b.rate).collect());
    }
    stats::ratio(&cells)
}

fn position(results: &Results, label: &str) -> Option<usize> {
    results.servers.iter().position(|server| server.label == label)
}

/// The depths of the grid, each once.
#[must_use]
pub fn depths(results: &Results) -> Vec<u32> {
    let mut depths: Vec<u32> = results.cells.iter().map(|cell| cell.depth).collect();
    depths.sort_unstable();
    depths.dedup();
    depths
}

fn show(ratio: Option<Ratio>) -> String {
    match ratio {
        None => "-".to_owned(),
        Some(Ratio { mean, interval: None, .. }) => format!("{mean:.3}"),
        Some(Ratio { mean, interval: Some((low, high)), .. }) => {
            format!("{mean:.3} [{low:.3},{high:.3}]")
        }
    }
}

/// The whole text for the terminal.
#[must_use]
pub fn table(results: &Results, host: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in host {
        line(&mut text, &format!("{name:<20}{value}"));
    }
    for (server, flags) in results.servers.iter().zip(&results.flags) {
        if !flags.is_empty() {
            line(&mut text, &format!("{:<28}{flags}", server.label));
        }
    }
    for (c, cell) in results.cells.iter().enumerate() {
        cell_table(&mut text, results, c, cell);
    }
    for depth in depths(results) {
        summary(&mut text, results, depth);
        ours_against_peers(&mut text, results, depth);
    }
    for (label, why) in &results.missing {
        line(&mut text, &format!("left out: {label}: {why}"));
    }
    text
}

fn line(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}

fn cell_table(text: &mut String, results: &Results, c: usize, cell: &Cell) {
    line(text, &format!("\n{cell}"));
    line(
        text,
        &format!(
            "{:<28}{:>10}{:>8}{:>9}{:>9}{:>9}{:>9}{:>8}{:>6}{:>6} {:<10}{:<22}{:<22}",
            "server",
            "msg/s",
            "spread",
            "p50 us",
            "p99 us",
            "p99.9",
            "cpu us/m",
            "enter/m",
            "srv%",
            "gen%",
            "saturated",
            "/ epoll",
            "/ liburing"
        ),
    );
    for (s, server) in results.servers.iter().enumerate() {
        let row = row(&results.samples[c][s]);
        let against = |base: &str| {
            let base = position(results, base).filter(|&base| base != s);
            show(base.and_then(|base| ratio(results, s, base, |other| other == cell)))
        };
        let [p50, p99, p999] = row.latency_us;
        let mut out = format!(
            "{:<28}{:>10.0}{:>7.0}%{p50:>9.0}{p99:>9.0}{p999:>9.0}\
             {:>9.2}{:>8}{:>6.0}{:>6.0} {:<10}",
            server.label,
            row.rate,
            100.0 * row.spread,
            row.cpu_us,
            row.enters.map_or("-".to_owned(), |enters| format!("{enters:.3}")),
            100.0 * row.server_busy,
            100.0 * row.generator_busy,
            row.saturated()
        );
        match &row.void {
            Some(why) => out += &format!("VOID: {why}"),
            None => {
                out += &format!("{:<22}{:<22}", against(EPOLL), against(CEILING));
                if row.rounds.0 < row.rounds.1 {
                    out += &format!(" {} of {} rounds clean", row.rounds.0, row.rounds.1);
                }
            }
        }
        line(text, &out);
    }
}

fn summary(text: &mut String, results: &Results, depth: u32) {
    let valid = |s: usize| {
        let cells = results.cells.iter().zip(&results.samples);
        cells.filter(|(cell, rows)| cell.depth == depth && row(&rows[s]).void.is_none()).count()
    };
    let cells = results.cells.iter().filter(|cell| cell.depth == depth).count();
    line(text, &format!("\ndepth {depth}: geometric mean of paired ratios [95 % interval]"));
    line(text, &format!("{:<28}{:<24}{:<24}cells", "server", "/ epoll", "/ liburing"));
    for (s, server) in results.servers.iter().enumerate() {
        let against = |base: &str| {
            let base = position(results, base);
            show(base.and_then(|base| ratio(results, s, base, |cell| cell.depth == depth)))
        };
        let (epoll, ceiling) = (against(EPOLL), against(CEILING));
        line(text, &format!("{:<28}{epoll:<24}{ceiling:<24}{} of {cells}", server.label, valid(s)));
    }
}

fn ours_against_peers(text: &mut String, results: &Results, depth: u32) {
    let ours: Vec<usize> =
        (0..results.servers.len()).filter(|&s| results.servers[s].origin == Origin::Ours).collect();
    if ours.is_empty() {
        return;
    }
    let mut header = format!("{:<28}", "ours / peer");
    for &s in &ours {
        let _ = write!(header, "{:<24}", results.servers[s].label);
    }
    line(text, &format!("\ndepth {depth}: ours against each peer"));
    line(text, &header);
    for (base, server) in results.servers.iter().enumerate() {
        if server.origin == Origin::Ours {
            continue;
        }
        let mut out = format!("{:<28}", server.label);
        for &s in &ours {
            let ratio = ratio(results, s, base, |cell| cell.depth == depth);
            let _ = write!(out, "{:<24}", show(ratio));
        }
        line(text, &out);
    }
}

fn ratio_json(ratio: Option<Ratio>) -> Value {
    ratio.map_or(Value::Null, |ratio| {
        let (low, high) = ratio.interval.unzip();
        json!({ "mean": ratio.mean, "low": low, "high": high, "pairs": ratio.pairs })
    })
}

/// Everything, every sample included, for the file.
#[must_use]
pub fn json(plan: &Plan, results: &Results, host: &[(&str, String)], warnings: &[String]) -> Value {
    let label = |s: usize| results.servers[s].label.clone();
    let all = 0..results.servers.len();
    let mut cells = Vec::new();
    for (cell, samples) in results.cells.iter().zip(&results.samples) {
        let mut servers = Map::new();
        for s in all.clone() {
            let row = row(&samples[s]);
            let against = |base: &str| {
                let base = position(results, base);
                ratio_json(base.and_then(|base| ratio(results, s, base, |other| other == cell)))
            };
            servers.insert(
                label(s),
                json!({
                    "messages_per_second": row.rate,
                    "spread": row.spread,
                    "p50_us": row.latency_us[0],
                    "p99_us": row.latency_us[1],
                    "p999_us": row.latency_us[2],
                    "server_cpu_us_per_message": row.cpu_us,
                    "enters_per_message": row.enters,
                    "server_cpu_busy": row.server_busy,
                    "generator_busy": row.generator_busy,
                    "saturated": row.saturated(),
                    "void": row.void,
                    "to_epoll": against(EPOLL),
                    "to_liburing": against(CEILING),
                    "rounds": samples[s].iter().map(Sample::json).collect::<Vec<_>>(),
                }),
            );
        }
        cells.push(json!({
            "connections": cell.connections,
            "size": cell.size,
            "depth": cell.depth,
            "servers": servers,
        }));
    }
    let mut ratios = Map::new();
    for depth in depths(results) {
        let mut rows = Map::new();
        for s in all.clone() {
            let row: Map<String, Value> = all
                .clone()
                .filter(|&base| base != s)
                .map(|base| {
                    let ratio = ratio(results, s, base, |cell| cell.depth == depth);
                    (label(base), ratio_json(ratio))
                })
                .collect();
            rows.insert(label(s), row.into());
        }
        ratios.insert(format!("depth {depth}"), rows.into());
    }
    let flags: Map<String, Value> =
        all.clone().map(|s| (label(s), results.flags[s].clone().into())).collect();
    let host: Map<String, Value> =
        host.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
    json!({
        "host": host,
        "warnings": warnings,
        "seconds": plan.seconds,
        "rounds": plan.rounds,
        "bytes_verified": plan.verify,
        "server_flags": flags,
        "left_out": results.missing,
        "cells": cells,
        "ratios": ratios,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(rate: f64) -> Sample {
        Sample { rate, server_busy: 0.97, generator_busy: 0.7, ..Sample::default() }
    }

    #[test]
    fn a_stolen_round_is_left_out_of_the_median() {
        let stolen = Sample { stolen: 0.3, ..sample(10.0) };
        let row = row(&vec![sample(100.0), stolen, sample(120.0)]);
        assert_eq!(row.void, None);
        assert_eq!((row.rate, row.rounds), (110.0, (2, 3)));
        assert_eq!(row.saturated(), "server");
    }

    #[test]
    fn a_cell_is_void_if_time_was_stolen_from_most_rounds() {
        let stolen = Sample { stolen: 0.3, ..sample(10.0) };
        let row = row(&vec![sample(100.0), stolen.clone(), stolen]);
        assert_eq!(row.void.as_deref(), Some("1 of 3 rounds clean, stolen 30 %"));
    }

    #[test]
    fn one_wrong_echo_voids_the_cell() {
        let wrong = Sample { failed: Some("3 wrong echoes".to_owned()), ..sample(500.0) };
        let row = row(&vec![sample(100.0), sample(100.0), wrong]);
        assert_eq!(row.void.as_deref(), Some("3 wrong echoes"));
    }

    #[test]
    fn a_generator_at_its_limit_voids_the_cell() {
        let limit = Sample { generator_busy: 0.95, ..sample(100.0) };
        let row = row(&vec![limit.clone(), limit]);
        assert_eq!(row.void.as_deref(), Some("the generator was at 95 %"));
        assert_eq!(row.saturated(), "both");
    }

    #[test]
    fn ratios_pair_the_rounds_in_which_both_were_clean() {
        let stolen = Sample { stolen: 0.3, ..sample(999.0) };
        let results = Results {
            servers: crate::servers::select("epoll,liburing").unwrap(),
            flags: vec![String::new(); 2],
            cells: vec![Cell { connections: 1, size: 1, depth: 1 }],
            samples: vec![vec![
                vec![sample(100.0), sample(200.0), sample(100.0)],
                vec![sample(200.0), sample(400.0), stolen],
            ]],
            missing: Vec::new(),
        };
        let ratio = ratio(&results, 1, 0, |_| true).unwrap();
        assert!((ratio.mean - 2.0).abs() < 1e-9);
        assert_eq!(ratio.pairs, 2);
    }
}
