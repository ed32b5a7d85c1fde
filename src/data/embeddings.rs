//! Embeddings of faces: one vector an image, from numpy's `.npy` and `.npz` and from safetensors files.
//!
//! The matrix `embeddings`, or the only one in the file, is `[images, elements]`. Names of the images are in
//! `names`: an array of text in an `.npz`, metadata with one name a line in a safetensors file. Without names
//! an image is called by its number, from 0. A file without a matrix may have a vector for each name instead.

use std::collections::HashMap;
use std::io::{Cursor, Read as _, Write as _};
use std::path::Path;

use super::fault::{MAX_FILE, read_file};
use super::{DataError, Faults, FileFaults, image_key, image_path};
use crate::files::{self, FileError};
use crate::formats::npy::{self, NumpyArray, Values};
use crate::geometry::BoundingBox;
use crate::weights::Weights;

/// Vectors of one length, each of length 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// Elements of a vector.
    pub dimension: usize,
    /// Row by row.
    pub values: Vec<f32>,
    /// By path, by [`image_key`], and by the last part of each: nothing where two images share it.
    rows: [HashMap<String, Option<usize>>; 4],
}

/// What an image may be called, the exact name first.
fn called(name: &str) -> [String; 4] {
    let (path, key) = (image_path(name), image_key(name));
    let (short, short_key) = (last(&path).to_owned(), last(&key).to_owned());
    [path, key, short, short_key]
}

impl Embeddings {
    /// The vector of the image `name`: by equal path, by equal [`image_key`], or by the last part of either
    /// if no two images share it.
    pub fn of(&self, name: &str) -> Option<&[f32]> {
        let row = self.rows.iter().zip(called(name)).find_map(|(rows, name)| rows.get(&name).copied().flatten())?;
        self.values.get(row * self.dimension..)?.get(..self.dimension)
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.values.len() / self.dimension.max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

fn last(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// Embeddings of faces to be written, each with its name, box and score.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddedFaces {
    dimension: usize,
    names: Vec<String>,
    values: Vec<f32>,
    boxes: Vec<f32>,
    scores: Vec<f32>,
}

impl EmbeddedFaces {
    /// None yet, of vectors of `dimension` elements.
    pub fn new(dimension: usize) -> Self {
        Self { dimension, names: vec![], values: vec![], boxes: vec![], scores: vec![] }
    }

    /// Adds a face.
    ///
    /// # Panics
    ///
    /// If the vector has another number of elements: an error of the caller.
    pub fn add(&mut self, name: String, vector: &[f32], b: BoundingBox, score: f32) {
        assert_eq!(vector.len(), self.dimension, "a vector of another length");
        self.names.push(name);
        self.values.extend_from_slice(vector);
        self.boxes.extend([b.x1, b.y1, b.x2, b.y2]);
        self.scores.push(score);
    }

    /// Writes a numpy archive of `names` and `embeddings`, which [`read`] reads, `boxes` and `scores`, whole
    /// or not at all.
    ///
    /// # Errors
    ///
    /// [`FileError::Write`] if the system refuses.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        let failed = |source| FileError::Write { path: path.into(), source };
        let rows = self.names.len();
        let numbers = |shape: &[usize], values: &[f32]| npy::write(shape, &Values::Numbers(values.to_vec()));
        let arrays = [
            ("names", npy::write(&[rows], &Values::Text(self.names.clone()))),
            ("embeddings", numbers(&[rows, self.dimension], &self.values)),
            ("boxes", numbers(&[rows, 4], &self.boxes)),
            ("scores", numbers(&[rows], &self.scores)),
        ];
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored).large_file(true);
        for (name, bytes) in arrays {
            archive.start_file(format!("{name}.npy"), options).map_err(|error| failed(error.into()))?;
            archive.write_all(&bytes).map_err(failed)?;
        }
        let bytes = archive.finish().map_err(|error| failed(error.into()))?.into_inner();
        files::write_whole(path, &bytes)
    }
}

/// The embeddings in the file at `path`, each scaled to length 1.
///
/// # Errors
///
/// [`DataError`] if the file cannot be read, holds no such matrix, or a vector in it is zero or not finite.
pub fn read(path: &Path, faults: &mut Faults) -> Result<Embeddings, DataError> {
    parse(&read_file(path)?, &mut faults.of(path))
}

/// The embeddings in `bytes`, of any of the three formats.
///
/// # Errors
///
/// As [`read`].
pub fn parse(bytes: &[u8], faults: &mut FileFaults) -> Result<Embeddings, DataError> {
    let found = if npy::is(bytes) {
        npy::read(bytes).and_then(|array| one_matrix(vec![("embeddings".into(), array)], None))
    } else if bytes.starts_with(b"PK") {
        npz(bytes)
    } else {
        safetensors(bytes)
    };
    let (rows, dimension, values, names) = found.map_err(|what| faults.unusable(format!("holds no embeddings: {what}")))?;
    new(rows, dimension, values, names, faults)
}

