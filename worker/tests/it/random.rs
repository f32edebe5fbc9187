//! Batches of every type that Arrow IPC carries, from a seed.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::*;

/// Numbers from a seed (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

fn item(data_type: DataType) -> FieldRef {
    Arc::new(Field::new("item", data_type, true))
}

/// Types that hold no others.
fn flat_types() -> Vec<DataType> {
    use DataType::*;
    vec![
        Null,
        Boolean,
        Int8,
        Int16,
        Int32,
        Int64,
        UInt8,
        UInt16,
        UInt32,
        UInt64,
        Float16,
        Float32,
        Float64,
        Timestamp(TimeUnit::Second, None),
        Timestamp(TimeUnit::Nanosecond, Some("Europe/Berlin".into())),
        Date32,
        Date64,
        Time32(TimeUnit::Second),
        Time64(TimeUnit::Nanosecond),
        Duration(TimeUnit::Microsecond),
        Interval(IntervalUnit::YearMonth),
        Interval(IntervalUnit::DayTime),
        Interval(IntervalUnit::MonthDayNano),
        Decimal32(9, 2),
        Decimal64(18, -3),
        Decimal128(38, 10),
        Decimal256(76, 20),
        Binary,
        LargeBinary,
        Utf8,
        LargeUtf8,
        BinaryView,
        Utf8View,
        FixedSizeBinary(5),
    ]
}

/// Every kind of type, nested ones around delicate ones too.
pub fn all_types() -> Vec<DataType> {
    use DataType::*;
    let dictionary = |k: DataType, v: DataType| Dictionary(Box::new(k), Box::new(v));
    let fields = |types: Vec<DataType>| -> Fields {
        types.into_iter().enumerate().map(|(i, t)| Field::new(format!("f{i}"), t, true)).collect()
    };
    let union =
        |mode| Union(UnionFields::from_fields(vec![Field::new("a", Int32, true), Field::new("b", Utf8, true)]), mode);
    let entries = Field::new(
        "entries",
        Struct(vec![Field::new("keys", Utf8, false), Field::new("values", Utf8View, true)].into()),
        false,
    );
    let nested = vec![
        List(item(Int64)),
        List(item(Utf8View)),
        LargeList(item(Utf8)),
        List(item(Boolean)),
        FixedSizeList(item(Utf8), 3),
        FixedSizeList(item(Utf8View), 2),
        FixedSizeList(item(List(item(Int16))), 2),
        ListView(item(Int32)),
        LargeListView(item(Utf8View)),
        List(item(ListView(item(Utf8)))),
        Struct(fields(vec![Int8, Utf8View, List(item(Utf8))])),
        Struct(Fields::empty()),
        List(item(Struct(fields(vec![Utf8, Boolean])))),
        List(item(List(item(Decimal128(20, 2))))),
        Map(Arc::new(entries), false),
        union(UnionMode::Sparse),
        union(UnionMode::Dense),
        List(item(union(UnionMode::Sparse))),
        List(item(union(UnionMode::Dense))),
        List(item(Struct(fields(vec![union(UnionMode::Dense), union(UnionMode::Sparse)])))),
        dictionary(Int8, Utf8),
        dictionary(Int32, LargeUtf8),
        dictionary(UInt16, Utf8View),
        dictionary(Int64, Int64),
        List(item(dictionary(Int32, Utf8))),
        Struct(fields(vec![dictionary(Int16, Utf8), dictionary(Int8, Binary)])),
        RunEndEncoded(Arc::new(Field::new("run_ends", Int32, false)), Arc::new(Field::new("values", Utf8, true))),
    ];
    [flat_types(), nested].concat()
}

