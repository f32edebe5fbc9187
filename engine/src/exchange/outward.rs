//! How rows leave for clients of any kind: turned into types that each of them knows, and encoded batch by batch. Owned
//! here for all who send rows out, so that a client gets the same ones from whomever it reads them.
//!
//! Not here: the protocol that carries them, and how many wait for a slow client.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions};
use bytes::Bytes;
use windrow_common::{Error, Result};

use super::block::{Block, BlockEncoder, Compression};

/// A column's type as clients see it: views and dictionaries are how the engine holds data, and many clients know
/// neither.
fn outward(data_type: &DataType) -> DataType {
    let field = |field: &FieldRef| Arc::new(outward_field(field));
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => outward(values),
        DataType::RunEndEncoded(_, values) => outward(values.data_type()),
        DataType::List(item) | DataType::ListView(item) => DataType::List(field(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => DataType::LargeList(field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(field(item), *size),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect::<Fields>()),
        other => other.clone(),
    }
}

fn outward_field(field: &Field) -> Field {
    field.clone().with_data_type(outward(field.data_type()))
}

/// The columns as clients see them.
pub fn outward_schema(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema.fields().iter().map(|field| outward_field(field)).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// A schema as the flatbuffer of an Arrow IPC message.
pub fn schema_message(schema: &Schema) -> Bytes {
    let mut dictionaries = DictionaryTracker::new(false);
    let options = IpcWriteOptions::default();
    let encoded =
        IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(schema, &mut dictionaries, &options);
    encoded.ipc_message.into()
}

/// Makes blocks of batches as clients see them. Computes: not for an I/O runtime.
pub struct OutwardEncoder {
    schema: SchemaRef,
    blocks: BlockEncoder,
}

impl std::fmt::Debug for OutwardEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OutwardEncoder({} columns)", self.schema.fields().len())
    }
}

impl OutwardEncoder {
    /// For rows of these columns, as the engine makes them.
    pub fn new(columns: &Schema) -> Result<Self> {
        let schema = outward_schema(columns);
        let blocks = BlockEncoder::new(&schema, Compression::None)?;
        Ok(Self { schema, blocks })
    }

    /// The first message: the columns as clients see them.
    pub fn schema_message(&self) -> Bytes {
        schema_message(&self.schema)
    }

    /// One batch.
    pub fn encode(&mut self, batch: &RecordBatch) -> Result<Block> {
        let columns = batch.columns().iter().zip(self.schema.fields()).map(|(column, field)| {
            if column.data_type() == field.data_type() {
                return Ok(Arc::clone(column));
            }
            cast(column, field.data_type())
        });
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = columns
            .and_then(|columns| RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options))
            .map_err(|e| Error::internal(format!("a result cannot be sent: {e}")))?;
        Ok(self.blocks.encode(&batch)?)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, StringViewArray};

    use super::*;

    #[test]
    fn views_and_dictionaries_leave_as_plain_columns() {
        let text = Field::new("t", DataType::Utf8View, true);
        let key = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8View));
        let list = DataType::ListView(Arc::new(Field::new("item", key.clone(), true)));
        let inward = Schema::new(vec![text, Field::new("k", key, false), Field::new("l", list, true)]);
        let plain = outward_schema(&inward);
        assert_eq!(plain.field(0).data_type(), &DataType::Utf8);
        assert_eq!((plain.field(1).data_type(), plain.field(1).is_nullable()), (&DataType::Utf8, false));
        let items = Arc::new(Field::new("item", DataType::Utf8, true));
        assert_eq!(plain.field(2).data_type(), &DataType::List(items));
    }

    #[test]
    fn a_batch_of_other_columns_is_an_error_and_no_short_row() {
        let columns = Schema::new(vec![Field::new("a", DataType::Utf8View, true)]);
        let mut encoder = OutwardEncoder::new(&columns).unwrap();
        let word = || Arc::new(StringViewArray::from(vec!["word"])) as ArrayRef;
        let batch = RecordBatch::try_from_iter([("a", word())]).unwrap();
        assert_eq!(encoder.encode(&batch).unwrap().rows, 1);
        let none = batch.project(&[]).unwrap();
        assert!(encoder.encode(&none).is_err());
    }
}
