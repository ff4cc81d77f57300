//! A look at protobuf bytes before they are decoded: how often each list has an entry, and how short it is.
//!
//! An empty entry has two bytes on the wire and up to 300 once decoded, and the decoder makes all of a list
//! before anybody can count it: a frame of 1 MiB would take 200 MiB to refuse. This look takes no memory. It
//! goes where the tables of [`tables`] lead, and leaves the rest, and all that is malformed, to the decoder.
//!
//! A message that may stand once only is counted too: decoders add a second one's lists to the first one's.

pub(crate) mod tables;

use prost::encoding::{WireType, decode_key, decode_varint};
use thiserror::Error;

/// The most fields of one table.
const FIELDS_MAX: usize = 24;

/// A list, or a message that holds one somewhere inside.
#[derive(Debug)]
pub(crate) struct Field {
    /// Its name in the `.proto` file.
    pub(crate) name: &'static str,
    /// Its number there.
    pub(crate) number: u32,
    /// How often it may stand in its message.
    pub(crate) count_max: usize,
    /// No right one is shorter. What an entry costs in memory is a small multiple of this, or they are few.
    pub(crate) bytes_min: usize,
    /// What is to be looked at inside.
    pub(crate) inside: &'static [Field],
}

/// Why bytes are not decoded at all.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum ShapeError {
    /// More entries than a right message has.
    #[error("{field} stands {found} times, the limit is {max}")]
    Count { field: &'static str, found: usize, max: usize },
    /// An entry that is shorter than any right one.
    #[error("{field} has {found} bytes, the least is {min}")]
    Short { field: &'static str, found: usize, min: usize },
    /// A form of old versions of protobuf, which nests without lengths; nobody sends it. Only where a table
    /// leads: elsewhere the decoder passes over it.
    #[error("field {0} is a group")]
    Group(u32),
}

/// Looks through a message with these fields. A list that is too long counts for more than what is in it.
///
/// # Errors
/// [`ShapeError`] names the field.
pub(crate) fn check(fields: &'static [Field], mut message: &[u8]) -> Result<(), ShapeError> {
    let mut counts = [0; FIELDS_MAX];
    let mut verdict = Ok(());
    while !message.is_empty() {
        // What is malformed the decoder finds at this same place, with no more than was counted so far.
        let Some((number, content)) = next_field(&mut message)? else { break };
        let Some(index) = fields.iter().position(|field| field.number == number) else { continue };
        let Some(content) = content else { break };
        counts[index] += 1;
        if counts[index] <= fields[index].count_max && verdict.is_ok() {
            verdict = check_entry(&fields[index], content);
        }
    }
    match fields.iter().zip(counts).find(|(field, count)| *count > field.count_max) {
        Some((field, found)) => Err(ShapeError::Count { field: field.name, found, max: field.count_max }),
        None => verdict,
    }
}

fn check_entry(field: &'static Field, content: &[u8]) -> Result<(), ShapeError> {
    match content.len() {
        found if found < field.bytes_min => {
            Err(ShapeError::Short { field: field.name, found, min: field.bytes_min })
        }
        // Bytes that are no message, or one without lists.
        _ if field.inside.is_empty() => Ok(()),
        _ => check(field.inside, content),
    }
}

type Content<'a> = Option<&'a [u8]>;

/// Takes one field off: its number and, if it has a length, its content. `None`: it is malformed.
fn next_field<'a>(message: &mut &'a [u8]) -> Result<Option<(u32, Content<'a>)>, ShapeError> {
    let Ok((number, wire_type)) = decode_key(message) else { return Ok(None) };
    let length = match wire_type {
        WireType::Varint => {
            return Ok(decode_varint(message).ok().map(|_| (number, None)));
        }
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        WireType::LengthDelimited => match decode_varint(message).map(usize::try_from) {
            Ok(Ok(length)) => length,
            _ => return Ok(None),
        },
        WireType::StartGroup | WireType::EndGroup => return Err(ShapeError::Group(number)),
    };
    let Some((content, rest)) = message.split_at_checked(length) else { return Ok(None) };
    *message = rest;
    Ok(Some((number, (wire_type == WireType::LengthDelimited).then_some(content))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INNER: &[Field] = &[Field { name: "inner", number: 2, count_max: 1, bytes_min: 0, inside: &[] }];
    const OUTER: &[Field] = &[Field { name: "outer", number: 1, count_max: 2, bytes_min: 2, inside: INNER }];

    fn refused(message: &[u8]) -> ShapeError {
        check(OUTER, message).expect_err("it is refused")
    }

    #[test]
    fn entries_are_counted_in_each_message_of_its_own() {
        assert_eq!(check(OUTER, &[10, 2, 18, 0, 10, 2, 18, 0]), Ok(()));
        let three = [10, 2, 18, 0].repeat(3);
        assert_eq!(refused(&three), ShapeError::Count { field: "outer", found: 3, max: 2 });
        assert_eq!(refused(&[10, 4, 18, 0, 18, 0]), ShapeError::Count { field: "inner", found: 2, max: 1 });
    }

    #[test]
    fn an_entry_shorter_than_any_right_one_is_refused() {
        assert_eq!(refused(&[10, 1, 0]), ShapeError::Short { field: "outer", found: 1, min: 2 });
        let three = [10, 1, 0].repeat(3);
        assert_eq!(refused(&three), ShapeError::Count { field: "outer", found: 3, max: 2 });
    }

    #[test]
    fn groups_are_refused_beside_and_inside_lists() {
        assert_eq!(refused(&[0x1b, 0x1c]), ShapeError::Group(3));
        assert_eq!(refused(&[10, 2, 0x1b, 0x1c]), ShapeError::Group(3));
    }

    #[test]
    fn fields_of_no_table_are_passed_over() {
        // A varint, eight bytes, four bytes, and a length-delimited field that looks like something else.
        let mut message = vec![0x18, 0xff, 1, 0x21, 1, 2, 3, 4, 5, 6, 7, 8, 0x2d, 1, 2, 3, 4];
        message.extend([0x32, 4, 10, 1, 0, 0]);
        assert_eq!(check(OUTER, &message), Ok(()));
        message.extend([10, 1, 0]);
        assert_eq!(refused(&message), ShapeError::Short { field: "outer", found: 1, min: 2 });
    }

    #[test]
    fn what_is_malformed_is_left_to_the_decoder() {
        for malformed in [&[10][..], &[10, 5, 0], &[0], &[0x18, 0xff], &[0x2d, 1], &[0xff; 11], &[8, 1]] {
            assert_eq!(check(OUTER, malformed), Ok(()), "{malformed:?}");
        }
    }
}
