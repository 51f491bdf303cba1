//! What is measured: the cells of the grid, the servers, how often and how long.

use std::path::PathBuf;

use crate::servers::{self, Server};

/// One load: so many connections, each with `depth` messages of `size` bytes under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Connections at a time.
    pub connections: u32,
    /// Bytes of a message.
    pub size: u32,
    /// Messages that a connection sends before it waits for the first to come back.
    pub depth: u32,
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x {} B, depth {}", self.connections, self.size, self.depth)
    }
}

/// The plan of a whole run, from the command line.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the order in which they take turns.
    pub servers: Vec<Server>,
    /// In the order in which they are measured in each round.
    pub cells: Vec<Cell>,
    /// How often each cell is measured.
    pub rounds: u32,
    /// How long one measurement takes.
    pub seconds: u32,
    /// How often a measurement is repeated at once because the hypervisor stole time.
    pub retries: u32,
    /// The CPU that the servers are pinned to.
    pub server_cpu: usize,
    /// The CPU that the load generator is pinned to.
    pub generator_cpu: usize,
    /// Where the JSON and the picture go.
    pub out: PathBuf,
    /// Build everything first.
    pub build: bool,
    /// Check each server's bytes before it is measured.
    pub check: bool,
    /// Have the generator compare every byte.
    pub verify: bool,
    /// Measure; `--check` alone does not.
    pub measure: bool,
    /// The load generator, if not the one that the main workspace builds.
    pub generator: Option<PathBuf>,
}

/// The help text.
pub const USAGE: &str = "\
Runs echo servers side by side, and says how they compare.

usage: run [options]

  --short               100 connections x 128 and 1024 bytes x depth 1 and 16, 3 rounds, 2 s
  --servers LIST        comma-separated; a server may have options: \"epoll,liburing --direct\";
                        groups: all (default), ours, c, rust, ablations
  --connections LIST    default 1,100,500,1000
  --sizes LIST          default 128,1024,16384
  --depths LIST         default 1,16
  --rounds N            default 5
  --seconds S           of one measurement, default 3
  --retries N           repeats of a measurement from which time was stolen, default 1
  --server-cpu N        default 0
  --generator-cpu N     default 1
  --out DIR             for the JSON file and the SVG picture, default benches/results
  --generator PATH      another load generator with the command line of echo_load
  --no-build            use what was built before
  --no-check            do not check each server's bytes and half close first
  --no-verify           the generator compares no bytes, where that makes it the bottleneck
  --check               check only, measure nothing
  --list                list the servers and groups
";

impl Plan {
    /// Parses the command line.
    ///
    /// # Errors
    ///
    /// The message for the user, if something is not understood.
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let args: Vec<String> = args.into_iter().collect();
        let short = args.iter().any(|arg| arg == "--short");
        let mut plan = Self {
            servers: Vec::new(),
            cells: Vec::new(),
            rounds: if short { 3 } else { 5 },
            seconds: if short { 2 } else { 3 },
            retries: 1,
            server_cpu: 0,
            generator_cpu: 1,
            out: servers::root().join("benches/results"),
            build: true,
            check: true,
            verify: true,
            measure: true,
            generator: None,
        };
        let mut names = "all".to_owned();
        let mut connections = if short { vec![100] } else { vec![1, 100, 500, 1000] };
        let mut sizes = if short { vec![128, 1024] } else { vec![128, 1024, 16384] };
        let mut depths = vec![1, 16];
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "--short" => {}
                "--servers" => names = value()?,
                "--connections" => connections = numbers(&arg, &value()?)?,
                "--sizes" => sizes = numbers(&arg, &value()?)?,
                "--depths" => depths = numbers(&arg, &value()?)?,
                "--rounds" => plan.rounds = number(&arg, &value()?)?,
                "--seconds" => plan.seconds = number(&arg, &value()?)?,
                "--retries" => plan.retries = cpu(&arg, &value()?)?,
                "--server-cpu" => plan.server_cpu = cpu(&arg, &value()?)?,
                "--generator-cpu" => plan.generator_cpu = cpu(&arg, &value()?)?,
                "--out" => plan.out = value()?.into(),
                "--generator" => plan.generator = Some(value()?.into()),
                "--no-build" => plan.build = false,
                "--no-check" => plan.check = false,
                "--no-verify" => plan.verify = false,
                "--check" => plan.measure = false,
                _ => return Err(format!("{arg} is not understood\n\n{USAGE}")),
            }
        }
        plan.servers = servers::select(&names)?;
        for &depth in &depths {
            for &size in &sizes {
                let cell = |&connections| Cell { connections, size, depth };
                plan.cells.extend(connections.iter().map(cell));
            }
        }
        Ok(plan)
    }
}

fn number(name: &str, text: &str) -> Result<u32, String> {
    match text.trim().parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err(format!("{name} takes numbers from 1 on, not {text:?}")),
    }
}

/// Like [`number`], and 0 is one.
fn cpu<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|_| format!("{name} takes a number, not {text:?}"))
}

fn numbers(name: &str, text: &str) -> Result<Vec<u32>, String> {
    text.split(',').map(|text| number(name, text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Plan, String> {
        Plan::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_grid_by_default_has_24_cells() {
        let plan = parse("").unwrap();
        assert_eq!(plan.cells.len(), 24);
        assert_eq!(plan.cells[0], Cell { connections: 1, size: 128, depth: 1 });
        assert_eq!(plan.cells[23], Cell { connections: 1000, size: 16384, depth: 16 });
    }

    #[test]
    fn what_is_given_goes_before_what_short_says() {
        let plan = parse("--rounds 7 --short --depths 1").unwrap();
        assert_eq!((plan.rounds, plan.seconds, plan.cells.len()), (7, 2, 2));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert!(parse("--rouns 7").unwrap_err().contains("--rouns"));
        assert!(parse("--rounds 0").unwrap_err().contains("--rounds"));
        assert!(parse("--servers epol").unwrap_err().contains("epol"));
    }
}
