//! `mtcmcn train plot`: curves of runs in one chart.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use mtcmcn::plot::{Axis, Chart as _, LineChart, Series};
use mtcmcn::train::metrics::{self, Kind, Record};
use walkdir::WalkDir;

use super::args::{PlotArgs, Quantity};

impl Quantity {
    /// What it is called on an axis.
    fn label(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Class => "class loss (cross entropy)",
            Self::Box => "box loss (squared error)",
            Self::Landmarks => "landmark loss (squared error)",
            Self::Accuracy => "accuracy",
            Self::LearningRate => "learning rate",
            Self::SamplesPerSecond => "samples a second",
        }
    }

    /// What a file of it is called.
    fn stem(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Class => "class",
            Self::Box => "box",
            Self::Landmarks => "landmarks",
            Self::Accuracy => "accuracy",
            Self::LearningRate => "learning-rate",
            Self::SamplesPerSecond => "samples-per-second",
        }
    }

    /// The number in `record`.
    pub fn of(self, record: &Record) -> Option<f64> {
        match self {
            Self::Loss => record.loss,
            Self::Class => record.class,
            Self::Box => record.r#box,
            Self::Landmarks => record.landmarks,
            Self::Accuracy => record.accuracy,
            Self::LearningRate => Some(record.learning_rate),
            Self::SamplesPerSecond => Some(record.samples_per_second),
        }
    }

    /// Curves that fall over orders of magnitude.
    fn is_loss(self) -> bool {
        matches!(self, Self::Loss | Self::Class | Self::Box | Self::Landmarks | Self::LearningRate)
    }

    /// An axis for it.
    pub fn axis(self, linear: bool) -> Axis {
        let axis = Axis::new(self.label());
        if self.is_loss() && !linear { axis.log() } else { axis }
    }
}

/// Draws what `args` names and returns the files.
pub fn run(args: &PlotArgs) -> Result<[PathBuf; 2]> {
    let mut series = Vec::new();
    for folder in runs(&args.folders)? {
        let records = metrics::read(&folder)?;
        let name = folder.display().to_string();
        for (kind, suffix) in [(Kind::Validation, ""), (Kind::Train, ", training")] {
            let points = curve(&records, kind, args.quantity);
            if points.is_empty() || (kind == Kind::Validation && matches!(args.quantity, Quantity::LearningRate | Quantity::SamplesPerSecond)) {
                continue;
            }
            let line = Series::new(format!("{name}{suffix}"), points);
            series.push(if kind == Kind::Train { line.dashed() } else { line.dots() });
        }
    }
    ensure!(!series.is_empty(), "there is no {} to draw in {:?}: nothing was measured yet", args.quantity.label(), args.folders);
    let chart = LineChart {
        title: format!("Training: {}", args.quantity.label()),
        note: "solid: all validation samples; dashed: training samples that were kept".into(),
        x: Axis::new("steps"),
        y: args.quantity.axis(args.linear),
        series,
        ..LineChart::default()
    };
    let stem = args.out.clone().unwrap_or_else(|| args.folders[0].join(args.quantity.stem()));
    Ok(chart.save(&stem)?)
}

/// Points of one curve, `[step, value]`.
pub fn curve(records: &[Record], kind: Kind, quantity: Quantity) -> Vec<[f64; 2]> {
    let records = records.iter().filter(|record| record.kind == kind);
    records.filter_map(|record| Some([record.step as f64, quantity.of(record)?])).collect()
}

/// The folders with measurements: `folders` themselves, or else what is below them.
fn runs(folders: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let has = |folder: &Path| folder.join(metrics::FILE).is_file();
    let mut found = Vec::new();
    for folder in folders {
        if has(folder) {
            found.push(folder.clone());
            continue;
        }
        let mut below = BTreeSet::new();
        for entry in WalkDir::new(folder) {
            let entry = entry.with_context(|| format!("looking for runs in {folder:?}"))?;
            if entry.file_type().is_dir() && has(entry.path()) {
                below.insert(entry.into_path());
            }
        }
        ensure!(!below.is_empty(), "no run in {folder:?}: neither it nor a folder in it has a {}", metrics::FILE);
        found.extend(below);
    }
    Ok(found)
}
