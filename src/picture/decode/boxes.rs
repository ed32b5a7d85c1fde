//! The boxes of a HEIF file (ISO/IEC 23008-12), as far as its picture goes: which item it is, where its data
//! are, how large it is and how it is to be turned. Every length and offset is checked.

use std::collections::HashMap;

use image::metadata::Orientation;

const CUT: &str = "damaged: a box that is cut off or points outside the file";

/// What is known of an item.
#[derive(Debug, Clone, PartialEq)]
enum Property {
    /// Columns and rows.
    Size([u32; 2]),
    /// Quarter turns against the clock.
    Turn(u8),
    /// Mirrored about a vertical (0) or horizontal (1) axis.
    Mirror(u8),
    /// Matrix coefficients, and whether all of the range is used.
    Colour(u16, bool),
    Other,
}

/// The items of a file.
#[derive(Debug)]
pub(super) struct Heif<'a> {
    bytes: &'a [u8],
    /// Data that lie within the description itself.
    inner: &'a [u8],
    primary: u32,
    kinds: HashMap<u32, [u8; 4]>,
    /// Whether within `inner`; start and length of each part.
    places: HashMap<u32, (bool, Vec<(u64, u64)>)>,
    properties: Vec<Property>,
    properties_of: HashMap<u32, Vec<usize>>,
    /// Items that an item is put together from.
    parts: HashMap<u32, Vec<u32>>,
}

/// The number of `size` bytes at `at`, most significant byte first; 0 of none.
fn number(bytes: &[u8], at: usize, size: usize) -> Result<u64, String> {
    let bytes = at.checked_add(size).and_then(|end| bytes.get(at..end)).ok_or(CUT)?;
    Ok(bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

/// The type of a box, and its contents.
type TypedBox<'a> = ([u8; 4], &'a [u8]);

/// Type and contents of the boxes in `bytes`.
fn boxes(bytes: &[u8]) -> Result<Vec<TypedBox<'_>>, String> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let kind = *bytes.get(at + 4..).and_then(|rest| rest.first_chunk()).ok_or(CUT)?;
        let (length, header) = match number(bytes, at, 4)? {
            0 => (bytes.len() - at, 8),
            1 => (usize::try_from(number(bytes, at + 8, 8)?).map_err(|_| CUT)?, 16),
            length => (length as usize, 8),
        };
        let end = at.checked_add(length).filter(|_| length >= header).ok_or(CUT)?;
        // The last box may be cut off: what matters of it is asked for by place.
        found.push((kind, bytes.get(at + header..end.min(bytes.len())).ok_or(CUT)?));
        at = end;
    }
    Ok(found)
}

/// Version and flags of a box that has them, and the rest.
fn full(body: &[u8]) -> Result<(u8, u32, &[u8]), String> {
    let head = number(body, 0, 4)? as u32;
    Ok(((head >> 24) as u8, head & 0xff_ffff, &body[4..]))
}

