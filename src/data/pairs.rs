//! Pairs of images, of one person or of two, in the forms of the verification sets. See spec section 13.1 of
//! the recognition part.
//!
//! | set | form |
//! | --- | --- |
//! | LFW, `pairs.txt` | `folds pairs`; then in each fold `name i j` for pairs of one person, and as many `name i name j` for two |
//! | `AgeDB`-30 | `a.jpg b.jpg 1`, or -1 for two persons |
//! | CALFW, `pairs_CALFW.txt` | two lines a pair, `name flag`, 0 for two persons |
//! | CACD-VS | no list: images `PPPP_0` and `PPPP_1`, and the number says the rest |
//! | insightface `.bin` | a pickle of the images and a list of booleans; pair k is of images 2k and 2k+1 |

use std::path::Path;
use std::str::FromStr;

use super::fault::read_file;
use super::text::lines;
use super::{DataError, Faults, FileFaults};

/// Folds where the file does not say.
pub const FOLDS: usize = 10;

/// Two images and whether they show one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Names of the images. Of a `.bin` file: their numbers from 0.
    pub images: [String; 2],
    /// Whether they show one person.
    pub same: bool,
    /// From 0. A pair that is skipped does not move the others to another fold.
    pub fold: usize,
    /// Where the list says so, from 1: its second line where it has two. 0 of a list without lines.
    pub line: usize,
}

/// The form of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairForm {
    /// `pairs.txt`.
    Lfw,
    /// `AgeDB`-30.
    AgeDb,
    /// CALFW.
    Calfw,
    /// CACD-VS, which needs no file.
    CacdVs,
    /// `.bin` of insightface.
    #[cfg(feature = "toolkit")]
    Insightface,
}

impl FromStr for PairForm {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name.to_ascii_lowercase().as_str() {
            "lfw" => Ok(Self::Lfw),
            "agedb" => Ok(Self::AgeDb),
            "calfw" => Ok(Self::Calfw),
            "cacd-vs" => Ok(Self::CacdVs),
            #[cfg(feature = "toolkit")]
            "bin" => Ok(Self::Insightface),
            _ => Err(format!("{name:?} is none of lfw, agedb, calfw, cacd-vs, bin")),
        }
    }
}

/// The pairs in the file at `path`. Of CACD-VS no file is read.
///
/// # Errors
///
/// [`DataError`] if the file cannot be read, or for the first fault if `faults` are strict.
pub fn read(path: &Path, form: PairForm, faults: &mut Faults) -> Result<Vec<Pair>, DataError> {
    if form == PairForm::CacdVs {
        return Ok(cacd_vs());
    }
    parse(&read_file(path)?, form, &mut faults.of(path))
}

/// The pairs in `bytes`.
///
/// # Errors
///
/// [`DataError::Unusable`] if the whole file is not of this form, [`DataError::Fault`] for the first fault if
/// `faults` are strict.
pub fn parse(bytes: &[u8], form: PairForm, faults: &mut FileFaults) -> Result<Vec<Pair>, DataError> {
    match form {
        PairForm::Lfw => lfw(bytes, faults),
        PairForm::AgeDb => agedb(bytes, faults),
        PairForm::Calfw => calfw(bytes, faults),
        PairForm::CacdVs => Ok(cacd_vs()),
        #[cfg(feature = "toolkit")]
        PairForm::Insightface => insightface(bytes, faults),
    }
}

fn lfw(bytes: &[u8], faults: &mut FileFaults) -> Result<Vec<Pair>, DataError> {
    let lines = lines(bytes, faults)?;
    let Some((head, rows)) = lines.split_first() else { return Ok(vec![]) };
    let counts: Option<Vec<usize>> = head.fields().map(|field| field.parse().ok()).collect();
    let (folds, each) = match counts.as_deref() {
        Some(&[each]) if each > 0 => (1, each),
        Some(&[folds, each]) if folds > 0 && each > 0 => (folds, each),
        _ => return Err(faults.unusable(format!("does not begin with the number of folds and of pairs, but with {:?}", head.text))),
    };
    let promised = folds.checked_mul(each).and_then(|half| half.checked_mul(2));
    if promised != Some(rows.len()) {
        faults.noted(head.number, format!("{folds} fold(s) of 2 x {each} pairs promised, {} follow", rows.len()))?;
    }
    let image = |name: &str, number: &str| Some(format!("{name}/{name}_{:04}", number.parse::<u32>().ok()?));
    let mut pairs = Vec::with_capacity(rows.len());
    for (place, line) in rows.iter().enumerate() {
        let fields: Vec<&str> = line.fields().collect();
        let images = match fields[..] {
            [name, first, second] => image(name, first).zip(image(name, second)),
            [name, first, other, second] => image(name, first).zip(image(other, second)),
            _ => None,
        };
        let (same, in_fold) = (fields.len() == 3, place % each.saturating_mul(2));
        match images {
            Some((first, second)) => {
                pairs.push(Pair {
                    images: [first, second],
                    same,
                    fold: (place / each.saturating_mul(2)).min(folds - 1),
                    line: line.number,
                });
            }
            None => faults.skipped(line.number, format!("{:?} is neither `name i j` nor `name i name j`: pair skipped", line.text))?,
        }
        if same != (in_fold < each) {
            let kind = if in_fold < each { "one person" } else { "two persons" };
            faults.noted(line.number, format!("a pair of {kind} is expected here: used as it is"))?;
        }
    }
    Ok(pairs)
}

