use std::fs;
use std::io::Read as _;

use super::*;

/// A file of its own, which goes with the test.
struct ShardFile(PathBuf);

impl ShardFile {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("mtcmcn-shard-{}-{name}", std::process::id())))
    }
}

impl Drop for ShardFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn record(i: u32) -> CropRecord {
    let targets = Targets { values: std::array::from_fn(|k| i as f32 + k as f32 / 16.0), tasks: [0, 2, 4, 6][i as usize % 4] };
    CropRecord {
        targets,
        image: i / 3,
        sample: SampleKind::ALL[i as usize % 4],
        teacher: [None, Some(-8.0), Some(0.0), Some(8.0)][i as usize % 4],
        part: DataPart::ALL[i as usize % 3],
    }
}

fn pixels(i: u32, side: u32) -> Vec<u8> {
    (0..side * side * 3).map(|k| (i * 31 + k * 7) as u8).collect()
}

fn write(path: &Path, count: u32, side: u32) {
    files::write_with(path, |file| {
        let mut writer = ShardWriter::new(file, side)?;
        // In unequal portions.
        let mut first = 0;
        while first < count {
            let some = (first..count.min(first + 1 + first % 5)).collect::<Vec<u32>>();
            let rgb: Vec<u8> = some.iter().flat_map(|&i| pixels(i, side)).collect();
            writer.add(&rgb, &some.iter().map(|&i| record(i)).collect::<Vec<_>>())?;
            first += some.len() as u32;
        }
        writer.finish("{\"seed\": 1}")
    })
    .unwrap();
}

#[test]
fn what_was_written_is_read_again() {
    let scratch = ShardFile::new("again");
    // More than two blocks under checksums, and none at all.
    for (count, side) in [(400, 48), (7, 12), (1, 24), (0, 12)] {
        write(&scratch.0, count, side);
        let shard = Shard::open(&scratch.0).unwrap();
        assert_eq!((shard.side(), shard.records().len(), shard.notes()), (side, count as usize, "{\"seed\": 1}"));
        for i in 0..count {
            assert_eq!(shard.records()[i as usize], record(i));
            assert_eq!(shard.pixels(i as usize), pixels(i, side));
        }
    }
}

#[test]
fn equal_crops_have_equal_hashes_and_others_have_not() {
    let (one, other) = (ShardFile::new("one"), ShardFile::new("other"));
    write(&one.0, 20, 12);
    write(&other.0, 20, 12);
    let hash = |scratch: &ShardFile| Shard::open(&scratch.0).unwrap().hash().to_owned();
    assert_eq!(hash(&one), hash(&other));
    assert_eq!(hash(&one).len(), 64);
    write(&other.0, 21, 12);
    assert_ne!(hash(&one), hash(&other));
}

/// Every byte counts: of a small file each is flipped, of a larger one some in every part.
#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let scratch = ShardFile::new("flipped");
    for (count, side, step) in [(3, 12, 1), (160, 48, 13_337)] {
        write(&scratch.0, count, side);
        let whole = fs::read(&scratch.0).unwrap();
        for at in (0..whole.len()).step_by(step) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&scratch.0, &bytes).unwrap();
            let error = Shard::open(&scratch.0).expect_err(&format!("bit {} of byte {at}", at % 8)).to_string();
            assert!(error.contains("mtcmcn-shard") && error.contains("again") || error.contains("prepare"), "{error}");
        }
    }
}

#[test]
fn a_truncated_file_is_refused_as_such() {
    let scratch = ShardFile::new("truncated");
    write(&scratch.0, 5, 12);
    let whole = fs::read(&scratch.0).unwrap();
    for length in (1..whole.len()).rev() {
        fs::write(&scratch.0, &whole[..length]).unwrap();
        let error = Shard::open(&scratch.0).expect_err(&format!("{length} bytes"));
        assert!(matches!(error, ShardError::Truncated { bytes, .. } if bytes == length as u64), "{length}: {error}");
    }
    for (bytes, what) in [(&b""[..], "begin"), (b"{}", "begin"), (b"mtcmcn tax return", "begin")] {
        fs::write(&scratch.0, bytes).unwrap();
        let error = Shard::open(&scratch.0).unwrap_err();
        assert!(matches!(error, ShardError::Foreign { .. }) && error.to_string().contains(what), "{error}");
    }
    fs::remove_file(&scratch.0).unwrap();
    assert!(matches!(Shard::open(&scratch.0), Err(ShardError::Read { .. })));
    assert!(matches!(Shard::open(&std::env::temp_dir()), Err(ShardError::Read { .. })));
}

#[test]
fn another_form_and_impossible_lengths_are_named() {
    let scratch = ShardFile::new("form");
    write(&scratch.0, 5, 12);
    let whole = fs::read(&scratch.0).unwrap();
    let mut bytes = whole.clone();
    bytes[16] = FORM as u8 + 1;
    fs::write(&scratch.0, &bytes).unwrap();
    assert!(matches!(Shard::open(&scratch.0), Err(ShardError::Version { form, .. }) if form == FORM + 1));
    // A foot that claims more crops than memory holds, under a checksum that fits.
    for count in [6, u64::MAX, u64::MAX / 432] {
        let (mut bytes, foot) = (whole.clone(), whole.len() - LINE);
        bytes[foot + 16..foot + 24].copy_from_slice(&count.to_le_bytes());
        let sum = crc32c::crc32c(&bytes[foot..foot + 40]).to_le_bytes();
        bytes[foot + 40..foot + 44].copy_from_slice(&sum);
        fs::write(&scratch.0, &bytes).unwrap();
        assert!(matches!(Shard::open(&scratch.0), Err(ShardError::Damaged { .. })), "{count}");
    }
}

/// Whoever dies while writing leaves what was there before.
#[test]
fn an_unfinished_file_is_never_seen() {
    let scratch = ShardFile::new("unfinished");
    write(&scratch.0, 5, 12);
    let hash = Shard::open(&scratch.0).unwrap().hash().to_owned();
    let died = files::write_with(&scratch.0, |file| {
        let mut writer = ShardWriter::new(file, 12)?;
        writer.add(&pixels(1, 12), &[record(1)])?;
        writer.file.flush()?;
        assert_eq!(Shard::open(&scratch.0).unwrap().hash(), hash);
        Err(io::Error::other("killed"))
    });
    assert_eq!(died.unwrap_err().to_string(), "killed");
    assert_eq!(Shard::open(&scratch.0).unwrap().hash(), hash);
    // A map outlives the file that it was made of.
    let old = Shard::open(&scratch.0).unwrap();
    write(&scratch.0, 9, 12);
    assert_eq!((old.records().len(), old.pixels(4)), (5, &pixels(4, 12)[..]));
    let mut head = [0; 16];
    File::open(&scratch.0).unwrap().read_exact(&mut head).unwrap();
    assert_eq!(&head, HEAD);
}

#[test]
fn leftovers_of_one_file_go_and_those_of_others_stay() {
    let folder = std::env::temp_dir().join(format!("mtcmcn-leftovers-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let names = [".a.shard.12.3.tmp", ".b.shard.12.3.tmp", ".a.shard.x.tmp", "a.shard", ".a.shard.9.0.tmp"];
    names.iter().for_each(|name| fs::write(folder.join(name), b"").unwrap());
    files::remove_leftovers(&folder.join("a.shard")).unwrap();
    let left = names.map(|name| folder.join(name).exists());
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(left, [false, true, true, true, false]);
}
