//! One measurement, and all of them in turn.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::grid::{Cell, Plan};
use crate::host;
use crate::servers::{self, Server};

/// A server or generator above this share of its CPU had no more to give.
pub const SATURATED: f64 = 0.90;
/// Above this share of stolen time, on either CPU, a measurement says nothing about the server.
pub const STOLEN_MAX: f64 = 0.05;
/// Above this share of the generator's CPU used by others, it was not the machine it seems.
pub const FOREIGN_MAX: f64 = 0.15;

/// What one measurement of one server found.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Messages per second, as the generator counted.
    pub rate: f64,
    /// Microseconds of the 50th, 99th and 99.9th percentile of a round trip.
    pub latency_us: [f64; 3],
    /// User and system time of the server in microseconds, per message.
    pub cpu_us: f64,
    /// Entries into the kernel per message, if the server says how often it entered.
    pub enters: Option<f64>,
    /// Share of the server's CPU that was busy, with interrupts.
    pub server_busy: f64,
    /// Share of its CPU that the generator used.
    pub generator_busy: f64,
    /// Share of the generator's CPU that neither it nor idling used.
    pub foreign: f64,
    /// The larger share of stolen time of the two CPUs.
    pub stolen: f64,
    /// Why it does not count, whatever the numbers say.
    pub failed: Option<String>,
}

impl Sample {
    fn failed(why: impl Into<String>) -> Self {
        Self { failed: Some(why.into()), ..Self::default() }
    }

    /// Whether somebody else's work spoiled it, so that a repeat may be clean.
    #[must_use]
    pub fn disturbed(&self) -> Option<String> {
        let percent = |share: f64| format!("{:.0} %", 100.0 * share);
        if self.stolen > STOLEN_MAX {
            Some(format!("stolen {}", percent(self.stolen)))
        } else if self.foreign > FOREIGN_MAX {
            Some(format!("others used {} of the generator's CPU", percent(self.foreign)))
        } else {
            None
        }
    }

    /// Whether its rate may be compared.
    #[must_use]
    pub fn clean(&self) -> bool {
        self.failed.is_none() && self.disturbed().is_none()
    }

    /// For the file.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "messages_per_second": self.rate,
            "p50_us": self.latency_us[0],
            "p99_us": self.latency_us[1],
            "p999_us": self.latency_us[2],
            "server_cpu_us_per_message": self.cpu_us,
            "enters_per_message": self.enters,
            "server_cpu_busy": self.server_busy,
            "generator_busy": self.generator_busy,
            "foreign": self.foreign,
            "stolen": self.stolen,
            "failed": self.failed,
            "clean": self.clean(),
        })
    }
}

/// The measurements of one server in one cell, one for each round.
pub type Rounds = Vec<Sample>;

/// Everything that was measured.
#[derive(Debug)]
pub struct Results {
    /// The servers that took part.
    pub servers: Vec<Server>,
    /// What each of them said of its flags.
    pub flags: Vec<String>,
    /// The cells.
    pub cells: Vec<Cell>,
    /// By cell, then by server.
    pub samples: Vec<Vec<Rounds>>,
    /// Servers that were asked for and left out, with the reason.
    pub missing: Vec<(String, String)>,
}

/// Measures everything in turn: in each round and cell one server after the other, so that those
/// which are compared ran within seconds of each other. `after_round` sees what there is so far.
pub fn measure(plan: &Plan, results: &mut Results, mut after_round: impl FnMut(&Results, u32)) {
    let fallback = servers::ours("echo_load");
    let generator = plan.generator.as_deref().unwrap_or(&fallback);
    let mut port = 10_000;
    for round in 0..plan.rounds {
        for (c, &cell) in plan.cells.iter().enumerate() {
            for s in 0..results.servers.len() {
                // Each round starts with another, so nobody is always first after a pause.
                let s = (s + round as usize) % results.servers.len();
                let server = results.servers[s].clone();
                let mut sample = Sample::default();
                for _ in 0..=plan.retries {
                    port = if port < 29_000 { port + 1 } else { 10_000 };
                    let mut said = Vec::new();
                    sample = sample_once(plan, generator, &server, cell, port, &mut said);
                    if !said.is_empty() {
                        results.flags[s] = said.join("; ");
                    }
                    if sample.failed.is_some() || sample.clean() {
                        break;
                    }
                }
                let note = sample.failed.clone().or_else(|| sample.disturbed());
                eprintln!(
                    "round {} of {}, {cell}, {}: {:.0}/s{}",
                    round + 1,
                    plan.rounds,
                    server.label,
                    sample.rate,
                    note.map_or(String::new(), |note| format!(" ({note})"))
                );
                results.samples[c][s].push(sample);
            }
        }
        after_round(results, round + 1);
    }
}

