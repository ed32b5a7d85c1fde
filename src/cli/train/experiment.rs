//! The paper's experiments: pairs of runs that differ in one thing, on equal crops in equal order, for
//! several seeds.

use std::path::{Path, PathBuf};

use anyhow::Result;
use mtcmcn::files::write_whole;
use mtcmcn::plot::{Axis, Chart as _, LineChart, Series};
use mtcmcn::train::config::{NetConfig, TrainConfig};
use mtcmcn::train::metrics::{self, Kind};
use mtcmcn::train::run::End;

use super::args::{NetName, Quantity};
use super::job::Job;
use super::net::NetRun;
use super::plot::curve;
use super::session::TrainSession;

/// One side of a pair.
pub struct Variant {
    /// Its folder.
    pub name: &'static str,
    /// Its entry in the legend.
    pub legend: &'static str,
    /// Whose crops and settings it has.
    pub net: NetName,
    /// The net that learns: that one, or its rival.
    pub learner: &'static str,
    /// What is changed in the settings.
    pub change: fn(&mut NetConfig),
}

/// What an experiment compares.
pub struct Comparison {
    pub title: &'static str,
    pub note: &'static str,
    /// Pair by pair.
    pub variants: &'static [Variant],
    pub quantities: &'static [Quantity],
}

const PAIRS: &str = "O-Net, all validation samples; pairs have equal first weights and equal order of crops";
const ONET: Variant = Variant { name: "", legend: "", net: NetName::Onet, learner: "onet", change: |_| {} };

/// Figure 6a (spec section 6): the class loss alone, at a fixed learning rate.
pub const MINING: Comparison = Comparison {
    title: "Hard sample mining",
    note: PAIRS,
    variants: &[
        Variant { name: "mined", legend: "with mining", change: |own| class_only(own, own.mining.class), ..ONET },
        Variant { name: "all", legend: "all samples", change: |own| class_only(own, 1.0), ..ONET },
    ],
    quantities: &[Quantity::Class, Quantity::Accuracy],
};

/// Figure 6b: the landmark task learned along or not.
pub const LANDMARKS: Comparison = Comparison {
    title: "Joint landmarks",
    note: PAIRS,
    variants: &[
        Variant { name: "joint", legend: "with landmarks", ..ONET },
        Variant { name: "alone", legend: "without landmarks", change: |own| own.loss.landmarks = 0.0, ..ONET },
    ],
    quantities: &[Quantity::Class, Quantity::Box, Quantity::Accuracy],
};

fn class_only(own: &mut NetConfig, keep: f64) {
    own.loss.r#box = 0.0;
    own.loss.landmarks = 0.0;
    own.mining.class = keep;
    own.schedule = mtcmcn::train::schedule::Schedule::constant();
}

/// Trains every pair, each net on what `crops` gives for it, then draws and prints what came of it.
pub fn run(
    comparison: &Comparison,
    session: &TrainSession,
    job: &Job,
    folder: &Path,
    config: &TrainConfig,
    crops: impl Fn(NetName) -> Option<PathBuf>,
) -> Result<End> {
    let seeds = seeds(job, config);
    for &seed in &seeds {
        for variant in comparison.variants {
            let mut config = TrainConfig { seed, ..config.clone() };
            config.net_mut(variant.net.name()).into_iter().for_each(variant.change);
            let crops = crops(variant.net);
            let net = NetRun {
                net: variant.net,
                folder: &place(folder, seed, variant),
                title: format!("{} seed {seed}", variant.name),
                config: &config,
                crops: crops.as_deref(),
                others: job.weights.as_deref(),
            };
            if session.train_as(variant.learner, &net)? == End::Stopped {
                return Ok(End::Stopped);
            }
        }
    }
    report(comparison, folder, &seeds)?;
    Ok(End::Finished)
}

