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
    pub fn stem(self) -> &'static str {
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
            Self::Loss => record.get("loss"),
            Self::Class => record.get("class"),
            Self::Box => record.get("box"),
            Self::Landmarks => record.get("landmarks"),
            Self::Accuracy => record.get("accuracy"),
            Self::LearningRate => Some(record.learning_rate),
            Self::SamplesPerSecond => Some(record.samples_per_second),
        }
    }

    /// Curves that fall over orders of magnitude.
    fn is_loss(self) -> bool {
        matches!(self, Self::Loss | Self::Class | Self::Box | Self::Landmarks | Self::LearningRate)
    }

    /// Which samples it is about.
    fn note(self) -> &'static str {
        match self {
            Self::Accuracy => "validation: as they are; training: as augmentation leaves them, mined or not",
            Self::LearningRate | Self::SamplesPerSecond => "",
            _ => "validation: all samples; training: samples that were kept by mining",
        }
    }

    /// Whether it is measured in validation too.
    fn is_validated(self) -> bool {
        !matches!(self, Self::LearningRate | Self::SamplesPerSecond)
    }

    /// An axis for it.
    pub fn axis(self, linear: bool) -> Axis {
        let axis = Axis::new(self.label());
        if self.is_loss() && !linear { axis.log() } else { axis }
    }
}

/// Draws what `args` names and returns the files.
pub fn run(args: &PlotArgs) -> Result<[PathBuf; 2]> {
    let series = series(&args.folders, args.quantity)?;
    ensure!(!series.is_empty(), "there is no {} to draw in {:?}: nothing was measured yet", args.quantity.label(), args.folders);
    let stem = args.out.clone().unwrap_or_else(|| args.folders[0].join(args.quantity.stem()));
    Ok(chart(args.quantity, args.linear, series).save(&stem)?)
}

/// Draws loss and accuracy of a finished run into its folder, as far as they were measured.
pub fn finished(folder: &Path) -> Result<()> {
    for quantity in [Quantity::Loss, Quantity::Accuracy] {
        let series = series(&[folder.to_owned()], quantity)?;
        if !series.is_empty() {
            chart(quantity, false, series).save(&folder.join(quantity.stem()))?;
        }
    }
    Ok(())
}

fn chart(quantity: Quantity, linear: bool, series: Vec<Series>) -> LineChart {
    LineChart {
        title: format!("Training: {}", quantity.label()),
        note: quantity.note().into(),
        x: Axis::new("steps"),
        y: quantity.axis(linear),
        series,
        ..LineChart::default()
    }
}

/// Curves of the runs in `folders`, named by what tells the runs apart.
fn series(folders: &[PathBuf], quantity: Quantity) -> Result<Vec<Series>> {
    let runs = runs(folders)?;
    let mut series = Vec::new();
    for (folder, name) in runs.iter().zip(names(&runs)) {
        let records = metrics::read(folder)?;
        let kinds: &[_] = if quantity.is_validated() {
            &[(Kind::Validation, "validation"), (Kind::Train, "training")]
        } else {
            &[(Kind::Train, "training")]
        };
        for &(kind, label) in kinds {
            let points = curve(&records, kind, quantity);
            if points.is_empty() {
                continue;
            }
            let line = Series::new(format!("{name} {label}").trim_start(), points);
            series.push(if kind == Kind::Train { line.dashed() } else { line.dots() });
        }
    }
    Ok(series)
}

/// Paths of `runs` without what all of them begin with.
fn names(runs: &[PathBuf]) -> Vec<String> {
    let parts: Vec<Vec<_>> = runs.iter().map(|run| run.components().collect()).collect();
    let shared = |&i: &usize| parts.iter().all(|part| part.get(i).is_some_and(|component| *component == parts[0][i]));
    let common = if parts.is_empty() { 0 } else { (0..parts[0].len()).take_while(shared).count() };
    parts.iter().map(|part| part[common..].iter().collect::<PathBuf>().display().to_string()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_called_by_what_tells_them_apart() {
        let names = |paths: &[&str]| names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(names(&["runs/a/pnet", "runs/a/rnet", "runs/b"]), ["a/pnet", "a/rnet", "b"]);
        assert_eq!(names(&["runs/a"]), [""]);
        assert_eq!(names(&["a", "a/b"]), ["", "b"]);
        assert_eq!(names(&[]), Vec::<String>::new());
    }
}
