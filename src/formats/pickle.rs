//! What a pickle describes, without doing what it says.
//!
//! A pickle is a program for a stack machine that may call any Python function. Here calls are only noted:
//! [`PickleValue::Call`] holds the function's name and arguments, and the readers of torch and numpy files
//! look for the few that they know. Values live in one arena and refer to each other by index, so shared and
//! even cyclic ones cost nothing. Opcodes are those of protocols 2 to 4 that `torch.save` and `numpy.save`
//! write.

use std::collections::BTreeMap;

use super::bytes::{Cursor, FormatError};

/// Most values in one pickle; the files read here have some hundreds.
const MAX_VALUES: usize = 1 << 20;

/// Index of a value in its pickle.
pub(crate) type ValueId = usize;

/// What the stack machine would have made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PickleValue<'a> {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of at most eight bytes.
    Int(i64),
    /// A longer integer: two's complement, little-endian.
    Long(&'a [u8]),
    /// Text.
    Text(&'a str),
    /// Bytes, or a Python 2 string.
    Bytes(&'a [u8]),
    /// A class or function: module and name.
    Global(&'a str, &'a str),
    /// A list.
    List(Vec<ValueId>),
    /// A tuple.
    Tuple(Vec<ValueId>),
    /// A dictionary: keys and values.
    Dict(Vec<(ValueId, ValueId)>),
    /// What a function or class makes of its arguments, with what was set on it afterwards.
    Call {
        /// Function or class.
        function: ValueId,
        /// Its arguments, a tuple.
        arguments: ValueId,
        /// Passed to `__setstate__`.
        state: Option<ValueId>,
        /// Set by `object[key] = value`.
        items: Vec<(ValueId, ValueId)>,
    },
    /// An object kept outside the pickle, and how it is found.
    Persistent(ValueId),
}

/// A pickle that was read.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    values: Vec<PickleValue<'a>>,
    root: ValueId,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle at the start of `bytes`.
    pub(crate) fn of(bytes: &'a [u8]) -> Result<Self, FormatError> {
        Self::read(&mut Cursor::new("pickle", bytes))
    }

    /// Reads one pickle and leaves `cursor` behind it.
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, FormatError> {
        let mut machine = Machine { cursor: cursor.clone(), values: vec![], stack: vec![], marks: vec![], memo: BTreeMap::new() };
        while machine.step()? {}
        let root = machine.pop()?;
        *cursor = machine.cursor;
        Ok(Self { values: machine.values, root })
    }

    /// What it describes.
    pub(crate) fn root(&self) -> &PickleValue<'a> {
        &self.values[self.root]
    }

    /// The value of `id`.
    pub(crate) fn get(&self, id: ValueId) -> &PickleValue<'a> {
        &self.values[id]
    }

    /// All values in it.
    pub(crate) fn values(&self) -> impl Iterator<Item = &PickleValue<'a>> {
        self.values.iter()
    }

    /// The text of `id`, if it is text.
    pub(crate) fn text(&self, id: ValueId) -> Option<&'a str> {
        match self.values[id] {
            PickleValue::Text(text) => Some(text),
            PickleValue::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The size `id`, if it is an integer that is not negative.
    pub(crate) fn size(&self, id: ValueId) -> Option<usize> {
        match self.values[id] {
            PickleValue::Int(value) => value.try_into().ok(),
            _ => None,
        }
    }

    /// The sizes in the tuple `id`.
    pub(crate) fn sizes(&self, id: ValueId) -> Option<Vec<usize>> {
        self.tuple(id)?.iter().map(|&id| self.size(id)).collect()
    }

    /// The members of the tuple `id`.
    pub(crate) fn tuple(&self, id: ValueId) -> Option<&[ValueId]> {
        match &self.values[id] {
            PickleValue::Tuple(members) => Some(members),
            _ => None,
        }
    }

    /// Keys and values of a dictionary or of an object filled like one.
    pub(crate) fn items(&self, value: &PickleValue<'a>) -> Option<Vec<(&'a str, ValueId)>> {
        let (PickleValue::Dict(items) | PickleValue::Call { items, .. }) = value else { return None };
        items.iter().map(|&(key, value)| Some((self.text(key)?, value))).collect()
    }

    /// Module, name and arguments of the call `value`.
    pub(crate) fn call(&self, value: &PickleValue<'a>) -> Option<(&'a str, &'a str, &[ValueId])> {
        let &PickleValue::Call { function, arguments, .. } = value else { return None };
        let PickleValue::Global(module, name) = self.values[function] else { return None };
        Some((module, name, self.tuple(arguments)?))
    }
}

/// The stack machine, at some opcode.
struct Machine<'a> {
    cursor: Cursor<'a>,
    values: Vec<PickleValue<'a>>,
    stack: Vec<ValueId>,
    marks: Vec<usize>,
    memo: BTreeMap<usize, ValueId>,
}

