//! File format of crops: packed, read through a memory map, with every byte covered by a checksum.
//!
//! | part | bytes |
//! | --- | --- |
//! | head | 64: `mtcmcn crops\n`, three bytes 0; form and side of a crop, u32 each; zeros |
//! | pixels | `count * side * side * 3`: rows of R, G, B; then zeros up to a multiple of 64 |
//! | records | `count * 64`: [`CropRecord`] |
//! | notes | JSON for people: settings, sources, counts |
//! | sums | CRC-32C of each MiB of head, pixels and records |
//! | foot | 64: `mtcmcn crops end`; count, length of the notes, u64 each; CRC-32C of the notes, of the sums, of the foot before it, u32 each; zeros |
//!
//! Numbers are little-endian. The foot comes last, so that a truncated file has none.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::pool::DataPart;
use super::window::{SampleKind, Targets};
use crate::files;

const HEAD: &[u8; 16] = b"mtcmcn crops\n\0\0\0";
const FOOT: &[u8; 16] = b"mtcmcn crops end";
/// Version of the format that this program writes and reads.
const FORM: u32 = 2;
/// Bytes of head, foot and record; pixels are padded to a multiple of it.
const LINE: usize = 64;
/// Number of steps per unit of a teacher's logit: 127 for 8.
const STEPS: f32 = 127.0 / 8.0;
/// Number of bytes covered by one checksum.
const BLOCK: usize = 1 << 20;

/// Record of a crop: everything except its pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CropRecord {
    /// Target outputs of the net.
    pub targets: Targets,
    /// Number of the image that the crop was cut from.
    pub image: u32,
    /// Kind of sample.
    pub sample: SampleKind,
    /// Face logit minus background logit of a teacher, between -8 and 8 in steps of 0.063; `None` without
    /// teacher.
    pub teacher: Option<f32>,
    /// Part that the image belongs to.
    pub part: DataPart,
}

impl CropRecord {
    fn to_bytes(self) -> [u8; LINE] {
        let mut bytes = [0; LINE];
        for (slot, value) in bytes.chunks_exact_mut(4).zip(self.targets.values) {
            slot.copy_from_slice(&value.to_le_bytes());
        }
        bytes[56..60].copy_from_slice(&self.image.to_le_bytes());
        let teacher = self.teacher.map_or(0, |logit| (128.0 + logit.clamp(-8.0, 8.0) * STEPS).round() as u8);
        bytes[60..].copy_from_slice(&[self.sample as u8, self.part as u8, self.targets.tasks, teacher]);
        bytes
    }

    /// Decodes a record; `None` if the bytes are not a valid record.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| bytes.get(4 * at..4 * at + 4)?.try_into().ok();
        let mut values = [0.0; 14];
        for (at, value) in values.iter_mut().enumerate() {
            *value = f32::from_le_bytes(word(at)?);
        }
        let &[sample, part, tasks, teacher] = bytes.get(60..64)? else { return None };
        let fits = values.iter().all(|value| value.is_finite()) && tasks & !6 == 0;
        fits.then_some(Self {
            targets: Targets { values, tasks },
            image: u32::from_le_bytes(word(14)?),
            sample: *SampleKind::ALL.get(usize::from(sample))?,
            teacher: (teacher > 0).then(|| (f32::from(teacher) - 128.0) / STEPS),
            part: *DataPart::ALL.get(usize::from(part))?,
        })
    }
}

/// Error for a file of crops that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// The file cannot be read.
    #[error("cannot read the crops in {path:?}; check that the file is there and that you may read it")]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The file cannot be written; an existing file is unchanged.
    #[error("cannot write crops to {path:?}; check the directory, your rights and the free space")]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The file is not a file of crops.
    #[error("{path:?} does not begin like a file of crops; `mtcmcn train prepare` makes them")]
    Foreign {
        /// Path of the file.
        path: PathBuf,
    },
    /// The file was written by another version of this program.
    #[error("{path:?} holds crops of form {form}, this program reads form {FORM}; prepare them again")]
    Version {
        /// Path of the file.
        path: PathBuf,
        /// Format version of the file.
        form: u32,
    },
    /// The end of the file is missing.
    #[error("{path:?} is cut off: the {bytes} bytes that are there do not end like a file of crops; copy or prepare it again")]
    Truncated {
        /// Path of the file.
        path: PathBuf,
        /// Length of the file, bytes.
        bytes: u64,
    },
    /// The contents differ from what was written.
    #[error("{path:?} is damaged: {what} differs from what was written; copy or prepare it again")]
    Damaged {
        /// Path of the file.
        path: PathBuf,
        /// Part of the file that is damaged.
        what: String,
    },
}

