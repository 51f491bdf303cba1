//! The statistics of the table: medians, and ratios with an interval. Nothing here is random.

/// The median; of an even count the mean of the two in the middle. `None` of nothing.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        len if len % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The distance between the greatest and the least, as a share of the median.
#[must_use]
pub fn spread(values: &[f64]) -> Option<f64> {
    let least = values.iter().copied().min_by(f64::total_cmp)?;
    let greatest = values.iter().copied().max_by(f64::total_cmp)?;
    median(values).map(|median| (greatest - least) / median)
}

/// A ratio as a geometric mean, and the interval that holds the true one with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// The geometric mean of the paired ratios.
    pub mean: f64,
    /// The ends of the interval; `None` if there are too few pairs to know any.
    pub interval: Option<(f64, f64)>,
    /// How many pairs went into it.
    pub pairs: usize,
}

/// The mean ratio over some cells of the grid, each with the ratios of its rounds.
///
/// A cell counts once, however many of its rounds were clean: the geometric mean of the cells'
/// geometric means. The cells are fixed, not drawn from anything, so only the noise *within* them
/// makes the mean uncertain: the interval is Student's t on the logarithms with the variance of a
/// stratified mean, and the degrees of freedom of Welch and Satterthwaite. A cell with one clean
/// round takes the variance of the others together. If every cell has one, the cells have to stand
/// for repetitions, which makes the interval wider.
#[must_use]
pub fn ratio(cells: &[Vec<f64>]) -> Option<Ratio> {
    let logs: Vec<Vec<f64>> = cells
        .iter()
        .filter(|cell| !cell.is_empty())
        .map(|cell| cell.iter().map(|ratio| ratio.ln()).collect())
        .collect();
    if logs.is_empty() {
        return None;
    }
    let means: Vec<f64> = logs.iter().map(|cell| mean(cell)).collect();
    let center = mean(&means);
    let half = half_width(&logs, &means);
    Some(Ratio {
        mean: center.exp(),
        interval: half.map(|half| ((center - half).exp(), (center + half).exp())),
        pairs: logs.iter().map(Vec::len).sum(),
    })
}

fn half_width(logs: &[Vec<f64>], means: &[f64]) -> Option<f64> {
    let freedom: f64 = logs.iter().map(|cell| count(cell) - 1.0).sum();
    if freedom == 0.0 {
        let cells = count(means);
        let error = (square_sum(means)? / (cells - 1.0) / cells).sqrt();
        return Some(t_975(cells - 1.0) * error);
    }
    let pooled = logs.iter().filter_map(|cell| square_sum(cell)).sum::<f64>() / freedom;
    let cells = count(means);
    let (mut variance, mut weight) = (0.0, 0.0);
    for cell in logs {
        let rounds = count(cell);
        // A lone round has no variance of its own, and the pooled one has all the freedom.
        let (own, own_freedom) = match square_sum(cell) {
            Some(sum) => (sum / (rounds - 1.0), rounds - 1.0),
            None => (pooled, freedom),
        };
        let share = own / rounds / (cells * cells);
        variance += share;
        weight += share * share / own_freedom;
    }
    if variance == 0.0 {
        return Some(0.0);
    }
    Some(t_975(variance * variance / weight) * variance.sqrt())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / count(values)
}

/// The squared distances from the mean, added up; `None` of fewer than two.
fn square_sum(values: &[f64]) -> Option<f64> {
    let center = mean(values);
    let sum = values.iter().map(|value| (value - center).powi(2)).sum();
    (values.len() > 1).then_some(sum)
}

fn count<T>(values: &[T]) -> f64 {
    values.len() as f64
}