/// A batch with one column of each type, `slice`d out of a larger one when `sliced`.
pub fn batch(types: &[DataType], rows: usize, seed: u64, sliced: bool) -> RecordBatch {
    let mut random = Random(seed);
    let schema = schema(types);
    let (before, after) = if sliced { (1 + random.below(20), 1 + random.below(20)) } else { (0, 0) };
    let columns =
        types.iter().map(|t| array(t, before + rows + after, true, &mut random).slice(before, rows)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options).unwrap()
}

pub fn schema(types: &[DataType]) -> SchemaRef {
    let field = |(i, t): (usize, &DataType)| {
        Field::new(format!("c{i}"), t.clone(), true).with_metadata([("unit".to_owned(), format!("m{i}"))].into())
    };
    let fields: Vec<Field> = types.iter().enumerate().map(field).collect();
    Arc::new(Schema::new_with_metadata(fields, [("table".to_owned(), "t".to_owned())].into()))
}

fn nulls(rows: usize, random: &mut Random) -> Option<NullBuffer> {
    match random.below(3) {
        0 => None,
        n => Some((0..rows).map(|_| random.below(1 + 3 * n) != 0).collect()),
    }
}

fn text(random: &mut Random) -> String {
    let length = [0, 3, 12, 13, 40][random.below(5)];
    (0..length).map(|_| ['a', 'β', '↯', 'z', '0'][random.below(5)]).collect()
}

fn lengths(rows: usize, random: &mut Random) -> Vec<usize> {
    (0..rows).map(|_| random.below(4)).collect()
}

fn primitive<T: ArrowPrimitiveType>(
    rows: usize,
    nullable: bool,
    random: &mut Random,
    value: impl Fn(u64) -> T::Native,
    t: &DataType,
) -> ArrayRef {
    let values: Vec<T::Native> = (0..rows).map(|_| value(random.next())).collect();
    let nulls = if nullable { nulls(rows, random) } else { None };
    Arc::new(PrimitiveArray::<T>::new(values.into(), nulls).with_data_type(t.clone()))
}

macro_rules! texts {
    ($kind:ty, $rows:expr, $random:expr, $nullable:expr) => {{
        let values: Vec<Option<String>> =
            (0..$rows).map(|_| (!$nullable || $random.below(5) != 0).then(|| text($random))).collect();
        Arc::new(values.iter().map(|v| v.as_deref()).collect::<$kind>()) as ArrayRef
    }};
    (bytes $kind:ty, $rows:expr, $random:expr, $nullable:expr) => {{
        let values: Vec<Option<Vec<u8>>> =
            (0..$rows).map(|_| (!$nullable || $random.below(5) != 0).then(|| text($random).into_bytes())).collect();
        Arc::new(values.iter().map(|v| v.as_deref()).collect::<$kind>()) as ArrayRef
    }};
}

