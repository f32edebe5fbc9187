//! What fuzzers call, and what a test calls with the inputs that fuzzers left: the entry points for bytes that anybody may
//! have written, of files and of the manifests beside them. Each may refuse its input, and must not panic, hang, or disagree with itself.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use datafusion::error::Result;
use datafusion::parquet::file::metadata::ParquetMetaDataReader;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::avro::opener::AvroOpener;
use super::csv::parser::{CsvParser, Layout};
use super::fetch::Source;
use super::guarded::guarded;
use super::ipc::opener::IpcOpener;
use super::json::parser::JsonParser;
use super::text::dialect::Dialect;
use super::text::in_memory::{Rows, read_range};
use super::text::parser::RowParser;
use super::text::reader::{Fault, Reading};
use crate::sink::format::TimeFormats;
use crate::sink::log::{EntryName, Manifest};

/// Columns of the text that is read.
const COLUMNS: usize = 3;
/// Bytes of the longest record.
const MAX_RECORD: usize = 64 << 10;

fn columns() -> SchemaRef {
    let types = [DataType::Utf8, DataType::Int64, DataType::Utf8];
    let fields = types.into_iter().enumerate().map(|(at, data_type)| Field::new(format!("c{at}"), data_type, true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn dialect(choice: u8) -> Dialect {
    Dialect {
        delimiter: b',',
        quote: (choice & 1 == 0).then_some(b'"'),
        escape: (choice & 2 != 0).then_some(b'\\'),
        comment: (choice & 4 != 0).then_some(b'#'),
        terminator: None,
    }
}

fn csv_parser(dialect: Dialect, batch_size: usize) -> Option<Box<dyn RowParser>> {
    let mut format = Format::default().with_delimiter(dialect.delimiter).with_quote(dialect.quote.unwrap_or(0xff));
    if let Some(escape) = dialect.escape {
        format = format.with_escape(escape);
    }
    if let Some(comment) = dialect.comment {
        format = format.with_comment(comment);
    }
    let names: Vec<String> = (0..COLUMNS).map(|at| format!("c{at}")).collect();
    let places: Vec<Option<usize>> = (0..COLUMNS).map(Some).collect();
    let layout = Layout::new(&names, &columns(), &places, &TimeFormats::default());
    let forbidden = dialect.quote.is_none().then_some(0xff);
    Some(Box::new(CsvParser::new(format, b'\n', forbidden, layout, batch_size).ok()?))
}

fn total(rows: &[Rows]) -> (usize, Vec<u64>) {
    let count = rows.iter().flat_map(|rows| &rows.batches).map(RecordBatch::num_rows).sum();
    (count, rows.iter().flat_map(|rows| &rows.bad).map(|bad| bad.offset).collect())
}

/// CSV in one piece and in ranges: the same rows and the same bad records, unless a contradiction was found. The first
/// bytes choose the dialect, the ranges and the sizes of pieces.
pub fn csv_ranges(data: &[u8]) {
    let Some((&[choice, cut, other, piece], text)) = data.split_first_chunk::<4>() else { return };
    let reading = Reading { dialect: dialect(choice), max_record: MAX_RECORD, skip: true };
    let text = Bytes::copy_from_slice(text);
    let read = |range, piece| -> Option<Result<Rows, Fault>> {
        Some(read_range(reading, csv_parser(reading.dialect, 7)?, &text, range, piece))
    };
    let place = |byte: u8| text.len() * usize::from(byte) / 255;
    let mut cuts = [0, place(cut), place(other), text.len()];
    cuts.sort_unstable();
    let whole = read(0..text.len(), text.len());
    let parts: Option<Vec<_>> = cuts.windows(2).map(|cut| read(cut[0]..cut[1], usize::from(piece) + 1)).collect();
    let (Some(whole), Some(parts)) = (whole, parts) else { return };
    let (Ok(whole), Ok(parts)) = (whole, parts.into_iter().collect::<Result<Vec<_>, _>>()) else {
        panic!("text in memory could not be read");
    };
    if parts.iter().all(|part| !part.contradicted) {
        assert_eq!(total(&[whole]), total(&parts), "ranges {cuts:?} have other rows than the whole");
    }
}

/// CSV as it comes; an error is a bad record.
pub fn csv(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else { return };
    let reading = Reading { dialect: dialect(choice), max_record: MAX_RECORD, skip: choice & 8 == 0 };
    if let Some(parser) = csv_parser(reading.dialect, 100) {
        let _: Result<Rows, Fault> = read_range(reading, parser, &Bytes::copy_from_slice(text), 0..text.len(), 1000);
    }
}

/// Lines of JSON.
pub fn json(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else { return };
    let reading = Reading { dialect: Dialect::LINES, max_record: MAX_RECORD, skip: choice & 1 == 0 };
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)));
    let object = DataType::Struct(vec![Field::new("x", list, true)].into());
    let wanted = Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Utf8, true),
        Field::new("c", object, true),
    ]);
    if let Ok(parser) = JsonParser::new(Arc::new(wanted), 10) {
        let text = Bytes::copy_from_slice(text);
        let _: Result<Rows, Fault> = read_range(reading, Box::new(parser), &text, 0..text.len(), 1000);
    }
}

/// Arrow IPC: a file or a stream.
pub fn ipc(data: &[u8]) {
    read(data, |source| async move {
        let wanted = Arc::new(super::ipc::opener::schema(&source).await?);
        count(IpcOpener { wanted }.open(source, None).await?).await
    });
}

/// An Avro file.
pub fn avro(data: &[u8]) {
    read(data, |source| async move {
        let wanted = Arc::new(super::avro::opener::schema(&source).await?);
        count(AvroOpener { wanted, batch_size: 100 }.open(source, None).await?).await
    });
}

/// The footer of a Parquet file without what is around it, by the crate whose footers DataFusion reads.
pub fn parquet_footer(data: &[u8]) {
    if super::thrift::check(data).is_err() {
        return;
    }
    // That it may panic is known; that it brings nothing down is what counts.
    let _ = guarded(|| ParquetMetaDataReader::decode_metadata(data).is_ok());
}

/// A sink's manifest, which names files that are read or removed; and the name of a file beside it.
pub fn manifest(data: &[u8]) {
    if let Ok(name) = std::str::from_utf8(data) {
        let _ = EntryName::parse(name);
    }
    let Ok(manifest) = Manifest::parse(data, "fuzzed") else { return };
    let again = serde_json::to_vec(&manifest).map(|json| Manifest::parse(&json, "fuzzed"));
    assert!(matches!(again, Ok(Ok(again)) if again == manifest), "a manifest is read otherwise than it was written");
}

async fn count(rows: futures::stream::BoxStream<'static, Result<RecordBatch>>) -> Result<usize> {
    rows.try_fold(0, |count, batch| async move { Ok(count + batch.num_rows()) }).await
}

fn read<F: Future<Output = Result<usize>>>(data: &[u8], by: impl FnOnce(Source) -> F) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    runtime.block_on(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let path = Path::from("fuzzed");
        if store.put(&path, Bytes::copy_from_slice(data).into()).await.is_err() {
            return;
        }
        let Ok(meta) = store.head(&path).await else { return };
        if let Err(error) = by(Source::new(&store, &meta)).await {
            let shown = crate::error::classify(&error).message;
            assert!(shown.contains("/fuzzed"), "an error does not name the file: {shown}");
        }
    });
}
