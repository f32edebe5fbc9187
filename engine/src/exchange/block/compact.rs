//! What a batch weighs, and how to cut away what it drags along: parents of slices, string data that no view points at,
//! dictionary values that no key names.
//!
//! *used* is what the rows need; *pinned* is what stays allocated while the batch lives. A batch is wasteful when it
//! pins more than twice what it uses (beyond a small allowance for each buffer); only then is it worth a copy.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, PrimitiveArray, RecordBatch, RecordBatchOptions, UInt64Array,
    downcast_dictionary_array, make_array,
};
use arrow::array::{ArrayData, MutableArrayData};
use arrow::datatypes::{ArrowDictionaryKeyType, ArrowNativeType, DataType, UnionMode};
use arrow::error::ArrowError;

/// Bytes by which a buffer may exceed what is used of it, because allocations are rounded up.
const BUFFER_ALLOWANCE: usize = 256;
/// Strings of at most this many bytes lie in their view.
const INLINE_VIEW: u32 = 12;

/// What a batch weighs, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// What its rows need.
    pub used: usize,
    /// What stays allocated because of it; buffers shared between its columns count once.
    pub pinned: usize,
    /// Different buffers.
    pub buffers: usize,
}

impl Footprint {
    /// Whether a copy would free more than half of what the batch pins.
    pub fn is_wasteful(&self) -> bool {
        self.pinned > 2 * self.used + BUFFER_ALLOWANCE * self.buffers
    }
}

/// What this batch weighs.
pub fn footprint(batch: &RecordBatch) -> Footprint {
    let mut seen = Vec::new();
    let mut total = Footprint::default();
    for column in batch.columns() {
        let data = column.to_data();
        total.used += used(&data);
        pin(&data, &mut seen);
    }
    seen.sort_unstable();
    seen.dedup_by_key(|(start, _)| *start);
    total.buffers = seen.len();
    total.pinned = seen.iter().map(|(_, capacity)| capacity).sum();
    total
}

fn pin(data: &ArrayData, seen: &mut Vec<(usize, usize)>) {
    let nulls = data.nulls().map(|nulls| nulls.buffer());
    for buffer in data.buffers().iter().chain(nulls) {
        if buffer.capacity() > 0 {
            seen.push((buffer.data_ptr().as_ptr() as usize, buffer.capacity()));
        }
    }
    data.child_data().iter().for_each(|child| pin(child, seen));
}

/// Bytes that the rows of this array need.
fn used(data: &ArrayData) -> usize {
    let rows = data.len();
    let nulls = if data.nulls().is_some() { rows.div_ceil(8) } else { 0 };
    let own = match data.data_type() {
        DataType::Null => 0,
        DataType::Boolean => rows.div_ceil(8),
        DataType::Utf8 | DataType::Binary => 4 * (rows + 1) + range::<i32>(data).1,
        DataType::LargeUtf8 | DataType::LargeBinary => 8 * (rows + 1) + range::<i64>(data).1,
        DataType::Utf8View | DataType::BinaryView => 16 * rows + viewed(data),
        DataType::List(_) | DataType::Map(_, _) => 4 * (rows + 1) + used_child::<i32>(data),
        DataType::LargeList(_) => 8 * (rows + 1) + used_child::<i64>(data),
        DataType::ListView(_) => 8 * rows + share(&data.child_data()[0], sizes::<i32>(data)),
        DataType::LargeListView(_) => 16 * rows + share(&data.child_data()[0], sizes::<i64>(data)),
        DataType::FixedSizeList(_, n) => {
            let n = (*n).max(0) as usize;
            used(&data.child_data()[0].slice(data.offset() * n, rows * n))
        }
        // A slice of a struct has sliced children, whatever its offset says.
        DataType::Struct(_) => data.child_data().iter().map(used).sum(),
        DataType::Union(_, mode) => {
            let offsets = if *mode == UnionMode::Dense { 4 * rows } else { 0 };
            rows + offsets + data.child_data().iter().map(|child| share(child, rows)).sum::<usize>()
        }
        DataType::Dictionary(keys, _) => {
            keys.primitive_width().unwrap_or(0) * rows + share(&data.child_data()[0], rows)
        }
        DataType::RunEndEncoded(_, _) => data.child_data().iter().map(|child| share(child, rows)).sum(),
        DataType::FixedSizeBinary(width) => (*width).max(0) as usize * rows,
        plain => plain.primitive_width().unwrap_or(0) * rows,
    };
    own + nulls
}

/// Start and length of what the offsets of a variable-width array span.
fn range<O: ArrowNativeType>(data: &ArrayData) -> (usize, usize) {
    if data.is_empty() {
        return (0, 0);
    }
    let offsets = &data.buffers()[0].typed_data::<O>()[data.offset()..=data.offset() + data.len()];
    let start = offsets[0].as_usize();
    (start, offsets[data.len()].as_usize() - start)
}

fn used_child<O: ArrowNativeType>(data: &ArrayData) -> usize {
    let (start, length) = range::<O>(data);
    used(&data.child_data()[0].slice(start, length))
}

fn sizes<O: ArrowNativeType>(data: &ArrayData) -> usize {
    let sizes = &data.buffers()[1].typed_data::<O>()[data.offset()..data.offset() + data.len()];
    sizes.iter().map(|size| size.as_usize()).sum()
}

