//! The paper's experiments: pairs of O-Nets that differ in one setting, from equal first weights in equal order, for several seeds.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use mtcmcn::files::write_whole;
use mtcmcn::plot::{Axis, Chart as _, LineChart, Series};
use mtcmcn::train::config::TrainConfig;
use mtcmcn::train::metrics::{self, Kind};
use mtcmcn::train::run::End;

use super::args::{NetName, Quantity};
use super::job::{Command, Job};
use super::net::{Net, Session};
use super::plot::curve;

/// One side of a pair.
struct Variant {
    /// Its folder.
    name: &'static str,
    /// Its entry in the legend.
    legend: &'static str,
    change: fn(&mut TrainConfig),
}

/// What an experiment compares.
struct Comparison {
    title: &'static str,
    variants: [Variant; 2],
    quantities: &'static [Quantity],
}

/// Figure 6a (spec section 6): the class loss alone, at a fixed learning rate.
const MINING: Comparison = Comparison {
    title: "Hard sample mining",
    variants: [
        Variant { name: "mined", legend: "with mining", change: |config| class_only(config, config.onet.mining.class) },
        Variant { name: "all", legend: "all samples", change: |config| class_only(config, 1.0) },
    ],
    quantities: &[Quantity::Class, Quantity::Accuracy],
};

/// Figure 6b: the landmark task learned along or not.
const LANDMARKS: Comparison = Comparison {
    title: "Joint landmarks",
    variants: [
        Variant { name: "joint", legend: "with landmarks", change: |_| {} },
        Variant { name: "alone", legend: "without landmarks", change: |config| config.onet.loss.landmarks = 0.0 },
    ],
    quantities: &[Quantity::Class, Quantity::Box, Quantity::Accuracy],
};

fn class_only(config: &mut TrainConfig, keep: f64) {
    config.onet.loss.r#box = 0.0;
    config.onet.loss.landmarks = 0.0;
    config.onet.mining.class = keep;
    config.onet.schedule = mtcmcn::train::schedule::Schedule::constant();
}

/// Trains every pair, then draws and prints what came of it.
pub fn run(session: &Session, job: &Job, folder: &Path, config: &TrainConfig) -> Result<End> {
    let comparison = if job.command == Command::Mining { &MINING } else { &LANDMARKS };
    let seeds: Vec<u32> = (0..job.seeds.unwrap_or(1)).map(|i| config.seed.wrapping_add(i)).collect();
    for &seed in &seeds {
        for variant in &comparison.variants {
            let mut config = TrainConfig { seed, ..config.clone() };
            (variant.change)(&mut config);
            let net = Net {
                net: NetName::Onet,
                folder: &place(folder, seed, variant),
                title: format!("{} seed {seed}", variant.name),
                config: &config,
                crops: job.crops.as_deref(),
                others: job.weights.as_deref(),
            };
            if session.train(&net)? == End::Stopped {
                return Ok(End::Stopped);
            }
        }
    }
    report(comparison, folder, &seeds)?;
    Ok(End::Finished)
}

fn place(folder: &Path, seed: u32, variant: &Variant) -> PathBuf {
    folder.join(format!("seed-{seed}")).join(variant.name)
}