impl<'a> Heif<'a> {
    /// The items of the file `bytes`; or what is wrong with it.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let top = boxes(bytes)?;
        let meta = top.iter().find(|(kind, _)| kind == b"meta").ok_or("no still picture in it: a film or a sequence")?.1;
        let mut heif = Self {
            bytes,
            inner: &[],
            primary: 0,
            kinds: HashMap::new(),
            places: HashMap::new(),
            properties: Vec::new(),
            properties_of: HashMap::new(),
            parts: HashMap::new(),
        };
        for (kind, body) in boxes(full(meta)?.2)? {
            match &kind {
                b"pitm" => {
                    let (version, _, rest) = full(body)?;
                    heif.primary = number(rest, 0, if version == 0 { 2 } else { 4 })? as u32;
                }
                b"iinf" => heif.read_kinds(body)?,
                b"iloc" => heif.read_places(body)?,
                b"iprp" => heif.read_properties(body)?,
                b"iref" => heif.read_references(body)?,
                b"idat" => heif.inner = body,
                _ => {}
            }
        }
        Ok(heif)
    }

    fn read_kinds(&mut self, body: &[u8]) -> Result<(), String> {
        let (version, _, rest) = full(body)?;
        let entries = rest.get(if version == 0 { 2 } else { 4 }..).ok_or(CUT)?;
        for (_, entry) in boxes(entries)?.into_iter().filter(|(kind, _)| kind == b"infe") {
            let (version, _, rest) = full(entry)?;
            let size = if version > 2 { 4 } else { 2 };
            if version >= 2 {
                let kind = *rest.get(size + 2..).and_then(|rest| rest.first_chunk()).ok_or(CUT)?;
                self.kinds.insert(number(rest, 0, size)? as u32, kind);
            }
        }
        Ok(())
    }

    fn read_places(&mut self, body: &[u8]) -> Result<(), String> {
        let (version, _, rest) = full(body)?;
        let sizes = number(rest, 0, 2)?;
        let [offset_size, length_size, base_size, index_size] = [12, 8, 4, 0].map(|shift| (sizes >> shift & 15) as usize);
        let index_size = if version > 0 { index_size } else { 0 };
        let id_size = if version < 2 { 2 } else { 4 };
        let count = number(rest, 2, id_size)?;
        let mut at = 2 + id_size;
        let mut next = |size: usize| {
            let value = number(rest, at, size)?;
            at += size;
            Ok::<u64, String>(value)
        };
        for _ in 0..count {
            let id = next(id_size)? as u32;
            let within = version > 0 && next(2)? & 15 == 1;
            next(2)?;
            let base = next(base_size)?;
            let mut parts = Vec::new();
            for _ in 0..next(2)? {
                next(index_size)?;
                let offset = next(offset_size)?;
                parts.push((base.checked_add(offset).ok_or(CUT)?, next(length_size)?));
            }
            self.places.insert(id, (within, parts));
        }
        Ok(())
    }

    fn read_properties(&mut self, body: &[u8]) -> Result<(), String> {
        for (kind, body) in boxes(body)? {
            match &kind {
                b"ipco" => self.properties = boxes(body)?.into_iter().map(|(kind, body)| property(kind, body)).collect::<Result<_, _>>()?,
                b"ipma" => {
                    let (version, flags, rest) = full(body)?;
                    let (id_size, wide) = (if version == 0 { 2 } else { 4 }, flags & 1 == 1);
                    let mut at = 4;
                    for _ in 0..number(rest, 0, 4)? {
                        let id = number(rest, at, id_size)? as u32;
                        let count = number(rest, at + id_size, 1)?;
                        at += id_size + 1;
                        for _ in 0..count {
                            let size = if wide { 2 } else { 1 };
                            let index = number(rest, at, size)? as usize & if wide { 0x7fff } else { 0x7f };
                            at += size;
                            if index > 0 {
                                self.properties_of.entry(id).or_default().push(index - 1);
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn read_references(&mut self, body: &[u8]) -> Result<(), String> {
        let (version, _, rest) = full(body)?;
        let size = if version == 0 { 2 } else { 4 };
        for (_, body) in boxes(rest)?.into_iter().filter(|(kind, _)| kind == b"dimg") {
            let count = number(body, size, 2)? as usize;
            let parts = (0..count).map(|index| Ok(number(body, size + 2 + index * size, size)? as u32));
            self.parts.insert(number(body, 0, size)? as u32, parts.collect::<Result<_, String>>()?);
        }
        Ok(())
    }

    /// The picture's item.
    pub(super) fn primary(&self) -> u32 {
        self.primary
    }

    /// What kind of item it is, such as `av01`.
    pub(super) fn kind(&self, item: u32) -> Option<&[u8; 4]> {
        self.kinds.get(&item)
    }

    /// What it is put together from.
    pub(super) fn parts(&self, item: u32) -> &[u32] {
        self.parts.get(&item).map_or(&[], |parts| parts)
    }

    /// Its data; or what is wrong with them.
    pub(super) fn data(&self, item: u32) -> Result<Vec<u8>, String> {
        let (within, parts) = self.places.get(&item).ok_or("damaged: an item without data")?;
        let source = if *within { self.inner } else { self.bytes };
        let mut data = Vec::new();
        for &(start, length) in parts {
            let start = usize::try_from(start).map_err(|_| CUT)?;
            let rest = source.get(start..).ok_or(CUT)?;
            // A length of 0 means up to the end.
            let length = if length == 0 { rest.len() } else { usize::try_from(length).map_err(|_| CUT)? };
            // What is longer than the file is a list of parts that lie over each other.
            if length > rest.len() || data.len() > self.bytes.len() {
                return Err(CUT.to_owned());
            }
            data.extend_from_slice(&rest[..length]);
        }
        Ok(data)
    }

    fn of(&self, item: u32) -> impl Iterator<Item = &Property> {
        self.properties_of.get(&item).into_iter().flatten().filter_map(|&index| self.properties.get(index))
    }

    /// Columns and rows before it is turned.
    pub(super) fn size(&self, item: u32) -> Option<[u32; 2]> {
        self.of(item).find_map(|property| if let Property::Size(size) = property { Some(*size) } else { None })
    }

    /// Matrix coefficients, and whether all of the range is used, where the file says so.
    pub(super) fn colour(&self, item: u32) -> Option<(u16, bool)> {
        self.of(item).find_map(|property| if let Property::Colour(matrix, full) = property { Some((*matrix, *full)) } else { None })
    }

    /// How it has to be turned, one after the other.
    pub(super) fn turns(&self, item: u32) -> Vec<Orientation> {
        let turn = |property: &Property| match property {
            Property::Turn(1) => Some(Orientation::Rotate270),
            Property::Turn(2) => Some(Orientation::Rotate180),
            Property::Turn(3) => Some(Orientation::Rotate90),
            Property::Mirror(0) => Some(Orientation::FlipHorizontal),
            Property::Mirror(1) => Some(Orientation::FlipVertical),
            _ => None,
        };
        self.of(item).filter_map(turn).collect()
    }
}

fn property(kind: [u8; 4], body: &[u8]) -> Result<Property, String> {
    Ok(match &kind {
        b"ispe" => Property::Size([number(body, 4, 4)? as u32, number(body, 8, 4)? as u32]),
        b"irot" => Property::Turn(number(body, 0, 1)? as u8 & 3),
        b"imir" => Property::Mirror(number(body, 0, 1)? as u8 & 1),
        b"colr" if body.starts_with(b"nclx") => Property::Colour(number(body, 8, 2)? as u16, number(body, 10, 1)? & 0x80 != 0),
        _ => Property::Other,
    })
}