/// The embeddings of the images `names`, row by row in `values`, each scaled to length 1.
///
/// # Errors
///
/// [`DataError`] if there are not as many vectors as names, or one is zero or not finite.
pub fn of_names(dimension: usize, values: Vec<f32>, names: Vec<String>, faults: &mut FileFaults) -> Result<Embeddings, DataError> {
    new(values.len() / dimension.max(1), dimension, values, Some(names), faults)
}

fn new(
    rows: usize,
    dimension: usize,
    mut values: Vec<f32>,
    names: Option<Vec<String>>,
    faults: &mut FileFaults,
) -> Result<Embeddings, DataError> {
    if let Some(names) = names.as_ref().filter(|names| names.len() != rows) {
        return Err(faults.unusable(format!("has {} names for {rows} embeddings", names.len())));
    }
    for (row, vector) in values.chunks_exact_mut(dimension).enumerate() {
        let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        if !(length > 0.0 && length.is_finite()) {
            let name = names.as_ref().map_or_else(|| row.to_string(), |names| names[row].clone());
            return Err(faults.unusable(format!("has an embedding of length {length} for image {name:?}; embed it again, or leave it out")));
        }
        vector.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
    }
    let names = names.unwrap_or_else(|| (0..rows).map(|row| row.to_string()).collect());
    let mut by_name: [HashMap<String, Option<usize>>; 4] = Default::default();
    for (row, name) in names.iter().enumerate() {
        let called = called(name);
        if by_name[0].contains_key(&called[0]) {
            faults.skipped(0, format!("has a second embedding for image {name:?}: skipped"))?;
            continue;
        }
        for (rows, name) in by_name.iter_mut().zip(called) {
            rows.entry(name).and_modify(|row| *row = None).or_insert(Some(row));
        }
    }
    Ok(Embeddings { dimension, values, rows: by_name })
}

type Matrix = (usize, usize, Vec<f32>, Option<Vec<String>>);

/// Rows, columns, elements and names of `embeddings`, or of the only matrix.
fn one_matrix(arrays: Vec<(String, NumpyArray)>, names: Option<Vec<String>>) -> Result<Matrix, String> {
    if names.is_none() && arrays.iter().all(|(_, array)| array.shape.len() == 1) && arrays.iter().any(|(name, _)| name != "embeddings") {
        return vectors(arrays);
    }
    let mut matrices: Vec<_> = arrays.into_iter().filter(|(_, array)| array.shape.len() == 2).collect();
    let chosen = match matrices.iter().position(|(name, _)| name == "embeddings") {
        Some(at) => matrices.swap_remove(at).1,
        None if matrices.len() == 1 => matrices.remove(0).1,
        None => return Err(format!("{} matrices, none called \"embeddings\"", matrices.len())),
    };
    let (&[rows, columns], Values::Numbers(values)) = (&chosen.shape[..], chosen.values) else { return Err("a matrix of text".into()) };
    if columns == 0 { Err("vectors without elements".into()) } else { Ok((rows, columns, values, names)) }
}

/// A vector for each name.
fn vectors(arrays: Vec<(String, NumpyArray)>) -> Result<Matrix, String> {
    let columns = arrays.first().map_or(0, |(_, array)| array.shape[0]);
    let (rows, mut values, mut names) = (arrays.len(), Vec::with_capacity(arrays.len() * columns), Vec::with_capacity(arrays.len()));
    for (name, array) in arrays {
        let Values::Numbers(vector) = array.values else { return Err(format!("text under the name {name:?}, where a vector belongs")) };
        if vector.len() != columns {
            return Err(format!("vectors of {columns} and, for {name:?}, of {} elements", vector.len()));
        }
        values.extend(vector);
        names.push(name);
    }
    if columns == 0 { Err("vectors without elements".into()) } else { Ok((rows, columns, values, Some(names))) }
}

fn safetensors(bytes: &[u8]) -> Result<Matrix, String> {
    let weights = Weights::from_bytes(bytes).map_err(|error| error.to_string())?;
    let names = weights.metadata().get("names").map(|names| names.lines().map(str::to_owned).collect());
    let arrays = weights
        .tensors()
        .iter()
        .map(|(name, tensor)| (name.clone(), NumpyArray { shape: tensor.shape.clone(), values: Values::Numbers(tensor.data.clone()) }));
    one_matrix(arrays.collect(), names)
}

fn npz(bytes: &[u8]) -> Result<Matrix, String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let (mut arrays, mut names) = (Vec::new(), None);
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).map_err(|error| error.to_string())?;
        let name = member.name().map_err(|error| error.to_string())?.trim_end_matches(".npy").to_owned();
        let mut bytes = Vec::new();
        (&mut member).take(MAX_FILE).read_to_end(&mut bytes).map_err(|error| format!("member {name:?}: {error}"))?;
        let array = npy::read(&bytes).map_err(|what| format!("member {name:?}: {what}"))?;
        match array.values {
            Values::Text(text) if name == "names" => names = Some(text),
            _ => arrays.push((name, array)),
        }
    }
    one_matrix(arrays, names)
}
