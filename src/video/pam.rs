//! PAM pictures: a few lines of text with the size, then the bytes.

use std::io::{self, BufRead, Read as _};

use crate::cascade::Frame;

/// Reads the next picture; returns `None` at a clean end.
///
/// # Errors
///
/// What the system says, [`io::ErrorKind::UnexpectedEof`] if the picture is cut off, and
/// [`io::ErrorKind::InvalidData`] if it is none or has more than `max_pixels`.
pub fn read(source: &mut impl BufRead, max_pixels: u64) -> io::Result<Option<Frame>> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("not a PAM picture: {what}"));
    let (mut width, mut height, mut depth) = (0u32, 0u32, 0u32);
    let mut first = true;
    loop {
        let mut line = Vec::new();
        source.take(256).read_until(b'\n', &mut line)?;
        if first && line.is_empty() {
            return Ok(None);
        }
        if line.len() < 256 && !line.ends_with(b"\n") {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = std::str::from_utf8(&line).map_err(|_| bad("its header is no text"))?;
        if std::mem::take(&mut first) {
            if line != "P7\n" {
                return Err(bad("it does not begin with P7"));
            }
            continue;
        }
        let mut words = line.split_whitespace();
        let (key, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let number = || value.parse().map_err(|_| bad("a size is no number"));
        match key {
            "WIDTH" => width = number()?,
            "HEIGHT" => height = number()?,
            "DEPTH" => depth = number()?,
            "ENDHDR" => break,
            "MAXVAL" | "TUPLTYPE" => {}
            _ => return Err(bad("its header has an unknown line")),
        }
    }
    let pixels = u64::from(width) * u64::from(height);
    if depth != 4 || pixels == 0 {
        return Err(bad("its size is out of range"));
    }
    if pixels > max_pixels {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("its frames of {width}x{height} have more than the {:.1} million pixels allowed", max_pixels as f64 / 1e6),
        ));
    }
    let mut rgba = vec![0; pixels as usize * 4];
    source.read_exact(&mut rgba)?;
    Ok(Frame::from_rgba(width, height, rgba))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pam(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = format!("P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n").into_bytes();
        bytes.extend((0..width * height * 4).map(|i| i as u8));
        bytes
    }

    #[test]
    fn pictures_of_any_size_follow_each_other() {
        let bytes = [pam(3, 2), pam(5, 7)].concat();
        let mut source = bytes.as_slice();
        let mut next = || read(&mut source, 35).expect("whole pictures").map(|frame| (frame.width(), frame.height(), frame.rgba()[5]));
        assert_eq!([next(), next(), next()], [Some((3, 2, 5)), Some((5, 7, 5)), None]);
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let whole = pam(3, 2);
        for cut in [whole.len() - 1, 20, 14] {
            assert_eq!(read(&mut &whole[..cut], 100).map_err(|error| error.kind()), Err(io::ErrorKind::UnexpectedEof), "{cut}");
        }
        assert!(read(&mut whole.as_slice(), 5).is_err_and(|error| error.to_string().contains("3x2")));
        for text in
            ["P6\n3 2\n", "P7\nWIDTH x\n", "P7\nWIDTH 3\nHEIGHT 2\nDEPTH 3\nENDHDR\n", "P7\nWIDTH 999999\nHEIGHT 999999\nDEPTH 4\nENDHDR\n"]
        {
            assert!(read(&mut text.as_bytes(), 1 << 28).is_err_and(|error| error.kind() == io::ErrorKind::InvalidData), "{text}");
        }
        let endless = vec![b'x'; 10_000];
        assert!(read(&mut endless.as_slice(), 100).is_err());
    }
}