impl<'a> Machine<'a> {
    /// Follows one opcode; `false` at the last.
    fn step(&mut self) -> Result<bool, FormatError> {
        let opcode = self.cursor.byte()?;
        match opcode {
            b'.' => return Ok(false),
            0x80 => drop(self.cursor.take(1)?), // PROTO
            0x95 => drop(self.cursor.take(8)?), // FRAME
            b'(' => self.marks.push(self.stack.len()),
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.remember(opcode)?,
            b'a' | b'e' | b's' | b'u' | b'b' => self.change(opcode)?,
            b't' | 0x85..=0x87 | b']' | b'}' | b')' | b'R' | 0x81 | b'Q' | 0x93 => self.compose(opcode)?,
            _ => {
                let value = self.literal(opcode)?;
                self.push(value)?;
            }
        }
        Ok(true)
    }

    /// Opcodes that stand for a value of their own.
    fn literal(&mut self, opcode: u8) -> Result<PickleValue<'a>, FormatError> {
        let cursor = &mut self.cursor;
        Ok(match opcode {
            b'N' => PickleValue::None,
            0x88 => PickleValue::Bool(true),
            0x89 => PickleValue::Bool(false),
            b'K' => PickleValue::Int(cursor.byte()?.into()),
            b'M' => PickleValue::Int(u16::from_le_bytes(cursor.array()?).into()),
            b'J' => PickleValue::Int(i32::from_le_bytes(cursor.array()?).into()),
            0x8a => integer(cursor.sized::<1>()?),
            b'X' => PickleValue::Text(cursor.sized_text::<4>()?),
            0x8c => PickleValue::Text(cursor.sized_text::<1>()?),
            b'U' | b'C' => PickleValue::Bytes(cursor.sized::<1>()?),
            b'T' | b'B' => PickleValue::Bytes(cursor.sized::<4>()?),
            0x8e => PickleValue::Bytes(cursor.sized::<8>()?),
            b'c' => PickleValue::Global(cursor.line()?, cursor.line()?),
            _ => return Err(cursor.fail(format!("opcode {opcode:#04x} before it is none that is understood here"))),
        })
    }

    /// Opcodes that put a value in the memo or take one from it.
    fn remember(&mut self, opcode: u8) -> Result<(), FormatError> {
        let key = match opcode {
            0x94 => self.memo.len(),
            b'q' | b'h' => self.cursor.length::<1>()?,
            _ => self.cursor.length::<4>()?,
        };
        if matches!(opcode, b'h' | b'j') {
            let id = *self.memo.get(&key).ok_or_else(|| self.cursor.fail(format!("memo {key} was never set")))?;
            self.stack.push(id);
        } else {
            let top = self.pop()?;
            self.stack.push(top);
            self.memo.insert(key, top);
        }
        Ok(())
    }

    /// Opcodes that make a value of others.
    fn compose(&mut self, opcode: u8) -> Result<(), FormatError> {
        let value = match opcode {
            b']' => PickleValue::List(vec![]),
            b'}' => PickleValue::Dict(vec![]),
            b')' => PickleValue::Tuple(vec![]),
            b't' => PickleValue::Tuple(self.pop_to_mark()?),
            0x85..=0x87 => {
                let mut members = (0x85..=opcode).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
                members.reverse();
                PickleValue::Tuple(members)
            }
            b'Q' => PickleValue::Persistent(self.pop()?),
            0x93 => {
                let [name, module] = [self.pop()?, self.pop()?].map(|id| &self.values[id]);
                let (&PickleValue::Text(module), &PickleValue::Text(name)) = (module, name) else {
                    return Err(self.cursor.fail("name of a class is not text"));
                };
                PickleValue::Global(module, name)
            }
            _ => {
                let arguments = self.pop()?;
                PickleValue::Call { function: self.pop()?, arguments, state: None, items: vec![] }
            }
        };
        self.push(value)
    }

    /// Opcodes that add to the value under their operands.
    fn change(&mut self, opcode: u8) -> Result<(), FormatError> {
        let operands = match opcode {
            b'a' | b'b' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.pop_to_mark()?,
        };
        let target = self.pop()?;
        self.stack.push(target);
        match (opcode, &mut self.values[target]) {
            (b'a' | b'e', PickleValue::List(members)) => members.extend(operands),
            (b's' | b'u', PickleValue::Dict(items) | PickleValue::Call { items, .. }) if operands.len().is_multiple_of(2) => {
                items.extend(operands.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            }
            (b'b', PickleValue::Call { state, .. }) => *state = operands.first().copied(),
            _ => return Err(self.cursor.fail("contents for a value that holds none")),
        }
        Ok(())
    }

    fn push(&mut self, value: PickleValue<'a>) -> Result<(), FormatError> {
        if self.values.len() == MAX_VALUES {
            return Err(self.cursor.fail(format!("more than {MAX_VALUES} values")));
        }
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<ValueId, FormatError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.pop() {
            Some(id) if self.stack.len() >= floor => Ok(id),
            _ => Err(self.cursor.fail("operand missing from the stack")),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<ValueId>, FormatError> {
        let mark = self.marks.pop().ok_or_else(|| self.cursor.fail("no mark on the stack"))?;
        Ok(self.stack.split_off(mark))
    }
}

/// The integer of these little-endian two's complement bytes.
fn integer(bytes: &[u8]) -> PickleValue<'_> {
    if bytes.len() > 8 {
        return PickleValue::Long(bytes);
    }
    let mut wide = [if bytes.last().is_some_and(|&byte| byte > 127) { 0xff } else { 0 }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    PickleValue::Int(i64::from_le_bytes(wide))
}