/// A random array.
pub fn array(t: &DataType, rows: usize, nullable: bool, random: &mut Random) -> ArrayRef {
    use DataType::*;
    match t {
        Null => Arc::new(NullArray::new(rows)),
        Boolean => {
            Arc::new((0..rows).map(|_| (random.below(4) != 0).then(|| random.below(2) == 0)).collect::<BooleanArray>())
        }
        Int8 => primitive::<Int8Type>(rows, nullable, random, |v| v as i8, t),
        Int16 => primitive::<Int16Type>(rows, nullable, random, |v| v as i16, t),
        Int32 => primitive::<Int32Type>(rows, nullable, random, |v| v as i32, t),
        Int64 => primitive::<Int64Type>(rows, nullable, random, |v| v as i64, t),
        UInt8 => primitive::<UInt8Type>(rows, nullable, random, |v| v as u8, t),
        UInt16 => primitive::<UInt16Type>(rows, nullable, random, |v| v as u16, t),
        UInt32 => primitive::<UInt32Type>(rows, nullable, random, |v| v as u32, t),
        UInt64 => primitive::<UInt64Type>(rows, nullable, random, |v| v, t),
        Float16 => arrow::compute::cast(&array(&Int8, rows, nullable, random), t).unwrap(),
        Float32 => primitive::<Float32Type>(rows, nullable, random, |v| v as f32, t),
        Float64 => primitive::<Float64Type>(rows, nullable, random, |v| v as f64 / 3.0, t),
        Timestamp(TimeUnit::Second, _) => primitive::<TimestampSecondType>(rows, nullable, random, |v| v as i64, t),
        Timestamp(_, _) => primitive::<TimestampNanosecondType>(rows, nullable, random, |v| v as i64, t),
        Date32 => primitive::<Date32Type>(rows, nullable, random, |v| v as i32, t),
        Date64 => primitive::<Date64Type>(rows, nullable, random, |v| v as i64, t),
        Time32(_) => primitive::<Time32SecondType>(rows, nullable, random, |v| v as i32, t),
        Time64(_) => primitive::<Time64NanosecondType>(rows, nullable, random, |v| v as i64, t),
        Duration(_) => primitive::<DurationMicrosecondType>(rows, nullable, random, |v| v as i64, t),
        Interval(IntervalUnit::YearMonth) => {
            primitive::<IntervalYearMonthType>(rows, nullable, random, |v| v as i32, t)
        }
        Interval(IntervalUnit::DayTime) => primitive::<IntervalDayTimeType>(
            rows,
            nullable,
            random,
            |v| IntervalDayTimeType::make_value(v as i32, 7),
            t,
        ),
        Interval(IntervalUnit::MonthDayNano) => primitive::<IntervalMonthDayNanoType>(
            rows,
            nullable,
            random,
            |v| IntervalMonthDayNanoType::make_value(v as i32, 3, v as i64),
            t,
        ),
        Decimal32(_, _) => primitive::<Decimal32Type>(rows, nullable, random, |v| (v % 1_000_000) as i32, t),
        Decimal64(_, _) => primitive::<Decimal64Type>(rows, nullable, random, |v| (v >> 8) as i64, t),
        Decimal128(_, _) => primitive::<Decimal128Type>(rows, nullable, random, |v| i128::from(v) * -3, t),
        Decimal256(_, _) => {
            primitive::<Decimal256Type>(rows, nullable, random, |v| i256::from_i128(i128::from(v) << 50), t)
        }
        Utf8 => texts!(StringArray, rows, random, nullable),
        LargeUtf8 => texts!(LargeStringArray, rows, random, nullable),
        Utf8View => texts!(StringViewArray, rows, random, nullable),
        Binary => texts!(bytes BinaryArray, rows, random, nullable),
        LargeBinary => texts!(bytes LargeBinaryArray, rows, random, nullable),
        BinaryView => texts!(bytes BinaryViewArray, rows, random, nullable),
        FixedSizeBinary(width) => {
            let values = (0..rows).map(|_| (random.below(4) != 0).then(|| random.next().to_le_bytes()[..5].to_vec()));
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, *width).unwrap())
        }
        other => nested(other, rows, random),
    }
}

