//! Builds the echo servers, checks them, runs them side by side, and says how they compare.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use peers::grid::{Plan, USAGE};
use peers::run::{self, Results};
use peers::servers::{self, Origin, Server};
use peers::{chart, check, host, report};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    if args.iter().any(|arg| arg == "--list") {
        print!("{}", servers::list());
        return ExitCode::SUCCESS;
    }
    match Plan::parse(args).and_then(|plan| compare(&plan)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(plan: &Plan) -> Result<(), String> {
    if plan.build {
        build(plan);
    }
    host::raise_limits();
    // From here on there is no way out of this machine.
    let mut warnings = host::isolate_network(plan.server_cpu);
    if plan.server_cpu == plan.generator_cpu {
        warnings.push("server and generator share one CPU".to_owned());
    }
    for warning in &warnings {
        eprintln!("warning: {warning}");
    }
    let (mut present, mut missing) = (Vec::new(), Vec::new());
    // Never the same port twice: the kernel takes a ring apart in the background, and a listening
    // socket that a multishot accept holds may outlive its process by a moment.
    for (server, port) in plan.servers.iter().zip(9_000..) {
        match usable(plan, server, port) {
            Ok(()) => present.push(server.clone()),
            Err(why) => {
                eprintln!("{}: left out: {why}", server.label);
                missing.push((server.label.clone(), why));
            }
        }
    }
    if !plan.measure {
        return if missing.is_empty() { Ok(()) } else { Err("not all servers passed".to_owned()) };
    }
    if present.is_empty() {
        return Err("no server is left".to_owned());
    }
    let mut results = Results {
        flags: vec![String::new(); present.len()],
        samples: vec![vec![Vec::new(); present.len()]; plan.cells.len()],
        servers: present,
        cells: plan.cells.clone(),
        missing,
    };
    let measurements = results.servers.len() * plan.cells.len() * plan.rounds as usize;
    eprintln!(
        "{measurements} measurements of {} s: about {} minutes",
        plan.seconds,
        measurements * (plan.seconds as usize + 1) / 60 + 1
    );
    // The runner itself must not disturb the server.
    host::pin(plan.generator_cpu).map_err(|error| format!("cannot pin: {error}"))?;
    let mut machine = host::describe();
    machine.push(("cpus", format!("server {}, generator {}", plan.server_cpu, plan.generator_cpu)));
    let name = format!("side-by-side-{}", timestamp());
    let file = |ending: &str| plan.out.join(format!("{name}.{ending}"));
    let mut saved = fs::create_dir_all(&plan.out);
    // After each round, so that a run that is interrupted leaves what it has.
    run::measure(plan, &mut results, |results, rounds| {
        let json = report::json(plan, results, &machine, &warnings);
        let caption = format!("{} | {rounds} rounds of {} s", machine[0].1, plan.seconds);
        saved = fs::write(file("json"), format!("{json:#}\n"))
            .and_then(|()| fs::write(file("svg"), chart::svg(results, &caption)));
    });
    println!("{}", report::table(&results, &machine));
    saved.map_err(|error| format!("cannot write into {}: {error}", plan.out.display()))?;
    println!("{}\n{}", file("json").display(), file("svg").display());
    Ok(())
}

/// Whether a server is there, and echoes as it should.
fn usable(plan: &Plan, server: &Server, port: u16) -> Result<(), String> {
    if !server.path().exists() {
        return Err(format!("{} was not built", server.path().display()));
    }
    if !plan.check {
        return Ok(());
    }
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let running = server.start(address, plan.server_cpu)?;
    let before = host::open_files(running.pid());
    check::check(running.address)?;
    // Closing the last connections takes a moment; what a runtime opens once is not a leak.
    let deadline = Instant::now() + Duration::from_secs(2);
    while host::open_files(running.pid()) > before + 8 {
        if Instant::now() > deadline {
            let left = host::open_files(running.pid()) - before;
            return Err(format!("not so: {left} connections that ended are still open"));
        }
        thread::sleep(Duration::from_millis(20));
    }
    // Not taken for granted: dropping it would kill it, and hide that it does not end.
    let enters = running.stop().map_or(String::new(), |enters| format!(", {enters} enters"));
    eprintln!("{}: {} checks passed{enters}", server.label, check::count());
    Ok(())
}

/// Builds what is needed. A failure is printed, and shows as a server that is not there.
fn build(plan: &Plan) {
    if plan.generator.is_none() || plan.servers.iter().any(|s| s.origin == Origin::Ours) {
        let args = ["build", "--release", "-p", "uring-examples", "--bins", "--examples"];
        step(cargo(&servers::root()).args(args));
    }
    if plan.servers.iter().any(|server| server.origin == Origin::Rust) {
        step(cargo(&servers::here()).args(["build", "--release", "--bins", "--keep-going"]));
    }
    let out = servers::here().join("target/c");
    if let Err(error) = fs::create_dir_all(&out) {
        eprintln!("cannot create {}: {error}", out.display());
    }
    for name in ["epoll", "liburing"] {
        let mut command = nice("cc");
        command.args(["-O2", "-Wall", "-Wextra", "-o"]).arg(out.join(name));
        command.arg(servers::here().join("c").join(name).with_extension("c"));
        if name == "liburing" {
            command.args(liburing_flags());
        }
        step(&mut command);
    }
}

fn cargo(folder: &Path) -> Command {
    let mut command = nice(&std::env::var("CARGO").unwrap_or("cargo".to_owned()));
    // An inherited CARGO_TARGET_DIR would hide where the programs are.
    command.current_dir(folder).env("CARGO_TARGET_DIR", folder.join("target"));
    command
}

fn nice(program: &str) -> Command {
    let mut command = Command::new("nice");
    command.args(["-n", "10", program]);
    command
}

fn step(command: &mut Command) {
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => eprintln!("{status}: {command:?}"),
        Err(error) => eprintln!("{error}: {command:?}"),
    }
}

/// From pkg-config, or the library's name if that does not know it.
fn liburing_flags() -> Vec<String> {
    let found = Command::new("pkg-config").args(["--cflags", "--libs", "liburing"]).output();
    match found {
        Ok(found) if found.status.success() => {
            let flags = String::from_utf8_lossy(&found.stdout).into_owned();
            flags.split_whitespace().map(str::to_owned).collect()
        }
        _ => vec!["-luring".to_owned()],
    }
}

/// The time of day in UTC, for file names that sort.
fn timestamp() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (mut days, second) = (now / 86_400, now % 86_400);
    let leap = |year: u64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year}{month:02}{:02}-{hour:02}{minute:02}{second:02}", days + 1)
}
