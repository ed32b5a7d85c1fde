//! `mtcmcn eval fddb`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use mtcmcn::data::fddb::{self, Ellipse, FddbImage, Region, RocPoint, ScoredRegion};
use mtcmcn::data::{Faults, ImageDetections, match_names};
use mtcmcn::eval::curve::thinned;
use mtcmcn::eval::fddb::{FddbCase, rate_at, score};
use mtcmcn::geometry::BoundingBox;
use mtcmcn::plot::{Axis, LineChart, Series};

use super::figures::{Cell, Column, Example, Figures, MarkRole, MarkShape};
use super::source::{Findings, Listed, SourceArgs, is_json, locate};
use super::worst::Worst;
use super::{Outcome, Output};

/// FDDB: discrete and continuous ROC, all folds together
///
/// Annotated ellipses and detected rectangles or ellipses are compared pixel by pixel and assigned one to one
/// (Hungarian method). Rates "at N false positives" are the highest with at most N. For a curve that reaches
/// far, run with --thresholds 0.6,0.35,0.01.
#[derive(Debug, Args)]
pub struct FddbArgs {
    /// Directory with the FDDB-fold-NN-ellipseList.txt files, or one such file; *DiscROC.txt and *ContROC.txt
    /// files there are drawn beside ours
    #[arg(value_name = "PATH")]
    annotations: PathBuf,

    /// Make detected rectangles higher by this share, about their middle, before comparing (Li et al. 2015
    /// had 0.2); not the raw protocol
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = stretch)]
    stretch: f64,

    /// Write the detections (fold-NN-out.txt) and curves (DiscROC.txt, ContROC.txt) to this directory in the
    /// official form
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    official: Option<PathBuf>,

    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    output: Output,
}

/// Numbers of false positives in the table: those that are published.
const FALSE_POSITIVES: [f64; 5] = [100.0, 284.0, 500.0, 1000.0, 2000.0];

/// Published rates of the cascade at [`FALSE_POSITIVES`] (spec section 7.4): discrete, continuous.
const PUBLISHED: [(&str, [f64; 5]); 2] =
    [("discrete", [0.908, 0.927, 0.935, 0.944, 0.9505]), ("continuous", [0.683, 0.696, 0.702, 0.708, 0.714])];

fn stretch(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err("must be between 0 and 1".to_owned()) }
}

/// A fold: its file, and its images.
type FoldFile = (PathBuf, Vec<FddbImage<Ellipse>>);

/// Measures and prints.
///
/// # Errors
///
/// If annotations or detections cannot be read, or results not be written.
pub fn run(args: &FddbArgs, quiet: bool) -> Result<Outcome> {
    args.output.prepare()?;
    let mut faults = args.output.faults();
    let folds = read_folds(&args.annotations, &mut faults)?;
    let annotated: Vec<&FddbImage<Ellipse>> = folds.iter().flat_map(|(_, images)| images).collect();
    args.output.ensure_some(annotated.len(), &args.annotations, &faults)?;
    let (detections, found) = detections(args, &folds, &mut faults, quiet)?;
    let sizes = sizes(args.source.images.as_deref(), &annotated, &found);
    let images: Vec<FddbCase> = annotated
        .iter()
        .zip(&detections)
        .zip(&sizes)
        .map(|((image, found), size)| FddbCase {
            size: *size,
            faces: image.faces.clone(),
            detections: found.iter().map(|region| stretched(region, args.stretch)).collect(),
        })
        .collect();
    let score = score(&images);
    if let Some(directory) = &args.official {
        write_official(directory, &folds, &detections, [&score.discrete, &score.continuous])?;
    }
    let mut notes = Vec::new();
    match sizes.iter().filter(|size| size.is_none()).count() {
        0 => {}
        unknown => notes.push(format!("the size of {unknown} images is not known (no --images): regions were not cut off at their edges")),
    }
    if score.outside > 0 {
        notes.push(format!("{} detections lie wholly outside their image and do not count", score.outside));
    }
    if args.stretch > 0.0 {
        notes.push(format!("detected rectangles made higher by {} about their middle: not the raw protocol", args.stretch));
    }
    let most = score.discrete.last().map_or(0.0, |point| point.false_positives);
    if let Some(limit) = FALSE_POSITIVES.iter().find(|limit| **limit > most) {
        notes.push(format!(
            "the curve ends at {most} false positives: its rates at {limit} and more are its last; lower thresholds reach further"
        ));
    }
    let (missed, alarms) = examples(&annotated, &images, args.output.examples);
    let figures = Figures {
        protocol: "FDDB",
        set: args.annotations.display().to_string(),
        origin: found.origin,
        setting: found.setting,
        counts: vec![
            ("images", images.len()),
            ("faces", score.faces),
            ("detections", images.iter().map(|image| image.detections.len()).sum()),
            ("false positives at most", most as usize),
        ],
        notes,
        columns: columns(),
        rows: rows([("discrete", &score.discrete), ("continuous", &score.continuous)]),
        charts: charts(args, [&score.discrete, &score.continuous], &mut faults)?,
        examples: vec![("Largest faces missed", missed), ("Surest false alarms", alarms)],
        images: args.source.images.clone(),
    };
    args.output.give(&figures, &faults)
}

