//! Which detections are of which annotated image.

use std::collections::HashMap;

use super::{DataError, FileFaults, ImageDetections, image_key};

/// Finds for each annotated image what was detected in it: by equal [`image_key`], or else where the annotated path is the end of just one
/// detected path (`masks/a.jpg` of `/photos/masks/a.jpg`).
///
/// The result has an entry per annotated image, `None` where nothing is said about it. Those images, detections of images that nobody
/// annotated, and paths that fit several are reported in `faults`, which are those of the detections.
///
/// # Errors
///
/// [`DataError::Fault`] for the first such image if `faults` are strict.
pub fn match_images<'d>(
    annotated: &[impl AsRef<str>],
    detected: &'d [ImageDetections],
    faults: &mut FileFaults,
) -> Result<Vec<Option<&'d ImageDetections>>, DataError> {
    let index = DetectionIndex::new(detected, faults)?;
    let mut used = vec![false; detected.len()];
    let mut found = Vec::with_capacity(annotated.len());
    for path in annotated.iter().map(AsRef::as_ref) {
        let candidates = index.candidates(&image_key(path));
        candidates.iter().for_each(|&at| used[at] = true);
        match candidates[..] {
            [at] => found.push(Some(&detected[at])),
            [] => {
                faults.noted(0, format!("says nothing about {path:?}: taken as an image without detections"))?;
                found.push(None);
            }
            [first, second, ..] => {
                let (first, second) = (&detected[first], &detected[second]);
                let what = format!("both {:?} (line {}) and this may be {path:?}: neither is used", first.path, first.line);
                faults.skipped(second.line, what)?;
                found.push(None);
            }
        }
    }
    for &at in index.whole.values().filter(|at| !used[**at]).collect::<std::collections::BTreeSet<_>>() {
        faults.skipped(detected[at].line, format!("{:?} is not among the annotated images: skipped", detected[at].path))?;
    }
    Ok(found)
}

/// Detections by the key of their image and by its last part.
struct DetectionIndex {
    keys: Vec<String>,
    whole: HashMap<String, usize>,
    by_last: HashMap<String, Vec<usize>>,
}

impl DetectionIndex {
    fn new(detected: &[ImageDetections], faults: &mut FileFaults) -> Result<Self, DataError> {
        let keys: Vec<String> = detected.iter().map(|image| image_key(&image.path)).collect();
        let (mut whole, mut by_last) = (HashMap::new(), HashMap::<String, Vec<usize>>::new());
        for (at, key) in keys.iter().enumerate() {
            if let Some(&first) = whole.get(key) {
                let first: &ImageDetections = &detected[first];
                let what = format!("{:?} is the same image as {:?} at line {}: skipped", detected[at].path, first.path, first.line);
                faults.skipped(detected[at].line, what)?;
            } else {
                whole.insert(key.clone(), at);
                by_last.entry(last(key).to_owned()).or_default().push(at);
            }
        }
        Ok(Self { keys, whole, by_last })
    }

    fn candidates(&self, key: &str) -> Vec<usize> {
        if let Some(&at) = self.whole.get(key) {
            return vec![at];
        }
        let ends = |at: &usize| self.keys[*at].strip_suffix(key).is_some_and(|before| before.ends_with('/'));
        self.by_last.get(last(key)).into_iter().flatten().copied().filter(ends).collect()
    }
}

fn last(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or_default()
}
