//! Arrays of numpy, in `.npy` files.

const MAGIC: &[u8] = b"\x93NUMPY";

/// An array.
pub(crate) struct NumpyArray {
    /// Its sizes, slowest first.
    pub shape: Vec<usize>,
    /// Its elements, row-major.
    pub values: Values,
}

/// Elements of an array.
pub(crate) enum Values {
    /// Of a float type.
    Numbers(Vec<f32>),
    /// Of a text type.
    Text(Vec<String>),
}

/// What a `.npy` file says of its array.
pub(crate) struct Header<'a> {
    text: &'a str,
    /// What follows it.
    pub data: &'a [u8],
}

impl<'a> Header<'a> {
    /// The header at the start of `bytes`; or what is wrong with it.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let rest = bytes.strip_prefix(MAGIC).ok_or("not a numpy array")?;
        let (length, rest) = match rest {
            [1, _, a, b, rest @ ..] => (u32::from_le_bytes([*a, *b, 0, 0]), rest),
            [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]), rest),
            [major, minor, ..] => return Err(format!("a numpy array of the unknown version {major}.{minor}")),
            _ => return Err(CUT.into()),
        };
        let (text, data) = rest.split_at_checked(length as usize).ok_or(CUT)?;
        let text = std::str::from_utf8(text).map_err(|_| "a numpy array whose header is not text")?;
        Ok(Self { text, data })
    }

    /// The text behind `key`.
    fn entry(&self, key: &str) -> Result<&'a str, String> {
        let found = self.text.split_once(&format!("'{key}':"));
        found.map(|(_, rest)| rest.trim_start()).ok_or_else(|| format!("a numpy array without {key}"))
    }

    /// Its element type, such as `<f4`, or `|O` for pickled objects.
    pub(crate) fn kind(&self) -> Result<&'a str, String> {
        let quoted = self.entry("descr")?.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
        Ok(quoted.ok_or("a numpy array of records")?.0)
    }
}

/// Whether `bytes` start as a `.npy` file does.
pub(crate) fn is(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

const CUT: &str = "a numpy array that is cut off";

/// The array in a `.npy` file: `f2`, `f4`, `f8`, or text, little-endian, in C order.
pub(crate) fn read(bytes: &[u8]) -> Result<NumpyArray, String> {
    let header = Header::read(bytes)?;
    if !header.entry("fortran_order")?.starts_with("False") {
        return Err("a numpy array in Fortran order; save numpy.ascontiguousarray of it".into());
    }
    let shape = header.entry("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')')).ok_or("a numpy array without a shape")?.0;
    let sizes = shape
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        .map(|size| size.parse::<usize>().map_err(|_| format!("the size {size:?}")));
    let shape = sizes.collect::<Result<Vec<_>, _>>()?;
    let kind = header.kind()?;
    if kind.starts_with('>') {
        return Err("a numpy array in big-endian order; save it with astype('<f4')".into());
    }
    let (kind, size) = kind.trim_start_matches(['<', '|']).split_at_checked(1).ok_or("a numpy array without a type")?;
    let size = size.parse::<usize>().ok().filter(|size| (1..1 << 20).contains(size)).ok_or("a numpy array of elements without size")?;
    let width = if kind == "U" { 4 * size } else { size };
    let count = shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size)).ok_or("a numpy array of impossible shape")?;
    let data = count.checked_mul(width).and_then(|length| header.data.get(..length)).ok_or(CUT)?;
    let elements = data.chunks_exact(width);
    let values = match (kind, size) {
        ("f", 2) => Values::Numbers(super::bytes::f16s(data)),
        ("f", 4) => Values::Numbers(super::bytes::f32s(data)),
        ("f", 8) => Values::Numbers(data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect()),
        ("S", _) => Values::Text(elements.map(|text| String::from_utf8_lossy(text).trim_end_matches('\0').to_owned()).collect()),
        ("U", _) => Values::Text(elements.map(text).collect()),
        _ => return Err(format!("a numpy array of type {kind}{size}; save it as float32")),
    };
    Ok(NumpyArray { shape, values })
}

/// The bytes of a `.npy` file with `values` in C order: `f4`, or text of as many characters as the longest
/// has.
pub(crate) fn write(shape: &[usize], values: &Values) -> Vec<u8> {
    let (kind, data): (String, Vec<u8>) = match values {
        Values::Numbers(numbers) => ("<f4".into(), numbers.iter().flat_map(|number| number.to_le_bytes()).collect()),
        Values::Text(texts) => {
            let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
            let padded = |text: &String| text.chars().map(u32::from).chain(std::iter::repeat(0)).take(longest).collect::<Vec<_>>();
            (format!("<U{longest}"), texts.iter().flat_map(padded).flat_map(u32::to_le_bytes).collect())
        }
    };
    let sizes: String = shape.iter().map(|size| format!("{size},")).collect();
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({sizes}), }}");
    // Data begins at a multiple of 64 bytes; a newline ends the header.
    let length = (MAGIC.len() + 4 + header.len() + 1).next_multiple_of(64) - MAGIC.len() - 4;
    header += &" ".repeat(length - header.len() - 1);
    let length = (length as u16).to_le_bytes();
    [MAGIC, &[1, 0], &length, header.as_bytes(), b"\n", &data].concat()
}

/// Text of four bytes a character, filled up with zeros.
fn text(bytes: &[u8]) -> String {
    let characters = bytes.as_chunks().0.iter().map(|bytes| char::from_u32(u32::from_le_bytes(*bytes)).unwrap_or('\u{fffd}'));
    characters.collect::<String>().trim_end_matches('\0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let bytes = write(&[2, 3], &Values::Numbers(vec![1.0, -2.5, 0.0, 4.0, 5.0, 6.0]));
        let array = read(&bytes).unwrap();
        assert!(array.shape == [2, 3] && matches!(array.values, Values::Numbers(values) if values == [1.0, -2.5, 0.0, 4.0, 5.0, 6.0]));
        assert_eq!((bytes.len() - 24) % 64, 0);
        for texts in [vec![], vec!["a/b.png".to_owned(), "Jürgen 😀".to_owned()]] {
            let array = read(&write(&[texts.len()], &Values::Text(texts.clone()))).unwrap();
            assert!(array.shape == [texts.len()] && matches!(array.values, Values::Text(values) if values == texts));
        }
    }
}
