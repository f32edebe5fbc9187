//! A checksum of column types, so that two processes notice when they disagree on what the bytes of a block mean. Only
//! what decides how bytes are laid out counts: not names, nullability or metadata.

use arrow::datatypes::{DataType, Schema};

use super::compact::children;

/// The checksum of the types of these columns.
pub fn layout(schema: &Schema) -> u32 {
    schema.fields().iter().fold(0, |sum, field| add(sum, field.data_type()))
}

fn add(sum: u32, data_type: &DataType) -> u32 {
    let name = match data_type {
        DataType::List(_) => "List".to_owned(),
        DataType::LargeList(_) => "LargeList".to_owned(),
        DataType::ListView(_) => "ListView".to_owned(),
        DataType::LargeListView(_) => "LargeListView".to_owned(),
        DataType::FixedSizeList(_, n) => format!("FixedSizeList({n})"),
        DataType::Struct(fields) => format!("Struct({})", fields.len()),
        DataType::Map(_, sorted) => format!("Map({sorted})"),
        DataType::Union(fields, mode) => {
            format!("Union({mode:?},{:?})", fields.iter().map(|f| f.0).collect::<Vec<_>>())
        }
        DataType::RunEndEncoded(_, _) => "RunEndEncoded".to_owned(),
        DataType::Dictionary(keys, _) => format!("Dictionary({keys})"),
        plain => format!("{plain:?}"),
    };
    let sum = crc32c::crc32c_append(sum, name.as_bytes());
    let sum = children(data_type).fold(crc32c::crc32c_append(sum, b"<"), add);
    crc32c::crc32c_append(sum, b">")
}
