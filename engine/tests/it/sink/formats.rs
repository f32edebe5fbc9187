//! Every format with every way of compressing it: what the operator writes is read back, equal, by the formats' plain
//! readers, which know nothing of this engine.

use std::io::{Cursor, Read};

use datafusion::arrow::array::{
    Array, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array, Decimal256Array, DictionaryArray,
    Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, LargeStringArray, ListArray, MapBuilder,
    StringViewArray, StructArray, Time64MicrosecondArray, Time64NanosecondArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, UInt8Array, UInt64Array,
};
use datafusion::arrow::array::{Int64Builder, StringBuilder};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{Date64Type, Int32Type, Int64Type, i256};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use windrow_engine::sink::{Compression, FormatName};

use super::rows::{batch, run, run_all, schema, typed};
use super::*;

/// Rows of the table of all types.
const ROWS: usize = 5;

fn text_values() -> Vec<Option<&'static str>> {
    vec![Some("plain"), None, Some("ünï→\u{1F980}"), Some("say \"x\", then\na line; and\ttab"), Some(" edges ")]
}

fn nested() -> Vec<(&'static str, ArrayRef)> {
    let list: ListArray = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![
        Some(vec![Some(1), None, Some(3)]),
        None,
        Some(vec![]),
        Some(vec![Some(-4)]),
        Some(vec![Some(5), Some(6)]),
    ]);
    let fields = vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Utf8, true)];
    let parts: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(vec![Some(1), None, Some(3), Some(4), None])),
        Arc::new(StringArray::from(text_values())),
    ];
    let nulls = NullBuffer::from(vec![true, true, true, false, true]);
    let record = StructArray::new(fields.into(), parts, Some(nulls));
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for row in 0..ROWS {
        for key in 0..if row == 3 { 0 } else { row } {
            map.keys().append_value(format!("k{key}"));
            map.values().append_option((key != 1).then_some(key as i64));
        }
        map.append(row != 3).unwrap();
    }
    vec![("list", Arc::new(list)), ("person", Arc::new(record)), ("map", Arc::new(map.finish()))]
}

fn numbers() -> Vec<(&'static str, ArrayRef)> {
    let nan = [Some(f64::NAN), None, Some(f64::INFINITY), Some(f64::NEG_INFINITY), Some(-1.5e-7)];
    let decimals = Decimal128Array::from(vec![Some(123_456), None, Some(-1), Some(0), Some(99_999_999_999)]);
    let large: Vec<Option<i256>> = vec![Some(i256::from_i128(i128::MAX)), None, Some(i256::from_i128(-7)), None, None];
    vec![
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true), None]))),
        ("i8", Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(0), Some(1), Some(i8::MAX)]))),
        ("i16", Arc::new(Int16Array::from(vec![Some(i16::MIN), None, Some(0), Some(1), Some(i16::MAX)]))),
        ("i64", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(0), Some(1), Some(i64::MAX)]))),
        ("u8", Arc::new(UInt8Array::from(vec![Some(0), None, Some(1), Some(2), Some(u8::MAX)]))),
        ("u64", Arc::new(UInt64Array::from(vec![Some(0), None, Some(1), Some(2), Some(i64::MAX as u64)]))),
        ("f32", Arc::new(Float32Array::from(vec![Some(0.1), None, Some(f32::NAN), Some(1e30), Some(-0.0)]))),
        ("f64", Arc::new(Float64Array::from_iter(nan))),
        ("decimal", Arc::new(decimals.with_precision_and_scale(20, 4).unwrap())),
        ("decimal256", Arc::new(Decimal256Array::from(large).with_precision_and_scale(50, 3).unwrap())),
    ]
}

