//! The shape of a record as far as it takes to tell where the record ends, from the schema in a file's header. By it a
//! block is gone through before it is decoded: it must hold exactly the records that it claims.

use std::collections::BTreeMap;

use serde_json::Value;

/// Types inside each other.
const MAX_DEPTH: usize = 128;
/// Items of a list that take no bytes.
const MAX_EMPTY_ITEMS: i64 = 1 << 16;

/// How a value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    /// So many bytes.
    Fixed(usize),
    /// A number of a varying length.
    Number,
    /// A length and as many bytes.
    Bytes,
    /// Blocks of items.
    List(Box<Shape>),
    /// Blocks of keys and items.
    Map(Box<Shape>),
    /// A number and the value that it chooses.
    Union(Vec<Shape>),
    /// One after the other.
    Record(Vec<Shape>),
    /// A type that was named.
    Named(usize),
}

/// The shape of a file's records.
#[derive(Clone, Debug)]
pub struct Shapes {
    record: Shape,
    named: Vec<Shape>,
}

#[derive(Default)]
struct Names {
    places: BTreeMap<String, usize>,
    shapes: Vec<Shape>,
}

impl Shapes {
    /// From a schema as JSON.
    pub fn parse(schema: &[u8]) -> Result<Self, String> {
        let schema: Value = serde_json::from_slice(schema).map_err(|e| format!("its schema is not JSON: {e}"))?;
        let mut names = Names::default();
        let record = names.shape(&schema, "", 0)?;
        Ok(Self { record, named: names.shapes })
    }

    /// Checks that the data is exactly so many records.
    pub fn check(&self, data: &[u8], records: usize) -> Result<(), String> {
        // Records of no bytes could be claimed in any number.
        if records > data.len() {
            return Err(format!("a block of {} bytes claims {records} records", data.len()));
        }
        let mut rest = data;
        for record in 0..records {
            self.skip(&self.record, &mut rest, 0)
                .ok_or_else(|| format!("record {record} of a block of {records} is damaged"))?;
        }
        if rest.is_empty() {
            return Ok(());
        }
        Err(format!("a block claims {records} records and has {} bytes more than they take", rest.len()))
    }

    fn skip(&self, shape: &Shape, rest: &mut &[u8], depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match shape {
            Shape::Fixed(bytes) => *rest = rest.get(*bytes..)?,
            Shape::Number => {
                number(rest)?;
            }
            Shape::Bytes => {
                let bytes = usize::try_from(number(rest)?).ok()?;
                *rest = rest.get(bytes..)?;
            }
            Shape::List(item) => self.skip_blocks(item, false, rest, depth)?,
            Shape::Map(item) => self.skip_blocks(item, true, rest, depth)?,
            Shape::Union(branches) => {
                let branch = branches.get(usize::try_from(number(rest)?).ok()?)?;
                self.skip(branch, rest, depth + 1)?;
            }
            Shape::Record(fields) => {
                for field in fields {
                    self.skip(field, rest, depth + 1)?;
                }
            }
            Shape::Named(place) => self.skip(self.named.get(*place)?, rest, depth + 1)?,
        }
        Some(())
    }

    fn skip_blocks(&self, item: &Shape, keys: bool, rest: &mut &[u8], depth: usize) -> Option<()> {
        loop {
            let mut count = number(rest)?;
            if count == 0 {
                return Some(());
            }
            if count < 0 {
                // The bytes of the block follow, for those who skip it.
                count = count.checked_neg()?;
                usize::try_from(number(rest)?).ok().filter(|bytes| *bytes <= rest.len())?;
            }
            for at in 0..count {
                let before = rest.len();
                if keys {
                    self.skip(&Shape::Bytes, rest, depth + 1)?;
                }
                self.skip(item, rest, depth + 1)?;
                if rest.len() == before && at > MAX_EMPTY_ITEMS {
                    return None;
                }
            }
        }
    }
}

/// A zigzag number of at most 64 bits.
pub fn number(rest: &mut &[u8]) -> Option<i64> {
    let mut number = 0_u64;
    for (place, byte) in rest.iter().take(10).enumerate() {
        if place == 9 && *byte > 1 {
            return None;
        }
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            *rest = &rest[place + 1..];
            return Some((number >> 1) as i64 ^ -((number & 1) as i64));
        }
    }
    None
}