/// Writes a file of crops from beginning to end.
pub struct ShardWriter<'a> {
    file: BufWriter<&'a mut File>,
    side: u32,
    sum: u32,
    in_block: usize,
    sums: Vec<u8>,
    pixels: u64,
    records: Vec<u8>,
}

impl<'a> ShardWriter<'a> {
    /// Begins a file of crops of `side` pixels in `file`.
    ///
    /// # Errors
    ///
    /// The error of the operating system, as for all other methods.
    pub fn new(file: &'a mut File, side: u32) -> io::Result<Self> {
        let file = BufWriter::with_capacity(BLOCK, file);
        let mut writer = Self { file, side, sum: 0, in_block: 0, sums: Vec::new(), pixels: 0, records: Vec::new() };
        let mut head = [0; LINE];
        head[..16].copy_from_slice(HEAD);
        head[16..20].copy_from_slice(&FORM.to_le_bytes());
        head[20..24].copy_from_slice(&side.to_le_bytes());
        writer.summed(&head)?;
        Ok(writer)
    }

    /// Writes `bytes` and updates the checksums.
    fn summed(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(BLOCK - self.in_block));
            self.sum = crc32c::crc32c_append(self.sum, now);
            self.in_block += now.len();
            bytes = rest;
            if self.in_block == BLOCK {
                self.close_block();
            }
        }
        Ok(())
    }

    fn close_block(&mut self) {
        if self.in_block > 0 {
            self.sums.extend(self.sum.to_le_bytes());
            (self.sum, self.in_block) = (0, 0);
        }
    }

    /// Adds crops: their pixels one after the other, and one record each.
    ///
    /// # Errors
    ///
    /// The error of the operating system.
    pub fn add(&mut self, rgb: &[u8], records: &[CropRecord]) -> io::Result<()> {
        debug_assert_eq!(rgb.len(), records.len() * (self.side * self.side * 3) as usize);
        self.pixels += rgb.len() as u64;
        records.iter().for_each(|record| self.records.extend(record.to_bytes()));
        self.summed(rgb)
    }

    /// Completes the file with `notes`, which are JSON.
    ///
    /// # Errors
    ///
    /// The error of the operating system.
    pub fn finish(mut self, notes: &str) -> io::Result<()> {
        let rest = self.pixels.next_multiple_of(LINE as u64) - self.pixels;
        self.summed(&vec![0; rest as usize])?;
        let records = std::mem::take(&mut self.records);
        self.summed(&records)?;
        self.close_block();
        let mut foot = Vec::with_capacity(LINE);
        foot.extend(FOOT);
        foot.extend((records.len() as u64 / LINE as u64).to_le_bytes());
        foot.extend((notes.len() as u64).to_le_bytes());
        foot.extend(crc32c::crc32c(notes.as_bytes()).to_le_bytes());
        foot.extend(crc32c::crc32c(&self.sums).to_le_bytes());
        foot.extend(crc32c::crc32c(&foot).to_le_bytes());
        foot.resize(LINE, 0);
        [notes.as_bytes(), &self.sums, &foot].into_iter().try_for_each(|part| self.file.write_all(part))?;
        self.file.flush()
    }
}

/// An opened file of crops.
#[derive(Debug)]
pub struct Shard {
    map: Mmap,
    side: u32,
    records: Vec<CropRecord>,
    notes: String,
    hash: String,
}