fn viewed(data: &ArrayData) -> usize {
    let views = &data.buffers()[0].typed_data::<u128>()[data.offset()..data.offset() + data.len()];
    views.iter().map(|view| *view as u32).filter(|length| *length > INLINE_VIEW).map(|length| length as usize).sum()
}

/// The share of `data` that `rows` of its rows can need at most.
fn share(data: &ArrayData, rows: usize) -> usize {
    let whole = used(data);
    if rows >= data.len() { whole } else { (whole as u128 * rows as u128 / data.len() as u128) as usize }
}

/// The types directly inside this type.
pub(super) fn children(data_type: &DataType) -> Box<dyn Iterator<Item = &DataType> + '_> {
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => Box::new(std::iter::once(field.data_type())),
        DataType::Struct(fields) => Box::new(fields.iter().map(|field| field.data_type())),
        DataType::Union(fields, _) => Box::new(fields.iter().map(|(_, field)| field.data_type())),
        DataType::RunEndEncoded(ends, values) => Box::new([ends.data_type(), values.data_type()].into_iter()),
        DataType::Dictionary(_, values) => Box::new(std::iter::once(values.as_ref())),
        _ => Box::new(std::iter::empty()),
    }
}

/// The same rows in buffers of their own.
pub fn compact(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(compact_array).collect::<Result<Vec<_>, _>>()?;
    with_columns(batch, columns)
}

/// The batch as the IPC encoder must see it. The encoder cuts slices of most types by itself; of views, list views,
/// dictionaries and unions it would send parents, and of unions inside lists the wrong rows.
pub(super) fn for_encoding(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    if !batch.columns().iter().any(|column| is_delicate(column.data_type())) {
        return Ok(batch.clone());
    }
    let columns = batch.columns().iter().map(|column| {
        if !is_delicate(column.data_type()) {
            return Ok(Arc::clone(column));
        }
        let data = column.to_data();
        let mut seen = Vec::new();
        pin(&data, &mut seen);
        let pinned = seen.iter().map(|(_, capacity)| capacity).sum();
        let weight = Footprint { used: used(&data), pinned, buffers: seen.len() };
        if weight.is_wasteful() || nests_union(column.data_type()) {
            compact_array(column)
        } else {
            Ok(Arc::clone(column))
        }
    });
    with_columns(batch, columns.collect::<Result<Vec<_>, _>>()?)
}

fn with_columns(batch: &RecordBatch, columns: Vec<ArrayRef>) -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
}

fn is_delicate(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8View
            | DataType::BinaryView
            | DataType::ListView(_)
            | DataType::LargeListView(_)
            | DataType::Dictionary(_, _)
            | DataType::Union(_, _)
    ) || children(data_type).any(is_delicate)
}

fn has_union(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Union(_, _)) || children(data_type).any(has_union)
}

fn nests_union(data_type: &DataType) -> bool {
    children(data_type).any(has_union)
}

fn compact_array(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match array.data_type() {
        DataType::Null => Arc::clone(array),
        DataType::Dictionary(_, _) => compact_dictionary(array)?,
        _ => {
            let data = array.to_data();
            let mut copy = MutableArrayData::new(vec![&data], false, data.len());
            copy.try_extend(0, 0, data.len())?;
            let copy = make_array(compact_children(copy.freeze())?);
            match copy.data_type() {
                DataType::Utf8View => Arc::new(copy.as_string_view().gc()),
                DataType::BinaryView => Arc::new(copy.as_binary_view().gc()),
                _ => copy,
            }
        }
    })
}

/// A copy made by [`MutableArrayData`] still has whole dictionaries and whole view buffers inside.
fn compact_children(data: ArrayData) -> Result<ArrayData, ArrowError> {
    if !children(data.data_type()).any(is_delicate) {
        return Ok(data);
    }
    let inner = data.child_data().iter().map(|child| match child.data_type() {
        DataType::Utf8View | DataType::BinaryView | DataType::Dictionary(_, _) => {
            Ok(compact_array(&make_array(child.clone()))?.to_data())
        }
        _ => compact_children(child.clone()),
    });
    let inner = inner.collect::<Result<Vec<_>, _>>()?;
    data.into_builder().child_data(inner).build()
}

fn compact_dictionary(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let array: &dyn Array = array.as_ref();
    downcast_dictionary_array!(
        array => used_values(array),
        other => Err(ArrowError::InvalidArgumentError(format!("{other} is not a dictionary")))
    )
}

/// The same rows with only those values that a key names, in the order of first use.
fn used_values<K: ArrowDictionaryKeyType>(array: &DictionaryArray<K>) -> Result<ArrayRef, ArrowError> {
    let mut renamed: Vec<Option<usize>> = vec![None; array.values().len()];
    let mut kept: Vec<u64> = Vec::new();
    let keys: PrimitiveArray<K> = array
        .keys()
        .iter()
        .map(|key| {
            let old = key?.as_usize();
            let new = *renamed[old].get_or_insert_with(|| {
                kept.push(old as u64);
                kept.len() - 1
            });
            Some(K::Native::usize_as(new))
        })
        .collect();
    let values = arrow::compute::take(array.values().as_ref(), &UInt64Array::from(kept), None)?;
    Ok(Arc::new(DictionaryArray::try_new(keys, compact_array(&values)?)?))
}
