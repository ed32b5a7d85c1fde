//! Where a JPEG file ends, and whether that is where its image does.

/// Whether an end marker follows the image's data. The decoder makes what is missing grey, and no faces there
/// would not mean none.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    segments(bytes).1
}

/// `bytes` with an end marker behind them; half of one that is there already is taken away.
pub(super) fn ended(bytes: &[u8]) -> Vec<u8> {
    let end = bytes.iter().rposition(|&byte| byte != 0xff).map_or(0, |at| at + 1);
    [&bytes[..end], &[0xff, 0xd9]].concat()
}

/// Whether nothing but the end marker is missing of `bytes`, which have none: then whatever follows the data
/// makes no difference. What lacks more is made up by the decoder of what follows.
///
/// Of a file with restart markers that is not so, as what follows can only fill the interval that is cut;
/// there all intervals must have begun.
pub(super) fn lacks_its_end_alone<T: PartialEq>(bytes: &[u8], decode: impl Fn(&[u8]) -> Option<T>) -> bool {
    if !has_all_intervals(bytes) {
        return false;
    }
    let ended = ended(bytes);
    let data = &ended[..ended.len() - 2];
    let followed = |filler: &[u8]| decode(&[data, &filler.repeat(2048), &[0xff, 0xd9]].concat());
    let Some(plain) = decode(&ended) else { return false };
    [&[0x00][..], &[0x55]].iter().all(|filler| followed(filler).as_ref() == Some(&plain))
}

/// A marker with what follows it up to the next: the segment and, of a scan, its data.
struct Segment<'a> {
    marker: u8,
    body: &'a [u8],
    /// Entropy-coded data of a scan.
    data: &'a [u8],
}

/// The segments of a file, and whether an end marker closes them.
fn segments(bytes: &[u8]) -> (Vec<Segment<'_>>, bool) {
    let mut found: Vec<Segment> = Vec::new();
    let mut rest = bytes;
    loop {
        // Within compressed data, 0xff is followed by 0 or a restart marker; before a marker it may be
        // repeated.
        let marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 1 | 0xd0..=0xd8 | 0xff);
        let at = rest.windows(2).position(marker);
        if let Some(last) = found.last_mut() {
            last.data = &rest[..at.unwrap_or(rest.len())];
        }
        let Some(at) = at else { return (found, false) };
        if rest[at + 1] == 0xd9 {
            return (found, true);
        }
        // Every other marker begins a segment that tells its length; an end marker inside it, as of a
        // thumbnail, is not ours.
        let Some(&[high, low]) = rest.get(at + 2..at + 4) else { return (found, false) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(after) = rest.get(at + 2 + length..) else { return (found, false) };
        found.push(Segment { marker: rest[at + 1], body: rest.get(at + 4..at + 2 + length).unwrap_or_default(), data: &[] });
        rest = after;
    }
}

/// Whether the last scan of `bytes` has as many restart markers as it should; true of a file without.
fn has_all_intervals(bytes: &[u8]) -> bool {
    let (segments, _) = segments(bytes);
    let body = |wanted: fn(u8) -> bool| segments.iter().rev().find(|segment| wanted(segment.marker)).map(|segment| segment.body);
    let Some(scan) = segments.last().filter(|segment| segment.marker == 0xda) else { return false };
    let interval = match body(|marker| marker == 0xdd) {
        Some(&[high, low, ..]) => usize::from(u16::from_be_bytes([high, low])),
        _ => 0,
    };
    let Some(frame) = body(|marker| matches!(marker, 0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf)) else { return false };
    if interval == 0 {
        return true;
    }
    let Some(units) = units(frame, scan.body) else { return false };
    let restarts = scan.data.windows(2).filter(|pair| pair[0] == 0xff && (0xd0..=0xd7).contains(&pair[1])).count();
    restarts + 1 >= units.div_ceil(interval)
}

/// How many coded units the scan has: of several components blocks of all of them, of a single one its own.
fn units(frame: &[u8], scan: &[u8]) -> Option<usize> {
    let &[_, h1, h0, w1, w0, _, ref components @ ..] = frame else { return None };
    let [height, width] = [[h1, h0], [w1, w0]].map(|side| usize::from(u16::from_be_bytes(side)));
    let factors = |sampling: u8| [usize::from(sampling >> 4), usize::from(sampling & 15)];
    let components: Vec<(u8, [usize; 2])> = components.as_chunks::<3>().0.iter().map(|c| (c[0], factors(c[1]))).collect();
    let most = |axis: usize| components.iter().map(|(_, factors)| factors[axis]).max().filter(|&most| most > 0);
    let (across, down) = (most(0)?, most(1)?);
    let &[count, id, ..] = scan else { return None };
    if count > 1 {
        return Some(width.div_ceil(8 * across) * height.div_ceil(8 * down));
    }
    let (_, [h, v]) = components.iter().find(|(own, _)| *own == id)?;
    Some((width * h).div_ceil(across).div_ceil(8) * (height * v).div_ceil(down).div_ceil(8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jpeg_is_whole_up_to_its_own_end_marker() {
        let start = [0xff, 0xd8, 0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9]; // a segment with a "thumbnail"
        let scan = [0xff, 0xda, 0, 3, 1, 0x55, 0xff, 0, 0xff, 0xd0, 0x66];
        let whole = [&start[..], &scan, &[0xff, 0xff, 0xd9]].concat();
        assert!(is_whole(&whole));
        assert!(is_whole(&[&whole[..], b"more"].concat()));
        for len in 0..whole.len() {
            assert!(!is_whole(&whole[..len]), "cut to {len}");
        }
    }

    #[test]
    fn intervals_are_counted_by_units_of_the_scan() {
        // 33 x 17 px, luma sampled 2 x 2: 3 x 2 units of three components; of luma alone 5 x 3 blocks, of
        // chroma 3 x 2.
        let frame = [8, 0, 17, 0, 33, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1];
        assert_eq!(units(&frame, &[3, 1, 0, 2, 0, 3, 0, 0, 63, 0]), Some(6));
        assert_eq!(units(&frame, &[1, 1, 0, 0, 63, 0]), Some(15));
        assert_eq!(units(&frame, &[1, 3, 0, 0, 63, 0]), Some(6));
        assert_eq!(units(&frame[..4], &[1, 3]), None);
        assert_eq!(units(&[8, 0, 17, 0, 33, 1, 1, 0x00, 0], &[1, 1]), None);
    }
}