impl Shard {
    /// Opens the file at `path` and verifies every checksum.
    ///
    /// # Errors
    ///
    /// [`ShardError`], which describes the fault.
    pub fn open(path: &Path) -> Result<Self, ShardError> {
        let map = files::map(path).map_err(|source| ShardError::Read { path: path.into(), source })?;
        let layout = ShardLayout::of(&map, path)?;
        let damaged = |what: String| ShardError::Damaged { path: path.into(), what };
        let (content, sums) = (&map[..layout.notes], &map[layout.sums..layout.foot]);
        let wrong =
            content.par_chunks(BLOCK).zip(sums.par_chunks(4)).position_first(|(block, sum)| crc32c::crc32c(block).to_le_bytes() != *sum);
        if let Some(wrong) = wrong {
            let (first, last) = (wrong * BLOCK, content.len().min((wrong + 1) * BLOCK) - 1);
            return Err(damaged(format!("something among bytes {first} to {last}")));
        }
        let records =
            map[layout.records..layout.notes].par_chunks_exact(LINE).map(CropRecord::from_bytes).collect::<Option<Vec<CropRecord>>>();
        let records = records.ok_or_else(|| damaged("a record".into()))?;
        let notes = String::from_utf8_lossy(&map[layout.notes..layout.sums]).into_owned();
        let hash = files::hex(&Sha256::digest(sums));
        Ok(Self { side: layout.side, records, notes, hash, map })
    }

    /// Returns the side of a crop, px.
    pub fn side(&self) -> u32 {
        self.side
    }

    /// Returns the record of each crop, in order.
    pub fn records(&self) -> &[CropRecord] {
        &self.records
    }

    /// Returns the rows of R, G, B of the crop at `index`.
    ///
    /// # Panics
    ///
    /// If `index` is out of range.
    pub fn pixels(&self, index: usize) -> &[u8] {
        let item = (self.side * self.side * 3) as usize;
        &self.map[LINE + index * item..][..item]
    }

    /// Returns the notes, JSON for people: settings, sources, counts.
    pub fn notes(&self) -> &str {
        &self.notes
    }

    /// Returns the SHA-256 of the checksums of all crops: equal crops have equal hashes, wherever they were
    /// cut.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// Offsets of the parts of a file.
struct ShardLayout {
    side: u32,
    records: usize,
    notes: usize,
    sums: usize,
    foot: usize,
}

impl ShardLayout {
    /// Reads the offsets from head and foot and checks them against the length.
    fn of(bytes: &[u8], path: &Path) -> Result<Self, ShardError> {
        if bytes.len() < LINE || bytes[..16] != *HEAD {
            // A file that is shorter than the head but begins like it is probably a truncated file of crops.
            let ours = !bytes.is_empty() && bytes.len() < LINE && HEAD.starts_with(&bytes[..bytes.len().min(16)]);
            let (path, bytes) = (path.to_owned(), bytes.len() as u64);
            return Err(if ours { ShardError::Truncated { path, bytes } } else { ShardError::Foreign { path } });
        }
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let (form, side) = (u32_at(16), u32_at(20));
        if form != FORM {
            return Err(ShardError::Version { path: path.into(), form });
        }
        let cut_off = || ShardError::Truncated { path: path.into(), bytes: bytes.len() as u64 };
        let foot = bytes.len() - LINE;
        if foot < LINE || bytes[foot..foot + 16] != *FOOT {
            return Err(cut_off());
        }
        let damaged = |what: &str| ShardError::Damaged { path: path.into(), what: what.into() };
        if crc32c::crc32c(&bytes[foot..foot + 40]) != u32_at(foot + 40) || bytes[foot + 44..].iter().any(|&byte| byte != 0) {
            return Err(damaged("its foot"));
        }
        let (count, notes_len) = (u64_at(foot + 16), u64_at(foot + 24));
        let ends = || {
            let pixels = count.checked_mul(3)?.checked_mul(u64::from(side).pow(2))?.checked_next_multiple_of(LINE as u64)?;
            let records = pixels.checked_add(LINE as u64)?;
            let notes = records.checked_add(count.checked_mul(LINE as u64)?)?;
            let sums = notes.checked_add(notes_len)?;
            (sums.checked_add(4 * notes.div_ceil(BLOCK as u64))? == foot as u64).then_some([records, notes, sums].map(|at| at as usize))
        };
        let [records, notes, sums] = ends().ok_or_else(|| damaged("its length"))?;
        if crc32c::crc32c(&bytes[notes..sums]) != u32_at(foot + 32) {
            return Err(damaged("its notes"));
        }
        if crc32c::crc32c(&bytes[sums..foot]) != u32_at(foot + 36) {
            return Err(damaged("its list of checksums"));
        }
        Ok(Self { side, records, notes, sums, foot })
    }
}

#[cfg(test)]
mod tests;
