//! The figures as charts, with the paper's claims as lines.

use std::path::{Path, PathBuf};

use anyhow::Result;
use mtcmcn::plot::{Axis, BarChart, Bars, Chart as _, Reference};

use super::engines::CLAIMS;
use super::report::{NamedEngine, ms};
use super::run::Measured;

/// Writes `fps` and `latency`, each as SVG and PNG, into `directory`; returns what was written.
///
/// # Errors
///
/// If something cannot be written.
pub fn write(directory: &Path, note: &str, all: &[(NamedEngine, Vec<Measured>)]) -> Result<Vec<PathBuf>> {
    let fps = chart("Frames a second, one at a time", "frames a second", note, all, Measured::fps, CLAIMS);
    let latency = |m: &Measured| ms(m.latency.p50);
    let latency = chart("Median time of a frame", "ms", note, all, latency, CLAIMS.map(|fps| 1e3 / fps));
    let mut written = Vec::new();
    for (name, chart) in [("fps", fps), ("latency", latency)] {
        written.extend(chart.save(&directory.join(name))?);
    }
    Ok(written)
}

fn chart(
    title: &str,
    unit: &str,
    note: &str,
    all: &[(NamedEngine, Vec<Measured>)],
    value: impl Fn(&Measured) -> f64,
    [gpu, cpu]: [f64; 2],
) -> BarChart {
    // A setting that failed on one engine leaves a gap there.
    let mut settings: Vec<_> = all.iter().flat_map(|(_, measured)| measured.iter().map(|m| (m.size, m.config.min_face_px))).collect();
    settings.sort_by(|a, b| (a.0.width * a.0.height, a.0.width).cmp(&(b.0.width * b.0.height, b.0.width)).then(a.1.total_cmp(&b.1)));
    settings.dedup();
    let at = |measured: &[Measured], setting| measured.iter().find(|m| (m.size, m.config.min_face_px) == setting).map_or(f64::NAN, &value);
    let bars = all.iter().map(|(engine, measured)| Bars {
        name: engine.name.clone(),
        values: settings.iter().map(|&setting| at(measured, setting)).collect(),
    });
    // A single engine has no legend.
    let title = if let [(engine, _)] = all { format!("{title}: {}", engine.name) } else { title.to_owned() };
    BarChart {
        title,
        note: note.to_owned(),
        groups: settings.iter().map(|(size, face)| format!("{size}\n{face} px")).collect(),
        y: Axis::new(unit),
        bars: bars.collect(),
        references: vec![
            Reference { name: "the paper on a GPU".to_owned(), y: gpu },
            Reference { name: "the paper on a CPU".to_owned(), y: cpu },
        ],
    }
}
