//! TensorBoard's event file: TFRecords (length, data, and a masked CRC-32C of each) that contain `Event`
//! messages in protocol buffers.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{MetricsError, cut};

/// Prefix by which TensorBoard recognises event files.
const PREFIX: &str = "events.out.tfevents.";

/// Upper limit of the length of our records.
const MAX_RECORD: u64 = 1 << 20;

/// An event file, opened for writing.
#[derive(Debug)]
pub struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// Opens or creates the event file in `folder`; records after `step` and truncated records are removed.
    pub fn open(folder: &Path, step: u64) -> Result<Self, MetricsError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let path = present(folder).unwrap_or_else(|| folder.join(format!("{PREFIX}{}.mtcmcn", now.as_secs())));
        let failed = |source| MetricsError::File { verb: "write", path: path.clone(), source };
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        let end = end_of_records(&mut BufReader::new(&file), step).map_err(failed)?;
        cut(&mut file, end).map_err(failed)?;
        if end == 0 {
            let version = text(3, b"brain.Event:2");
            file.write_all(&record(&event(0, &version))).map_err(failed)?;
        }
        Ok(Self { path, file })
    }

    /// Appends one event with all `scalars`.
    pub fn write(&mut self, step: u64, scalars: impl Iterator<Item = (String, f64)>) -> Result<(), MetricsError> {
        let values = scalars.flat_map(|(name, value)| {
            let mut message = text(1, name.as_bytes());
            message.push(2 << 3 | 5);
            message.extend((value as f32).to_le_bytes());
            text(1, &message)
        });
        let summary = text(5, &values.collect::<Vec<u8>>());
        self.file.write_all(&record(&event(step, &summary))).map_err(|source| self.failed(source))
    }

    /// Flushes the file to disk.
    pub fn sync(&mut self) -> Result<(), MetricsError> {
        self.file.sync_data().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> MetricsError {
        MetricsError::File { verb: "write", path: self.path.clone(), source }
    }
}

/// Returns the path of the existing event file, if any.
fn present(folder: &Path) -> Option<PathBuf> {
    let mut names: Vec<PathBuf> = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    names.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX)));
    names.sort();
    names.pop()
}

/// Encodes `Event { double wall_time = 1; int64 step = 2; ... }`, in this order, which [`step_of`] relies on.
fn event(step: u64, what: &[u8]) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let mut event = vec![1 << 3 | 1];
    event.extend(now.to_le_bytes());
    event.push(2 << 3);
    varint(&mut event, step);
    event.extend(what);
    event
}

/// Encodes a length-delimited field: bytes, text or a message.
fn text(field: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![field << 3 | 2];
    varint(&mut out, bytes.len() as u64);
    out.extend(bytes);
    out
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Decodes the step of an [`event`].
fn step_of(event: &[u8]) -> Option<u64> {
    let (0x10, bytes) = event.get(9..)?.split_first()? else { return None };
    let mut step = 0;
    for (i, byte) in bytes.iter().take(10).enumerate() {
        step |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some(step);
        }
    }
    None
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = Vec::with_capacity(data.len() + 16);
    out.extend(length);
    out.extend(masked(&length).to_le_bytes());
    out.extend(data);
    out.extend(masked(data).to_le_bytes());
    out
}

/// Computes the checksum of TFRecords, a CRC that is masked so that data may contain CRCs.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Returns the end of the whole records up to `step`.
fn end_of_records(reader: &mut impl Read, step: u64) -> io::Result<u64> {
    let mut end = 0;
    while let Some(data) = next_record(reader)? {
        if step_of(&data).is_none_or(|found| found > step) {
            break;
        }
        end += data.len() as u64 + 16;
    }
    Ok(end)
}

/// Reads the next record; `None` at the end, or where the file is truncated or damaged.
fn next_record(reader: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    reader.by_ref().take(12).read_to_end(&mut head)?;
    let (Some(length), Some(sum)) = (head.first_chunk::<8>(), head.last_chunk::<4>()) else { return Ok(None) };
    let data_length = u64::from_le_bytes(*length);
    if head.len() < 12 || masked(length) != u32::from_le_bytes(*sum) || data_length > MAX_RECORD {
        return Ok(None);
    }
    let mut data = Vec::new();
    reader.by_ref().take(data_length + 4).read_to_end(&mut data)?;
    let Some((data, sum)) = data.split_last_chunk::<4>() else { return Ok(None) };
    let whole = data.len() as u64 == data_length && masked(data) == u32::from_le_bytes(*sum);
    Ok(whole.then(|| data.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_tfrecords() {
        // CRC-32C of 32 zero bytes is 0x8a9136aa (RFC 3720, B.4).
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(masked(&[0; 32]), 0x8a91_36aa_u32.rotate_right(15).wrapping_add(0xa282_ead8));
    }

    #[test]
    fn steps_of_any_size_are_read_back() {
        for step in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX >> 1] {
            assert_eq!(step_of(&event(step, &text(3, b"x"))), Some(step));
        }
        assert_eq!(step_of(b"short"), None);
        assert_eq!(step_of(&[0x80; 40]), None);
    }

    #[test]
    fn damage_ends_the_records_before_it() {
        let records: Vec<Vec<u8>> = (1..=3).map(|step| record(&event(step, &text(3, b"x")))).collect();
        let whole = records.concat();
        let end = |bytes: &[u8], step| end_of_records(&mut &bytes[..], step).unwrap();
        assert_eq!(end(&whole, 9), whole.len() as u64);
        assert_eq!(end(&whole, 2), (records[0].len() + records[1].len()) as u64);
        for cut in 0..whole.len() {
            let (_, want) =
                records.iter().fold((0, 0), |(at, want), r| (at + r.len(), if at + r.len() <= cut { at + r.len() } else { want }));
            assert_eq!(end(&whole[..cut], 9), want as u64, "cut at {cut}");
        }
        for at in 0..records[0].len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert_eq!(end(&damaged, 9), 0, "damaged at {at}");
        }
    }
}
