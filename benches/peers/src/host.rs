//! The machine: CPUs, time that was used and stolen, and a network of our own.

use std::fs;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Pins the calling thread to one CPU. Makes no allocation: it runs between fork and exec.
///
/// # Errors
///
/// `EINVAL` if there is no such CPU.
pub fn pin(cpu: usize) -> io::Result<()> {
    // SAFETY: a set of no CPUs is all zeros.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: CPU_SET checks the number against the size of the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the set is initialized, and as large as is said.
    check(unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) })
}

/// Sends SIGINT to a child that was not waited for, so the number is still its own.
pub fn interrupt(pid: u32) {
    if let Ok(pid) = libc::pid_t::try_from(pid) {
        // SAFETY: takes numbers, no pointers.
        unsafe { libc::kill(pid, libc::SIGINT) };
    }
}

/// Lets us and our children have as many descriptors as allowed, and lock memory for rings.
pub fn raise_limits() {
    for resource in [libc::RLIMIT_NOFILE, libc::RLIMIT_MEMLOCK] {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limit` is a valid place to write to.
        if unsafe { libc::getrlimit(resource, &raw mut limit) } != 0 {
            continue;
        }
        if resource == libc::RLIMIT_MEMLOCK {
            let endless = libc::RLIM_INFINITY;
            let more = libc::rlimit { rlim_cur: endless, rlim_max: endless };
            // SAFETY: `more` is initialized.
            if unsafe { libc::setrlimit(resource, &raw const more) } == 0 {
                continue; // root may
            }
        }
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: `limit` is initialized.
        unsafe { libc::setrlimit(resource, &raw const limit) };
    }
}

/// Moves this process, and what it starts from now on, into a network namespace of its own, with
/// reno and with loopback's packets steered to the server's CPU. It ends with the process.
///
/// The namespace is not made by `ip netns add`: that one has a name, and outlives a killed runner.
/// Returns how far it came, one warning for each step that failed.
pub fn isolate_network(server_cpu: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    // SAFETY: takes flags, no pointers; no other thread runs yet that could be surprised.
    if let Err(error) = check(unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) }) {
        warnings.push(format!(
            "no network namespace ({error}); run as root. On plain loopback server and generator \
             saturate together, and most cells will be void"
        ));
        return warnings;
    }
    let mut step = |what: &str, done: io::Result<()>| {
        if let Err(error) = done {
            warnings.push(format!("{what}: {error}"));
        }
    };
    step("cannot bring up lo", loopback_up());
    let control = "/proc/sys/net/ipv4/tcp_congestion_control";
    step("cannot set reno", fs::write(control, "reno"));
    // Another default than the host's 32768 to 60999, as the connections of several runs linger.
    let ports = "/proc/sys/net/ipv4/ip_local_port_range";
    step("cannot widen the range of ports", fs::write(ports, "30000 65000"));
    step("cannot raise somaxconn", fs::write("/proc/sys/net/core/somaxconn", "4096"));
    // /sys shows the network devices of the namespace in which it was mounted.
    step("cannot mount a sysfs", mount_sysfs());
    let mask = format!("{:x}", 1u64 << server_cpu);
    let steering = "/sys/class/net/lo/queues/rx-0/rps_cpus";
    step("cannot steer lo's packets to the server's CPU", fs::write(steering, mask));
    warnings
}

fn mount_sysfs() -> io::Result<()> {
    let none = c"none".as_ptr();
    let private = libc::MS_REC | libc::MS_PRIVATE;
    // Private first: our mounts must not reach the rest of the machine.
    // SAFETY: the strings are terminated, and the kernel ignores the data of such a mount.
    check(unsafe { libc::mount(none, c"/".as_ptr(), none, private, std::ptr::null()) })?;
    let sysfs = c"sysfs".as_ptr();
    // SAFETY: the strings are terminated; sysfs needs no data.
    check(unsafe { libc::mount(sysfs, c"/sys".as_ptr(), sysfs, 0, std::ptr::null()) })
}

fn loopback_up() -> io::Result<()> {
    // SAFETY: a request of zeros is valid: no name, no flags.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // Any socket of the namespace will do. The kernel does not ask for an address to bind to
    // 0.0.0.0, so this works while lo is still down.
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, and this one lives until the call returns.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Seconds of CPU time since boot, of one CPU or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CpuTimes {
    /// Spent on anything but waiting, interrupts included.
    pub busy: f64,
    /// When the hypervisor ran somebody else though there was work.
    pub stolen: f64,
}

/// The times of a CPU, or of all without a number.
#[must_use]
pub fn cpu_times(cpu: Option<usize>) -> CpuTimes {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let name = cpu.map_or("cpu".to_owned(), |cpu| format!("cpu{cpu}"));
    parse_cpu_times(&text, &name).unwrap_or_default()
}

fn parse_cpu_times(stat: &str, name: &str) -> Option<CpuTimes> {
    let line = stat.lines().find(|line| line.split_whitespace().next() == Some(name))?;
    let fields: Vec<f64> =
        line.split_whitespace().skip(1).map_while(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal guest guest_nice; guest is in user already
    let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = fields[..] else {
        return None;
    };
    let busy = user + nice + system + irq + softirq;
    Some(CpuTimes { busy: busy / ticks(), stolen: steal / ticks() })
}

/// Seconds of CPU time of a process with all its threads, user and system together.
#[must_use]
pub fn process_time(pid: u32) -> Option<f64> {
    parse_process_time(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_process_time(stat: &str) -> Option<f64> {
    // The name, in parentheses, may hold spaces and parentheses; utime is the 14th field of all.
    let rest = &stat[stat.rfind(')')? + 1..];
    let mut fields = rest.split_whitespace().skip(11).map(str::parse::<f64>);
    Some((fields.next()?.ok()? + fields.next()?.ok()?) / ticks())
}

/// How many descriptors a process has open.
#[must_use]
pub fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

fn ticks() -> f64 {
    // SAFETY: takes a number, no pointers.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    if ticks > 0 { ticks as f64 } else { 100.0 }
}

/// The kernel, the CPU and what of the network matters, a line each.
#[must_use]
pub fn describe() -> Vec<(&'static str, String)> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let cpu = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1).map(str::to_owned));
    // Not available_parallelism: it counts what we are pinned to.
    let count = read("/proc/cpuinfo").lines().filter(|line| line.starts_with("processor")).count();
    vec![
        (
            "kernel",
            format!("{} {}", read("/proc/sys/kernel/osrelease"), read("/proc/sys/kernel/version")),
        ),
        ("cpu", format!("{count} x {}", cpu.unwrap_or_else(|| "unknown".to_owned()))),
        ("congestion_control", read("/proc/sys/net/ipv4/tcp_congestion_control")),
        ("rps_cpus", read("/sys/class/net/lo/queues/rx-0/rps_cpus")),
        ("load", read("/proc/loadavg")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_is_without_idle_iowait_and_steal() {
        let stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu1 100 20 30 4000 50 6 7 300 0 0\n";
        let times = parse_cpu_times(stat, "cpu1").unwrap();
        assert_eq!(times, CpuTimes { busy: 1.63, stolen: 3.0 }); // USER_HZ is 100 on Linux
    }

    #[test]
    fn a_process_with_a_strange_name_has_its_times_read() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 0 1 2 3 4 150 250 0 0 20 0 1 0 99";
        assert_eq!(parse_process_time(stat), Some(4.0));
    }
}
