//! Positions and labels of the marks on an axis.

use super::{Axis, Scale};

/// An axis with its ends and marks. Positions are values on a linear axis and decimal logarithms on a
/// logarithmic one.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruler {
    scale: Scale,
    /// Positions of both ends in ascending order.
    pub ends: [f64; 2],
    /// Positions of the marks between the ends.
    pub marks: Vec<f64>,
    /// Number of decimals needed to distinguish the marks of a linear axis.
    decimals: usize,
}

/// Approximate number of marks.
const MARKS: f64 = 6.0;

impl Ruler {
    /// Fits `axis` to `values`, ignoring those that cannot be shown. If `from_zero`, a linear axis begins at
    /// 0, as bars need.
    pub fn new(axis: &Axis, values: impl IntoIterator<Item = f64>, from_zero: bool) -> Self {
        let scale = axis.scale;
        let even = scale == Scale::Linear;
        let bounds =
            axis.range.map(|range| range.map(|value| position(scale, value))).filter(|ends| ends.iter().all(|end| end.is_finite()));
        let [low, high] = bounds.unwrap_or_else(|| {
            let positions = values.into_iter().map(|value| position(scale, value)).filter(|position| position.is_finite());
            let [low, high] = positions.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], p| [low.min(p), high.max(p)]);
            match (low <= high, even && from_zero) {
                (false, _) => [0.0, 1.0],
                (true, true) => [low.min(0.0), high.max(0.0)],
                (true, false) => [low, high],
            }
        });
        let [low, high] = apart([low.min(high), low.max(high)]);
        let step = nice_step((high - low) / MARKS);
        let ends = match bounds {
            Some(_) => [low, high],
            // A linear axis extends to the next mark; a logarithmic one a little further than the data.
            None if even => [(low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step],
            None => [low - 0.04 * (high - low), high + 0.04 * (high - low)],
        };
        let marks = if even { even_marks(ends, step) } else { log_marks(ends) };
        Self { scale, ends, marks, decimals: (-step.log10().floor()).clamp(0.0, 9.0) as usize }
    }

    /// Returns the position of `value`; not finite if it cannot be shown.
    pub fn position(&self, value: f64) -> f64 {
        position(self.scale, value)
    }

    /// Returns the label of a mark.
    pub fn label(&self, mark: f64) -> String {
        match self.scale {
            Scale::Linear => even_label(mark, self.decimals),
            Scale::Log => value_label(10f64.powf(mark)),
        }
    }
}

fn position(scale: Scale, value: f64) -> f64 {
    match scale {
        Scale::Linear => value,
        Scale::Log if value > 0.0 => value.log10(),
        Scale::Log => f64::NAN,
    }
}

/// Returns `ends` with some distance between them, even if they coincide or are huge.
fn apart([low, high]: [f64; 2]) -> [f64; 2] {
    let [low, high] = [low.max(-1e300), high.min(1e300)];
    let least = (low.abs().max(high.abs()) * 1e-9).max(1e-12);
    if high - low > least {
        return [low, high];
    }
    let pad = if low == 0.0 { 1.0 } else { low.abs() * 0.5 };
    [low - pad, high + pad]
}

/// Returns the smallest of 1, 2, 5 times a power of ten that is not below `step`.
fn nice_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|factor| factor * power).find(|nice| *nice >= step * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

fn even_marks([low, high]: [f64; 2], step: f64) -> Vec<f64> {
    let first = (low / step - 1e-6).ceil();
    let count = (((high / step + 1e-6).floor() - first).max(0.0) as usize).min(100);
    (0..=count).map(|i| (first + i as f64) * step).collect()
}

/// Returns the decades, thinned if there are many; with 2 and 5 times each, or further multiples, if there
/// are few.
fn log_marks([low, high]: [f64; 2]) -> Vec<f64> {
    let within = |position: &f64| (low - 1e-9..=high + 1e-9).contains(position);
    let factors: &[f64] = match high - low {
        span if span > 3.0 => &[1.0],
        span if span > 0.8 => &[1.0, 2.0, 5.0],
        _ => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
    };
    let every = ((high - low) / 10.0).ceil().max(1.0) as i64;
    let decades = (low.floor() as i64..=high.floor() as i64).filter(|decade| decade.rem_euclid(every) == 0);
    let marks: Vec<f64> =
        decades.flat_map(|decade| factors.iter().map(move |factor| decade as f64 + factor.log10())).filter(within).collect();
    // An axis of less than a tenth of a decade may contain no such mark.
    if marks.len() >= 2 { marks } else { vec![low, high] }
}

fn even_label(mark: f64, decimals: usize) -> String {
    if mark.abs() >= 1e7 {
        return format!("{mark:.3e}");
    }
    let text = format!("{mark:.decimals$}");
    if text.trim_start_matches(['-', '0', '.']).is_empty() { text.trim_start_matches('-').to_owned() } else { thousands(&text) }
}

/// Formats a number with as few digits as needed, at most four.
pub fn value_label(value: f64) -> String {
    if value != 0.0 && !(1e-4..1e7).contains(&value.abs()) {
        return format!("{value:.1e}");
    }
    let decimals = (3.0 - value.abs().max(1e-9).log10().floor()).clamp(0.0, 7.0) as usize;
    let text = format!("{value:.decimals$}");
    thousands(if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text })
}

/// Inserts thousands separators: `12345` becomes `12,345`; numbers of four digits have none.
fn thousands(text: &str) -> String {
    let (sign, rest) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = rest.find('.').map_or((rest, ""), |at| rest.split_at(at));
    if whole.len() < 5 {
        return text.to_owned();
    }
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{fraction}")
}