fn agedb(bytes: &[u8], faults: &mut FileFaults) -> Result<Vec<Pair>, DataError> {
    let lines = lines(bytes, faults)?;
    let mut pairs = Vec::with_capacity(lines.len());
    for (place, line) in lines.iter().enumerate() {
        let fields: Vec<&str> = line.fields().collect();
        let same = match fields[..] {
            [_, _, "1"] => true,
            [_, _, "-1" | "0"] => false,
            _ => {
                faults.skipped(line.number, format!("{:?} is not two images and 1 or -1: pair skipped", line.text))?;
                continue;
            }
        };
        pairs.push(Pair { images: [fields[0].into(), fields[1].into()], same, fold: fold_of(place, lines.len()), line: line.number });
    }
    uneven(lines.len(), faults)?;
    Ok(pairs)
}

/// All pairs of one person stand first, so each kind is dealt to the folds by itself.
fn calfw(bytes: &[u8], faults: &mut FileFaults) -> Result<Vec<Pair>, DataError> {
    let lines = lines(bytes, faults)?;
    let mut found = Vec::with_capacity(lines.len() / 2);
    for two in lines.chunks(2) {
        let halves: Vec<Option<(&str, bool)>> = two
            .iter()
            .map(|line| {
                line.text.rsplit_once(char::is_whitespace).and_then(|(name, flag)| Some((name.trim_end(), flag.parse::<u32>().ok()? != 0)))
            })
            .collect();
        match halves[..] {
            [Some((first, same)), Some((second, also))] if same == also => found.push(([first, second], same, two[1].number)),
            [Some(_), Some(_)] => faults.skipped(two[1].number, "a flag unlike that of the line before, its partner: pair skipped")?,
            [_] => faults.skipped(two[0].number, "an image without a partner: skipped")?,
            _ => faults.skipped(two[0].number, "this line or the next is not an image and a flag: pair skipped")?,
        }
    }
    let all = [false, true].map(|kind| found.iter().filter(|(_, same, _)| *same == kind).count());
    let mut next = [0; 2];
    let deal = |([first, second], same, line): ([&str; 2], bool, usize)| {
        let place = &mut next[usize::from(same)];
        *place += 1;
        Pair { images: [first.into(), second.into()], same, fold: fold_of(*place - 1, all[usize::from(same)]), line }
    };
    let pairs = found.into_iter().map(deal).collect();
    uneven(all[0], faults)?;
    uneven(all[1], faults)?;
    Ok(pairs)
}

/// The 4,000 pairs of CACD-VS: in each of ten folds 200 of one person, then 200 of two.
pub fn cacd_vs() -> Vec<Pair> {
    let pair = |number: usize| Pair {
        images: [0, 1].map(|half| format!("{number:04}_{half}")),
        same: number % 400 < 200,
        fold: number / 400,
        line: 0,
    };
    (0..4000).map(pair).collect()
}

#[cfg(feature = "toolkit")]
fn insightface(bytes: &[u8], faults: &mut FileFaults) -> Result<Vec<Pair>, DataError> {
    use crate::formats::pickle::{Pickle, PickleValue};
    let pickle = Pickle::of(bytes).map_err(|error| faults.unusable(format!("cannot be read: {error}")))?;
    let lists = match pickle.root() {
        PickleValue::Tuple(members) | PickleValue::List(members) => match members[..] {
            [images, same] => Some([images, same].map(|id| pickle.get(id))),
            _ => None,
        },
        _ => None,
    };
    let Some([PickleValue::List(images), PickleValue::List(labels)]) = lists else {
        return Err(faults.unusable("is not a pickle of two lists, of images and of labels"));
    };
    if images.len() != 2 * labels.len() {
        return Err(faults.unusable(format!("has {} images for {} pairs", images.len(), labels.len())));
    }
    let mut pairs = Vec::with_capacity(labels.len());
    for (place, &label) in labels.iter().enumerate() {
        let same = match pickle.get(label) {
            PickleValue::Bool(same) => *same,
            PickleValue::Int(same @ (0 | 1)) => *same == 1,
            _ => {
                faults.skipped(0, format!("label {place} is not true or false: pair skipped"))?;
                continue;
            }
        };
        let images = [2 * place, 2 * place + 1].map(|image| image.to_string());
        pairs.push(Pair { images, same, fold: fold_of(place, labels.len()), line: 0 });
    }
    uneven(labels.len(), faults)?;
    Ok(pairs)
}

/// The fold of the pair at `place` of `count`, in contiguous blocks.
fn fold_of(place: usize, count: usize) -> usize {
    place * FOLDS / count.max(1)
}

fn uneven(count: usize, faults: &mut FileFaults) -> Result<(), DataError> {
    if count.is_multiple_of(FOLDS) { Ok(()) } else { faults.noted(0, format!("has {count} pairs, which do not make {FOLDS} equal folds")) }
}