/// Seeds of the runs of each variant.
pub fn seeds(job: &Job, config: &TrainConfig) -> Vec<u32> {
    (0..job.seeds.unwrap_or(1)).map(|i| config.seed.wrapping_add(i)).collect()
}

/// A curve of validation of one run.
pub fn validation(folder: &Path, seed: u32, variant: &Variant, quantity: Quantity) -> Result<Vec<[f64; 2]>> {
    Ok(curve(&metrics::read(&place(folder, seed, variant))?, Kind::Validation, quantity))
}

fn place(folder: &Path, seed: u32, variant: &Variant) -> PathBuf {
    folder.join(format!("seed-{seed}")).join(variant.name)
}

/// Charts of every quantity, and a table of the last and best values.
fn report(comparison: &Comparison, folder: &Path, seeds: &[u32]) -> Result<()> {
    let mut table = String::from("quantity,variant,seed,last,best\n");
    for &quantity in comparison.quantities {
        let (mut means, mut singles, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for variant in comparison.variants {
            let mut curves = Vec::new();
            for &seed in seeds {
                let points = validation(folder, seed, variant, quantity)?;
                table += &row(quantity, variant.name, &seed.to_string(), ends(quantity, &points));
                singles.push(Series::new(format!("{}, seed {seed}", variant.legend), points.clone()).dashed());
                curves.push(points);
            }
            let mean = mean(&curves);
            table += &row(quantity, variant.name, "mean", ends(quantity, &mean));
            means.push(Series::new(format!("{}, mean of {}", variant.legend, seeds.len()), mean).dots());
            all.push(curves.iter().map(|points| ends(quantity, points)).collect::<Vec<_>>());
        }
        for (pair, ends) in comparison.variants.chunks_exact(2).zip(all.chunks_exact(2)) {
            table += &differences(quantity, pair, ends);
        }
        let chart = LineChart {
            title: comparison.title.into(),
            note: comparison.note.into(),
            x: Axis::new("steps"),
            y: quantity.axis(false),
            series: if seeds.len() > 1 { means.into_iter().chain(singles).collect() } else { means },
            ..LineChart::default()
        };
        chart.save(&folder.join(quantity.stem()))?;
    }
    let path = folder.join("results.csv");
    write_whole(&path, table.as_bytes())?;
    super::print(&table)
}

/// A line of the table.
fn row(quantity: Quantity, variant: &str, seed: &str, [last, best]: [f64; 2]) -> String {
    format!("{},{variant},{seed},{last:.6},{best:.6}\n", quantity.stem())
}

/// The last value of a curve and its best, which is the least loss or the greatest accuracy.
pub fn ends(quantity: Quantity, points: &[[f64; 2]]) -> [f64; 2] {
    let values = points.iter().map(|point| point[1]);
    let best = if quantity == Quantity::Accuracy { values.fold(f64::NAN, f64::max) } else { values.fold(f64::NAN, f64::min) };
    [points.last().map_or(f64::NAN, |point| point[1]), best]
}

/// Lines of the table for the first variant less the second, seed by seed: the mean, and its standard error
/// if there are several.
fn differences(quantity: Quantity, variants: &[Variant], ends: &[Vec<[f64; 2]>]) -> String {
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
        let lines = differences(Quantity::Class, MINING.variants, &ends);
        assert_eq!(lines, "class,mined - all,mean,2.000000,0.000000\nclass,mined - all,standard error,1.000000,0.000000\n");
        let one = differences(Quantity::Class, MINING.variants, &[vec![[3.0, 1.0]], vec![[2.0, 1.5]]]);
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
            (MINING.variants[i].change)(&mut config.onet);
            config
        });
        assert_eq!((mined.onet.mining.class, all.onet.mining.class), (0.7, 1.0));
        assert_eq!((mined.onet.loss.r#box, mined.onet.loss.landmarks), (0.0, 0.0));
        let mut same = all.clone();
        same.onet.mining.class = 0.7;
        assert_eq!(same, mined);
    }
}
