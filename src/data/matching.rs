//! Which detections are of which annotated image.

use std::collections::{BTreeSet, HashMap};

use super::{DataError, FileFaults, ImageDetections, image_key, image_path};

/// Finds for each annotated image what was detected in it.
///
/// Names are compared in four rounds, and what one round has matched is gone for the next: the same path; the
/// annotated path as the end of a detected one (`masks/a.jpg` of `/photos/masks/a.jpg`); then both again by
/// [`image_key`], without the extension of an image file.
///
/// The result has an entry per annotated image, `None` where nothing is said about it. Those images, paths
/// that fit several, and how many detected images nobody annotated are reported in `faults`, which are those
/// of the detections.
///
/// # Errors
///
/// [`DataError::Fault`] for the first of them if `faults` are strict.
pub fn match_images<'d>(
    annotated: &[impl AsRef<str>],
    detected: &'d [ImageDetections],
    faults: &mut FileFaults,
) -> Result<Vec<Option<&'d ImageDetections>>, DataError> {
    let names: Vec<(&str, usize)> = detected.iter().map(|image| (&*image.path, image.line)).collect();
    Ok(match_names(annotated, &names, faults)?.into_iter().map(|at| at.map(|at| &detected[at])).collect())
}

/// As [`match_images`], for paths with their lines: gives places in `detected`.
///
/// # Errors
///
/// As [`match_images`].
pub fn match_names(
    annotated: &[impl AsRef<str>],
    detected: &[(&str, usize)],
    faults: &mut FileFaults,
) -> Result<Vec<Option<usize>>, DataError> {
    let (index, mut used) = DetectionIndex::new(detected, faults)?;
    let mut candidates: Vec<Vec<usize>> = vec![Vec::new(); annotated.len()];
    for round in [DetectionIndex::same_path, DetectionIndex::end_of_path, DetectionIndex::same_key, DetectionIndex::end_of_key] {
        let mut taken = BTreeSet::new();
        for (path, candidates) in annotated.iter().zip(&mut candidates).filter(|(_, candidates)| candidates.is_empty()) {
            *candidates = round(&index, path.as_ref()).into_iter().filter(|at| !used[*at]).collect();
            taken.extend(candidates.iter().copied());
        }
        taken.into_iter().for_each(|at| used[at] = true);
    }
    let mut found = Vec::with_capacity(annotated.len());
    for (path, candidates) in annotated.iter().map(AsRef::as_ref).zip(candidates) {
        match candidates[..] {
            [at] => found.push(Some(at)),
            [] => {
                faults.noted(0, format!("says nothing about {path:?}: taken as an image without detections"))?;
                found.push(None);
            }
            [first, second, ..] => {
                let ((first, line), (second, at)) = (detected[first], detected[second]);
                faults.skipped(at, format!("both {first:?} (line {line}) and {second:?} may be {path:?}: neither is used"))?;
                found.push(None);
            }
        }
    }
    let outside: Vec<usize> = (0..detected.len()).filter(|at| !used[*at]).collect();
    if let Some(&first) = outside.first() {
        let (path, line) = detected[first];
        let what = match outside.len() {
            1 => format!("{path:?} is not among the annotated images: not counted"),
            count => format!("{path:?} and {} more of {} images are not among the annotated ones: not counted", count - 1, detected.len()),
        };
        faults.noted(line, what)?;
    }
    Ok(found)
}

/// Detected images by what they are called.
struct DetectionIndex {
    paths: Vec<String>,
    keys: Vec<String>,
    by_path: HashMap<String, usize>,
    /// By the last part of the key.
    by_last: HashMap<String, Vec<usize>>,
}

impl DetectionIndex {
    /// The index, and which of the images it has no use for: those that were there before.
    fn new(detected: &[(&str, usize)], faults: &mut FileFaults) -> Result<(Self, Vec<bool>), DataError> {
        let paths: Vec<String> = detected.iter().map(|(path, _)| image_path(path)).collect();
        let keys: Vec<String> = detected.iter().map(|(path, _)| image_key(path)).collect();
        let (mut by_path, mut by_last) = (HashMap::new(), HashMap::<String, Vec<usize>>::new());
        let mut repeated = vec![false; detected.len()];
        for (at, path) in paths.iter().enumerate() {
            if let Some(&first) = by_path.get(path) {
                let ((again, line), (first, first_line)): (_, (&str, usize)) = (detected[at], detected[first]);
                faults.skipped(line, format!("{again:?} is the same image as {first:?} at line {first_line}: skipped"))?;
                repeated[at] = true;
            } else {
                by_path.insert(path.clone(), at);
                by_last.entry(last(&keys[at]).to_owned()).or_default().push(at);
            }
        }
        Ok((Self { paths, keys, by_path, by_last }, repeated))
    }

    fn same_path(&self, path: &str) -> Vec<usize> {
        self.by_path.get(&image_path(path)).copied().into_iter().collect()
    }

    fn end_of_path(&self, path: &str) -> Vec<usize> {
        let wanted = image_path(path);
        self.of_last(path, |at| is_end(&self.paths[at], &wanted))
    }

    fn same_key(&self, path: &str) -> Vec<usize> {
        let wanted = image_key(path);
        self.of_last(path, |at| self.keys[at] == wanted)
    }

    fn end_of_key(&self, path: &str) -> Vec<usize> {
        let wanted = image_key(path);
        self.of_last(path, |at| is_end(&self.keys[at], &wanted))
    }

    fn of_last(&self, path: &str, wanted: impl Fn(usize) -> bool) -> Vec<usize> {
        self.by_last.get(last(&image_key(path))).into_iter().flatten().copied().filter(|&at| wanted(at)).collect()
    }
}

/// Whether `end` is the last parts of `path`, and not all of it.
fn is_end(path: &str, end: &str) -> bool {
    path.strip_suffix(end).is_some_and(|before| before.ends_with('/'))
}

fn last(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or_default()
}