/// The annotations of one file, or of all folds in a directory in order of their names.
fn read_folds(path: &Path, faults: &mut Faults) -> Result<Vec<FoldFile>> {
    let files = files_named(path, "ellipseList.txt")?;
    ensure!(!files.is_empty(), "{} has no file FDDB-fold-NN-ellipseList.txt", path.display());
    files.into_iter().map(|file| Ok((file.clone(), fddb::read_ellipses(&file, faults)?))).collect()
}

/// `path` itself, or the files in it whose names end with `ending`, sorted.
fn files_named(path: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = || format!("reading the directory {}", path.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(path).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        if entry.file_name().to_string_lossy().to_lowercase().ends_with(&ending.to_lowercase()) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// The digits in a file's name, `01` of `FDDB-fold-01-ellipseList.txt`.
fn fold_number(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let digits: String = name.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    if digits.is_empty() { "all".to_owned() } else { digits }
}

/// What was found in each annotated image, as regions, and where it comes from.
fn detections(args: &FddbArgs, folds: &[FoldFile], faults: &mut Faults, quiet: bool) -> Result<(Vec<Vec<ScoredRegion>>, Findings)> {
    let listed = |(list, images): &FoldFile| {
        images.iter().map(|image| Listed { path: image.name.clone(), list: list.clone(), line: image.line }).collect::<Vec<_>>()
    };
    let names: Vec<Listed> = folds.iter().flat_map(listed).collect();
    if let Some(path) = args.source.detections.as_deref().filter(|path| !is_json(path).unwrap_or(false)) {
        let regions = official(path, &names, faults)?;
        let origin = format!("detections of {}", path.display());
        return Ok((regions, Findings { images: vec![None; names.len()], setting: None, origin }));
    }
    let found = args.source.find(&names, faults, quiet, |_, _| Ok(Vec::new()))?;
    let region = |image: &ImageDetections| {
        image.faces.iter().map(|face| ScoredRegion { region: Region::Rectangle(face.bounding_box), score: face.score }).collect()
    };
    Ok((found.images.iter().map(|image| image.as_ref().map(region).unwrap_or_default()).collect(), found))
}

/// The detections of official files by annotated image.
fn official(path: &Path, names: &[Listed], faults: &mut Faults) -> Result<Vec<Vec<ScoredRegion>>> {
    let files = files_named(path, "out.txt")?;
    ensure!(!files.is_empty(), "--detections {} has no file fold-NN-out.txt", path.display());
    let mut all: Vec<FddbImage<ScoredRegion>> = Vec::new();
    for file in files {
        all.extend(fddb::read_detections(&file, faults)?);
    }
    let called: Vec<(&str, usize)> = all.iter().map(|image| (&*image.name, image.line)).collect();
    let found = match_names(names, &called, &mut faults.of(path))?;
    Ok(found.into_iter().map(|at| at.map(|at| all[at].faces.clone()).unwrap_or_default()).collect())
}

/// Columns and rows of pixels of each image: from the detections, or from the image's file.
fn sizes(folder: Option<&Path>, annotated: &[&FddbImage<Ellipse>], found: &Findings) -> Vec<Option<[u32; 2]>> {
    let of_file = |name: &str| image::image_dimensions(locate(folder?, name)).ok().map(|(width, height)| [width, height]);
    let size = |(image, found): (&&FddbImage<Ellipse>, &Option<ImageDetections>)| {
        found.as_ref().and_then(|found| found.size).or_else(|| of_file(&image.name))
    };
    annotated.iter().zip(&found.images).map(size).collect()
}

fn stretched(found: &ScoredRegion, share: f64) -> ScoredRegion {
    let Region::Rectangle(b) = found.region else { return *found };
    let more = (f64::from(b.height()) * share / 2.0) as f32;
    ScoredRegion { region: Region::Rectangle(BoundingBox { y1: b.y1 - more, y2: b.y2 + more, ..b }), ..*found }
}

fn write_official(directory: &Path, folds: &[FoldFile], detections: &[Vec<ScoredRegion>], curves: [&[RocPoint]; 2]) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("--official: making the directory {}", directory.display()))?;
    let mut rest = detections.iter();
    for (file, images) in folds {
        let found: Vec<FddbImage<ScoredRegion>> = images
            .iter()
            .zip(rest.by_ref())
            .map(|(image, faces)| FddbImage { name: image.name.clone(), faces: faces.clone(), line: 0 })
            .collect();
        fddb::write_detections(&directory.join(format!("fold-{}-out.txt", fold_number(file))), &found)?;
    }
    for (name, curve) in ["DiscROC.txt", "ContROC.txt"].iter().zip(curves) {
        // The official program writes the lowest threshold first.
        fddb::write_roc(&directory.join(name), &curve.iter().rev().copied().collect::<Vec<_>>())?;
    }
    Ok(())
}

