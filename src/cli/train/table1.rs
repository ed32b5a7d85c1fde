//! Accuracies for the paper's Table 1: 12-, 24- and 48-Net against P-, R- and O-Net, all trained on one list
//! of crops.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use mtcmcn::files::write_whole;
use mtcmcn::train::config::{NetConfig, TrainConfig};
use mtcmcn::train::run::End;
use serde::{Deserialize, Serialize};

use super::args::{NetName, Quantity};
use super::experiment::{self, Comparison, Variant};
use super::job::Job;
use super::session::TrainSession;

/// What a finished experiment leaves for `mtcmcn bench table1 --accuracy`.
const FILE: &str = "accuracy.json";

/// Balanced accuracy of each net in validation, after the last epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accuracies {
    pub nets: Vec<NetAccuracy>,
}

/// Of one net, as shares of 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetAccuracy {
    /// As Table 1 calls it.
    pub net: String,
    pub mean: f64,
    /// Standard deviation over the seeds; `null` of a single one.
    pub deviation: Option<f64>,
    /// By seed.
    pub seeds: Vec<f64>,
}

/// Ours and its rival by itself: a branch is a net trained before, not a part of this one.
const TABLE1: Comparison = Comparison {
    title: "Table 1: face classification",
    note: "balanced validation crops, classification alone; each pair has the same crops in the same order",
    variants: &[
        Variant { name: "net12", legend: "12-Net", net: NetName::Pnet, learner: "net12", change: class_alone },
        Variant { name: "pnet", legend: "P-Net", net: NetName::Pnet, learner: "pnet", change: class_alone },
        Variant { name: "net24", legend: "24-Net alone", net: NetName::Rnet, learner: "net24", change: class_alone },
        Variant { name: "rnet", legend: "R-Net", net: NetName::Rnet, learner: "rnet", change: class_alone },
        Variant { name: "net48", legend: "48-Net alone", net: NetName::Onet, learner: "net48", change: class_alone },
        Variant { name: "onet", legend: "O-Net", net: NetName::Onet, learner: "onet", change: class_alone },
    ],
    quantities: &[Quantity::Accuracy, Quantity::Class],
};

/// Faces against non-faces and nothing else, neither losses nor crops.
fn class_alone(own: &mut NetConfig) {
    own.loss.r#box = 0.0;
    own.loss.landmarks = 0.0;
    own.ratio[2..].fill(0);
}

/// Trains the six nets, then draws, prints and writes down what came of it.
pub fn run(session: &TrainSession, job: &Job, folder: &Path, config: &TrainConfig) -> Result<End> {
    let crops = |net: NetName| job.crops.as_ref().map(|folder| folder.join(net.name()).join("crops.shard"));
    for net in NetName::ALL {
        let ratio = config.net(net.name()).map_or([0; 4], |own| own.ratio);
        ensure!(
            ratio[0] > 0 && ratio[1] > 0,
            "{}.ratio = {ratio:?} leaves out negatives or positives, which Table 1 is about; set both over 0",
            net.name()
        );
        let path: PathBuf = crops(net).unwrap_or_default();
        ensure!(
            path.is_file(),
            "there is no {path:?}: --crops is a folder that `mtcmcn train all` made, or one with pnet/crops.shard, rnet/crops.shard and \
             onet/crops.shard by `mtcmcn train prepare`"
        );
    }
    if experiment::run(&TABLE1, session, job, folder, config, crops)? == End::Stopped {
        return Ok(End::Stopped);
    }
    let accuracy = |variant: &Variant| -> Result<NetAccuracy> {
        let last = |&seed: &u32| -> Result<f64> {
            let curve = experiment::validation(folder, seed, variant, Quantity::Accuracy)?;
            let [last, _] = experiment::ends(Quantity::Accuracy, &curve);
            ensure!(last.is_finite(), "no accuracy of {} was measured: its crops have no validation part", variant.legend);
            Ok(last)
        };
        Ok(summed_up(variant.legend, experiment::seeds(job, config).iter().map(last).collect::<Result<_>>()?))
    };
    let accuracies = Accuracies { nets: TABLE1.variants.iter().map(accuracy).collect::<Result<_>>()? };
    let path = folder.join(FILE);
    write_whole(&path, serde_json::to_string_pretty(&accuracies)?.as_bytes())?;
    Ok(End::Finished)
}

fn summed_up(net: &str, seeds: Vec<f64>) -> NetAccuracy {
    let n = seeds.len() as f64;
    let mean = seeds.iter().sum::<f64>() / n;
    let squares: f64 = seeds.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = (seeds.len() > 1).then(|| (squares / (n - 1.0)).sqrt());
    NetAccuracy { net: net.into(), mean, deviation, seeds }
}

impl Accuracies {
    /// What an experiment wrote to `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read the accuracies in {path:?}"))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{path:?} is not the {FILE} that `mtcmcn train experiment table1` leaves in its folder"))
    }

    /// Of the net that Table 1 calls `net`.
    pub fn of(&self, net: &str) -> Option<&NetAccuracy> {
        self.nets.iter().find(|accuracy| accuracy.net == net)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deviation_is_over_the_seeds_and_there_is_none_of_one() {
        let three = summed_up("12-Net", vec![0.9, 0.92, 0.94]);
        assert!((three.mean - 0.92).abs() < 1e-12 && (three.deviation.unwrap() - 0.02).abs() < 1e-12, "{three:?}");
        assert_eq!(summed_up("12-Net", vec![0.9]).deviation, None);
    }

    #[test]
    fn pairs_share_settings_and_learn_classes_alone() {
        for pair in TABLE1.variants.chunks(2) {
            let [rival, ours] = pair else { panic!("a pair") };
            assert!(rival.net == ours.net && ours.learner == ours.net.name() && rival.learner != ours.learner);
            let mut config = TrainConfig::default();
            (ours.change)(&mut config.pnet);
            assert_eq!(config.pnet.ratio, [3, 1, 0, 0]);
            assert_eq!((config.pnet.loss.class, config.pnet.loss.r#box, config.pnet.loss.landmarks), (1.0, 0.0, 0.0));
        }
    }
}
