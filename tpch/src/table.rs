//! The eight tables: their names, schemas, sizes, and their rows in parts that can be made independently.

use arrow::array::RecordBatchReader;
use arrow::datatypes::SchemaRef;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow, RegionArrow, SupplierArrow,
};

/// Rows that one part should have, more or less: one row group of the Parquet file.
const ROWS_PER_PART: f64 = 128.0 * 1024.0;

/// One of the eight tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub enum Table {
    Nation,
    Region,
    Part,
    Supplier,
    PartSupp,
    Customer,
    Orders,
    LineItem,
}

impl Table {
    /// All of them, small ones first.
    pub const ALL: [Table; 8] = [
        Table::Nation,
        Table::Region,
        Table::Supplier,
        Table::Part,
        Table::Customer,
        Table::PartSupp,
        Table::Orders,
        Table::LineItem,
    ];

    /// The name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Table::Nation => "nation",
            Table::Region => "region",
            Table::Part => "part",
            Table::Supplier => "supplier",
            Table::PartSupp => "partsupp",
            Table::Customer => "customer",
            Table::Orders => "orders",
            Table::LineItem => "lineitem",
        }
    }

    /// The name of its file.
    pub fn file_name(self) -> String {
        format!("{}.parquet", self.name())
    }

    /// Its columns.
    pub fn schema(self) -> SchemaRef {
        match self {
            Table::Nation => NationArrow::schema_ref(),
            Table::Region => RegionArrow::schema_ref(),
            Table::Part => PartArrow::schema_ref(),
            Table::Supplier => SupplierArrow::schema_ref(),
            Table::PartSupp => PartSuppArrow::schema_ref(),
            Table::Customer => CustomerArrow::schema_ref(),
            Table::Orders => OrderArrow::schema_ref(),
            Table::LineItem => LineItemArrow::schema_ref(),
        }
    }

    /// Into how many parts its rows are divided at this scale. It depends on nothing else, so that the same scale gives
    /// the same files on every machine.
    pub fn parts(self, scale: f64) -> i32 {
        let rows_at_scale_1 = match self {
            Table::Nation | Table::Region => return 1,
            Table::Supplier => 10e3,
            Table::Customer => 150e3,
            Table::Part => 200e3,
            Table::PartSupp => 800e3,
            Table::Orders => 1.5e6,
            Table::LineItem => 6e6,
        };
        (rows_at_scale_1 * scale / ROWS_PER_PART).ceil().clamp(1.0, 1e6) as i32
    }

    /// The rows of part `part` (from 1) of `parts`.
    pub fn rows(self, scale: f64, part: i32, parts: i32) -> Box<dyn RecordBatchReader + Send> {
        match self {
            Table::Nation => Box::new(NationArrow::new(NationGenerator::new(scale, part, parts))),
            Table::Region => Box::new(RegionArrow::new(RegionGenerator::new(scale, part, parts))),
            Table::Part => Box::new(PartArrow::new(PartGenerator::new(scale, part, parts))),
            Table::Supplier => Box::new(SupplierArrow::new(SupplierGenerator::new(scale, part, parts))),
            Table::PartSupp => Box::new(PartSuppArrow::new(PartSuppGenerator::new(scale, part, parts))),
            Table::Customer => Box::new(CustomerArrow::new(CustomerGenerator::new(scale, part, parts))),
            Table::Orders => Box::new(OrderArrow::new(OrderGenerator::new(scale, part, parts))),
            Table::LineItem => Box::new(LineItemArrow::new(LineItemGenerator::new(scale, part, parts))),
        }
    }
}