/// Charts of every quantity, and a table of the last and best values.
fn report(comparison: &Comparison, folder: &Path, seeds: &[u32]) -> Result<()> {
    let mut table = String::from("quantity,variant,seed,last,best\n");
    for &quantity in comparison.quantities {
        let (mut means, mut singles, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for variant in &comparison.variants {
            let mut curves = Vec::new();
            for &seed in seeds {
                let points = curve(&metrics::read(&place(folder, seed, variant))?, Kind::Validation, quantity);
                table += &row(quantity, variant.name, &seed.to_string(), ends(quantity, &points));
                singles.push(Series::new(format!("{}, seed {seed}", variant.legend), points.clone()).dashed());
                curves.push(points);
            }
            let mean = mean(&curves);
            table += &row(quantity, variant.name, "mean", ends(quantity, &mean));
            means.push(Series::new(format!("{}, mean of {}", variant.legend, seeds.len()), mean).dots());
            all.push(curves.iter().map(|points| ends(quantity, points)).collect::<Vec<_>>());
        }
        table += &differences(quantity, &comparison.variants, &all);
        let chart = LineChart {
            title: comparison.title.into(),
            note: "O-Net, all validation samples; pairs have equal first weights and equal order of crops".into(),
            x: Axis::new("steps"),
            y: quantity.axis(false),
            series: if seeds.len() > 1 { means.into_iter().chain(singles).collect() } else { means },
            ..LineChart::default()
        };
        chart.save(&folder.join(quantity.stem()))?;
    }
    let path = folder.join("results.csv");
    write_whole(&path, table.as_bytes()).with_context(|| format!("writing {path:?}"))?;
    super::print(&table)
}

/// A line of the table.
fn row(quantity: Quantity, variant: &str, seed: &str, [last, best]: [f64; 2]) -> String {
    format!("{},{variant},{seed},{last:.6},{best:.6}\n", quantity.stem())
}

/// The last value of a curve and its best, which is the least loss or the greatest accuracy.
fn ends(quantity: Quantity, points: &[[f64; 2]]) -> [f64; 2] {
    let values = points.iter().map(|point| point[1]);
    let best = if quantity == Quantity::Accuracy { values.fold(f64::NAN, f64::max) } else { values.fold(f64::NAN, f64::min) };
    [points.last().map_or(f64::NAN, |point| point[1]), best]
}

/// Lines of the table for the first variant less the second, pair by pair: the mean, and its standard error if there are several.
fn differences(quantity: Quantity, variants: &[Variant; 2], ends: &[Vec<[f64; 2]>]) -> String {
    let [first, second] = ends else { return String::new() };
    let pairs: Vec<[f64; 2]> = first.iter().zip(second).map(|(a, b)| [a[0] - b[0], a[1] - b[1]]).collect();
    let n = pairs.len() as f64;
    let means = [0, 1].map(|i| pairs.iter().map(|pair| pair[i]).sum::<f64>() / n);
    let errors = [0, 1].map(|i| (pairs.iter().map(|pair| (pair[i] - means[i]).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt());
    let name = format!("{} - {}", variants[0].name, variants[1].name);
    let mut lines = row(quantity, &name, "mean", means);
    if pairs.len() > 1 {
        lines += &row(quantity, &name, "standard error", errors);
    }
    lines
}

/// Mean of curves over the points that all of them have.
fn mean(curves: &[Vec<[f64; 2]>]) -> Vec<[f64; 2]> {
    let shortest = curves.iter().map(Vec::len).min().unwrap_or(0);
    (0..shortest)
        .map(|i| {
            let sum: f64 = curves.iter().map(|curve| curve[i][1]).sum();
            [curves[0][i][0], sum / curves.len() as f64]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_reaches_as_far_as_the_shortest_curve() {
        let curves = [vec![[5.0, 1.0], [10.0, 2.0]], vec![[5.0, 3.0]]];
        assert_eq!(mean(&curves), [[5.0, 2.0]]);
        assert_eq!(mean(&[]), Vec::<[f64; 2]>::new());
    }

    #[test]
    fn differences_are_taken_pair_by_pair() {
        let ends = [vec![[3.0, 1.0], [5.0, 1.0]], vec![[2.0, 1.0], [2.0, 1.0]]];
        let lines = differences(Quantity::Class, &MINING.variants, &ends);
        assert_eq!(lines, "class,mined - all,mean,2.000000,0.000000\nclass,mined - all,standard error,1.000000,0.000000\n");
        let one = differences(Quantity::Class, &MINING.variants, &[vec![[3.0, 1.0]], vec![[2.0, 1.5]]]);
        assert_eq!(one, "class,mined - all,mean,1.000000,-0.500000\n");
    }

    #[test]
    fn the_best_is_the_least_loss_and_the_greatest_accuracy() {
        let points = [[1.0, 0.5], [2.0, 0.9], [3.0, 0.7]];
        assert_eq!((ends(Quantity::Class, &points), ends(Quantity::Accuracy, &points)), ([0.7, 0.5], [0.7, 0.9]));
        assert!(ends(Quantity::Class, &[]).iter().all(|value| value.is_nan()));
    }

    #[test]
    fn the_pair_differs_in_the_share_that_is_kept_alone() {
        let [mined, all] = [0, 1].map(|i| {
            let mut config = TrainConfig::default();
            (MINING.variants[i].change)(&mut config);
            config
        });
        assert_eq!((mined.onet.mining.class, all.onet.mining.class), (0.7, 1.0));
        assert_eq!((mined.onet.loss.r#box, mined.onet.loss.landmarks), (0.0, 0.0));
        let mut same = all.clone();
        same.onet.mining.class = 0.7;
        assert_eq!(same, mined);
    }
}
