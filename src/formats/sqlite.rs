//! The file format of SQLite, as far as reading whole tables goes. The format is fixed for all time and a
//! table is a tree of pages, so this needs no database engine, and no C compiler at every build:
//! <https://www.sqlite.org/fileformat2.html>.
//!
//! Every page, length and offset is checked; a page is visited at most once, so a damaged file cannot lead in
//! circles.

use std::collections::HashSet;

const CUT: &str = "damaged: it ends too early or points outside itself";

/// Deepest tree of pages; with the smallest pages and one entry each, this is beyond any file.
const MAX_DEPTH: usize = 40;

/// A value in a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SqlValue {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// Text; what is not UTF-8 is replaced.
    Text(String),
    /// Bytes, which nobody here asks for.
    Blob,
}

/// A database in memory.
#[derive(Debug)]
pub(crate) struct Database<'a> {
    bytes: &'a [u8],
    page_size: usize,
    /// Bytes of a page that hold content.
    usable: usize,
    tables: Vec<Table>,
}

#[derive(Debug)]
struct Table {
    name: String,
    root: u64,
    columns: Vec<SqlColumn>,
}

#[derive(Debug)]
struct SqlColumn {
    name: String,
    /// Whether it stands for the number of the row, and is stored as null.
    is_row_number: bool,
}

impl<'a> Database<'a> {
    /// The database in `bytes`; or what is wrong with it.
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let header =
            bytes.first_chunk::<100>().filter(|header| header.starts_with(b"SQLite format 3\0")).ok_or("not an SQLite 3 database")?;
        if header[18] != 1 || header[19] != 1 {
            return Err("in write-ahead mode; run `PRAGMA journal_mode = DELETE` on it with the sqlite3 program".into());
        }
        if header[56..60] != [0, 0, 0, 1] && header[56..60] != [0; 4] {
            return Err("not in UTF-8; run `PRAGMA encoding = 'UTF-8'` on a copy of it with the sqlite3 program".into());
        }
        let page_size = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65_536,
            size if size >= 512 && size.is_power_of_two() => size.into(),
            size => return Err(format!("damaged: pages of {size} bytes")),
        };
        let usable = page_size - usize::from(header[20]);
        if usable < 480 {
            return Err(format!("damaged: {usable} usable bytes a page"));
        }
        let pages = u32::from_be_bytes([header[28], header[29], header[30], header[31]]);
        // Older writers leave the number of pages as it was; it holds if it is of the last change.
        if header[24..28] == header[92..96] && (bytes.len() / page_size) < pages as usize {
            return Err(format!("cut off: {pages} pages of {page_size} bytes are promised, {} bytes are there", bytes.len()));
        }
        let mut database = Self { bytes, page_size, usable, tables: vec![] };
        let schema = Table { name: "sqlite_schema".into(), root: 1, columns: vec![] };
        let mut tables = Vec::new();
        database.scan(&schema, &mut |_, row| {
            if let [SqlValue::Text(kind), SqlValue::Text(name), _, SqlValue::Integer(root), SqlValue::Text(sql), ..] = row
                && kind == "table"
                && let Ok(root) = u64::try_from(*root)
            {
                tables.push(Table { name: name.clone(), root, columns: columns(sql) });
            }
        })?;
        database.tables = tables;
        Ok(database)
    }

    /// Calls `each` with the values of `columns` of every row of the table `name`, in the order of row
    /// numbers. Names are compared without case.
    pub(crate) fn rows(&self, name: &str, columns: &[&str], each: &mut dyn FnMut(&[SqlValue])) -> Result<(), String> {
        let table =
            self.tables.iter().find(|table| table.name.eq_ignore_ascii_case(name)).ok_or_else(|| format!("without a table {name}"))?;
        let place = |wanted: &&str| table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(wanted));
        let mut places = Vec::with_capacity(columns.len());
        for column in columns {
            places.push(place(column).ok_or_else(|| format!("without a column {column} in the table {name}"))?);
        }
        self.scan(table, &mut |number, row| {
            // A row may be shorter than the table, where columns were added to it.
            let value = |at: &usize| match row.get(*at) {
                Some(SqlValue::Null) | None if table.columns[*at].is_row_number => SqlValue::Integer(number),
                Some(value) => value.clone(),
                None => SqlValue::Null,
            };
            each(&places.iter().map(value).collect::<Vec<_>>());
        })
    }

    fn scan(&self, table: &Table, each: &mut dyn FnMut(i64, &[SqlValue])) -> Result<(), String> {
        self.scan_page(table.root, 0, &mut HashSet::new(), each)
    }

    fn scan_page(&self, number: u64, depth: usize, seen: &mut HashSet<u64>, each: &mut dyn FnMut(i64, &[SqlValue])) -> Result<(), String> {
        if !seen.insert(number) || depth > MAX_DEPTH {
            return Err("damaged: a table that leads in circles".into());
        }
        let page = self.page(number)?;
        let start = if number == 1 { 100 } else { 0 };
        let kind = *page.get(start).ok_or(CUT)?;
        let cells = usize::from(big_endian::<2>(page, start + 3)? as u16);
        match kind {
            13 => {
                for cell in 0..cells {
                    let at = big_endian::<2>(page, start + 8 + 2 * cell)? as usize;
                    let (number, payload) = self.leaf_cell(page, at)?;
                    each(number, &record(&payload)?);
                }
                Ok(())
            }
            5 => {
                for cell in 0..cells {
                    let at = big_endian::<2>(page, start + 12 + 2 * cell)? as usize;
                    self.scan_page(big_endian::<4>(page, at)?, depth + 1, seen, each)?;
                }
                self.scan_page(big_endian::<4>(page, start + 8)?, depth + 1, seen, each)
            }
            _ => Err(format!("damaged, or a table without row numbers: page {number} is of kind {kind}")),
        }
    }

    /// The page `number`, from 1.
    fn page(&self, number: u64) -> Result<&'a [u8], String> {
        let number = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).ok_or(CUT)?;
        let start = number.checked_mul(self.page_size).ok_or(CUT)?;
        Ok(self.bytes.get(start..).and_then(|rest| rest.get(..self.page_size)).ok_or(CUT)?)
    }

    /// Row number and payload of the cell at `at`; a long payload goes on in pages of its own.
    fn leaf_cell(&self, page: &[u8], mut at: usize) -> Result<(i64, Vec<u8>), String> {
        let length = usize::try_from(varint(page, &mut at)?).map_err(|_| CUT)?;
        let number = varint(page, &mut at)? as i64;
        let usable = self.usable;
        let most = usable - 35;
        if length <= most {
            return Ok((number, page.get(at..).and_then(|rest| rest.get(..length)).ok_or(CUT)?.to_vec()));
        }
        if length > self.bytes.len() {
            return Err(CUT.into());
        }
        let least = (usable - 12) * 32 / 255 - 23;
        let local = least + (length - least) % (usable - 4);
        let local = if local <= most { local } else { least };
        let mut payload = page.get(at..).and_then(|rest| rest.get(..local)).ok_or(CUT)?.to_vec();
        let mut next = big_endian::<4>(page, at + local)?;
        // Every page adds some bytes, so this ends even if the pages lead in circles.
        while payload.len() < length {
            let page = self.page(next)?;
            next = big_endian::<4>(page, 0)?;
            let part = (length - payload.len()).min(usable - 4);
            payload.extend(page.get(4..4 + part).ok_or(CUT)?);
        }
        Ok((number, payload))
    }
}