fn times() -> Vec<(&'static str, ArrayRef)> {
    let micros: Vec<Option<i64>> = vec![Some(0), None, Some(1_700_000_000_123_456), Some(-1), Some(86_399_000_001)];
    let millis: Vec<Option<i64>> = micros.iter().map(|t| t.map(|t| t / 1000)).collect();
    let of_day: Vec<Option<i64>> = vec![Some(0), None, Some(86_399_999_999), Some(1), Some(43_200_000_000)];
    let nanos: Vec<Option<i64>> = of_day.iter().map(|t| t.map(|t| t * 1000)).collect();
    vec![
        ("date", Arc::new(Date32Array::from(vec![Some(0), None, Some(19_723), Some(-1), Some(2_932_896)]))),
        ("time", Arc::new(Time64MicrosecondArray::from(of_day))),
        ("time_ns", Arc::new(Time64NanosecondArray::from(nanos))),
        ("moment", Arc::new(TimestampMicrosecondArray::from(micros))),
        ("zoned", Arc::new(TimestampMillisecondArray::from(millis).with_timezone("+01:00"))),
    ]
}

fn texts() -> Vec<(&'static str, ArrayRef)> {
    let kinds: DictionaryArray<Int32Type> =
        vec![Some("a"), None, Some("a"), Some("b"), Some("c")].into_iter().collect();
    vec![
        ("text", Arc::new(StringArray::from(text_values()))),
        ("large", Arc::new(LargeStringArray::from(text_values()))),
        ("view", Arc::new(StringViewArray::from(text_values()))),
        ("kind", Arc::new(kinds)),
        ("bytes", Arc::new(BinaryArray::from_opt_vec(vec![Some(b"\x00\xff"), None, Some(b""), Some(b"x"), None]))),
    ]
}

/// Five rows of every type that the format can hold, and the names of the columns that it cannot.
fn table(format: &Format) -> (RecordBatch, Vec<&'static str>) {
    let columns = [numbers(), times(), texts(), nested()].concat();
    let held = |name: &str, column: &ArrayRef| {
        let field = Field::new(name, column.data_type().clone(), true);
        format.check_schema(&Schema::new(vec![field])).is_ok()
    };
    let (held, refused): (Vec<_>, Vec<_>) = columns.into_iter().partition(|(name, column)| held(name, column));
    let fields: Vec<Field> = held.iter().map(|(n, c)| Field::new(*n, c.data_type().clone(), true)).collect();
    let columns = held.into_iter().map(|(_, column)| column).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    (batch, refused.into_iter().map(|(name, _)| name).collect())
}

fn formats() -> Vec<Format> {
    let with = |name, all: &[Compression]| {
        let each = all.iter().map(move |compression| {
            let mut format = Format::of(name);
            format.set_compression(*compression);
            format
        });
        each.collect::<Vec<_>>()
    };
    let (none, gzip, zstd) = (Compression::None, Compression::gzip(), Compression::default());
    let text = [none, gzip, zstd];
    let arrow = [none, Compression::Lz4, zstd];
    [
        with(FormatName::Parquet, &[none, gzip, zstd, Compression::Snappy, Compression::Lz4, Compression::Brotli(4)]),
        with(FormatName::Csv, &text),
        with(FormatName::Tsv, &text),
        with(FormatName::Json, &text),
        with(FormatName::Arrow, &arrow),
        with(FormatName::ArrowStream, &arrow),
        with(FormatName::Avro, &[none, Compression::Deflate, Compression::Snappy, zstd]),
    ]
    .concat()
}

/// Each format in each kind of place.
fn each() -> impl Iterator<Item = (Format, Lab)> {
    formats().into_iter().flat_map(|format| Lab::each().map(|lab| (format.clone(), lab)))
}

fn spec(lab: &Lab, format: &Format) -> SinkSpec {
    SinkSpec { format: format.clone(), ..lab.spec("", SinkMode::ErrorIfExists) }
}

/// Writes the batches as one partition, publishes them, and gives the files in the order of their names.
async fn write_files(lab: &Lab, spec: &SinkSpec, schema: SchemaRef, batches: Vec<RecordBatch>) -> Vec<(String, Bytes)> {
    let input = MemorySourceConfig::try_new_exec(&[batches], schema, None).unwrap();
    let plan = Arc::new(WriteExec::try_new(input, spec.clone()).unwrap());
    lab.prepare(spec).await.unwrap();
    let files = run_all(lab, &plan).await;
    lab.publish(spec, &files).await.unwrap();
    let mut written = Vec::new();
    for name in lab.listed("").await {
        let contents = lab.get(&name).await.unwrap();
        written.push((name, contents));
    }
    written
}

