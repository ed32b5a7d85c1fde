//! Reading bytes without trusting them.

/// Where and why bytes are not of the format that they should be.
#[cfg(feature = "toolkit")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{format} data damaged or unsupported at byte {at}: {what}")]
pub(crate) struct FormatError {
    /// Format being read.
    pub format: &'static str,
    /// Offset in that data.
    pub at: usize,
    /// What is wrong there.
    pub what: String,
}

/// Little-endian `f32` elements; a trailing partial one is dropped.
pub(crate) fn f32s(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Little-endian `f16` elements, widened exactly; a trailing partial one is dropped.
pub(crate) fn f16s(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| widen(u16::from_le_bytes(*bytes))).collect()
}

/// The `f32` equal to the `f16` of these bits.
fn widen(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10) & 31;
    let fraction = u32::from(bits) & 0x3ff;
    match exponent {
        0 => f32::from_bits(sign | (fraction as f32 / (1 << 24) as f32).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// Product of `sizes`, unless it overflows.
pub(crate) fn elements(sizes: &[usize]) -> Option<usize> {
    sizes.iter().try_fold(1usize, |product, &size| product.checked_mul(size))
}

/// A position in bytes of one format. Every read is checked; errors say where.
#[cfg(feature = "toolkit")]
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    format: &'static str,
    bytes: &'a [u8],
    at: usize,
}

#[cfg(feature = "toolkit")]
impl<'a> Cursor<'a> {
    /// The start of `bytes`.
    pub(crate) fn new(format: &'static str, bytes: &'a [u8]) -> Self {
        Self { format, bytes, at: 0 }
    }

    /// Bytes not yet read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// The error `what`, here.
    pub(crate) fn fail(&self, what: impl Into<String>) -> FormatError {
        FormatError { format: self.format, at: self.at, what: what.into() }
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], FormatError> {
        let rest = self.rest();
        let Some((taken, _)) = rest.split_at_checked(count) else {
            return Err(self.fail(format!("{count} bytes expected, {} are left", rest.len())));
        };
        self.at += count;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> Result<u8, FormatError> {
        Ok(self.array::<1>()?[0])
    }

    /// An unsigned little-endian length of `N <= 8` bytes.
    pub(crate) fn length<const N: usize>(&mut self) -> Result<usize, FormatError> {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(&self.array::<N>()?);
        usize::try_from(u64::from_le_bytes(wide)).map_err(|_| self.fail("length beyond memory"))
    }

    /// The text up to the next newline, which is passed over.
    pub(crate) fn line(&mut self) -> Result<&'a str, FormatError> {
        let end = self.rest().iter().position(|&byte| byte == b'\n').ok_or_else(|| self.fail("line without end"))?;
        let line = self.take(end)?;
        self.at += 1;
        std::str::from_utf8(line).map_err(|_| self.fail("text is not UTF-8"))
    }

    /// As many bytes as the length of `N` bytes before them says.
    pub(crate) fn sized<const N: usize>(&mut self) -> Result<&'a [u8], FormatError> {
        let length = self.length::<N>()?;
        self.take(length)
    }

    /// As much text as the length of `N` bytes before it says.
    pub(crate) fn sized_text<const N: usize>(&mut self) -> Result<&'a str, FormatError> {
        let length = self.length::<N>()?;
        self.text(length)
    }

    /// The next `count` bytes as text.
    pub(crate) fn text(&mut self, count: usize) -> Result<&'a str, FormatError> {
        std::str::from_utf8(self.take(count)?).map_err(|_| self.fail("text is not UTF-8"))
    }
}
