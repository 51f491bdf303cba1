//! How long the criterion benchmarks take.

use std::time::Duration;

use criterion::Criterion;

/// The settings of all benchmarks, with those of the command line over them. About a second and a
/// half for each, so that all of them take less than five minutes.
#[must_use]
pub fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .without_plots()
        .configure_from_args()
}