/// The values in a record: a header of types, then the contents.
fn record(payload: &[u8]) -> Result<Vec<SqlValue>, String> {
    let mut at = 0;
    let header = usize::try_from(varint(payload, &mut at)?).map_err(|_| CUT)?;
    if header > payload.len() {
        return Err(CUT.into());
    }
    let mut contents = header;
    let mut values = Vec::new();
    while at < header {
        let kind = varint(payload, &mut at)?;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind as usize,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return Err("damaged: a value of an unknown type".into()),
            _ => usize::try_from((kind - 12) / 2).map_err(|_| CUT)?,
        };
        let bytes = payload.get(contents..).and_then(|rest| rest.get(..length)).ok_or(CUT)?;
        contents += length;
        values.push(match kind {
            0 => SqlValue::Null,
            1..=6 => SqlValue::Integer(bytes.iter().fold(i64::from(bytes[0] as i8) >> 7, |value, &byte| value << 8 | i64::from(byte))),
            7 => SqlValue::Real(bytes.first_chunk().map_or(f64::NAN, |bytes| f64::from_be_bytes(*bytes))),
            8 => SqlValue::Integer(0),
            9 => SqlValue::Integer(1),
            kind if kind % 2 == 1 => SqlValue::Text(String::from_utf8_lossy(bytes).into_owned()),
            _ => SqlValue::Blob,
        });
    }
    Ok(values)
}

/// The number of one to nine bytes at `at`, which is moved behind it: seven bits a byte, high ones first, and
/// all eight of the ninth.
fn varint(bytes: &[u8], at: &mut usize) -> Result<u64, String> {
    let mut value = 0u64;
    for place in 0..9 {
        let byte = *bytes.get(*at).ok_or(CUT)?;
        *at += 1;
        if place == 8 {
            return Ok(value << 8 | u64::from(byte));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            break;
        }
    }
    Ok(value)
}

fn big_endian<const N: usize>(bytes: &[u8], at: usize) -> Result<u64, String> {
    let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk::<N>()).ok_or(CUT)?;
    Ok(bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

/// The columns of a `CREATE TABLE` statement.
fn columns(sql: &str) -> Vec<SqlColumn> {
    let Some((_, body)) = sql.split_once('(') else { return vec![] };
    let (mut depth, mut quote, mut parts) = (0, None, vec![String::new()]);
    for character in body.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(character),
            (None, '[') => quote = Some(']'),
            (None, '(') => depth += 1,
            (None, ')') if depth == 0 => break,
            (None, ')') => depth -= 1,
            (None, ',') if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            (None, _) => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    const CONSTRAINTS: [&str; 5] = ["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"];
    let (constraints, columns): (Vec<&str>, Vec<&str>) = parts
        .iter()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty())
        .partition(|part| CONSTRAINTS.iter().any(|word| first_word(part).eq_ignore_ascii_case(word)));
    let keys = constraints.iter().filter(|part| part.to_ascii_uppercase().contains("PRIMARY KEY")).filter_map(|part| part.split_once('('));
    let keys: Vec<&str> = keys.map(|(_, key)| key.trim_end_matches(')').trim()).collect();
    columns.into_iter().map(|definition| column(definition, &keys)).collect()
}

/// The column of `definition`, in a table whose constraints name `keys` as primary.
fn column(definition: &str, keys: &[&str]) -> SqlColumn {
    let upper = definition.to_ascii_uppercase();
    let words: Vec<&str> = upper.split_whitespace().collect();
    let bare = |name: &str| name.trim_matches(['"', '\'', '`', '[', ']']).to_owned();
    let name = bare(first_word(definition));
    let is_key = words.windows(2).any(|pair| pair == ["PRIMARY", "KEY"]) || keys.iter().any(|key| bare(key).eq_ignore_ascii_case(&name));
    SqlColumn { name, is_row_number: is_key && words.get(1) == Some(&"INTEGER") }
}

fn first_word(text: &str) -> &str {
    text.split(|c: char| c.is_whitespace() || c == '(').next().unwrap_or_default()
}