fn sample_once(
    plan: &Plan,
    generator: &Path,
    server: &Server,
    cell: Cell,
    port: u16,
    said: &mut Vec<String>,
) -> Sample {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut running = match server.start(address, plan.server_cpu) {
        Ok(running) => running,
        Err(error) => return Sample::failed(error),
    };
    said.clone_from(&running.said);
    let cpus = [plan.server_cpu, plan.generator_cpu];
    let before = cpus.map(|cpu| host::cpu_times(Some(cpu)));
    let used_before = host::process_time(running.pid()).unwrap_or_default();
    let start = Instant::now();
    let load = generate(plan, generator, running.address, cell);
    let wall = start.elapsed().as_secs_f64();
    let used = host::process_time(running.pid()).unwrap_or_default() - used_before;
    let after = cpus.map(|cpu| host::cpu_times(Some(cpu)));
    let died = !running.alive();
    let enters = running.stop();
    let load = match load {
        Ok(_) if died => return Sample::failed("the server died"),
        Ok(load) => load,
        Err(error) => return Sample::failed(error),
    };
    let field = |name: &str| load[name].as_f64().unwrap_or_default();
    let messages = field("messages");
    let errors = field("errors");
    let share = |of: fn(&host::CpuTimes) -> f64, at: usize| {
        ((of(&after[at]) - of(&before[at])) / wall).clamp(0.0, 1.0)
    };
    let generator_cpu = field("cpu_seconds");
    Sample {
        rate: field("messages_per_second"),
        latency_us: [field("p50_us"), field("p99_us"), field("p999_us")],
        cpu_us: 1e6 * used / messages,
        enters: enters.map(|enters| enters as f64 / messages),
        server_busy: share(|times| times.busy, 0),
        // Connecting at the start is not saturation: the time is held against the load's only.
        generator_busy: (generator_cpu / field("seconds")).clamp(0.0, 1.0),
        foreign: (share(|times| times.busy, 1) - generator_cpu / wall).max(0.0),
        stolen: share(|times| times.stolen, 0).max(share(|times| times.stolen, 1)),
        failed: if errors > 0.0 {
            Some(format!("{errors} wrong echoes or errors"))
        } else if messages < 1.0 {
            Some("no message came back".to_owned())
        } else {
            None
        },
    }
}

/// Runs the load generator to its end, and reads what it prints.
fn generate(
    plan: &Plan,
    generator: &Path,
    address: SocketAddr,
    cell: Cell,
) -> Result<Value, String> {
    let mut command = Command::new(generator);
    command.args(["--json", "--connect"]).arg(address.to_string());
    if plan.verify {
        command.arg("--verify");
    }
    for (name, number) in [
        ("--connections", cell.connections),
        ("--size", cell.size),
        ("--depth", cell.depth),
        ("--seconds", plan.seconds),
    ] {
        command.arg(name).arg(number.to_string());
    }
    let mut child = servers::spawn(command.stdout(Stdio::piped()), plan.generator_cpu)
        .map_err(|error| format!("cannot start {}: {error}", generator.display()))?;
    let mut stdout = child.stdout.take().ok_or("it has no standard output")?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        // What was read until an error is all there is; it will not parse.
        let _ = std::io::Read::read_to_string(&mut stdout, &mut text);
        sender.send(text)
    });
    // The time to connect, to warm up and to drain comes on top.
    let patience = Duration::from_secs(u64::from(plan.seconds) + 20);
    let text = receiver.recv_timeout(patience);
    let _ = child.kill(); // it has ended, or has to
    let status = child.wait().map_err(|error| error.to_string())?;
    let text = text.map_err(|_| "the load generator did not end in time")?;
    let line = text.lines().rev().find(|line| line.trim_start().starts_with('{'));
    let line = line.ok_or(format!("the load generator printed no JSON ({status})"))?;
    serde_json::from_str(line).map_err(|error| format!("the load generator's JSON: {error}"))
}