impl Names {
    fn shape(&mut self, schema: &Value, space: &str, depth: usize) -> Result<Shape, String> {
        if depth > MAX_DEPTH {
            return Err("its schema is nested too deep".into());
        }
        match schema {
            Value::String(name) => self.by_name(name, space),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.shape(branch, space, depth + 1));
                Ok(Shape::Union(branches.collect::<Result<_, _>>()?))
            }
            Value::Object(object) => match object.get("type") {
                Some(Value::String(kind)) => self.complex(kind, object, space, depth),
                Some(inner) => self.shape(inner, space, depth + 1),
                None => Err("a type in its schema is not named".into()),
            },
            _ => Err("its schema is not one".into()),
        }
    }

    fn by_name(&self, name: &str, space: &str) -> Result<Shape, String> {
        Ok(match name {
            "null" => Shape::Fixed(0),
            "boolean" => Shape::Fixed(1),
            "int" | "long" => Shape::Number,
            "float" => Shape::Fixed(4),
            "double" => Shape::Fixed(8),
            "bytes" | "string" => Shape::Bytes,
            _ => {
                let place = self.places.get(&full(name, space)).or_else(|| self.places.get(name));
                Shape::Named(
                    *place.ok_or_else(|| format!("type '{}' of its schema is not known", name.escape_debug()))?,
                )
            }
        })
    }

    fn complex(
        &mut self,
        kind: &str,
        object: &serde_json::Map<String, Value>,
        space: &str,
        depth: usize,
    ) -> Result<Shape, String> {
        let part = |name: &str| object.get(name).ok_or_else(|| format!("a type of its schema has no '{name}'"));
        match kind {
            "array" => Ok(Shape::List(Box::new(self.shape(part("items")?, space, depth + 1)?))),
            "map" => Ok(Shape::Map(Box::new(self.shape(part("values")?, space, depth + 1)?))),
            "record" | "error" | "enum" | "fixed" => {
                let name = part("name")?.as_str().unwrap_or_default();
                let space = object.get("namespace").and_then(Value::as_str).unwrap_or(space);
                let name = full(name, space);
                let space = name.rsplit_once('.').map_or("", |(space, _)| space).to_owned();
                let place = self.shapes.len();
                // A record may have itself in it, so its place has to be known before its shape.
                self.shapes.push(Shape::Fixed(0));
                self.places.insert(name, place);
                self.shapes[place] = match kind {
                    "enum" => Shape::Number,
                    "fixed" => {
                        let size = part("size")?.as_u64().and_then(|size| usize::try_from(size).ok());
                        Shape::Fixed(size.ok_or("a type of its schema has no size")?)
                    }
                    _ => {
                        let fields = part("fields")?.as_array().ok_or("a record of its schema has no fields")?;
                        let shapes = fields.iter().map(|field| {
                            let schema = field.get("type").ok_or("a field of its schema has no type")?;
                            self.shape(schema, &space, depth + 1)
                        });
                        Shape::Record(shapes.collect::<Result<_, String>>()?)
                    }
                };
                Ok(Shape::Named(place))
            }
            name => self.by_name(name, space),
        }
    }
}

fn full(name: &str, space: &str) -> String {
    if name.contains('.') || space.is_empty() { name.to_owned() } else { format!("{space}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &[u8] = br#"{"type":"record","name":"R","namespace":"n","fields":[
        {"name":"a","type":["null","long"]},
        {"name":"b","type":{"type":"array","items":"string"}},
        {"name":"c","type":{"type":"fixed","name":"F","size":2}},
        {"name":"d","type":"F"},
        {"name":"e","type":{"type":"int","logicalType":"date"}}]}"#;

    #[test]
    fn a_block_must_be_exactly_the_records_that_it_claims() {
        let shapes = Shapes::parse(SCHEMA).unwrap();
        // Union branch 1, long 300; one block of two texts "x" and ""; two fixed; a date.
        let record = [2, 0xd8, 0x04, 4, 2, b'x', 0, 0, 1, 2, 3, 4, 0];
        let two = [record, record].concat();
        shapes.check(&two, 2).unwrap();
        assert!(shapes.check(&two, 1).unwrap_err().contains("13 bytes more"));
        assert!(shapes.check(&two, 3).is_err());
        assert!(shapes.check(&[], 1).is_err());
        for cut in 1..record.len() {
            assert!(shapes.check(&record[..cut], 1).is_err(), "cut at {cut}");
        }
        let mut wrong = record;
        wrong[0] = 8;
        assert!(shapes.check(&wrong, 1).is_err(), "a branch that the union does not have");
    }

    #[test]
    fn numbers_are_zigzag() {
        for (bytes, expected) in [(&[0_u8][..], 0), (&[1], -1), (&[2], 1), (&[0xd8, 4], 300)] {
            let mut rest = bytes;
            assert_eq!(number(&mut rest), Some(expected));
        }
        assert_eq!(number(&mut [0xff_u8; 11].as_slice()), None);
        assert_eq!(number(&mut [0x80_u8].as_slice()), None);
    }
}
