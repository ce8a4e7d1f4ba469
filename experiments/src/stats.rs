//! Means over seeds, and how far to trust them.

/// Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom.
///
/// Source: any table of the t distribution, such as NIST/SEMATECH e-Handbook, section 1.3.6.7.2.
const T_95: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

/// The two-sided 95 % quantile of Student's t: within 95 % of samples the mean lies less than this
/// many standard errors off. Infinite for 0 degrees of freedom.
///
/// Up to 30 from a table of three decimals; beyond, the expansion in 1/ν (Abramowitz and Stegun,
/// 26.7.5), which there is off by less than 0.0005.
///
/// ```
/// use windtunnel::stats::t_quantile_95;
/// assert_eq!(t_quantile_95(9), 2.262);
/// assert!((t_quantile_95(60) - 2.000).abs() < 0.001);
/// assert!((t_quantile_95(1_000_000) - 1.960).abs() < 0.001);
/// ```
#[must_use]
pub fn t_quantile_95(degrees: usize) -> f64 {
    if degrees == 0 {
        return f64::INFINITY;
    }
    if let Some(quantile) = T_95.get(degrees - 1) {
        return *quantile;
    }
    #[expect(clippy::cast_precision_loss, reason = "a number of seeds")]
    let nu = degrees as f64;
    let z = 1.959_963_984_540_054;
    let (z3, z5) = (z * z * z, z * z * z * z * z);
    z + (z3 + z) / (4.0 * nu) + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * nu * nu)
}

/// A mean over seeds with the half-width of its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Half the width of the 95 % interval by Student's t; `None` with fewer than two values.
    pub half_width: Option<f64>,
}

impl Estimate {
    /// Of one value per seed; `None` of none. Sums in the order given.
    ///
    /// ```
    /// use windtunnel::stats::Estimate;
    /// let estimate = Estimate::of(&[1.0, 2.0, 3.0]).unwrap();
    /// assert_eq!(estimate.mean, 2.0);
    /// // 4.303 × 1 ÷ √3
    /// assert!((estimate.half_width.unwrap() - 2.484).abs() < 0.001);
    /// assert_eq!(Estimate::of(&[1.0]).unwrap().half_width, None);
    /// ```
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a number of seeds")]
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let half_width = (values.len() > 1).then(|| {
            let squares: f64 = values
                .iter()
                .map(|value| (value - mean) * (value - mean))
                .sum();
            let deviation = (squares / (count - 1.0)).sqrt();
            t_quantile_95(values.len() - 1) * deviation / count.sqrt()
        });
        Some(Self { mean, half_width })
    }

    /// Of the differences `left − right`, paired by seed: common random numbers cancel out.
    /// Pairs of which one has no value are left out.
    #[must_use]
    pub fn of_differences(left: &[Option<f64>], right: &[Option<f64>]) -> Option<Self> {
        let differences: Vec<f64> = left
            .iter()
            .zip(right)
            .filter_map(|(left, right)| Some((*left)? - (*right)?))
            .collect();
        Self::of(&differences)
    }

    /// Whether the interval leaves zero out: then, and only then, a difference is called one.
    /// Without an interval it never does.
    #[must_use]
    pub fn excludes_zero(&self) -> bool {
        self.half_width.is_some_and(|half| self.mean.abs() > half)
    }
}