fn columns() -> Vec<Column> {
    FALSE_POSITIVES.iter().map(|limit| Column::new(format!("rate_at_{limit}"), format!("at {limit} FP"))).collect()
}

/// Rates of ours, each above the published ones.
fn rows(curves: [(&str, &[RocPoint]); 2]) -> Vec<(String, Vec<Cell>)> {
    let mut rows = Vec::new();
    for ((name, curve), (_, published)) in curves.into_iter().zip(PUBLISHED) {
        let rate = |limit: &f64| Cell::Figure(rate_at(curve, *limit).map_or(f64::NAN, |point| point.rate));
        rows.push((name.to_owned(), FALSE_POSITIVES.iter().map(rate).collect()));
        rows.push((format!("{name}, MTCNN as published"), published.map(Cell::Figure).to_vec()));
    }
    rows
}

/// Both curves with published ones beside them.
fn charts(args: &FddbArgs, curves: [&[RocPoint]; 2], faults: &mut Faults) -> Result<Vec<(&'static str, LineChart)>> {
    let place = |point: &RocPoint| [point.false_positives, point.rate];
    let mut charts = Vec::new();
    for ((file, ending), (curve, (kind, published))) in
        [("discrete_roc", "DiscROC.txt"), ("continuous_roc", "ContROC.txt")].into_iter().zip(curves.into_iter().zip(PUBLISHED))
    {
        let ours: Vec<[f64; 2]> = curve.iter().map(place).collect();
        let mut series = vec![Series::new("measured", thinned(&ours, [2.0, 0.002]))];
        let points = FALSE_POSITIVES.iter().zip(published).map(|(&limit, rate)| [limit, rate]).collect();
        series.push(Series::new("MTCNN, published points", points).dashed().dots());
        if args.annotations.is_dir() {
            for path in files_named(&args.annotations, ending)? {
                let points: Vec<[f64; 2]> = fddb::read_roc(&path, faults)?.iter().map(place).collect();
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let name = name[..name.len() - ending.len()].trim_end_matches(['_', '-', '.']).to_owned();
                series.push(Series::new(name, thinned(&points, [2.0, 0.002])).dashed());
            }
        }
        let chart = LineChart {
            title: format!("FDDB, {kind} score"),
            note: String::new(),
            x: Axis::new("false positives").range(0.0, 2000.0),
            y: Axis::new("true positive rate")
                .range(if kind == "discrete" { 0.5 } else { 0.3 }, if kind == "discrete" { 1.0 } else { 0.8 }),
            series,
            references: Vec::new(),
        };
        charts.push((file, chart));
    }
    Ok(charts)
}

/// The largest faces without a detection over half, and the surest detections without a face; by image alone,
/// over all scores.
fn examples(annotated: &[&FddbImage<Ellipse>], images: &[FddbCase], count: usize) -> (Vec<Example>, Vec<Example>) {
    let edges = |region: &Region| match region {
        Region::Rectangle(b) => *b,
        Region::Ellipse(ellipse) => ellipse.bounding_box(),
    };
    let (mut misses, mut alarms) = (Worst::new(count), Worst::new(count));
    for (at, image) in images.iter().enumerate() {
        let (mut seen, mut right) = (vec![false; image.faces.len()], vec![false; image.detections.len()]);
        for (detection, face) in mtcmcn::eval::fddb::matched(image) {
            (seen[face], right[detection]) = (true, true);
        }
        for (face, _) in image.faces.iter().zip(seen).filter(|(_, seen)| !seen) {
            let height = 2.0 * face.major_radius;
            misses.add(height, || (at, face.bounding_box(), format!("{height:.0} px high")));
        }
        for (found, _) in image.detections.iter().zip(right).filter(|(_, right)| !right) {
            alarms.add(found.score, || (at, edges(&found.region), format!("score {:.4}", found.score)));
        }
    }
    // Marks are many, so they are made for what is shown alone.
    let example = |(at, focus, caption): (usize, _, _)| {
        let truth = images[at].faces.iter().map(|face| (MarkRole::Truth, MarkShape::Ellipse(*face)));
        let found = images[at].detections.iter().map(|found| match found.region {
            Region::Rectangle(b) => (MarkRole::Found, MarkShape::Box(b)),
            Region::Ellipse(ellipse) => (MarkRole::Found, MarkShape::Ellipse(ellipse)),
        });
        Example { path: annotated[at].name.clone(), focus, caption, marks: truth.chain(found).collect() }
    };
    (misses.finish(example), alarms.finish(example))
}
