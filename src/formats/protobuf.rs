//! Fields of a protobuf message, one after the other.

use super::bytes::{Cursor, FormatError};

/// Value of a field, by how it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Field<'a> {
    /// An integer.
    Varint(u64),
    /// Eight bytes.
    Fixed64([u8; 8]),
    /// Text, bytes, a message or packed numbers.
    Bytes(&'a [u8]),
    /// Four bytes.
    Fixed32([u8; 4]),
}

/// The next field of the message in `cursor` with its number, or `None` at the end.
pub(crate) fn next<'a>(cursor: &mut Cursor<'a>) -> Result<Option<(u64, Field<'a>)>, FormatError> {
    if cursor.rest().is_empty() {
        return Ok(None);
    }
    let tag = varint(cursor)?;
    let field = match tag & 7 {
        0 => Field::Varint(varint(cursor)?),
        1 => Field::Fixed64(cursor.array()?),
        2 => {
            let length = usize::try_from(varint(cursor)?).map_err(|_| cursor.fail("length beyond memory"))?;
            Field::Bytes(cursor.take(length)?)
        }
        5 => Field::Fixed32(cursor.array()?),
        kind => return Err(cursor.fail(format!("field of wire type {kind}"))),
    };
    if tag >> 3 == 0 {
        return Err(cursor.fail("field of number 0"));
    }
    Ok(Some((tag >> 3, field)))
}

/// The next integer of variable length.
pub(crate) fn varint(cursor: &mut Cursor<'_>) -> Result<u64, FormatError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = cursor.byte()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(cursor.fail("integer of more than ten bytes"))
}
