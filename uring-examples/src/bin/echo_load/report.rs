//! What was measured.

use std::time::Duration;

use uring_examples::Histogram;

use crate::options::Options;

/// The result of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Messages that came back within the time that counts.
    pub(crate) messages: u64,
    pub(crate) latency: Histogram,
    /// The time that counts.
    pub(crate) time: Duration,
    pub(crate) bytes_checked: u64,
    /// Connections on which a byte was wrong.
    pub(crate) wrong: u64,
    /// Connections that ended before their time, or were never made.
    pub(crate) lost: u64,
    pub(crate) connected: u64,
    /// The fewest and the most messages that one connection got back.
    pub(crate) fewest: Option<u64>,
    pub(crate) most: u64,
    /// What the slow connections sent while they did not read.
    pub(crate) slow_bytes: u64,
    pub(crate) cpu_seconds: f64,
    pub(crate) enters: u64,
}

/// For rates, where the last of 53 bits does not matter.
#[expect(clippy::cast_precision_loss, reason = "a rate")]
const fn float(number: u64) -> f64 {
    number as f64
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

impl Report {
    pub(crate) const fn errors(&self) -> u64 {
        self.wrong + self.lost
    }

    fn rate(&self) -> f64 {
        float(self.messages) / self.time.as_secs_f64().max(1e-9)
    }

    /// One object on one line.
    pub(crate) fn json(&self, options: &Options) -> String {
        let [p50, p99, p999] =
            [500, 990, 999].map(|per_mille| microseconds(self.latency.quantile(per_mille)));
        format!(
            "{{\"messages_per_second\":{:.1},\"messages\":{},\"p50_us\":{p50:.2},\
             \"p99_us\":{p99:.2},\"p999_us\":{p999:.2},\"bytes_checked\":{},\"errors\":{},\
             \"connections\":{},\"size\":{},\"depth\":{},\"seconds\":{:.6},\
             \"cpu_seconds\":{:.6}}}",
            self.rate(),
            self.messages,
            self.bytes_checked,
            self.errors(),
            options.connections,
            options.size,
            options.depth,
            self.time.as_secs_f64(),
            self.cpu_seconds,
        )
    }

    /// A few lines for people.
    pub(crate) fn text(&self, options: &Options) -> String {
        let [p50, p99, p999] =
            [500, 990, 999].map(|per_mille| microseconds(self.latency.quantile(per_mille)));
        let megabytes = self.rate() * f64::from(options.size) / 1e6;
        let mut text = format!(
            "{:.0} messages a second, {megabytes:.1} MB/s each way: {} in {:.2} s\n\
             latency in us: p50 {p50:.1}, p99 {p99:.1}, p99.9 {p999:.1}, longest {:.1}\n\
             {} bytes checked, {} errors: wrong bytes on {} connections, {} of {} lost\n",
            self.rate(),
            self.messages,
            self.time.as_secs_f64(),
            microseconds(self.latency.max()),
            self.bytes_checked,
            self.errors(),
            self.wrong,
            self.lost,
            self.connected,
        );
        if !options.churn && options.connections > 1 {
            let fewest = self.fewest.unwrap_or(0);
            text += &format!("messages on one connection: {fewest} to {}\n", self.most);
        }
        if options.slow > 0 {
            text += &format!(
                "{} slow connections sent {} bytes while they did not read\n",
                options.slow, self.slow_bytes
            );
        }
        text += &format!("{:.2} s of processor time, {} enters", self.cpu_seconds, self.enters);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uring_examples::Args;

    #[test]
    fn the_json_has_the_promised_keys_and_no_line_break() {
        let options = Options::parse(Args::new([])).unwrap();
        let report = Report {
            messages: 1000,
            time: Duration::from_secs(2),
            lost: 1,
            wrong: 2,
            ..Report::default()
        };
        assert_eq!(
            report.json(&options),
            "{\"messages_per_second\":500.0,\"messages\":1000,\"p50_us\":0.00,\"p99_us\":0.00,\
             \"p999_us\":0.00,\"bytes_checked\":0,\"errors\":3,\"connections\":1,\"size\":128,\
             \"depth\":1,\"seconds\":2.000000,\"cpu_seconds\":0.000000}"
        );
    }
}