fn decompressed(format: &Format, bytes: &Bytes) -> Vec<u8> {
    let mut text = Vec::new();
    match format.compression() {
        Compression::Gzip(_) if format.is_compressed_outside() => {
            flate2::read::GzDecoder::new(bytes.as_ref()).read_to_end(&mut text).unwrap();
            text
        }
        Compression::Zstd(_) if format.is_compressed_outside() => zstd::stream::decode_all(bytes.as_ref()).unwrap(),
        _ => bytes.to_vec(),
    }
}

/// Reads a file as anybody would. Text has no types: the reader is told those of the columns.
fn read_back(format: &Format, bytes: &Bytes, stored: &SchemaRef) -> Vec<RecordBatch> {
    let bytes = decompressed(format, bytes);
    let plain = |field: &Arc<Field>| match field.data_type() {
        // Their readers do not know it.
        DataType::LargeUtf8 => Field::new(field.name(), DataType::Utf8, true),
        _ => field.as_ref().clone(),
    };
    let told = Arc::new(Schema::new(stored.fields().iter().map(plain).collect::<Vec<_>>()));
    match format.name() {
        FormatName::Parquet => {
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap().build().unwrap();
            reader.map(Result::unwrap).collect()
        }
        FormatName::Csv | FormatName::Tsv => {
            let delimiter = if format.name() == FormatName::Tsv { b'\t' } else { b',' };
            let builder = datafusion::arrow::csv::ReaderBuilder::new(told).with_header(true).with_delimiter(delimiter);
            builder.build(Cursor::new(bytes)).unwrap().map(Result::unwrap).collect()
        }
        FormatName::Json => {
            let reader = datafusion::arrow::json::ReaderBuilder::new(told).build(Cursor::new(bytes)).unwrap();
            reader.map(Result::unwrap).collect()
        }
        FormatName::Arrow => {
            let reader = arrow_ipc::reader::FileReader::try_new(Cursor::new(bytes), None).unwrap();
            reader.map(Result::unwrap).collect()
        }
        FormatName::ArrowStream => {
            let reader = arrow_ipc::reader::StreamReader::try_new(Cursor::new(bytes), None).unwrap();
            reader.map(Result::unwrap).collect()
        }
        FormatName::Avro => {
            let reader = arrow_avro::reader::ReaderBuilder::new().build(Cursor::new(bytes)).unwrap();
            reader.map(Result::unwrap).collect()
        }
    }
}

/// Each value with its column's name: names inside of nested types are the formats' own business.
fn values(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL").with_display_error(false);
    let mut values = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                let text = ArrayFormatter::try_new(column.as_ref(), &options).unwrap().value(row).to_string();
                values.push(format!("{} = {text}", field.name()));
            }
        }
    }
    values
}

/// The rows with the types that they have in the file.
fn as_stored(batch: &RecordBatch, stored: &SchemaRef) -> RecordBatch {
    let columns = batch.columns().iter().zip(stored.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()).unwrap()).collect();
    RecordBatch::try_new(Arc::clone(stored), columns).unwrap()
}

#[tokio::test]
async fn what_is_written_is_read_back_by_plain_readers() {
    for (format, lab) in each() {
        let (batch, refused) = table(&format);
        let expected: &[&str] = match format.name() {
            FormatName::Csv | FormatName::Tsv => &["bytes", "list", "person", "map"],
            _ => &[],
        };
        assert_eq!(refused, expected, "{format:?}");
        let spec = spec(&lab, &format);
        // The second batch is a part of another one, whose buffers it shares.
        let batches = vec![batch.clone(), batch.slice(1, 3)];
        let files = write_files(&lab, &spec, batch.schema(), batches.clone()).await;
        assert_eq!(files.len(), 1, "{format:?}: {files:?}");
        let (name, contents) = &files[0];
        assert!(name.ends_with(&format!(".{}", format.extension())), "{name}");
        let stored = format.stored_schema(&batch.schema());
        let read = read_back(&format, contents, &stored);
        let expected: Vec<RecordBatch> = batches.iter().map(|batch| as_stored(batch, &stored)).collect();
        assert_eq!(values(&read), values(&expected), "{format:?}");
        for (found, wanted) in read[0].schema().fields().iter().zip(stored.fields()) {
            let told = format.name().is_text() || wanted.data_type().is_nested();
            assert!(told || found.data_type() == wanted.data_type(), "{format:?}: {found} is no {wanted}");
        }
    }
}

