//! The messages of the stage codec. They are written by a coordinator and read by workers of the same version.

/// One stage, as all of its tasks share it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StageBlob {
    /// An encoded `PhysicalPlanNode`.
    #[prost(bytes = "vec", tag = "1")]
    pub plan: Vec<u8>,
    /// All settings of the session, as key and value.
    #[prost(message, repeated, tag = "2")]
    pub settings: Vec<Setting>,
    /// Encoded `PhysicalExprNode`s: the keys by whose hash rows are shuffled; empty unless the output is a shuffle.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub keys: Vec<Vec<u8>>,
}

/// One setting.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Setting {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// An operator of ours, or a leaf without its data, inside an extension node.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Node {
    #[prost(oneof = "NodeKind", tags = "1, 2, 3, 4, 5")]
    pub kind: Option<NodeKind>,
}

/// Which.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum NodeKind {
    #[prost(message, tag = "1")]
    Scan(ScanNode),
    #[prost(message, tag = "2")]
    Exchange(ExchangeNode),
    #[prost(string, tag = "3")]
    Write(String),
    #[prost(message, tag = "4")]
    Reversed(ReversedNode),
    #[prost(message, tag = "5")]
    Forgetting(ForgettingNode),
}

/// Forgets what is thought to be known of the columns of the only input.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct ForgettingNode {}

/// Says of the only input, an operator of window functions, which of them are to be turned round.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ReversedNode {
    #[prost(bool, repeated, tag = "1")]
    pub reversed: Vec<bool>,
}

/// A scan of files without its files.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ScanNode {
    /// Its place among the scans of the stage.
    #[prost(uint32, tag = "1")]
    pub index: u32,
    /// How many partitions it has.
    #[prost(uint32, tag = "2")]
    pub partitions: u32,
    /// An encoded `PhysicalPlanNode` with empty file groups; empty if the files are read by a reader of ours.
    #[prost(bytes = "vec", tag = "3")]
    pub plan: Vec<u8>,
    /// Whether somebody relies on the order in which files and rows are read.
    #[prost(bool, tag = "4")]
    pub preserve_order: bool,
    /// How files are read by a reader of ours.
    #[prost(message, optional, tag = "5")]
    pub format: Option<FormatNode>,
}

/// A scan by a reader of ours: everything that its format's options say, and everything that is common to all scans.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FormatNode {
    /// A [`crate::formats::FormatOptions`] as JSON.
    #[prost(string, tag = "1")]
    pub options: String,
    /// An encoded `FileScanExecConf` with empty file groups.
    #[prost(bytes = "vec", tag = "2")]
    pub scan: Vec<u8>,
}

/// A reader of an exchange without its locations.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExchangeNode {
    #[prost(uint32, tag = "1")]
    pub exchange: u32,
    /// An encoded `Schema`.
    #[prost(bytes = "vec", tag = "2")]
    pub schema: Vec<u8>,
    /// An encoded `Partitioning`.
    #[prost(bytes = "vec", tag = "3")]
    pub partitioning: Vec<u8>,
    /// Encoded `PhysicalSortExprNodeCollection`s.
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub orderings: Vec<Vec<u8>>,
    #[prost(enumeration = "MappingKind", tag = "5")]
    pub mapping: i32,
    #[prost(uint32, repeated, tag = "6")]
    pub owners: Vec<u32>,
    #[prost(message, repeated, tag = "7")]
    pub equalities: Vec<Equality>,
}

/// Columns that are equal in every row.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Equality {
    #[prost(uint32, repeated, tag = "1")]
    pub columns: Vec<u32>,
    /// Whether they have one value in each partition.
    #[prost(bool, tag = "2")]
    pub constant: bool,
    /// An encoded `ScalarValue`: the value that they have in all partitions.
    #[prost(bytes = "vec", optional, tag = "3")]
    pub value: Option<Vec<u8>>,
}

/// How partitions map to producers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum MappingKind {
    Unspecified = 0,
    Shuffle = 1,
    Forward = 2,
    Broadcast = 3,
}

/// The files of one task: for each scan the groups that the task's partitions read.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Splits {
    #[prost(message, repeated, tag = "1")]
    pub groups: Vec<SplitGroup>,
}

/// The files of one partition of one scan.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SplitGroup {
    #[prost(uint32, tag = "1")]
    pub scan: u32,
    #[prost(uint32, tag = "2")]
    pub partition: u32,
    #[prost(message, repeated, tag = "3")]
    pub files: Vec<FileSplit>,
}

/// A range of a file.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FileSplit {
    /// An encoded `PartitionedFile`.
    #[prost(bytes = "vec", tag = "1")]
    pub file: Vec<u8>,
    #[prost(string, optional, tag = "2")]
    pub e_tag: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub version: Option<String>,
}