fn nested(t: &DataType, rows: usize, random: &mut Random) -> ArrayRef {
    use DataType::*;
    match t {
        List(f) | LargeList(f) | Map(f, _) => {
            let lengths = lengths(rows, random);
            let child = array(f.data_type(), lengths.iter().sum(), f.is_nullable(), random);
            let nulls = nulls(rows, random);
            match t {
                List(_) => Arc::new(ListArray::new(Arc::clone(f), OffsetBuffer::from_lengths(lengths), child, nulls)),
                LargeList(_) => {
                    Arc::new(LargeListArray::new(Arc::clone(f), OffsetBuffer::from_lengths(lengths), child, nulls))
                }
                _ => {
                    let entries = child.as_struct().clone();
                    Arc::new(MapArray::new(Arc::clone(f), OffsetBuffer::from_lengths(lengths), entries, nulls, false))
                }
            }
        }
        ListView(f) | LargeListView(f) => {
            let child = array(f.data_type(), 3 + rows, true, random);
            let views: Vec<(usize, usize)> = (0..rows).map(|_| (random.below(rows), random.below(4))).collect();
            let nulls = nulls(rows, random);
            if matches!(t, ListView(_)) {
                let (starts, sizes): (Vec<i32>, Vec<i32>) = views.iter().map(|(a, b)| (*a as i32, *b as i32)).unzip();
                Arc::new(ListViewArray::new(Arc::clone(f), starts.into(), sizes.into(), child, nulls))
            } else {
                let (starts, sizes): (Vec<i64>, Vec<i64>) = views.iter().map(|(a, b)| (*a as i64, *b as i64)).unzip();
                Arc::new(LargeListViewArray::new(Arc::clone(f), starts.into(), sizes.into(), child, nulls))
            }
        }
        FixedSizeList(f, n) => {
            let child = array(f.data_type(), rows * *n as usize, true, random);
            Arc::new(FixedSizeListArray::new(Arc::clone(f), *n, child, nulls(rows, random)))
        }
        Struct(fields) if fields.is_empty() => Arc::new(StructArray::new_empty_fields(rows, nulls(rows, random))),
        Struct(fields) => {
            let children = fields.iter().map(|f| array(f.data_type(), rows, f.is_nullable(), random)).collect();
            let nulls = if fields.iter().all(|f| f.is_nullable()) { nulls(rows, random) } else { None };
            Arc::new(StructArray::new(fields.clone(), children, nulls))
        }
        Union(fields, mode) => union_array(fields, *mode, rows, random),
        Dictionary(keys, values) => {
            let values = array(values, 1 + random.below(60), true, random);
            let chosen: Vec<Option<usize>> =
                (0..rows).map(|_| (random.below(5) != 0).then(|| random.below(values.len()))).collect();
            dictionary(keys, &chosen, values)
        }
        RunEndEncoded(_, _) => {
            let (mut ends, mut end) = (vec![], 0);
            while end < rows as i32 {
                end = (end + 1 + random.below(5) as i32).min(rows as i32);
                ends.push(end);
            }
            let values = array(&Utf8, ends.len(), true, random);
            Arc::new(RunArray::<Int32Type>::try_new(&Int32Array::from(ends), &values).unwrap())
        }
        other => panic!("no generator for {other}"),
    }
}

fn union_array(fields: &UnionFields, mode: UnionMode, rows: usize, random: &mut Random) -> ArrayRef {
    let ids: Vec<i8> = (0..rows).map(|_| random.below(2) as i8).collect();
    let mut counts = [0i32; 2];
    let mut place = |id: &i8| {
        counts[*id as usize] += 1;
        counts[*id as usize] - 1
    };
    let offsets: Vec<i32> = ids.iter().map(&mut place).collect();
    let dense = mode == UnionMode::Dense;
    let length = |i: usize| if dense { counts[i] as usize } else { rows };
    let children =
        vec![array(&DataType::Int32, length(0), true, random), array(&DataType::Utf8, length(1), true, random)];
    let offsets = dense.then(|| ScalarBuffer::from(offsets));
    Arc::new(UnionArray::try_new(fields.clone(), ids.into(), offsets, children).unwrap())
}

fn dictionary(keys: &DataType, chosen: &[Option<usize>], values: ArrayRef) -> ArrayRef {
    macro_rules! with {
        ($t:ty) => {{
            let keys: PrimitiveArray<$t> =
                chosen.iter().map(|k| k.map(|k| k as <$t as ArrowPrimitiveType>::Native)).collect();
            Arc::new(DictionaryArray::new(keys, values))
        }};
    }
    match keys {
        DataType::Int8 => with!(Int8Type),
        DataType::Int16 => with!(Int16Type),
        DataType::Int32 => with!(Int32Type),
        DataType::Int64 => with!(Int64Type),
        _ => with!(UInt16Type),
    }
}