#[tokio::test]
async fn a_file_of_no_rows_has_the_columns_all_the_same() {
    for (format, lab) in each() {
        let (batch, _) = table(&format);
        let spec = spec(&lab, &format);
        let files = write_files(&lab, &spec, batch.schema(), vec![]).await;
        assert_eq!(files.len(), 1, "{format:?}");
        let stored = format.stored_schema(&batch.schema());
        assert!(values(&read_back(&format, &files[0].1, &stored)).is_empty(), "{format:?}");
        if let Format::Csv(csv) = &format {
            let text = String::from_utf8(decompressed(&format, &files[0].1)).unwrap();
            assert!(
                text.starts_with(if csv.tsv { "flag\ti8\t" } else { "flag,i8," }) && text.ends_with("view,kind\n")
                    || text.ends_with("view\tkind\n"),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn large_texts_are_whole() {
    let schema =
        Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("text", DataType::Utf8, true)]));
    let long: String = (0..300_000).map(|i| format!("{i:>9},")).collect();
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![1, 2])), Arc::new(StringArray::from(vec![long.as_str(), "x"]))];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    for (format, lab) in each() {
        let spec = spec(&lab, &format);
        let files = write_files(&lab, &spec, Arc::clone(&schema), vec![batch.clone()]).await;
        let read = read_back(&format, &files[0].1, &schema);
        assert!(values(&read) == values(std::slice::from_ref(&batch)), "{format:?}");
    }
}

#[tokio::test]
async fn files_are_about_as_large_as_they_are_to_be() {
    let target = 256 << 10;
    // Digits of no pattern: they are compressed to about the half.
    let word = |i: u64| {
        format!("{:016x}{:016x}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15), (i + 7).wrapping_mul(0xc2b2_ae3d_27d4_eb4f))
    };
    let batches: Vec<RecordBatch> = (0..120_u64)
        .map(|b| {
            let ids = b * 1000..(b + 1) * 1000;
            let texts: StringArray = ids.clone().map(|i| Some(word(i))).collect();
            let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids.map(|i| i as i64)));
            RecordBatch::try_new(schema(), vec![ids, Arc::new(texts)]).unwrap()
        })
        .collect();
    for (format, lab) in each() {
        let spec = SinkSpec { target_file_bytes: target, ..spec(&lab, &format) };
        let files = write_files(&lab, &spec, schema(), batches.clone()).await;
        let sizes: Vec<u64> = files.iter().map(|(_, contents)| contents.len() as u64).collect();
        let (_, full) = sizes.split_last().unwrap();
        assert!(full.len() >= 3, "{format:?}: {sizes:?}");
        assert!(full.iter().all(|size| (target / 8..target * 4).contains(size)), "{format:?}: {sizes:?}");
        let read: Vec<RecordBatch> =
            files.iter().flat_map(|(_, contents)| read_back(&format, contents, &schema())).collect();
        // In the order of the files' names.
        assert!(values(&read) == values(&batches), "{format:?}");
    }
}

fn one(name: &str, column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([(name, column)]).unwrap()
}

/// Milliseconds of a day, counted from 1970.
const fn day(days: i64) -> i64 {
    days * 86_400_000
}