/// The 97.5 % quantile of Student's t: from the printed table, and between its rows linear in the
/// reciprocal of the degrees of freedom, which is right to three digits from 2 on.
fn t_975(freedom: f64) -> f64 {
    const TABLE: [(f64, f64); 19] = [
        (1.0, 12.706),
        (2.0, 4.303),
        (3.0, 3.182),
        (4.0, 2.776),
        (5.0, 2.571),
        (6.0, 2.447),
        (7.0, 2.365),
        (8.0, 2.306),
        (9.0, 2.262),
        (10.0, 2.228),
        (12.0, 2.179),
        (15.0, 2.131),
        (20.0, 2.086),
        (25.0, 2.060),
        (30.0, 2.042),
        (40.0, 2.021),
        (60.0, 2.000),
        (120.0, 1.980),
        (f64::INFINITY, 1.960),
    ];
    if freedom <= 1.0 {
        return TABLE[0].1;
    }
    let above = TABLE.iter().position(|row| freedom <= row.0).unwrap_or(TABLE.len() - 1);
    let ((low, at_low), (high, at_high)) = (TABLE[above - 1], TABLE[above]);
    let way = (1.0 / low - 1.0 / freedom) / (1.0 / low - 1.0 / high);
    at_low + way * (at_high - at_low)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 5e-4
    }

    #[test]
    fn the_median_of_an_even_count_is_between_the_middle_two() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn the_spread_is_a_share_of_the_median() {
        assert_eq!(spread(&[90.0, 100.0, 120.0]), Some(0.3));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn the_mean_ratio_is_geometric() {
        let ratio = ratio(&[vec![2.0, 8.0]]).unwrap();
        assert!(near(ratio.mean, 4.0)); // the square root of 16
        assert_eq!(ratio.pairs, 2);
    }

    #[test]
    fn one_cell_gives_the_textbook_t_interval() {
        // Logs -0.1, 0, 0.1: mean 0, standard deviation 0.1, error 0.1 / sqrt 3 = 0.057735;
        // t of 2 degrees is 4.303, so the logs reach 0.24843, and e to that is 1.28201.
        let ratio = ratio(&[vec![(-0.1f64).exp(), 1.0, 0.1f64.exp()]]).unwrap();
        let (low, high) = ratio.interval.unwrap();
        assert!(near(ratio.mean, 1.0));
        assert!(near(low, 1.0 / 1.28201), "{low}");
        assert!(near(high, 1.28201), "{high}");
    }

    #[test]
    fn differences_between_cells_do_not_widen_the_interval() {
        // Cell means 0 and ln 4; within each the logs differ by 0.1 both ways, variance 0.01 of
        // 3 rounds: each mean 0.01 / 3, their mean's variance (2 * 0.01 / 3) / 4 = 0.0016667,
        // error 0.040825, with 4 degrees of freedom 2.776: 0.11333. The mean ratio is 2.
        let cell = |at: f64| vec![(at - 0.1).exp(), at.exp(), (at + 0.1).exp()];
        let ratio = ratio(&[cell(0.0), cell(4f64.ln())]).unwrap();
        let (low, high) = ratio.interval.unwrap();
        assert!(near(ratio.mean, 2.0));
        assert!(near(low, 2.0 * (-0.11333f64).exp()), "{low}");
        assert!(near(high, 2.0 * 0.11333f64.exp()), "{high}");
    }

    #[test]
    fn a_cell_counts_once_however_many_rounds_it_has() {
        let ratio = ratio(&[vec![1.0; 9], vec![4.0]]).unwrap();
        assert!(near(ratio.mean, 2.0)); // not 4 to the tenth part
        assert_eq!(ratio.pairs, 10);
    }

    #[test]
    fn with_one_round_the_cells_stand_for_repetitions() {
        // Logs 0 and 0.2: mean 0.1, standard deviation 0.141421, error 0.1, t of 1 is 12.706.
        let ratio = ratio(&[vec![1.0], vec![0.2f64.exp()]]).unwrap();
        let (low, _) = ratio.interval.unwrap();
        assert!(near(ratio.mean, 0.1f64.exp()));
        assert!(near(low, (0.1f64 - 1.2706).exp()), "{low}");
    }

    #[test]
    fn a_single_pair_has_no_interval_and_no_pair_has_no_ratio() {
        assert_eq!(ratio(&[vec![1.5], vec![]]).unwrap().interval, None);
        assert_eq!(ratio(&[vec![], vec![]]), None);
    }

    #[test]
    fn the_t_quantile_between_the_rows_is_the_printed_one() {
        // Values of larger printed tables, which are not among the rows above.
        assert!((t_975(11.0) - 2.201).abs() < 0.001);
        assert!((t_975(18.0) - 2.101).abs() < 0.001);
        assert!((t_975(50.0) - 2.009).abs() < 0.001);
        assert!((t_975(1000.0) - 1.962).abs() < 0.001);
    }
}
