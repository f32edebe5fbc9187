//! The scan of files of a format: what DataFusion plans with, and what a task reads. One for all formats but Parquet,
//! which DataFusion scans itself.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpenFuture, FileOpener, FileScanConfig, FileSource};
use datafusion::datasource::projection::{ProjectionOpener, SplitProjection};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::{DisplayFormatType, PhysicalExpr, apply_expression_roots};
use futures::{FutureExt, StreamExt};
use object_store::ObjectStore;
use windrow_common::{Error, ErrorKind};

use super::avro::opener::AvroOpener;
use super::fetch::Source;
use super::ipc::opener::IpcOpener;
use super::options::FormatOptions;
use super::text::bad_row::Rejects;
use super::text::opener::TextOpener;
use super::text::rows::LeftOut;
use crate::error::external;
use crate::scanned_files::shown;

/// Rows of a batch, if nobody says otherwise.
const BATCH_SIZE: usize = 8192;
/// The metric that counts the records which a scan left out.
pub const ROWS_REJECTED: &str = "rows_rejected";

/// A scan of files of one format.
#[derive(Clone, Debug)]
pub struct FormatSource {
    options: Arc<FormatOptions>,
    table_schema: TableSchema,
    projection: SplitProjection,
    batch_size: usize,
    metrics: ExecutionPlanMetricsSet,
    rejects: Option<Rejects>,
}

impl FormatSource {
    /// A scan of all columns.
    pub fn new(options: Arc<FormatOptions>, table_schema: TableSchema) -> Self {
        let projection = SplitProjection::unprojected(&table_schema);
        let metrics = ExecutionPlanMetricsSet::new();
        Self { options, table_schema, projection, batch_size: BATCH_SIZE, metrics, rejects: None }
    }

    /// The same scan, which hands the records that it leaves out to somebody.
    #[must_use]
    pub fn with_rejects(mut self, rejects: Option<Rejects>) -> Self {
        self.rejects = rejects;
        self
    }

    /// The format.
    pub fn options(&self) -> &FormatOptions {
        &self.options
    }

    fn left_out(&self, partition: usize) -> Result<LeftOut> {
        let count = MetricBuilder::new(&self.metrics).counter(ROWS_REJECTED, partition);
        let location = self.options.text().and_then(|text| text.bad_rows.rejects.clone());
        let sink = match (location, &self.rejects) {
            (None, _) => None,
            (Some(location), Some(rejects)) => Some((location, Arc::clone(&rejects.0))),
            (Some(location), None) => {
                return Err(external(Error::new(
                    ErrorKind::Unsupported,
                    format!("rejected records cannot be written to '{location}' from here; leave out option 'rejects'"),
                )));
            }
        };
        Ok(LeftOut { count, sink })
    }
}

/// Opens files of a format.
#[derive(Clone, Debug)]
enum Opener {
    Text(TextOpener),
    Ipc(IpcOpener),
    Avro(AvroOpener),
}

#[derive(Debug)]
struct FormatOpener {
    opener: Opener,
    store: Arc<dyn ObjectStore>,
    url: ObjectStoreUrl,
}

impl FileOpener for FormatOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let source = Source {
            store: Arc::clone(&self.store),
            meta: file.object_meta.clone(),
            shown: shown(&self.url, &file.object_meta.location).into(),
        };
        let opener = self.opener.clone();
        Ok(async move {
            let name = source.clone();
            let rows = match opener {
                Opener::Text(opener) => opener.open(source, file).await,
                Opener::Ipc(opener) => opener.open(source, file.range).await,
                Opener::Avro(opener) => opener.open(source, file.range).await,
            };
            let rows = rows.map_err(|error| name.named(&error))?;
            Ok(rows.map(move |batch| batch.map_err(|error| name.named(&error))).boxed())
        }
        .boxed())
    }
}

impl FileSource for FormatSource {
    fn create_file_opener(
        &self,
        store: Arc<dyn ObjectStore>,
        base: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let columns = Arc::clone(self.table_schema.file_schema());
        let wanted = self.projection.file_indices.clone();
        let batch_size = self.batch_size;
        let opener = match self.options.as_ref() {
            FormatOptions::Csv(_) | FormatOptions::Json(_) => {
                let (options, left_out) = (Arc::clone(&self.options), self.left_out(partition)?);
                Opener::Text(TextOpener { options, columns, wanted, batch_size, left_out })
            }
            FormatOptions::Arrow => Opener::Ipc(IpcOpener { wanted: Arc::new(columns.project(&wanted)?) }),
            FormatOptions::Avro => Opener::Avro(AvroOpener { wanted: Arc::new(columns.project(&wanted)?), batch_size }),
            FormatOptions::Parquet => {
                return Err(external(Error::internal("Parquet files are scanned by DataFusion's own source")));
            }
        };
        let opener = FormatOpener { opener, store, url: base.object_store_url.clone() };
        ProjectionOpener::try_new(self.projection.clone(), Arc::new(opener), self.table_schema.file_schema())
    }

    fn table_schema(&self) -> &TableSchema {
        &self.table_schema
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(Self { batch_size, ..self.clone() })
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        Some(&self.projection.source)
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        let merged = self.projection.source.try_merge(projection)?;
        let projection = SplitProjection::new(self.table_schema.file_schema(), &merged);
        Ok(Some(Arc::new(Self { projection, ..self.clone() })))
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        self.options.name()
    }

    fn supports_repartitioning(&self) -> bool {
        self.options.is_splittable()
    }

    fn fmt_extra(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (kind, self.options.text()) {
            (DisplayFormatType::Default | DisplayFormatType::Verbose, Some(text)) if text.bad_rows.skip => {
                write!(f, ", on_error=skip")
            }
            _ => Ok(()),
        }
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        apply_expression_roots(self.projection.source.iter(), f)
    }
}
