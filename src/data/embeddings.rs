//! Embeddings of faces: one vector an image, from numpy's `.npy` and `.npz` and from safetensors files.
//!
//! The matrix `embeddings`, or the only one in the file, is `[images, elements]`. Names of the images are in `names`: an array of text in an
//! `.npz`, metadata with one name a line in a safetensors file. Without names an image is called by its number, from 0.

use std::collections::HashMap;
use std::io::{Cursor, Read as _};
use std::path::Path;

use super::fault::{MAX_FILE, read_file};
use super::{DataError, Faults, FileFaults, image_key};
use crate::weights::Weights;

/// Vectors of one length, each of length 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// Elements of a vector.
    pub dimension: usize,
    /// Row by row.
    pub values: Vec<f32>,
    rows: HashMap<String, usize>,
}

impl Embeddings {
    /// The vector of the image `name`: by equal [`image_key`], or by the last part of the path if no two images share it.
    pub fn of(&self, name: &str) -> Option<&[f32]> {
        let key = image_key(name);
        let row = self.rows.get(&key).or_else(|| self.rows.get(last(&key)))?;
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
    let found = if bytes.starts_with(NPY) {
        npy(bytes).and_then(|array| one_matrix(vec![("embeddings".into(), array)], None))
    } else if bytes.starts_with(b"PK") {
        npz(bytes)
    } else {
        safetensors(bytes)
    };
    let (rows, dimension, values, names) = found.map_err(|what| faults.unusable(format!("holds no embeddings: {what}")))?;
    new(rows, dimension, values, names, faults)
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
    let mut by_name = HashMap::with_capacity(2 * rows);
    let mut short: HashMap<&str, Option<usize>> = HashMap::new();
    let keys: Vec<String> = names.iter().map(|name| image_key(name)).collect();
    for (row, key) in keys.iter().enumerate() {
        if by_name.contains_key(key) {
            faults.skipped(0, format!("has a second embedding for image {:?}: skipped", names[row]))?;
            continue;
        }
        by_name.insert(key.clone(), row);
        short.entry(last(key)).and_modify(|row| *row = None).or_insert(Some(row));
    }
    for (key, row) in short {
        if let Some(row) = row {
            by_name.entry(key.to_owned()).or_insert(row);
        }
    }
    Ok(Embeddings { dimension, values, rows: by_name })
}

type Matrix = (usize, usize, Vec<f32>, Option<Vec<String>>);

/// Rows, columns, elements and names of `embeddings`, or of the only matrix.
fn one_matrix(arrays: Vec<(String, Array)>, names: Option<Vec<String>>) -> Result<Matrix, String> {
    let mut matrices: Vec<_> = arrays.into_iter().filter(|(_, array)| array.shape.len() == 2).collect();
    let chosen = match matrices.iter().position(|(name, _)| name == "embeddings") {
        Some(at) => matrices.swap_remove(at).1,
        None if matrices.len() == 1 => matrices.remove(0).1,
        None => return Err(format!("{} matrices, none called \"embeddings\"", matrices.len())),
    };
    let (&[rows, columns], Values::Numbers(values)) = (&chosen.shape[..], chosen.values) else { return Err("a matrix of text".into()) };
    if columns == 0 { Err("vectors without elements".into()) } else { Ok((rows, columns, values, names)) }
}

fn safetensors(bytes: &[u8]) -> Result<Matrix, String> {
    let weights = Weights::from_bytes(bytes).map_err(|error| error.to_string())?;
    let names = weights.metadata().get("names").map(|names| names.lines().map(str::to_owned).collect());
    let arrays = weights
        .tensors()
        .iter()
        .map(|(name, tensor)| (name.clone(), Array { shape: tensor.shape.clone(), values: Values::Numbers(tensor.data.clone()) }));
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
        let array = npy(&bytes).map_err(|what| format!("member {name:?}: {what}"))?;
        match array.values {
            Values::Text(text) if name == "names" => names = Some(text),
            _ => arrays.push((name, array)),
        }
    }
    one_matrix(arrays, names)
}

const NPY: &[u8] = b"\x93NUMPY";

struct Array {
    shape: Vec<usize>,
    values: Values,
}

enum Values {
    Numbers(Vec<f32>),
    Text(Vec<String>),
}

/// The array in a `.npy` file: `f2`, `f4`, `f8`, or text, little-endian, in C order.
fn npy(bytes: &[u8]) -> Result<Array, String> {
    const CUT: &str = "a numpy array that is cut off";
    let rest = bytes.strip_prefix(NPY).ok_or("not a numpy array")?;
    let (length, rest) = match rest {
        [1, _, a, b, rest @ ..] => (u32::from_le_bytes([*a, *b, 0, 0]), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]), rest),
        _ => return Err("a numpy array of an unknown version".into()),
    };
    let (header, data) = rest.split_at_checked(length as usize).ok_or(CUT)?;
    let header = std::str::from_utf8(header).map_err(|_| "a numpy array whose header is not text")?;
    let entry = |key: &str| {
        header.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start()).ok_or(format!("a numpy array without {key}"))
    };
    if !entry("fortran_order")?.starts_with("False") {
        return Err("a numpy array in Fortran order; save numpy.ascontiguousarray of it".into());
    }
    let shape = entry("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')')).ok_or("a numpy array without a shape")?.0;
    let sizes = shape
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        .map(|size| size.parse::<usize>().map_err(|_| format!("the size {size:?}")));
    let shape = sizes.collect::<Result<Vec<_>, _>>()?;
    let kind = entry("descr")?.strip_prefix('\'').and_then(|rest| rest.split_once('\'')).ok_or("a numpy array of records")?.0;
    if kind.starts_with('>') {
        return Err("a numpy array in big-endian order; save it with astype('<f4')".into());
    }
    let (kind, size) = kind.trim_start_matches(['<', '|']).split_at_checked(1).ok_or("a numpy array without a type")?;
    let size = size.parse::<usize>().ok().filter(|size| (1..1 << 20).contains(size)).ok_or("a numpy array of elements without size")?;
    let width = if kind == "U" { 4 * size } else { size };
    let count = shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size)).ok_or("a numpy array of impossible shape")?;
    let data = count.checked_mul(width).and_then(|length| data.get(..length)).ok_or(CUT)?;
    let elements = data.chunks_exact(width);
    let values = match (kind, size) {
        ("f", 2) => Values::Numbers(crate::weights::f16s(data)),
        ("f", 4) => Values::Numbers(crate::weights::f32s(data)),
        ("f", 8) => Values::Numbers(data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect()),
        ("S", _) => Values::Text(elements.map(|text| String::from_utf8_lossy(text).trim_end_matches('\0').to_owned()).collect()),
        ("U", _) => Values::Text(elements.map(text).collect()),
        _ => return Err(format!("a numpy array of type {kind}{size}; save it as float32")),
    };
    Ok(Array { shape, values })
}

/// Text of four bytes a character, filled up with zeros.
fn text(bytes: &[u8]) -> String {
    let characters = bytes.as_chunks().0.iter().map(|bytes| char::from_u32(u32::from_le_bytes(*bytes)).unwrap_or('\u{fffd}'));
    characters.collect::<String>().trim_end_matches('\0').to_owned()
}
