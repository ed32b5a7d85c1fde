//! Embeddings of listed images: from a file, or made now.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use mtcmcn::data::Faults;
use mtcmcn::data::embeddings::{self, Embeddings};
use mtcmcn::data::pairs::Pair;
use mtcmcn::picture::decode::PictureError;
use mtcmcn::{Embedding, Frame};

use super::source::locate;
use crate::cli::recognizer::{FaceReader, RecognizerArgs};
use crate::cli::{decode, explain, fetch, prefetch, progress};

/// Embeddings, and where they are from.
pub struct Known {
    pub embeddings: Embeddings,
    /// File or directory.
    pub place: PathBuf,
    /// The same in words.
    pub origin: String,
    /// Images embedded now, and those of them of which no face was found.
    made: Option<[usize; 2]>,
}

impl Known {
    /// The embeddings in `file`.
    ///
    /// # Errors
    ///
    /// If it cannot be read or holds none.
    pub fn read(file: &Path, faults: &mut Faults) -> Result<Self> {
        let origin = format!("embeddings of {}", file.display());
        Ok(Self { embeddings: embeddings::read(file, faults)?, place: file.to_owned(), origin, made: None })
    }

    /// Embeds all images of `pairs`, which lie in `folder`. Of an image that cannot be read there is none,
    /// and it is a fault of `list`.
    ///
    /// # Errors
    ///
    /// If there is no recogniser, the engine fails, or no image can be read at all.
    pub fn embed(folder: &Path, pairs: &[Pair], list: &Path, args: &RecognizerArgs, faults: &mut Faults, quiet: bool) -> Result<Self> {
        ensure!(folder.is_dir(), "--images {} is not a directory", folder.display());
        let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
        for (image, line) in pairs.iter().flat_map(|pair| pair.images.iter().map(|image| (image, pair.line))) {
            lines.entry(image).or_insert(line);
        }
        let images: Vec<(&str, usize)> = lines.into_iter().collect();
        let mut reader = args.open()?;
        let (mut names, mut values, mut without) = (Vec::new(), Vec::new(), 0);
        let bar = progress(images.len(), quiet);
        let max_pixels = args.detector.max_pixels();
        let read = |(image, _): &(&str, usize)| decode::read(&locate(folder, image), max_pixels);
        prefetch::in_order(&images, prefetch::decoders(), read, |at, frame: Result<Frame, PictureError>| {
            let (image, line) = images[at];
            bar.inc(1);
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => {
                    let what = format!("{image:?} cannot be embedded ({}): it has no embedding", explain(&error.into()));
                    return Ok(faults.of(list).skipped(line, what)?);
                }
            };
            let (embedding, found) = of_photo(&mut reader, &frame).with_context(|| image.to_owned())?;
            if !found {
                without += 1;
                faults.of(list).noted(line, format!("no face found in {image:?}: the middle of the picture is embedded"))?;
            }
            names.push(image.to_owned());
            values.extend_from_slice(embedding.values());
            Ok(())
        })?;
        bar.finish_and_clear();
        ensure!(!names.is_empty(), "no image of {} can be read in {}", list.display(), folder.display());
        let (made, dimension) = ([names.len(), without], reader.recognizer.elements());
        let weights = args.digests()?;
        let origin =
            format!("faces found and embedded by {weights}; {}; mtcmcn {}", reader.recognizer.engine().name(), env!("CARGO_PKG_VERSION"));
        let embeddings = embeddings::of_names(dimension, values, names, &mut faults.of(list))?;
        Ok(Self { embeddings, place: folder.to_owned(), origin, made: Some(made) })
    }

    /// What was counted.
    pub fn counts(&self) -> Vec<(&'static str, usize)> {
        self.made.map_or_else(Vec::new, |[images, without]| vec![("images", images), ("without a face", without)])
    }
}

/// The embedding of the main face of `frame`, or of its middle if there is no face; and whether there is.
fn of_photo(reader: &mut FaceReader, frame: &Frame) -> Result<(Embedding, bool)> {
    match reader.main_face(frame)? {
        Some((_, embedding)) => Ok((embedding, true)),
        None => Ok((reader.middle(frame)?, false)),
    }
}

impl RecognizerArgs {
    /// First digits of the SHA-256 over the tensors of both nets.
    fn digests(&self) -> Result<String> {
        let detector = fetch::digest(&self.detector.load_weights()?);
        let recognizer = fetch::digest(&self.load()?);
        Ok(format!("weights {} and recogniser {}", &detector[..12], &recognizer[..12]))
    }
}