#[tokio::test]
async fn what_a_format_would_lose_is_refused_while_it_is_written() {
    let avro = Format::of(FormatName::Avro);
    let nanoseconds = one("at", Arc::new(Time64NanosecondArray::from(vec![1_000, 1_001])));
    let large = one("n", Arc::new(UInt64Array::from(vec![u64::MAX])));
    let far = one("day", Arc::new(Date32Array::from(vec![i32::MAX])));
    let evening = one("day", Arc::new(Date64Array::from(vec![Some(day(1)), None, Some(day(1) - 1)])));
    let evenings = ListArray::from_iter_primitive::<Date64Type, _, _>([Some([Some(0), Some(-1)])]);
    // No number of days has room for it.
    let endless = one("day", Arc::new(Date64Array::from(vec![day(1 << 33)])));
    for (format, batch, says) in [
        (avro.clone(), nanoseconds, "nanoseconds"),
        (avro, large, "'n'"),
        (Format::of(FormatName::Json), far.clone(), "'day'"),
        (Format::of(FormatName::Csv), far, "'day'"),
        (Format::default(), evening, "cast it to TIMESTAMP"),
        (Format::default(), one("days", Arc::new(evenings)), "'days'"),
        (Format::default(), endless, "'day'"),
    ] {
        for lab in Lab::each() {
            let spec = spec(&lab, &format);
            lab.prepare(&spec).await.unwrap();
            let input = MemorySourceConfig::try_new_exec(&[vec![batch.clone()]], batch.schema(), None).unwrap();
            let plan = Arc::new(WriteExec::try_new(input, spec.clone()).unwrap());
            let error = run(&lab, &plan, 0, attempt()).await.unwrap_err();
            let error = typed(&error);
            assert!(error.message.contains(says), "{error}");
            lab.until_nothing_is_staged().await;
        }
    }
}

#[tokio::test]
async fn dates_in_milliseconds_are_dates_in_parquet() {
    use datafusion::parquet::basic::{ConvertedType, Type};
    // 1582-10-15, 1970-01-01, 9999-12-31.
    let days = [Some(day(-141_427)), None, Some(0), Some(day(2_932_896))];
    let lists = ListArray::from_iter_primitive::<Date64Type, _, _>([Some(days), None, Some([None; 4]), Some(days)]);
    let columns: [(&str, ArrayRef); 2] =
        [("day", Arc::new(Date64Array::from(days.to_vec()))), ("days", Arc::new(lists))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    for lab in Lab::each() {
        let spec = spec(&lab, &Format::default());
        let files = write_files(&lab, &spec, batch.schema(), vec![batch.clone()]).await;
        let reader = ParquetRecordBatchReaderBuilder::try_new(files[0].1.clone()).unwrap();
        for column in reader.parquet_schema().columns() {
            assert_eq!((column.physical_type(), column.converted_type()), (Type::INT32, ConvertedType::DATE));
        }
        // Readers of the Arrow schema in the file must not take them for timestamps.
        assert_eq!(reader.schema().field(0).data_type(), &DataType::Date32);
        let read: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
        assert_eq!(values(&[as_stored(&read[0], &batch.schema())]), values(std::slice::from_ref(&batch)));
    }
}

#[tokio::test]
async fn parquet_is_written_as_it_is_told() {
    use windrow_engine::sink::format::{BloomFilters, ParquetSettings, Statistics};
    let settings = ParquetSettings {
        dictionary: false,
        statistics: Statistics::None,
        bloom_filters: BloomFilters::Columns(vec!["id".into()]),
        row_group_rows: 100,
        ..ParquetSettings::default()
    };
    for lab in Lab::each() {
        let spec = spec(&lab, &Format::Parquet(settings.clone()));
        let files = write_files(&lab, &spec, schema(), vec![batch(0..250)]).await;
        let reader = ParquetRecordBatchReaderBuilder::try_new(files[0].1.clone()).unwrap();
        let groups = reader.metadata().row_groups();
        assert_eq!(groups.len(), 3);
        assert!(groups[0].column(0).bloom_filter_offset().is_some());
        assert!(groups[0].column(1).bloom_filter_offset().is_none());
        assert!(groups[0].column(0).statistics().is_none() && groups[0].column(0).dictionary_page_offset().is_none());
    }
}

#[tokio::test]
async fn avro_is_compressed_by_codecs_of_avro() {
    // What the tests above would not notice: a codec that is named and not used.
    let mut sizes = Vec::new();
    for compression in [Compression::None, Compression::Deflate, Compression::Snappy, Compression::default()] {
        let lab = Lab::local();
        let mut format = Format::of(FormatName::Avro);
        format.set_compression(compression);
        let files = write_files(&lab, &spec(&lab, &format), schema(), vec![batch(0..10_000)]).await;
        sizes.push(files[0].1.len());
    }
    assert!(sizes[1..].iter().all(|size| *size < sizes[0]), "{sizes:?}");
}
