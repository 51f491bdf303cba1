//! Nops through one door, for `nop/run` to time and to count: `nop DOOR SETUP BATCH NOPS`.
//!
//! Prints the nanoseconds of processor time and the allocations of each nop. Doors: `raw`, `ring`,
//! `io-uring`, `io-uring-split`.

use std::{env, error::Error, process::ExitCode, time::Duration};

use benches::nop::{Door, ENTRIES, Owned, Peer, Raw, Setup, SplitPeer};
use testing::alloc::{Allocator, allocations};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// How long this thread has run: other programs on the same processor are left out.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec, and gets one.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(answer, 0, "every thread has this clock");
    let seconds = u64::try_from(time.tv_sec).expect("a time that has passed");
    Duration::from_secs(seconds)
        + Duration::from_nanos(u64::try_from(time.tv_nsec).expect("as above"))
}

/// The two numbers that are printed.
fn measure(mut door: impl Door, batch: u32, nops: u32) -> String {
    door.round(ENTRIES); // warm
    let rounds = nops / batch;
    let allocated = allocations();
    let start = cpu_time();
    for _ in 0..rounds {
        door.round(batch);
    }
    let time = cpu_time() - start;
    let allocated = allocations() - allocated;
    let nops = f64::from(rounds * batch);
    let allocated = f64::from(u32::try_from(allocated).unwrap_or(u32::MAX));
    format!("{:.2} {}", time.as_secs_f64() * 1e9 / nops, allocated / nops)
}

fn run() -> Result<String, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [door, setup, batch, nops] = &arguments[..] else {
        return Err("usage: nop DOOR plain|defer|best BATCH NOPS".into());
    };
    let setup: Setup = setup.parse()?;
    let batch: u32 = batch.parse()?;
    if !(1..=ENTRIES).contains(&batch) {
        return Err(format!("a batch is 1 to {ENTRIES}").into());
    }
    let nops = nops.parse()?;
    Ok(match door.as_str() {
        "raw" => measure(Raw::new(setup)?, batch, nops),
        "ring" => measure(Owned::new(setup)?, batch, nops),
        "io-uring" => measure(Peer::new(setup)?, batch, nops),
        "io-uring-split" => measure(SplitPeer::new(setup)?, batch, nops),
        _ => return Err(format!("no door {door}").into()),
    })
}

fn main() -> ExitCode {
    match run() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("nop: {error}");
            ExitCode::FAILURE
        }
    }
}
