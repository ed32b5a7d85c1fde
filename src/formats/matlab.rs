//! MATLAB's level 5 MAT-files, as far as cells, numbers and text go.
//!
//! A file is a header of 128 bytes and elements, each a tag (type, length) and data; compressed elements hold
//! one more of them. An array is an element of elements: flags, dimensions, name, contents. Objects, structs,
//! sparse and complex arrays are passed over as [`MatArray::Other`].

use std::io::Read as _;

use flate2::read::ZlibDecoder;

/// Most bytes that a compressed element may grow to.
const MAX_ELEMENT: u64 = 1 << 28;

/// Deepest nesting of cells; the files of the field have three.
const MAX_DEPTH: usize = 16;

const INT8: u32 = 1;
const UINT8: u32 = 2;
const INT16: u32 = 3;
const UINT16: u32 = 4;
const INT32: u32 = 5;
const UINT32: u32 = 6;
const SINGLE: u32 = 7;
const DOUBLE: u32 = 9;
const INT64: u32 = 12;
const UINT64: u32 = 13;
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;
const UTF8: u32 = 16;
const UTF16: u32 = 17;

/// An array. Dimensions beyond the first two are multiplied into the second; contents are column by column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum MatArray {
    /// Cells.
    Cells(Vec<MatArray>),
    /// Numbers of any type.
    Numbers {
        /// Length of a column.
        rows: usize,
        /// All of them.
        values: Vec<f64>,
    },
    /// Characters.
    Text(String),
    /// Something else.
    Other,
}

/// All variables of the file `bytes`, by name.
pub(crate) fn variables(bytes: &[u8]) -> Result<Vec<(String, MatArray)>, String> {
    let (header, mut rest) = bytes.split_at_checked(128).ok_or("shorter than the header of a MAT-file")?;
    if header[124..] != *b"\x00\x01IM" {
        return Err("not a little-endian MAT-file of level 5; save it in MATLAB with the flag -v7".into());
    }
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (kind, data, after) = element(rest)?;
        rest = after;
        match kind {
            COMPRESSED => {
                let mut inner = Vec::new();
                ZlibDecoder::new(data)
                    .take(MAX_ELEMENT + 1)
                    .read_to_end(&mut inner)
                    .map_err(|error| format!("damaged compression: {error}"))?;
                if inner.len() as u64 > MAX_ELEMENT {
                    return Err(format!("a variable larger than {MAX_ELEMENT} bytes"));
                }
                let (kind, data, _) = element(&inner)?;
                if kind == MATRIX {
                    found.push(matrix(data, 0)?);
                }
            }
            MATRIX => found.push(matrix(data, 0)?),
            _ => {}
        }
    }
    Ok(found)
}

/// Type and data of the element at the start of `bytes`, and what follows it.
fn element(bytes: &[u8]) -> Result<(u32, &[u8], &[u8]), String> {
    let cut = || "an element that is cut off".to_owned();
    let (tag, rest) = bytes.split_first_chunk::<8>().ok_or_else(cut)?;
    let [kind, length] = [0, 4].map(|at| u32::from_le_bytes([tag[at], tag[at + 1], tag[at + 2], tag[at + 3]]));
    if kind >> 16 != 0 {
        // The short form: at most four bytes, within the tag.
        let data = bytes[4..8].get(..(kind >> 16) as usize).ok_or("a short element of more than four bytes")?;
        return Ok((kind & 0xffff, data, rest));
    }
    let length = length as usize;
    let data = rest.get(..length).ok_or_else(cut)?;
    let padded = if kind == COMPRESSED { length } else { length.next_multiple_of(8) };
    Ok((kind, data, rest.get(padded..).unwrap_or_default()))
}

/// Name and contents of the array with these elements.
fn matrix(bytes: &[u8], depth: usize) -> Result<(String, MatArray), String> {
    if bytes.is_empty() {
        return Ok((String::new(), MatArray::Numbers { rows: 0, values: vec![] }));
    }
    if depth > MAX_DEPTH {
        return Err(format!("cells nested more than {MAX_DEPTH} deep"));
    }
    let (kind, flags, rest) = element(bytes)?;
    let &[class, bits, ..] = flags else { return Err("an array without flags".into()) };
    let (dims_kind, dims, rest) = element(rest)?;
    let (_, name, mut rest) = element(rest)?;
    if kind != UINT32 || dims_kind != INT32 || dims.len() < 8 {
        return Err("an array whose flags or dimensions are of the wrong type".into());
    }
    let dims = numbers(INT32, dims)?;
    let count = dims.iter().try_fold(1usize, |count, &side| count.checked_mul(usize::try_from(side as i64).ok()?));
    let count = count.ok_or("an array of impossible dimensions")?;
    let name = String::from_utf8_lossy(name).into_owned();
    let complex = bits & 0x08 != 0;
    let array = match class {
        1 => {
            let mut cells = Vec::new();
            for _ in 0..count {
                let (kind, data, after) = element(rest)?;
                if kind != MATRIX {
                    return Err(format!("something in {name:?} that is no cell"));
                }
                cells.push(matrix(data, depth + 1)?.1);
                rest = after;
            }
            MatArray::Cells(cells)
        }
        4 => {
            let (kind, data, _) = element(rest)?;
            MatArray::Text(text(kind, data)?)
        }
        6..=15 if !complex => {
            let (kind, data, _) = element(rest)?;
            let values = numbers(kind, data)?;
            if values.len() != count {
                return Err(format!("{} numbers where dimensions promise {count}", values.len()));
            }
            MatArray::Numbers { rows: dims[0] as usize, values }
        }
        _ => MatArray::Other,
    };
    Ok((name, array))
}

fn numbers(kind: u32, data: &[u8]) -> Result<Vec<f64>, String> {
    fn all<const N: usize>(data: &[u8], value: impl Fn([u8; N]) -> f64) -> Result<Vec<f64>, String> {
        let (values, rest) = data.as_chunks::<N>();
        if rest.is_empty() { Ok(values.iter().map(|bytes| value(*bytes)).collect()) } else { Err("part of a number".into()) }
    }
    match kind {
        INT8 => all(data, |b| i8::from_le_bytes(b).into()),
        UINT8 => all(data, |b| u8::from_le_bytes(b).into()),
        INT16 => all(data, |b| i16::from_le_bytes(b).into()),
        UINT16 => all(data, |b| u16::from_le_bytes(b).into()),
        INT32 => all(data, |b| i32::from_le_bytes(b).into()),
        UINT32 => all(data, |b| u32::from_le_bytes(b).into()),
        SINGLE => all(data, |b| f32::from_le_bytes(b).into()),
        DOUBLE => all(data, f64::from_le_bytes),
        INT64 => all(data, |b| i64::from_le_bytes(b) as f64),
        UINT64 => all(data, |b| u64::from_le_bytes(b) as f64),
        _ => Err(format!("numbers of the unknown type {kind}")),
    }
}

fn text(kind: u32, data: &[u8]) -> Result<String, String> {
    match kind {
        UTF8 | INT8 | UINT8 => Ok(String::from_utf8_lossy(data).into_owned()),
        UTF16 | UINT16 => {
            let (units, _) = data.as_chunks();
            Ok(char::decode_utf16(units.iter().map(|bytes| u16::from_le_bytes(*bytes))).map(|c| c.unwrap_or('\u{fffd}')).collect())
        }
        _ => Err(format!("text of the unknown type {kind}")),
    }
}
